#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cloudos-ctr as podman's runtime: podman's own ways of calling it, as root and as an
unprivileged user, with a storage of its own and without a network."""
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import traceback

BUILD = os.path.abspath(os.environ.get('builddir', '.'))
LIMIT = 60
NOBODY = 65534
MAPS = ('--uidmap=0:100000:1000', '--gidmap=0:100000:1000')


def equal(got, want, what):
    if got != want:
        raise AssertionError('%s: got %r, wanted %r' % (what, got, want))


class Podman:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='cloudos-podman-', dir='/var/tmp')
        os.chmod(self.dir, 0o755)
        shutil.copy(os.path.join(BUILD, 'cloudos-ctr'), self.dir)
        self.group = 'cloudos-podman-%d' % os.getpid()
        self.command = ['podman', '--root', self.dir + '/root', '--runroot', self.dir + '/run',
                        '--tmpdir', self.dir + '/tmp', '--storage-driver=vfs',
                        '--cgroup-manager=cgroupfs', '--events-backend=none',
                        '--runtime', self.dir + '/cloudos-ctr']

    def call(self, *words, status=0, **more):
        done = subprocess.run([*self.command, *words], timeout=LIMIT, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **{'stdin': subprocess.DEVNULL, **more})
        self.said = done.stderr
        if status is not None:
            equal(done.returncode, status, 'the end of %s (%s)' % (' '.join(words), done.stderr))
        return done.stdout

    def make_image(self):
        root = self.dir + '/image'
        for name in ('bin', 'etc', 'tmp'):
            os.makedirs(os.path.join(root, name))
        shutil.copy(shutil.which('busybox'), root + '/bin/busybox')
        for name in 'sh cat echo sleep id true grep tty touch kill'.split():
            os.symlink('busybox', os.path.join(root, 'bin', name))
        subprocess.run(['tar', '-C', root, '--owner=0', '--group=0', '-cf',
                        self.dir + '/image.tar', '.'], check=True)
        done = subprocess.run([*self.command, 'import', self.dir + '/image.tar', 'box'],
                              capture_output=True, text=True, check=False, timeout=LIMIT)
        return None if done.returncode == 0 else done.stderr

    def options(self):
        if os.geteuid() != 0:
            return ('--network=none',)
        return ('--network=none', '--cgroups=no-conmon', '--cgroup-parent=/' + self.group)

    def run(self, args, *options, **more):
        return self.call('run', '--rm', *self.options(), *options, 'box', *args, **more)

    def end(self):
        self.call('rm', '--all', '--force', '--time=0', status=None)
        if os.geteuid() != 0:
            self.call('system', 'migrate', status=None)  # ends what holds its name spaces
        left = []
        for at, dirs, _ in os.walk('/sys/fs/cgroup', topdown=False):
            for one in dirs:
                if self.group in os.path.join(at, one):
                    try:
                        os.rmdir(os.path.join(at, one))
                    except OSError as error:
                        left.append(str(error))
        with open('/proc/self/mounts') as f:
            for line in [line for line in f if self.dir in line]:  # podman's own
                subprocess.run(['umount', '-l', line.split()[1]], check=False)
        shutil.rmtree(self.dir)
        equal(left, [], 'groups that are left')


def programs_and_their_ends(podman):
    equal(podman.run(['echo', 'hi']), 'hi\n', 'what it prints')
    podman.run(['sh', '-c', 'exit 7'], status=7)
    podman.run(['nonesuch'], status=127)
    podman.run(['/etc'], status=126)
    equal(podman.run(['cat'], '-i', stdin=None, input='fed\n'), 'fed\n', 'standard input')


def users_rights_and_limits(podman):
    got = podman.run(['id'], '--user=5:6', '--group-add=7').split()
    equal((got[:2], '7' in got[2]), (['uid=5', 'gid=6'], True), 'id')
    equal(podman.run(['cat', '/proc/self/uid_map'], *MAPS).split(), ['0', '100000', '1000'],
          'a user name space')
    got = podman.run(['sh', '-c', 'grep -E "^(CapEff|Seccomp:|NoNewPrivs)" /proc/self/status; '
                      'ulimit -n; cat /proc/self/oom_score_adj; touch /x'], '--cap-drop=all',
                     '--read-only', '--security-opt=no-new-privileges', '--ulimit=nofile=99:100',
                     '--oom-score-adj=300', status=1).split()
    equal(got, ['CapEff:', '0' * 16, 'NoNewPrivs:', '1', 'Seccomp:', '2', '99', '300'], 'limits')
    podman.run(['true'], '--privileged')


def volumes_are_there(podman):
    os.mkdir(podman.dir + '/volume')
    at = '--volume=%s/volume:/v' % podman.dir
    podman.run(['sh', '-c', 'echo kept > /v/f'], at)
    equal(podman.run(['cat', '/v/f'], at + ':ro'), 'kept\n', 'a file')
    podman.run(['touch', '/v/g'], at + ':ro', status=1)


def a_process_more(podman):
    podman.call('run', '--detach', '--name=more', *podman.options(), 'box', 'sleep', '1000')
    equal(podman.call('exec', '-e', 'A=b', '-w', '/tmp', 'more', 'sh', '-c', 'echo $A; pwd'),
          'b\n/tmp\n', 'a process more')
    podman.call('exec', 'more', 'sh', '-c', 'exit 9', status=9)
    podman.call('rm', '--force', '--time=0', 'more')


def a_life_with_processes_paused_and_stopped(podman):
    podman.call('run', '--detach', '--name=life', '--init=false', '--stop-signal=KILL',
                '--health-cmd=true', '--health-interval=disable', '--pids-limit=50',
                *podman.options(), 'box', 'sleep', '1000')
    equal(podman.call('exec', '-u', '5', 'life', 'id', '-u'), '5\n', 'another user')
    podman.call('healthcheck', 'run', 'life')
    equal('sleep 1000' in podman.call('top', 'life'), True, 'top')
    podman.call('pause', 'life')
    equal(podman.call('inspect', '-f', '{{.State.Status}}', 'life'), 'paused\n', 'paused')
    podman.call('unpause', 'life')
    stats = podman.call('stats', '--no-stream', '--format', '{{.PIDs}} {{.MemUsage}}', 'life')
    equal(stats.split()[0], '1', 'processes')
    equal(podman.said, '', 'what stats complains of')
    podman.call('stop', '--time=5', 'life')
    equal(podman.call('inspect', '-f', '{{.State.ExitCode}}', 'life'), '137\n', 'stopped')
    podman.call('start', 'life')
    podman.call('rm', '--force', '--time=0', 'life')
    podman.call('create', '--name=parked', *podman.options(), 'box', 'true')
    podman.call('init', 'parked')
    podman.call('rm', '--force', '--time=0', 'parked')


def a_terminal_is_given(podman):
    master, slave = pty.openpty()
    done = subprocess.Popen([*podman.command, 'run', '--rm', '-t', *podman.options(), 'box', 'tty'],
                            stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    equal(done.wait(LIMIT), 0, 'its end')
    equal(os.read(master, 4096).decode().strip(), '/dev/pts/0', 'the terminal')
    os.close(master)


FOR_ALL = (programs_and_their_ends, volumes_are_there, a_process_more, a_terminal_is_given)
FOR_ROOT = (users_rights_and_limits, a_life_with_processes_paused_and_stopped)


def missing():
    for what in ('podman', 'busybox'):
        if not shutil.which(what):
            return 'there is no %s: apt install podman busybox-static' % what
    return None


def everything():
    podman = Podman()
    failed = 0
    try:
        why = podman.make_image()
        if why:
            print('SKIP: podman cannot import an image here: %s' % why)
            return 77
        for test in FOR_ALL + (FOR_ROOT if os.geteuid() == 0 else ()):
            try:
                test(podman)
                print('ok - %s' % test.__name__.replace('_', ' '), flush=True)
            except Exception:  # the others go on
                failed = 1
                traceback.print_exc()
                print('not ok - %s' % test.__name__.replace('_', ' '), flush=True)
        return failed
    finally:
        podman.end()


def as_nobody():
    folder = tempfile.mkdtemp(prefix='cloudos-podman-', dir='/var/tmp')
    os.chmod(folder, 0o755)
    try:
        for file in (os.path.join(BUILD, 'cloudos-ctr'), os.path.abspath(__file__)):
            shutil.copy(file, folder)
        for name in ('home', 'runtime'):
            os.mkdir(os.path.join(folder, name), 0o700)
            os.chown(os.path.join(folder, name), NOBODY, NOBODY)
        print('# as user %d' % NOBODY, flush=True)
        return subprocess.run(
            ['setpriv', '--reuid=%d' % NOBODY, '--regid=%d' % NOBODY, '--clear-groups', 'env',
             'builddir=' + folder, 'HOME=%s/home' % folder, 'XDG_RUNTIME_DIR=%s/runtime' % folder,
             'python3', folder + '/podman.py'], cwd='/', check=False).returncode
    finally:
        shutil.rmtree(folder)


def main():
    why = missing()
    if why:
        print('SKIP: ' + why)
        return 1 if os.environ.get('CO_STRICT') == '1' else 77
    if os.environ.get('CO_SANITIZERS') not in (None, '', 'no'):
        print('SKIP: podman leaves no environment for the sanitizers')
        return 77
    status = everything()
    if os.geteuid() == 0:
        other = as_nobody()
        status = 1 if 1 in (status, other) or other not in (0, 77) else status
    return status


sys.exit(main())
