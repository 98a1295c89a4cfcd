# SPDX-License-Identifier: MIT
"""Containers with a monitor, as the daemon starts them, for tests and measurements.

A Box is a folder with a root file system of busybox; box.container(...) starts a monitor for
a bundle in it and speaks the protocol of cloudosd/ctr/control.h.  No test sleeps to
synchronise: until() polls with a deadline.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

SRC = os.path.abspath(os.environ.get('srcdir', '.'))
BUILD = os.path.abspath(os.environ.get('builddir', '.'))
CTR = os.environ.get('CO_CTR') or os.path.join(BUILD, 'cloudos-ctr')
SLOW = 4 if os.environ.get('CO_SANITIZERS') not in (None, '', 'no') else 1
LIMIT = 30 * SLOW  # seconds; tens of times what is needed
APPLETS = ('sh cat echo sleep kill ls true false head yes dd printf stty tty env id mkdir '
           'touch seq wc grep').split()


class Skip(Exception):
    pass


class Refused(Exception):
    def __init__(self, reply):
        super().__init__('%s: %s' % (reply.get('code'), reply.get('message')))
        self.code = reply.get('code')


def until(what, condition, limit=LIMIT):
    """Waits for a true value of condition() and returns it."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('%s did not come about within %d s' % (what, limit))
        time.sleep(0.005)


def equal(got, want, what):
    if got != want:
        raise AssertionError('%s: got %r, wanted %r' % (what, got, want))


def check(good, what):
    if not good:
        raise AssertionError(what)


def alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def busybox():
    for path in ('/bin/busybox', '/usr/bin/busybox'):
        if os.access(path, os.X_OK):
            return path
    raise Skip('busybox is missing: apt install busybox-static')


class Connection:
    """One client of a monitor."""

    def __init__(self, sock):
        self.sock, self.tag = sock, 0
        self.events, self.replies = [], {}
        self.out, self.err = b'', b''
        self.gone = False

    def receive(self, limit=LIMIT):
        """Takes one packet in.  False: there was none in that time."""
        if self.gone or not select.select([self.sock], [], [], limit)[0]:
            return False
        try:
            data = self.sock.recv(1 << 17)
        except ConnectionResetError:  # what it said comes after that
            return True
        if not data:
            self.gone = True
        elif data[:1] == b'{':
            message = json.loads(data)
            if 'event' in message:
                self.events.append(message)
            else:
                self.replies[message['tag']] = message
        elif data[0] == 1:
            self.out += data[1:]
        elif data[0] == 2:
            self.err += data[1:]
        else:
            raise AssertionError('a packet of type %d' % data[0])
        return True

    def send(self, op, **members):
        self.tag += 1
        self.sock.sendall(json.dumps(dict(members, op=op, tag=self.tag)).encode())
        return self.tag

    def reply(self, tag, limit=LIMIT):
        end = time.monotonic() + limit
        while tag not in self.replies:
            check(not self.gone, 'the monitor ended the connection instead of answering')
            check(self.receive(max(0, end - time.monotonic())) or time.monotonic() < end,
                  'no answer within %d s' % limit)
        reply = self.replies.pop(tag)
        if not reply['ok']:
            raise Refused(reply)
        return reply

    def ask(self, op, **members):
        return self.reply(self.send(op, **members))

    def event(self, name, limit=LIMIT):
        end = time.monotonic() + limit
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name:
                    return self.events.pop(i)
            check(not self.gone, 'the connection ended without the event ' + name)
            check(time.monotonic() < end, 'no event %s within %d s' % (name, limit))
            self.receive(max(0, end - time.monotonic()))

    def input(self, data):
        self.sock.sendall(b'\0' + data)

    def read_until(self, what, limit=LIMIT):
        end = time.monotonic() + limit
        while what not in self.out + self.err:
            check(not self.gone, '%r did not come before the end: %r' % (what, self.out))
            check(time.monotonic() < end, '%r did not come within %d s: %r'
                  % (what, limit, self.out))
            self.receive(max(0, end - time.monotonic()))

    def read_all(self, limit=LIMIT):
        end = time.monotonic() + limit
        while not self.gone:
            check(time.monotonic() < end, 'the connection did not end')
            self.receive(max(0, end - time.monotonic()))

    def close(self):
        self.sock.close()


class Container:
    def __init__(self, box, name):
        self.box, self.name = box, name
        self.bundle = os.path.join(box.dir, 'bundles', name)
        self.folder = os.path.join(box.root, name)
        self.creator, self.pid = None, 0

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.open(self.folder, os.O_PATH)
        try:
            sock.connect('/proc/self/fd/%d/ctl.sock' % here)
        finally:
            os.close(here)
        return Connection(sock)

    def launch(self, *options):
        """Starts the monitor; the event "created" has not been waited for."""
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        subprocess.run([*self.box.prefix, CTR, '--root', self.box.root, 'monitor', '--bundle',
                        self.bundle, '--control-fd', str(its.fileno()), *options, self.name],
                       pass_fds=[its.fileno()], check=True, stdin=subprocess.DEVNULL,
                       env=self.box.environment)
        its.close()
        self.creator = Connection(mine)

    def created(self):
        while not self.creator.events:
            check(self.creator.receive() and not self.creator.gone,
                  'the monitor ended without a word')
        first = self.creator.events.pop(0)
        if first['event'] == 'failed':
            raise Refused(first)
        equal(first['event'], 'created', 'the first event')
        self.pid = first['pid']
        return self

    def commit(self):
        self.creator.ask('commit')
        return self

    def start(self):
        self.creator.ask('start')
        return self

    def exit(self, limit=LIMIT):
        """Waits for the end; the record on the disk says the same."""
        told = self.creator.event('exited', limit)['exit']
        with open(os.path.join(self.bundle, 'exit.json')) as f:
            equal(json.load(f), told, 'exit.json')
        return told

    def log(self, name='log'):
        """[(stream, flag, text)]"""
        with open(os.path.join(self.bundle, name), errors='replace', newline='\n') as f:
            lines = f.read().split('\n')[:-1]
        return [(line[31:37], line[38], line[40:]) for line in lines]

    def printed(self):
        return [text for _, _, text in self.log()]

    def monitor_pid(self):
        with open(os.path.join(self.folder, 'monitor.json')) as f:
            return json.load(f)['monitor']

    def cgroup(self):
        """Its folder of cgroup v2, or of the freezer."""
        with open(os.path.join(self.folder, 'monitor.json')) as f:
            group = json.load(f)['cgroup']
        if group.get('v2'):
            return group['v2']['path']
        return group['v1'][0]['path'] if group.get('v1') else None

    def kill(self):
        try:
            self.creator.ask('signal', signal=9, all=True)
        except (Refused, AssertionError, OSError):
            pass


class Box:
    """A folder with bundles.  prefix: how cloudos-ctr is run (setpriv ...)."""

    def __init__(self, prefix=(), owner=None):
        base = '/var/tmp' if owner else None
        self.dir = tempfile.mkdtemp(prefix='ctr-monitor.', dir=base)
        self.prefix, self.owner = list(prefix), owner
        self.root = os.path.join(self.dir, 'run')
        self.rootfs = os.path.join(self.dir, 'rootfs')
        self.containers, self.number = [], 0
        self.environment = None  # of the next monitor; None: ours
        self.make_rootfs()
        os.mkdir(os.path.join(self.dir, 'bundles'))
        self.give(self.dir)

    def give(self, top):
        if self.owner is None:
            return
        os.chown(top, self.owner, self.owner)
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                os.lchown(os.path.join(folder, name), self.owner, self.owner)

    def make_rootfs(self):
        for name in ('bin', 'dev', 'proc', 'sys', 'tmp', 'etc'):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(busybox(), os.path.join(self.rootfs, 'bin/busybox'))
        for name in APPLETS:
            os.symlink('busybox', os.path.join(self.rootfs, 'bin', name))

    def config(self, args, **more):
        """config.json of a container; more: members of process, or of the whole."""
        uid = self.owner or 0
        config = {
            'ociVersion': '1.0.2',
            'root': {'path': self.rootfs},
            'process': {'args': args, 'cwd': '/', 'env': ['PATH=/bin'],
                        'user': {'uid': 0, 'gid': 0}, 'noNewPrivileges': True},
            'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'}],
            'linux': {'namespaces': [{'type': kind} for kind in
                                     ('pid', 'mount', 'ipc', 'uts', 'network')]},
            'cloudos': {'init': more.pop('init', False)},
        }
        if self.owner:
            config['linux']['namespaces'].append({'type': 'user'})
            for maps in ('uidMappings', 'gidMappings'):
                config['linux'][maps] = [{'containerID': 0, 'hostID': uid, 'size': 1}]
        for key, value in more.items():
            if key in ('linux', 'cloudos'):
                config[key].update(value)
            elif key in ('mounts', 'hooks', 'hostname', 'annotations'):
                config[key] = value
            else:
                config['process'][key] = value
        return config

    def container(self, args, *options, **more):
        """A created and committed container."""
        c = self.prepare(args, **more)
        c.launch(*options)
        return c.created().commit()

    def prepare(self, args, **more):
        if isinstance(args, str):
            args = ['sh', '-c', args]
        self.number += 1
        c = Container(self, 'c%d' % self.number)
        os.makedirs(c.bundle)
        with open(os.path.join(c.bundle, 'config.json'), 'w') as f:
            json.dump(self.config(args, **more), f)
        self.give(c.bundle)
        self.containers.append(c)
        return c

    def reap(self, *names):
        return int(subprocess.run([*self.prefix, CTR, '--root', self.root, 'reap', *names],
                                  check=True, capture_output=True, text=True).stdout)

    def left(self):
        """Whatever is left of it outside of its folder, and what its root has."""
        found = []
        if os.path.isdir(self.root):
            found += ['%s/%s' % (self.root, name) for name in os.listdir(self.root)]
        with open('/proc/mounts') as f:
            found += [line for line in f if self.dir in line]
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as f:
                    line = f.read().replace(b'\0', b' ').decode(errors='replace')
                if self.dir in line and int(pid) != os.getpid():
                    found.append('process %s: %s' % (pid, line))
                elif os.readlink('/proc/%s/root' % pid).startswith(self.dir):
                    found.append('process %s inside' % pid)
            except OSError:
                pass
        return found

    def close(self):
        for c in self.containers:
            if c.creator and not c.creator.gone:
                c.kill()
                c.creator.close()
        until('nothing left: %s' % self.left(), lambda: not self.left())
        shutil.rmtree(self.dir)


TESTS = []


def test(function):
    TESTS.append(function)
    return function


def run():
    """Runs all tests, or those named on the command line."""
    if not os.access(CTR, os.X_OK):
        sys.exit(CTR + ' is missing')
    failed = skipped = 0
    for function in TESTS:
        name = function.__name__.replace('_', ' ')
        if len(sys.argv) > 1 and not any(a in name for a in sys.argv[1:]):
            continue
        start = time.monotonic()
        try:
            function()
            print('ok: %s (%.1f s)' % (name, time.monotonic() - start), flush=True)
        except Skip as reason:
            skipped += 1
            print('SKIPPED: %s: %s' % (name, reason), flush=True)
        except Exception:
            failed += 1
            print('FAILED: %s' % name, flush=True)
            traceback.print_exc()
    if failed:
        return 1
    return 77 if skipped == len(TESTS) else 0
