# SPDX-License-Identifier: MIT
"""cloudosctl container, image and apply as a person types them, end to end: as root, and as a
user without rights.  Every program is the real one; each case ends without anything left.
"""
import concurrent.futures
import contextlib
import fcntl
import glob
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from cleared import clear

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get('builddir', os.getcwd()))
SANITIZED = os.environ.get('CO_SANITIZERS') not in (None, '', 'no')
LIMIT = 240 if SANITIZED else 60
NOBODY = 65534
PROGRAMS = ('cloudosctl', 'cloudos-exec', 'cloudos-keeper', 'cloudosd/cloudosd', 'cloudos-ctr',
            'cloudos-image', 'cloudos-loader', 'example-service', 'example-client-static')


def check(true, what):
    if not true:
        raise AssertionError(what)


def equal(got, wanted, what):
    check(got == wanted, '%s: %r, expected %r' % (what, got, wanted))


def until(what, true):
    deadline = time.monotonic() + LIMIT
    while True:
        found = true()
        if found:
            return found
        check(time.monotonic() < deadline, '%s did not come about within %d s' % (what, LIMIT))
        time.sleep(0.02)


class Domain:
    """A domain with copies of the programs, where any user can run them."""

    def __init__(self, user):
        self.base = tempfile.mkdtemp(prefix='ctl-', dir='/var/tmp')
        os.chmod(self.base, 0o755)
        for name in PROGRAMS:
            shutil.copy(os.path.join(BUILD, name), self.base)
        self.dir = os.path.join(self.base, 'd')
        self.work = os.path.join(self.base, 'work')
        for folder in (self.dir, self.work):
            os.mkdir(folder)
            if user is not None:
                os.chown(folder, user, user)
        self.words = [] if user is None else [
            'setpriv', '--reuid=%d' % user, '--regid=%d' % user, '--clear-groups']
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(('CLOUDOS_', 'CO_'))}
        self.env.update(CLOUDOS_DIR=self.dir, CLOUDOS_LIBEXECDIR=self.base, HOME=self.work,
                        TMPDIR=self.work, CLOUDOS_EXAMPLES=self.base, LC_ALL='C')

    def command(self, *words):
        return [*self.words, os.path.join(self.base, words[0]), *words[1:]]

    def run(self, *words, status=0, stdin=subprocess.DEVNULL, cwd=None, input=None):
        more = {'input': input} if input is not None else {'stdin': stdin}
        r = subprocess.run(self.command('cloudosctl', *words), env=self.env, timeout=LIMIT * 2,
                           capture_output=True, text=True, cwd=cwd or self.work, **more)
        if status is not None:
            equal(r.returncode, status, 'cloudosctl %s (%s%s)' % (' '.join(words), r.stdout, r.stderr))
        return r

    def out(self, *words, **more):
        return self.run(*words, **more).stdout

    def look(self, name):
        return json.loads(self.out('container', 'inspect', name))

    def busybox(self):
        equal(self.out('image', 'create-busybox'), 'busybox:latest\n', 'image create-busybox')

    def pids(self):
        """Processes that belong to this domain, wherever they are by now."""
        found = []
        for path in glob.glob('/proc/[0-9]*/cmdline'):
            try:
                with open(path, 'rb') as f:
                    line = f.read()
            except OSError:
                continue
            if self.base.encode() in line:
                found.append((int(path.split('/')[2]), line.replace(b'\0', b' ').decode()))
        return found

    def close(self):
        """Nothing is left: no container, process, mount."""
        try:
            equal(clear(self.command('cloudosctl'), self.env, LIMIT * 2), '', 'removing what there is')
            until('every process has ended: %s' % self.pids(), lambda: not self.pids())
            with open('/proc/self/mountinfo') as f:
                check(self.base not in f.read(), 'a mount is left')
            equal(glob.glob(self.dir + '/run/containers/*'), [], 'run folders')
            equal(glob.glob(self.dir + '/state/containers/*'), [], 'bundles')
        finally:
            for pid, _ in self.pids():
                os.kill(pid, signal.SIGKILL)
            for folder, _, _ in os.walk(self.base):
                os.chmod(folder, 0o700)
            shutil.rmtree(self.base, ignore_errors=True)


# ---- the cases ----

def executes(case):
    """It begins programs in containers that run.  With sanitizers our init is no static program:
    it cannot be executed anew in a container and stays one of the machine's, which a user may not
    look into."""
    case.executes = True
    return case


def run_prints_and_ends_as_the_program_does(d):
    d.busybox()
    equal(d.out('container', 'run', '--rm', 'busybox', 'echo', 'hi'), 'hi\n', 'run')
    r = d.run('container', 'run', '--rm', 'busybox', 'sh', '-c', 'echo no >&2; exit 7', status=7)
    equal((r.stdout, r.stderr), ('', 'no\n'), 'the streams')
    d.run('container', 'run', '--rm', 'busybox', 'sh', '-c', 'kill -9 $$', status=137)
    r = d.run('container', 'run', '--rm', 'busybox', 'nosuch', status=127)
    check('nosuch' in r.stderr, r.stderr)
    d.run('container', 'run', '--rm', 'busybox', '/etc', status=126)
    r = d.run('container', 'run', '--rm', 'nosuch', status=125)
    check('image import FILE' in r.stderr, r.stderr)
    equal(d.out('container', 'run', '--rm', '-i', 'busybox', 'wc', '-c', input='x' * 100000).strip(),
          '100000', 'standard input')
    equal(d.out('container', 'run', '--rm', 'busybox', 'cat', input='x'), '', 'without -i')
    equal(d.out('container', 'run', '--rm', '-e', 'A=b c', '-w', '/tmp', '--hostname', 'box',
                'busybox', 'sh', '-c', 'echo $A $PWD $(hostname)'), 'b c /tmp box\n', 'options')
    equal(d.out('container', 'ps', '-aq'), '', 'containers that are left')


def signals_go_to_the_program(d):
    d.busybox()
    p = subprocess.Popen(d.command('cloudosctl', 'container', 'run', '--rm', 'busybox', 'sh', '-c',
                                   "trap 'echo caught; exit 3' TERM; echo up; while :; do sleep 0.1; done"),
                         env=d.env, stdout=subprocess.PIPE, text=True, cwd=d.work)
    equal(p.stdout.readline(), 'up\n', 'its first line')
    p.send_signal(signal.SIGTERM)
    equal(p.stdout.read(), 'caught\n', 'what it says')
    equal(p.wait(LIMIT), 3, 'its end')


class Terminal:
    """cloudosctl at a terminal of 33 x 77."""

    def __init__(self, d, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(d.work)
            command = d.command('cloudosctl', *words)
            os.execvpe(command[0], command, d.env)
        self.resize(33, 77)
        self.said = ''
        self.before = termios.tcgetattr(self.fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        deadline = time.monotonic() + LIMIT
        while text not in self.said:
            check(time.monotonic() < deadline, 'no %r in %r' % (text, self.said))
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.said += os.read(self.fd, 4096).decode(errors='replace')
                except OSError:
                    check(text in self.said, 'no %r in %r' % (text, self.said))
        at = self.said.index(text) + len(text)
        before, self.said = self.said[:at], self.said[at:]
        return before

    def end(self):
        deadline = time.monotonic() + LIMIT
        while True:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    self.said += os.read(self.fd, 4096).decode(errors='replace')
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            check(time.monotonic() < deadline, 'it does not end: %r' % self.said)

    def restored(self):
        equal(termios.tcgetattr(self.fd)[:4], self.before[:4], 'the terminal')


@executes
def a_terminal_is_passed_on_and_given_back(d):
    d.busybox()
    t = Terminal(d, 'container', 'run', '--name', 'tty', '-it', 'busybox', 'sh')
    t.expect('# ')
    t.type('tty; stty size\r')
    t.expect('/dev/pts/0')
    t.expect('33 77')
    t.resize(44, 88)
    until('the new size', lambda: (t.type('stty size\r'), '44 88' in t.expect('# '))[1])
    t.type('sleep 1000\r')
    until('sleep', lambda: 'sleep 1000' in d.out('container', 'top', 'tty'))
    t.type('\x03echo back=$?\r')  # Ctrl-C is the program's
    t.expect('back=130')
    t.type('\x10\x11')  # the detach keys
    t.expect('container attach')
    equal(t.end(), 0, 'leaving it')
    t.restored()
    equal(d.look('tty')['state'], 'running', 'left')
    t = Terminal(d, 'container', 'exec', '-it', 'tty', 'sh')
    t.expect('# ')
    t.type('stty size\r')
    t.expect('33 77')
    t.type('exit 6\r')
    equal(t.end(), 6, 'of exec')
    t.restored()
    t = Terminal(d, 'container', 'attach', 'tty')
    t.type('\recho again\r')
    t.expect('again')
    t.expect('again')
    t.type('exit 9\r')
    equal(t.end(), 9, 'its own status')
    t.restored()
    t = Terminal(d, 'container', 'run', '--rm', '-it', 'busybox', 'sh')
    t.expect('# ')
    os.kill(t.pid, signal.SIGTERM)  # passed on; sh does not mind
    t.type('echo alive\r')
    t.expect('alive')
    t.type('exit\r')
    equal(t.end(), 0, 'its own status')
    t.restored()


@executes
def life_of_a_container(d):
    d.busybox()
    number = d.out('container', 'run', '-d', '--name', 'web', '-l', 'tier=front', 'busybox', 'sh', '-c',
                   'echo one; echo two >&2; echo three; exec sleep 1000').strip()
    equal(d.out('container', 'ps', '-q', '-f', 'label=tier=front').strip(), number, 'ps')
    until('its log', lambda: 'three' in d.out('container', 'logs', 'web'))
    r = d.run('container', 'logs', 'web')
    equal((r.stdout, r.stderr), ('one\nthree\n', 'two\n'), 'logs')
    r = d.run('container', 'logs', '-n', '1', 'web')
    equal(len((r.stdout + r.stderr).splitlines()), 1, 'the last line')
    r = d.run('container', 'exec', '-e', 'A=b', '-w', '/tmp', 'web', 'sh', '-c', 'echo $A $PWD; exit 5',
              status=5)
    equal(r.stdout, 'b /tmp\n', 'exec')
    d.run('container', 'exec', 'web', 'nosuch', status=127)
    equal(d.out('container', 'exec', '-i', 'web', 'cat', input='typed'), 'typed', 'exec -i')
    check('sleep 1000' in d.out('container', 'top', 'web'), 'top')
    check('web' in d.out('container', 'stats', '--no-stream'), 'stats')
    equal(d.out('container', 'pause', 'web'), 'web\n', 'pause')
    equal(d.look('web')['state'], 'paused', 'its state')
    d.run('container', 'unpause', 'web')
    d.run('container', 'restart', '-t', '0', 'web')
    equal(d.look('web')['state'], 'running', 'its state')
    d.run('container', 'rename', 'web', 'shop')
    d.run('container', 'update', '--restart', 'on-failure:2', '--stop-timeout', '1', 'shop')
    again = d.out('container', 'inspect', '--as-command', 'shop')
    for words in ('--name shop', '--restart on-failure:2', '--label tier=front', 'busybox sh -c'):
        check(words in again, again)
    d.run('container', 'rm', 'shop', status=5)
    waiting = subprocess.Popen(d.command('cloudosctl', 'container', 'wait', 'shop'), env=d.env,
                               stdout=subprocess.PIPE, text=True)
    d.run('container', 'update', '--restart', 'no', 'shop')
    d.run('container', 'kill', '-s', 'KILL', 'shop')
    equal(waiting.communicate(timeout=LIMIT)[0], '137\n', 'wait')
    d.run('container', 'rm', 'shop')
    d.run('container', 'inspect', 'shop', status=4)


def follow_ends_with_the_container_and_survives_its_restart(d):
    d.busybox()
    d.run('container', 'create', '--name', 'f', 'busybox', 'sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done')
    d.run('container', 'start', 'f')
    equal(d.out('container', 'logs', '-f', 'f'), '1\n2\n3\n', 'logs -f')
    equal(d.out('container', 'start', '-a', 'f'), '1\n2\n3\n', 'start -a')


def the_daemon_may_go_and_come(d):
    d.busybox()
    p = subprocess.Popen(d.command('cloudosctl', 'container', 'run', '--name', 'long', '-i', 'busybox', 'sh', '-c',
                                   'echo up; read x; echo got $x; exit 4'), env=d.env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=d.work)
    equal(p.stdout.readline(), 'up\n', 'its first line')
    with open(d.dir + '/run/pid') if os.path.exists(d.dir + '/run/pid') else open('/dev/null') as f:
        text = f.read().strip()
    pid = int(text) if text else int(json.loads(d.out('daemon', 'status', '-o', 'json'))['pid'])
    os.kill(pid, signal.SIGKILL)
    p.stdin.write('word\n')
    p.stdin.close()
    equal(p.stdout.read(), 'got word\n', 'what it says')
    equal(p.wait(LIMIT), 4, 'its end')
    equal(until('its record', lambda: d.look('long')['state'] == 'exited' and d.look('long'))['exitCode'], 4,
          'its record')


@executes
def files_are_copied_both_ways(d):
    d.busybox()
    os.makedirs(d.work + '/tree/sub', exist_ok=True)
    with open(d.work + '/tree/sub/file', 'w') as f:
        f.write('content\n')
    with open(d.work + '/outside', 'w') as f:
        f.write('secret\n')
    subprocess.run(['chown', '-R', '--reference=' + d.work, d.work], check=True)
    d.run('container', 'run', '-d', '--name', 'c', 'busybox', 'sleep', '1000')
    for state in ('runs', 'stopped'):
        d.run('container', 'cp', 'tree', 'c:/tmp/')
        d.run('container', 'cp', 'tree/sub/file', 'c:/tmp/' + state)
        d.run('container', 'cp', 'c:/tmp/tree', state)
        with open('%s/%s/sub/file' % (d.work, state)) as f:
            equal(f.read(), 'content\n', 'out again, while it ' + state)
        d.run('container', 'cp', 'c:/tmp/' + state, 'copy-' + state)
        with open(d.work + '/copy-' + state) as f:
            equal(f.read(), 'content\n', 'one file')
        r = subprocess.run(d.command('cloudosctl', 'container', 'cp', 'c:/tmp/tree', '-'), env=d.env,
                           capture_output=True, timeout=LIMIT, cwd=d.work)
        check(b'tree/sub/file' in r.stdout, 'an archive')
        d.run('container', 'cp', 'c:/nosuch', '.', status=4)
        d.run('container', 'cp', 'nosuch', 'c:/', status=4)
        if state == 'runs':
            # links of the container that lead out of it lead into it
            d.run('container', 'exec', 'c', 'sh', '-c',
                  'ln -s %s/outside /tmp/link; ln -s %s /tmp/folder; ln -s ../../../../.. /tmp/up' % (d.work, d.work))
        d.run('container', 'cp', 'c:/tmp/folder/outside', 'stolen', status=4)
        d.run('container', 'cp', 'c:/tmp/link', 'link-' + state)
        check(os.path.islink(d.work + '/link-' + state), 'a link is copied as one')
        d.run('container', 'cp', 'tree/sub/file', 'c:/tmp/folder/', status=None)
        check(not os.path.exists(d.work + '/file'), 'written through a link')
        d.run('container', 'stop', '-t', '0', 'c')
    changes = d.out('container', 'diff', 'c')
    check('A     /tmp/tree' in changes, changes)
    others = [line for line in changes.splitlines()[1:] if not line.split()[1].startswith('/tmp')]
    equal(others, [], 'changes that the container did not make')
    d.run('container', 'commit', 'c', 'mine:1')
    equal(d.out('container', 'run', '--rm', 'mine:1', 'cat', '/tmp/runs'), 'content\n', 'the new image')
    d.run('image', 'rm', 'mine:1')


def images_go_out_and_come_in(d):
    d.busybox()
    d.run('image', 'tag', 'busybox', 'bb:2')
    check('bb:2' in d.out('image', 'ls'), 'image ls')
    d.run('image', 'export', 'busybox', 'bb.tar')
    d.run('image', 'rm', 'bb:2', 'busybox')
    equal(d.out('image', 'ls', '-q'), '', 'all gone')
    check('busybox' in d.out('image', 'import', 'bb.tar'), 'import')
    equal(d.out('container', 'run', '--rm', 'busybox', 'echo', 'again'), 'again\n', 'run')
    d.run('container', 'create', '--name', 'user', 'busybox')
    d.run('image', 'rm', 'busybox', status=5)
    d.run('container', 'rm', 'user')
    with open(d.work + '/bad.tar', 'wb') as f:
        f.write(b'nonsense' * 1000)
    d.run('image', 'import', 'bad.tar', status=1)


def a_program_inside_discovers_a_service_outside(d):
    d.busybox()
    p = subprocess.Popen(d.command('cloudos-exec', d.base + '/example-service'), env=d.env,
                         stdout=subprocess.DEVNULL, cwd=d.work)
    try:
        until('the service', lambda: '"hello"' in d.run('service', 'ls', '-o', 'json').stdout)
        # its address is one of this machine, so the network is, too
        said = d.out('container', 'run', '--rm', '--net', 'host', '-v',
                     d.base + '/example-client-static:/client:ro', 'busybox', '/client')
        check('Hello from a CloudOS program.' in said, said)
        r = d.run('container', 'run', '--rm', '--net', 'host', '--no-calls', '-v',
                  d.base + '/example-client-static:/client:ro', 'busybox', '/client', status=None)
        check(r.returncode != 0 and 'Hello' not in r.stdout, 'answered with --no-calls')
    finally:
        p.terminate()
        p.wait(LIMIT)


@executes
def the_example_of_cloudos_yaml(d):
    folder = os.path.join(d.base, 'example')
    shutil.copytree(os.path.join(SRC, 'examples/containers'), folder)
    os.chmod(folder, 0o755)
    equal(d.run('diff', cwd=folder, status=None).returncode, 1, 'diff before')
    said = d.out('apply', '--wait', cwd=folder)
    order = [line.split()[1] for line in said.splitlines() if 'created' in line]
    equal(order, ['example_pages', 'writer', 'reader', 'hello', 'core'], 'the order')
    equal(d.out('container', 'logs', 'reader'), 'made by writer\n', 'the volume')
    check('"hello"' in d.out('service', 'ls', 'hello', '-o', 'json'), 'the guest')
    check('blackroad-os-core' in d.out('service', 'ls'), 'the service')
    d.run('diff', cwd=folder)
    pid = d.look('reader')['pid']
    d.run('apply', cwd=folder)
    equal(d.look('reader')['pid'], pid, 'left alone')
    with open(folder + '/cloudos.yaml') as f:
        text = f.read()
    with open(folder + '/cloudos.yaml', 'w') as f:
        f.write(text.replace('unless-stopped', 'always').replace('sleep 100000', 'sleep 200000'))
    r = d.run('diff', cwd=folder, status=1)
    check('recreate  command restart' in r.stdout, r.stdout)
    d.run('apply', cwd=folder)
    check(d.look('reader')['pid'] != pid, 'it is still the old one')
    said = d.out('down', cwd=folder)
    equal([line.split()[1] for line in said.splitlines()], ['core', 'hello', 'reader', 'writer'],
          'the opposite order')
    equal(json.loads(d.out('diff', '-o', 'json', cwd=folder, status=1))[0]['kind'], 'container', 'the volume is kept')
    equal(d.out('down', '--volumes', cwd=folder), 'volume example_pages removed\n', 'down --volumes')
    equal(d.out('volume', 'ls', '-q'), '', 'volumes')
    equal(d.out('container', 'ps', '-aq') + d.out('guest', 'ls', '-o', 'json').strip(), '[]', 'what is left')


CASES = (run_prints_and_ends_as_the_program_does, signals_go_to_the_program,
         a_terminal_is_passed_on_and_given_back, life_of_a_container,
         follow_ends_with_the_container_and_survives_its_restart, the_daemon_may_go_and_come,
         files_are_copied_both_ways, images_go_out_and_come_in,
         a_program_inside_discovers_a_service_outside, the_example_of_cloudos_yaml)


AT_ONCE = 4


def why_not(user):
    """A reason why containers cannot be had here; None."""
    d = Domain(user)
    try:
        r = d.run('image', 'create-busybox', status=None)
        if r.returncode:
            return r.stderr
        r = d.run('container', 'run', '--rm', 'busybox', 'true', status=None)
        return r.stderr if r.returncode == 125 else None
    finally:
        d.run('daemon', 'stop', '--force', status=None)
        shutil.rmtree(d.base, ignore_errors=True)


def try_case(user, who, case):
    """What there is to say of it, and whether it failed."""
    began = time.monotonic()
    d = Domain(user)
    try:
        d.run('daemon', 'start')
        case(d)
        d.close()
        return 'ok %s %s (%.1f s)' % (who, case.__name__, time.monotonic() - began), False
    except Exception as error:  # noqa: BLE001 every failure is told, and the next case runs
        with contextlib.suppress(Exception):  # it failed already
            d.close()
        return 'FAILED %s %s: %s' % (who, case.__name__, error), True


def main():
    wanted = sys.argv[1:]
    users = [None] + ([NOBODY] if os.geteuid() == 0 and shutil.which('setpriv') else [])
    cases = []
    for user in users:
        reason = why_not(user)
        who = 'nobody' if user else 'root' if os.geteuid() == 0 else 'user'
        if reason:
            print('SKIP %s: no containers here: %s' % (who, reason.strip()))
            continue
        for case in CASES:
            if wanted and case.__name__ not in wanted:
                continue
            if SANITIZED and (user or os.geteuid()) and hasattr(case, 'executes'):
                print('SKIP %s %s: exec needs a static cloudos-ctr' % (who, case.__name__))
                continue
            cases.append((user, who, case))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for said, bad in pool.map(lambda c: try_case(*c), cases):
            print(said, flush=True)
            failed += bad
    return 1 if failed else 0 if cases else 77


if __name__ == '__main__':
    sys.exit(main())
