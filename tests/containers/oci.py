#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cloudos-ctr as an OCI runtime: life of a container, what its program gets, and the same
bundle under crun where that works.  As root, and once more as an unprivileged user."""
import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.path.abspath(os.environ.get('builddir', '.'))
CTR = os.environ.get('CO_CTR') or os.path.join(BUILD, 'cloudos-ctr')
LIMIT = 60  # seconds; tens of times what is needed
NOBODY = 65534
APPLETS = ('sh cat echo sleep kill ls true false id env mkdir touch ps pwd tty stty hostname '
           'mount test trap ulimit readlink setsid').split()


class Skip(Exception):
    pass


def check(good, what):
    if not good:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, '%s: got %r, wanted %r' % (what, got, want))


def until(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, '%s did not come about within %d s' % (what, LIMIT))
        time.sleep(0.005)


class Box:
    """A folder with bundles and a --root; what is left of its containers at the end fails."""

    def __init__(self, runtime=CTR):
        self.dir = tempfile.mkdtemp(prefix='cloudos-oci-', dir='/var/tmp')
        os.chmod(self.dir, 0o755)
        self.root = os.path.join(self.dir, 'root')
        self.runtime = os.path.join(self.dir, 'ctr')
        shutil.copy(runtime, self.runtime)
        self.count = 0
        self.rootfs = os.path.join(self.dir, 'rootfs')
        for name in ('bin', 'proc', 'sys', 'dev', 'tmp', 'etc'):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(shutil.which('busybox'), self.rootfs + '/bin/busybox')
        for name in APPLETS:
            os.symlink('busybox', self.rootfs + '/bin/' + name)
        with open(self.rootfs + '/etc/passwd', 'w') as f:
            f.write('root:x:0:0::/root:/bin/sh\nfive:x:5:5::/home/five:/bin/sh\n')

    def bundle(self, args, change=None):
        """A bundle and the id of a container that is to be made of it."""
        self.count += 1
        name = 'oci-%d-%d' % (os.getpid(), self.count)
        path = os.path.join(self.dir, name)
        os.mkdir(path)
        self.call('spec', '--bundle', path)
        with open(path + '/config.json') as f:
            config = json.load(f)
        config['process'].update(args=args, terminal=False)
        config['process'].pop('rlimits')
        config['root'] = {'path': self.rootfs}
        if change:
            change(config)
        with open(path + '/config.json', 'w') as f:
            json.dump(config, f)
        return name, path

    def call(self, *words, status=0, **more):
        done = subprocess.run([self.runtime, '--root', self.root, *words], timeout=LIMIT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, **more)
        self.said = done.stderr.decode()
        if status is not None:
            equal(done.returncode, status, 'the end of %s (%s)' % (' '.join(words), self.said))
        return done.stdout.decode()

    def run(self, args, change=None, status=0, **more):
        name, path = self.bundle(args, change)
        return self.call('run', '--bundle', path, name, status=status, **more)

    def detached(self, command, name, path, *options):
        # what goes on must not hold our pipes open
        with open(path + '/out', 'wb') as out:
            done = subprocess.run([self.runtime, '--root', self.root, command, *options,
                                   '--bundle', path, name], stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=out, check=False, timeout=LIMIT)
        with open(path + '/out') as f:
            equal(done.returncode, 0, '%s (%s)' % (command, f.read()))

    def start(self, args, change=None):
        """A container that runs in the background."""
        name, path = self.bundle(args, change)
        self.detached('run', name, path, '--detach')
        return name

    def state(self, name):
        return json.loads(self.call('state', name))

    def await_status(self, name, status):
        until('%s of %s' % (status, name), lambda: self.state(name)['status'] == status)

    def end(self):
        names = json.loads(self.call('list', '-f', 'json'))
        for one in names:
            self.call('delete', '--force', one['id'], status=None)
        left = os.listdir(self.root) if os.path.isdir(self.root) else []
        groups = [os.path.join(at, d) for at, dirs, _ in os.walk('/sys/fs/cgroup')
                  for d in dirs if d.startswith('oci-%d-' % os.getpid())]
        with open('/proc/self/mounts') as f:
            mounts = [line for line in f if self.dir in line]
        shutil.rmtree(self.dir)
        equal(([one['id'] for one in names], left, groups, mounts), ([], [], [], []),
              'what is left of the containers')


def want_static():
    if os.environ.get('CO_SANITIZERS') not in (None, '', 'no'):
        raise Skip('with sanitizers cloudos-ctr is not static, and a root without libc cannot '
                   'execute it as init')


# ---- the life of a container ----

def created_started_killed_deleted(box):
    name, path = box.bundle(['sleep', '1000'])
    box.detached('create', name, path, '--pid-file', path + '/pid')
    state = box.state(name)
    equal((state['status'], state['id'], state['bundle']), ('created', name, path), 'the state')
    with open(path + '/pid') as f:
        equal(int(f.read()), state['pid'], 'the pid file')
    box.call('create', '--bundle', path, name, status=1)
    check('exists' in box.said, 'a second one of that name: %s' % box.said)
    box.call('start', name)
    equal(box.state(name)['status'], 'running', 'after start')
    box.call('start', name, status=1)
    box.call('delete', name, status=1)
    check(name in box.call('list') and name in box.call('list', '-q'), 'list has it')
    check(str(state['pid']) in box.call('ps', name), 'ps has it')
    box.call('kill', name, 'KILL')
    box.await_status(name, 'stopped')
    box.call('kill', name, 'KILL', status=1)
    box.call('delete', name)
    box.call('state', name, status=1)


def a_created_one_can_be_deleted(box):
    name, path = box.bundle(['sleep', '1000'])
    box.detached('create', name, path)
    pid = box.state(name)['pid']
    box.call('delete', name)
    check(not os.path.exists('/proc/%d/exe' % pid), 'its process is gone')


def its_exit_status_is_ours(box):
    box.run(['sh', '-c', 'exit 7'], status=7)
    box.run(['sh', '-c', 'kill -9 $$; sleep 100'],
            lambda c: c.update(cloudos={'init': True}), status=128 + signal.SIGKILL)


def a_program_that_is_not_there_is_told_and_leaves_nothing(box):
    box.run(['nonesuch'], status=127)
    check('nonesuch' in box.said and 'not found' in box.said, box.said)
    box.run(['/etc/passwd'], status=126)
    equal(json.loads(box.call('list', '-f', 'json')), [], 'list')


def many_short_ones_end_cleanly(box):
    for _ in range(20):
        box.run(['true'])


def paused_resumed_killed(box):
    name = box.start(['sleep', '1000'])
    box.call('pause', name)
    equal(box.state(name)['status'], 'paused', 'after pause')
    box.call('exec', name, 'true', status=1)
    box.call('pause', name, status=1)
    box.call('resume', name)
    equal(box.state(name)['status'], 'running', 'after resume')
    box.call('pause', name)
    box.call('kill', name, 'KILL')
    box.await_status(name, 'stopped')
    box.call('delete', name)


def usage_is_told(box):
    name = box.start(['sleep', '1000'])
    event = json.loads(box.call('events', '--stats', name))
    equal((event['type'], event['id']), ('stats', name), 'events --stats')
    box.call('delete', '--force', name)


# ---- exec ----

def exec_gets_user_env_folder_and_status(box):
    name = box.start(['sleep', '1000'])
    equal(box.call('exec', '-e', 'A=b', '--cwd', '/tmp', name, 'sh', '-c', 'echo $A; pwd; exit 3',
                   status=3), 'b\n/tmp\n', 'exec')
    if os.geteuid() == 0:
        equal(box.call('exec', '--user', '5:6', name, 'sh', '-c', 'id -u; id -g'), '5\n6\n',
              'another user')
        equal(box.call('exec', '--user', '5', name, 'sh', '-c', 'echo $HOME'), '/home/five\n',
              'HOME of the user')
        equal(box.call('exec', '--user', 'five', name, 'sh', '-c', 'id -u; id -g'), '5\n5\n',
              'a user by name')
        box.call('exec', '--user', 'nobody-here', name, 'true', status=None)
        check('knows no user nobody-here' in box.said, 'a name that is not there: ' + box.said)
    box.call('exec', name, 'nonesuch', status=127)
    box.call('delete', '--force', name)


def exec_sees_the_name_spaces_of_the_container(box):
    name = box.start(['sleep', '1000'], lambda c: c.update(hostname='inside'))
    equal(box.call('exec', name, 'hostname'), 'inside\n', 'the host name')
    for kind in ('pid', 'mnt', 'net', 'ipc', 'uts'):
        link = box.call('exec', name, 'readlink', '/proc/self/ns/' + kind).strip()
        equal(link, box.call('exec', name, 'readlink', '/proc/1/ns/' + kind).strip(), kind)
        check(link != os.readlink('/proc/self/ns/' + kind), '%s is its own' % kind)
    box.call('delete', '--force', name)


# ---- what the program gets ----

def status_of(text):
    return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)


def capabilities_are_those_of_the_file(box):
    def change(config):
        config['process']['capabilities'] = {k: ['CAP_KILL'] for k in (
            'bounding', 'permitted', 'effective', 'inheritable', 'ambient')}
    status = status_of(box.run(['cat', '/proc/self/status'], change))
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        equal(int(status[name], 16), 1 << 5, name)
    equal(status['NoNewPrivs'], '1', 'no_new_privs')
    status = status_of(box.run(['cat', '/proc/self/status'],
                               lambda c: c['process'].pop('capabilities')))
    equal(int(status['CapBnd'], 16), 0, 'without capabilities in the file')


def nothing_to_start_is_told(box):
    name, path = box.bundle(['true'], lambda c: c.pop('process'))
    box.detached('create', name, path)
    equal(box.state(name)['status'], 'created', 'without a process')
    box.call('start', name, status=1)
    check('process' in box.said, box.said)
    box.await_status(name, 'stopped')
    box.call('delete', name)


# what busybox' cat needs, static
FEW = ('execve exit exit_group arch_prctl brk mmap munmap mprotect mremap set_tid_address '
       'set_robust_list rseq prlimit64 getrandom readlink readlinkat getuid geteuid getgid '
       'getegid setuid setgid rt_sigaction rt_sigprocmask open openat read '
       'write writev sendfile close fstat newfstatat stat fadvise64 ioctl fcntl lseek '
       'getpid getppid uname').split()


def a_filter_that_allows_little_stands_in_nobodys_way(box):
    """Without noNewPrivileges too, where CAP_SYS_ADMIN is needed to load it."""
    def change(config):
        config['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ERRNO', 'syscalls': [
            {'names': FEW, 'action': 'SCMP_ACT_ALLOW'}]}
        config['process']['noNewPrivileges'] = secure
        config['process']['user'] = {'uid': uid, 'gid': uid}
        if init:
            config['cloudos'] = {'init': True}
    uids = [0, 7] if os.geteuid() == 0 else [0]  # who is not root maps himself alone
    for secure, uid, init in [(s, u, i) for s in (True, False) for u in uids
                              for i in (True, False)]:
        if init and os.environ.get('CO_SANITIZERS') not in (None, '', 'no'):
            continue  # not static
        got = status_of(box.run(['/bin/cat', '/proc/self/status'], change))
        equal((got['Seccomp'], got['NoNewPrivs']), ('2', '1' if secure else '0'), 'the filter')
        held = int(got['CapPrm'], 16) | int(got['CapEff'], 16) | int(got['CapBnd'], 16)
        check(not held >> 21 & 1, 'CAP_SYS_ADMIN was only borrowed: %s' % got)


def what_cannot_be_inherited_is_left_out(box):
    """All capabilities are asked for by somebody who lacks one."""
    if os.geteuid() != 0:
        raise Skip('all capabilities of a user name space of his own are his')
    every = ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW']

    def change(config):
        config['process']['capabilities'] = dict.fromkeys(
            ('bounding', 'effective', 'inheritable', 'permitted', 'ambient'), every)
        config['linux']['namespaces'] = [n for n in config['linux']['namespaces']
                                         if n['type'] != 'user']
        for one in ('uidMappings', 'gidMappings'):
            config['linux'].pop(one, None)
    name, path = box.bundle(['cat', '/proc/self/status'], change)
    done = subprocess.run(['setpriv', '--bounding-set=-net_raw', box.runtime, '--root', box.root,
                           'run', '--bundle', path, name], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=LIMIT)
    equal(done.returncode, 0, 'the end (%s)' % done.stderr)
    got = status_of(done.stdout)
    equal({one: int(got[one], 16) for one in ('CapBnd', 'CapPrm', 'CapInh')},
          dict.fromkeys(('CapBnd', 'CapPrm', 'CapInh'), 1 << 0 | 1 << 5), 'all but CAP_NET_RAW')


def mounts_are_listed_in_their_order(box):
    """Binds among the others: the kernel lists mounts by age."""
    if os.geteuid() != 0:
        raise Skip('only without a user name space')
    os.mkdir(box.rootfs + '/a')

    def change(config):
        config['linux']['namespaces'] = [n for n in config['linux']['namespaces']
                                         if n['type'] != 'user']
        for one in ('uidMappings', 'gidMappings'):
            config['linux'].pop(one, None)
        config['mounts'] += [
            {'destination': '/a', 'type': 'tmpfs', 'source': 'tmpfs'},
            {'destination': '/a/b', 'source': box.dir, 'options': ['bind']},
            {'destination': '/a/c', 'type': 'tmpfs', 'source': 'tmpfs'},
            {'destination': '/a/d', 'source': box.rootfs + '/tmp', 'options': ['rbind', 'ro']},
            {'destination': '/e', 'source': box.dir, 'options': ['rbind']}]
    lines = box.run(['cat', '/proc/self/mountinfo'], change).splitlines()
    points = [line.split()[4] for line in lines]
    equal([one for one in points if one.startswith('/a')],
          ['/a', '/a/b', '/a/c', '/a/d'], 'the order')
    equal([one for one in points if one.startswith('/e')], ['/e'], 'a folder above the root')


def who_names_a_group_finds_all_that_counts(box):
    """podman reads usage out of the groups itself."""
    if os.geteuid() != 0:
        raise Skip('groups are for root')
    group = 'oci-%d-counted' % os.getpid()
    with open('/proc/self/cgroup') as f:
        here = {one for line in f for one in line.split(':')[1].split(',')}
    want = here & {'memory', 'pids', 'cpuacct', 'blkio'}
    if not want:
        raise Skip('no controllers of cgroup v1')
    name = box.start(['sleep', '1000'],
                     lambda c: c['linux'].update(cgroupsPath='/' + group))
    with open('/proc/%d/cgroup' % box.state(name)['pid']) as f:
        paths = {one: line.split(':', 2)[2].strip() for line in f
                 for one in line.split(':')[1].split(',')}
    equal({one: paths[one].endswith('/' + group) for one in want}, dict.fromkeys(want, True),
          'its groups')
    box.call('delete', '--force', name)


def root_of_a_user_name_space_is_no_root_of_the_machine(box):
    """As podman starts us for a user: its state is his, and nobody can make nodes to guard."""
    if os.geteuid() == 0:
        raise Skip('for an unprivileged user')

    def change(config):
        config['linux']['namespaces'] = [n for n in config['linux']['namespaces']
                                         if n['type'] != 'user']
        for one in ('uidMappings', 'gidMappings'):
            config['linux'].pop(one, None)
        config['linux']['resources'] = {'devices': [{'allow': False, 'access': 'rwm'}]}
    name, path = box.bundle(['id', '-u'], change)
    done = subprocess.run(['unshare', '-Urm', 'env', 'XDG_RUNTIME_DIR=' + box.dir, box.runtime,
                           'run', '--bundle', path, name], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=LIMIT)
    equal((done.returncode, done.stdout), (0, '0\n'), 'its end (%s)' % done.stderr)
    equal(os.listdir(box.dir + '/cloudos-ctr'), [], 'its state')


def limits_are_clamped_to_what_we_may_give(box):
    def change(config):
        config['process']['rlimits'] = [
            {'type': 'RLIMIT_NOFILE', 'soft': 2 ** 30, 'hard': 2 ** 30},
            {'type': 'RLIMIT_CORE', 'soft': 3, 'hard': 4}]
    lines = box.run(['cat', '/proc/self/limits'], change).splitlines()
    core = next(line for line in lines if line.startswith('Max core'))
    equal(core.split()[4:6], ['3', '4'], 'RLIMIT_CORE')
    files = next(line for line in lines if line.startswith('Max open files')).split()
    check(int(files[3]) > 256 and files[3] == files[4], 'RLIMIT_NOFILE: %s' % files)


def only_its_descriptors_are_open(box):
    read, write = os.pipe()
    try:
        equal(box.run(['sh', '-c', 'ls /proc/self/fd'], pass_fds=(read, write)).split(),
              ['0', '1', '2', '3'], 'descriptors (3 is that of ls)')
    finally:
        os.close(read)
        os.close(write)


def preserved_descriptors_stay(box):
    name, path = box.bundle(['sh', '-c', 'echo there >&3'])
    read, write = os.pipe()
    command = 'exec 3>&%d; exec "$@"' % write
    subprocess.run(['sh', '-c', command, 'sh', box.runtime, '--root', box.root, 'run',
                    '--preserve-fds', '1', '--bundle', path, name], check=True, timeout=LIMIT,
                   pass_fds=(read, write))
    os.close(write)
    equal(os.read(read, 100), b'there\n', 'descriptor 3')
    equal(os.read(read, 100), b'', 'what else is written there')
    os.close(read)


def a_folder_outside_is_refused(box):
    outside = os.open('/', os.O_PATH)
    try:
        for fd in range(3, 10):
            box.run(['sh', '-c', 'ls /'], lambda c, fd=fd: c['process'].update(
                cwd='/proc/self/fd/%d' % fd), status=None, pass_fds=(outside,))
            check(box.said, 'the folder /proc/self/fd/%d was taken' % fd)
    finally:
        os.close(outside)


def a_folder_outside_is_refused_although_its_descriptor_was_given(box):
    """Nothing has closed it, and the kernel goes there: what is left is to look where we are."""
    def change(config):
        config['process']['cwd'] = '/proc/self/fd/3'
    name, path = box.bundle(['sh', '-c', 'echo ran'], change)
    outside = os.open('/', os.O_RDONLY | os.O_DIRECTORY)
    try:
        done = subprocess.run(['sh', '-c', 'exec 3<&%d; exec "$@"' % outside, 'sh', box.runtime,
                               '--root', box.root, 'run', '--preserve-fds', '1', '--bundle', path,
                               name], capture_output=True, text=True, timeout=LIMIT,
                              pass_fds=(outside,))
    finally:
        os.close(outside)
    check(done.returncode and 'outside of the container' in done.stderr, done)
    equal(done.stdout, '', 'what ran there')


def the_environment_is_that_of_the_file(box):
    lines = box.run(['env'], lambda c: c['process'].update(env=['PATH=/bin', 'A=b'])).split()
    equal(sorted(lines), ['A=b', 'HOME=/root', 'PATH=/bin', 'SHLVL=1'] if 'SHLVL=1' in lines
          else ['A=b', 'HOME=/root', 'PATH=/bin'], 'the environment')


def our_init_reaps_and_forwards(box):
    want_static()
    script = ('trap "echo caught; exit 9" TERM; (setsid sh -c "sleep 0.1 & exit 0" &); '
              'echo ready > /tmp/ready; while :; do sleep 0.05; done')
    name = box.start(['sh', '-c', script], lambda c: c.update(
        cloudos={'init': True}, mounts=c['mounts'] + [
            {'destination': '/tmp', 'type': 'tmpfs', 'source': 'tmpfs'}]))
    until('the program', lambda: box.call('exec', name, 'cat', '/tmp/ready', status=None) != '')
    check('cloudos-init' in box.call('exec', name, 'cat', '/proc/1/comm'), 'pid 1 is our init')
    until('no zombies', lambda: ' Z ' not in box.call('exec', name, 'ps', '-o', 'pid,stat,args'))
    box.call('kill', name, 'TERM')
    box.await_status(name, 'stopped')
    box.call('delete', name)


def nothing_of_the_host_can_be_read_from_init(box):
    want_static()
    os.environ['CLOUDOS_TEST_SECRET'] = 'not for you'
    name = box.start(['sleep', '1000'], lambda c: c.update(cloudos={'init': True}))
    text = box.call('exec', name, 'sh', '-c', 'cat /proc/1/environ /proc/1/cmdline; ls /proc/1/fd',
                    status=None)
    check('not for you' not in text and box.dir not in text, text)
    del os.environ['CLOUDOS_TEST_SECRET']
    box.call('delete', '--force', name)


def a_terminal_goes_to_the_console_socket(box):
    name, path = box.bundle(['sh', '-c', 'tty; stty size; read x; echo got $x'],
                            lambda c: c['process'].update(
                                terminal=True, consoleSize={'height': 33, 'width': 44}))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + '/s')
        listener.listen(1)
        box.call('run', '--detach', '--console-socket', path + '/s', '--bundle', path, name)
        connection, _ = listener.accept()
        fds = array.array('i')
        _, control, _, _ = connection.recvmsg(100, socket.CMSG_LEN(4))
        fds.frombytes(control[0][2][:4])
        connection.close()
    os.write(fds[0], b'hello\n')
    text = b''
    try:
        while b'got hello' not in text:
            text += os.read(fds[0], 1000)
    except OSError:
        pass
    os.close(fds[0])
    check(b'/dev/pts/0' in text and b'33 44' in text and b'got hello' in text, text)
    box.await_status(name, 'stopped')
    box.call('delete', name)


def name_spaces_are_joined_by_their_path(box):
    first = box.start(['sleep', '1000'])
    pid = box.state(first)['pid']

    def join(config):
        kinds = config['linux']['namespaces']
        for one in kinds:
            if one['type'] in ('network', 'ipc', 'user'):
                file = {'network': 'net'}.get(one['type'], one['type'])
                one['path'] = '/proc/%d/ns/%s' % (pid, file)
        if os.geteuid() != 0:
            config['linux'].pop('uidMappings')
            config['linux'].pop('gidMappings')
    links = box.run(['sh', '-c', 'for k in net ipc uts; do readlink /proc/self/ns/$k; done'],
                    join).split()
    equal(links[:2], [os.readlink('/proc/%d/ns/%s' % (pid, k)) for k in ('net', 'ipc')], 'joined')
    check(links[2] != os.readlink('/proc/%d/ns/uts' % pid), 'uts was not to be joined')
    box.call('delete', '--force', first)


# ---- hooks ----

def hook(path, word, **more):
    return [{'path': '/bin/sh', 'args': ['sh', '-c', 'echo %s $(cat) >> %s' % (word, path)],
             'env': ['PATH=/usr/bin:/bin'], **more}]


def hooks_run_in_their_order_with_the_state(box):
    path = os.path.join(box.dir, 'hooks')
    open(path, 'w').close()

    def change(config):
        config['hooks'] = {k: hook(path, k) for k in (
            'prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop')}
        config['hooks']['startContainer'] = [{'path': '/bin/true', 'args': ['true']}]
        config['annotations'] = {'a': 'b'}
    box.run(['true'], change)
    with open(path) as f:
        lines = [line.split(' ', 1) for line in f]
    equal([one[0] for one in lines],
          ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'], 'the order')
    states = [json.loads(one[1]) for one in lines]
    equal([one['status'] for one in states],
          ['created', 'created', 'created', 'running', 'stopped'], 'the states')
    check(all(one['annotations'] == {'a': 'b'} for one in states), 'annotations')
    equal(states[0]['pid'], states[2]['pid'], 'one pid')


def a_hook_that_fails_ends_it_and_one_that_hangs_is_killed(box):
    box.run(['true'], lambda c: c.update(hooks={'createRuntime': [
        {'path': '/bin/sh', 'args': ['sh', '-c', 'exit 3']}]}), status=1)
    check('createRuntime' in box.said and 'ended with 3' in box.said, box.said)
    box.run(['true'], lambda c: c.update(hooks={'prestart': [
        {'path': '/bin/sh', 'args': ['sh', '-c', 'sleep 1000'], 'timeout': 1}]}), status=1)
    check('within 1 s' in box.said, box.said)
    box.run(['true'], lambda c: c.update(hooks={'poststop': [
        {'path': '/bin/sh', 'args': ['sh', '-c', 'exit 3']}]}))


# ---- mistakes ----

def a_wrong_file_is_named(box):
    box.run(['true'], lambda c: c['linux'].update(resources={'pids': {'limit': 'x'}}), status=1)
    check('linux.resources.pids.limit' in box.said, box.said)
    box.call('run', 'a/b', status=1)
    box.call('nonesuch', status=2)
    log = os.path.join(box.dir, 'log')
    box.call('--log', log, '--log-format', 'json', 'state', 'nonesuch', status=1)
    with open(log) as f:
        check('does not exist' in json.loads(f.read())['msg'], 'the log')


# ---- beside crun ----

PROBE = ('cat /proc/self/status; echo; cat /proc/self/limits; env; id; hostname; pwd; umask; '
         'cat /proc/self/oom_score_adj; ls /proc/self/fd; ls /dev; cat /proc/self/mounts')
FIELDS = ('Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs',
          'Seccomp', 'Umask')


def seen(text):
    """What two runtimes have to agree on."""
    status, rest = text.split('\n\n', 1)
    fields = {k: v for k, v in status_of(status).items() if k in FIELDS}
    lines, mounts = [], []
    for line in rest.splitlines():
        words = line.split()
        if len(words) == 6 and words[3].startswith(('rw', 'ro')):
            if not words[1].startswith('/sys/fs/cgroup'):
                options = {w for w in words[3].split(',') if w in (
                    'ro', 'rw', 'nosuid', 'nodev', 'noexec')}
                if words[1] == '/':
                    options.discard('nodev')  # device nodes of an image are no use under ours
                mounts.append((words[1], sorted(options)))
        elif line != 'core':  # crun makes a link /dev/core, the specification has none
            lines.append(line)
    # how a path is masked is the runtime's business, that it is hidden is not
    hidden = {'/proc/' + n for n in ('acpi', 'asound', 'kcore', 'keys', 'latency_stats',
                                     'timer_list', 'timer_stats', 'sched_debug', 'scsi')}
    hidden.add('/sys/firmware')
    hidden.update('/dev/' + n for n in ('full', 'null', 'random', 'tty', 'urandom', 'zero'))
    return fields, lines, sorted((p, o if p not in hidden else []) for p, o in mounts)


def crun_runs():
    if os.geteuid() != 0 or not shutil.which('crun'):
        raise Skip('crun is compared as root: apt install crun')
    # it refuses mixed hierarchies: hide the second one from it
    hide = ('for m in /sys/fs/cgroup/unified; do umount -l $m 2>/dev/null; done; exec "$@"')
    return ['unshare', '-m', '--propagation', 'private', 'sh', '-c', hide, 'sh', 'crun']


def a_program_sees_what_it_sees_under_crun(box):
    crun = crun_runs()

    def plain(config):
        pass

    def other(config):
        config['process'].update(user={'uid': 5, 'gid': 6, 'additionalGids': [7, 8], 'umask': 63},
                                 cwd='/tmp', noNewPrivileges=False, oomScoreAdj=100,
                                 rlimits=[{'type': 'RLIMIT_NOFILE', 'soft': 100, 'hard': 200}])
        config['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [
            {'names': ['swapoff'], 'action': 'SCMP_ACT_ERRNO'}]}
        config['mounts'].append({'destination': '/tmp', 'type': 'tmpfs', 'source': 't',
                                 'options': ['nosuid', 'nodev', 'noexec', 'mode=1777']})

    def mapped(config):
        maps = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
        config['linux']['namespaces'].append({'type': 'user'})
        config['linux'].update(uidMappings=maps, gidMappings=maps)

    for change in (plain, other, mapped):
        name, path = box.bundle(['sh', '-c', PROBE], change)
        ours = box.call('run', '--bundle', path, name)
        # a pipe: crun gives standard input to the container's root, /dev/null as well
        done = subprocess.run([*crun, '--root', box.dir + '/crun', 'run', '--bundle', path, name],
                              input=b'', capture_output=True, check=False, timeout=LIMIT)
        if done.returncode and change is plain:
            raise Skip('crun does not run here: %s' % done.stderr.decode())
        equal(done.returncode, 0, 'crun (%s)' % done.stderr.decode())
        for got, want in zip(seen(ours), seen(done.stdout.decode())):
            equal(got, want, 'under crun (%s)' % change.__name__)


TESTS = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, '__code__', None) and
         value.__code__.co_varnames[:1] == ('box',) and value.__code__.co_argcount == 1]


def refusal():
    try:
        subprocess.run(['unshare', '-Urmp', '--fork', 'true'], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return getattr(error, 'stderr', str(error))
    return None


def everything(only):
    failed = skipped = 0
    for test in TESTS:
        if only and test.__name__ not in only:
            continue
        box = Box()
        try:
            test(box)
            box.end()
            print('ok - %s' % test.__name__.replace('_', ' '), flush=True)
        except Skip as why:
            box.end()
            skipped += 1
            print('SKIP - %s: %s' % (test.__name__.replace('_', ' '), why), flush=True)
        except (AssertionError, Exception):  # all others go on
            failed += 1
            traceback.print_exc()
            print('not ok - %s' % test.__name__.replace('_', ' '), flush=True)
            try:
                box.end()
            except Exception:  # told above
                pass
    return failed


def main():
    if not shutil.which('busybox'):
        print('SKIP: there is no busybox: apt install busybox-static')
        return 1 if os.environ.get('CO_STRICT') == '1' else 77
    why = refusal()
    if why:
        print('SKIP: name spaces cannot be had here: %s' % why)
        return 77
    failed = everything(sys.argv[1:])
    if os.geteuid() == 0:
        folder = tempfile.mkdtemp(prefix='cloudos-oci-', dir='/var/tmp')
        os.chmod(folder, 0o755)
        for file in (CTR, os.path.abspath(__file__)):
            shutil.copy(file, folder)
        os.chmod(folder + '/oci.py', 0o644)
        print('# as user %d' % NOBODY, flush=True)
        done = subprocess.run(['setpriv', '--reuid=%d' % NOBODY, '--regid=%d' % NOBODY,
                               '--clear-groups', 'env', 'CO_CTR=%s/cloudos-ctr' % folder,
                               'python3', folder + '/oci.py', *sys.argv[1:]], cwd='/',
                              check=False)
        failed += done.returncode not in (0, 77)
        shutil.rmtree(folder)
    return 1 if failed else 0


sys.exit(main())
