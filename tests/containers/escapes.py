#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ways out of a container that were once found in runtimes, tried on cloudos-ctr.

With --peers also on the runtimes of this machine, which shows that the tests see what they
look for; nobody's escape does more than make files in a folder of the test.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fault'))
from harness import BUILD, LIMIT, Skip, check, equal, run, test, until  # noqa: E402

OURS = os.path.join(BUILD, 'cloudos-ctr')
INTRUDER = os.path.join(BUILD, 'ctr-intruder')
ROOT = os.geteuid() == 0
MOUNTS = [
    {'destination': '/proc', 'type': 'proc', 'source': 'proc'},
    {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['nosuid', 'mode=755']},
    {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',
     'options': ['newinstance', 'ptmxmode=0666', 'mode=0620']},
]
PEERS = ()


class Box:
    """A bundle whose image somebody hostile has made, and a folder `out` beside it."""

    def __init__(self, runtime, user_space):
        self.runtime, self.user_space = runtime, user_space
        self.folder = tempfile.mkdtemp(prefix='cloudos-escape-', dir='/var/tmp')
        os.chmod(self.folder, 0o755)
        self.root, self.out = os.path.join(self.folder, 'rootfs'), os.path.join(self.folder, 'out')
        self.state = os.path.join(self.folder, 'state')
        for path in (self.root, self.out, self.state):
            os.mkdir(path)
        with open(os.path.join(self.out, 'sentinel'), 'w') as f:
            f.write('untouched')
        for name in ('proc', 'dev', 'sys', 'tmp'):
            os.mkdir(os.path.join(self.root, name))
        shutil.copy(INTRUDER, os.path.join(self.root, 'intruder'))
        shutil.copy(INTRUDER, os.path.join(self.root, 'idle'))
        if user_space and ROOT:  # what the container's root is, owns the root
            for path, folders, files in os.walk(self.root):
                for name in [path] + [os.path.join(path, f) for f in files]:
                    os.chown(name, 100000, 100000)
        space = [{'type': t} for t in ('pid', 'mount', 'ipc', 'uts', 'network')]
        linux = {'namespaces': space, 'maskedPaths': ['/proc/keys'], 'readonlyPaths': ['/proc/sys']}
        if ROOT:  # the same name may be in use elsewhere on this machine
            linux['cgroupsPath'] = '/cloudos/' + os.path.basename(self.folder)
        if user_space:
            space.append({'type': 'user'})
            outside = 100000 if ROOT else os.geteuid()
            group = 100000 if ROOT else os.getegid()
            size = 65536 if ROOT else 1
            linux['uidMappings'] = [{'containerID': 0, 'hostID': outside, 'size': size}]
            linux['gidMappings'] = [{'containerID': 0, 'hostID': group, 'size': size}]
        self.config = {
            'ociVersion': '1.0.2', 'root': {'path': 'rootfs'}, 'hostname': 'box',
            'mounts': [dict(m) for m in MOUNTS], 'linux': linux,
            'process': {'user': {'uid': 0, 'gid': 0}, 'cwd': '/', 'args': ['/intruder', 'nothing'],
                        'env': ['PATH=/'], 'noNewPrivileges': True}}

    def link(self, name, target):
        """A link in the image, in the place of what is there."""
        path = os.path.join(self.root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        os.symlink(target, path)

    def command(self, *words):
        flags = ['--root', self.state]
        if self.runtime != 'crun':
            return [self.runtime, *flags, *words]
        # it starts nothing where v1 and v2 are both mounted
        return ['unshare', '-m', 'sh', '-c',
                'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$0" "$@"',
                'crun', '--cgroup-manager=disabled', *flags, *words]

    def call(self, *words, **more):
        """Runs the runtime: (exit status, both outputs)."""
        with open(os.path.join(self.folder, 'config.json'), 'w') as f:
            json.dump(self.config, f)
        done = subprocess.run(self.command(*words), cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                              **more)
        return done.returncode, done.stdout.decode(errors='replace')

    def untouched(self):
        with open(os.path.join(self.out, 'sentinel')) as f:
            return os.listdir(self.out) == ['sentinel'] and f.read() == 'untouched'

    def done(self):
        subprocess.run(self.command('delete', '--force', 'box'), cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT)
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def box(runtime, user_space):
    b = Box(runtime, user_space)
    try:
        yield b
    finally:
        b.done()


def may(*flags):
    return subprocess.run(['unshare', *flags, 'true'], capture_output=True).returncode == 0


def kinds():
    """With a user name space, and as root without one; what this machine allows of it."""
    if not may('-Ur'):
        print('no user name spaces can be had here')
    return [k for k, can in ((True, may('-Ur')), (False, ROOT and may('-m'))) if can]


KINDS = kinds()
ATTACKS = []


def attack(function):
    """attack(box) says what came of it: "refused", "contained" or "ESCAPED ..."."""
    ATTACKS.append(function)
    name = function.__name__.replace('_', ' ')

    def tried():
        if not KINDS:
            raise Skip('neither user nor mount name spaces can be had here')
        for user_space in KINDS:
            with box(OURS, user_space) as b:
                said = function(b)
                check(said in ('refused', 'contained'), '%s: %s' % (name, said))
                check(b.untouched(), '%s: something was made outside' % name)
    tried.__name__ = function.__name__
    return test(tried)


def verdict(b, status, text):
    if not b.untouched():
        return 'ESCAPED: %s made outside' % sorted(set(os.listdir(b.out)) - {'sentinel'})
    return 'refused' if status else 'contained'


@attack
def dev_of_the_image_is_a_link_out(b):
    b.link('dev', b.out)
    said = verdict(b, *b.call('run', 'box'))
    if said == 'refused':
        b.config['mounts'] = b.config['mounts'][:1]  # and without a tmpfs of its own
        said = verdict(b, *b.call('run', 'box'))
    return said


@attack
def proc_of_the_image_is_a_link_out(b):
    b.link('proc', b.out)
    return verdict(b, *b.call('run', 'box'))


@attack
def a_mount_point_is_a_link_out(b):
    b.link('data', b.out)
    b.config['mounts'].append({'destination': '/data/made', 'type': 'tmpfs', 'source': 'tmpfs'})
    return verdict(b, *b.call('run', 'box'))


@attack
def a_mount_point_climbs_out(b):
    b.config['mounts'].append({'destination': '/../../../..' + b.out + '/made', 'type': 'tmpfs',
                               'source': 'tmpfs'})
    return verdict(b, *b.call('run', 'box'))


@attack
def a_device_is_made_through_a_link_out(b):
    b.link('data', b.out)
    b.config['linux']['devices'] = [{'path': '/data/made', 'type': 'c', 'major': 1, 'minor': 3,
                                     'fileMode': 0o666, 'uid': 0, 'gid': 0}]
    return verdict(b, *b.call('run', 'box'))


@attack
def the_folder_of_the_program_is_a_descriptor_of_the_runtime(b):
    """CVE-2024-21626."""
    refused = True
    b.config['process']['args'] = ['/intruder', 'up', os.path.join(b.out, 'sentinel')]
    for fd in range(3, 24):
        b.config['process']['cwd'] = '/proc/self/fd/%d' % fd
        status, text = b.call('run', 'box')
        refused = refused and status != 0
        if '\nfound' in '\n' + text:
            return 'ESCAPED: descriptor %d leads outside' % fd
    return 'refused' if refused else 'contained'


@attack
def the_folder_of_exec_is_a_descriptor_of_the_runtime(b):
    b.config['process']['args'] = ['/intruder', 'exe', '/end']
    with started(b):
        for fd in range(3, 24):
            status, text = b.call('exec', '--cwd', '/proc/self/fd/%d' % fd, 'box', '/intruder', 'up',
                                  os.path.join(b.out, 'sentinel'))
            if '\nfound' in '\n' + text:
                return 'ESCAPED: descriptor %d leads outside' % fd
    return 'contained'


@attack
def descriptors_of_the_caller_are_left_open(b):
    b.config['process']['args'] = ['/intruder', 'fds']
    fds = [os.open('/', os.O_RDONLY) for _ in range(4)]
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        status, text = b.call('run', 'box', close_fds=False)
    finally:
        for fd in fds:
            os.close(fd)
    equal(status, 0, text)
    leaked = [line for line in text.splitlines() if line.startswith('fd ')]
    return 'ESCAPED: %s' % leaked if leaked else 'contained'


@contextlib.contextmanager
def started(b):
    """The container's program runs and has said "ready"."""
    out = os.path.join(b.folder, 'output')
    with open(os.path.join(b.folder, 'config.json'), 'w') as f:
        json.dump(b.config, f)
    with open(out, 'wb') as f:
        subprocess.run(b.command('create', 'box'), cwd=b.folder, stdin=subprocess.DEVNULL, stdout=f,
                       stderr=f, timeout=LIMIT, check=True)
    subprocess.run(b.command('start', 'box'), cwd=b.folder, timeout=LIMIT, check=True)
    until('the program', lambda: 'ready' in open(out).read())
    yield out
    with open(os.path.join(b.root, 'end'), 'w'):
        pass
    until('its end', lambda: json.loads(subprocess.run(
        b.command('state', 'box'), cwd=b.folder, stdout=subprocess.PIPE, timeout=LIMIT,
        check=True).stdout)['status'] == 'stopped')


@attack
def the_program_of_the_runtime_is_overwritten(b):
    """CVE-2019-5736: what exec runs in the container is the runtime itself."""
    b.link('again', '/proc/self/exe')
    b.config['process']['args'] = ['/intruder', 'exe', '/end']
    mine = os.stat(os.path.realpath(shutil.which(b.runtime))).st_ino
    idle = os.stat(os.path.join(b.root, 'idle')).st_ino
    with started(b) as out:
        for words in (['/proc/self/exe'], ['/again']) * 8:
            b.call('exec', 'box', *words)

        def seen():
            b.call('exec', 'box', '/idle', 'pause')
            with open(out) as f:
                return {int(line.split()[2]) for line in f if line.startswith('writable ')}
        # it does see programs and does write to those it may
        until('the intruder to succeed with a program of the image', lambda: idle in seen())
        if mine in seen():
            return 'ESCAPED: the program of the runtime can be written to'
    return 'contained'


@attack
def a_mask_is_what_the_image_calls_dev_null(b):
    """CVE-2025-31133, without a race: the image's own /dev is used."""
    b.config['mounts'] = b.config['mounts'][:1]
    b.link('dev/null', '/proc/sys/kernel/core_pattern')
    status, text = b.call('run', 'box')
    with open('/proc/sys/kernel/core_pattern') as f:
        check(f.read() == CORE_PATTERN, 'core_pattern was changed')
    return verdict(b, status, text)


with open('/proc/sys/kernel/core_pattern') as pattern:
    CORE_PATTERN = pattern.read()


def peers():
    """How others fare: a table, no verdict."""
    runtimes = [r for r in ('crun', 'runc') if shutil.which(r)]
    print('%-62s' % '', *('%-20s' % r for r in ['cloudos-ctr'] + runtimes))
    for function in ATTACKS:
        row = []
        for runtime in [OURS] + runtimes:
            with box(runtime, False) as b:
                try:
                    row.append(function(b)[:20])
                except Exception as error:  # it did not even start
                    row.append(('(%s)' % type(error).__name__)[:20])
        print('%-62s' % function.__name__.replace('_', ' '), *('%-20s' % w for w in row))


def main():
    if '--peers' in sys.argv:
        peers()
    else:
        run()


main()
