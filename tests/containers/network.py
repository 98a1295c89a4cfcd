#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks of the daemon's containers, as their users see them.

As root everything happens in a network name space of the test's own, which is "the host", and
the tests of users run as nobody from a copy of the programs; otherwise only those run, as who
we are.  What the box cannot do is skipped with what `cloudosctl doctor` says of it.
"""
import contextlib
import ctypes
import fcntl
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from cleared import clear

SRC = os.path.abspath(os.environ.get('srcdir', '.'))
BUILD = os.path.abspath(os.environ.get('builddir', '.'))
PROGRAMS = os.environ.get('CO_PROGRAMS') or BUILD
SLOW = 4 if os.environ.get('CO_SANITIZERS') not in (None, '', 'no') else 1
LIMIT = 30 * SLOW  # seconds; tens of times what is needed
HOST = '192.0.2.9'  # an address of "the host" that is not its loopback
TESTS = []


class Skip(Exception):
    pass


def test(kind):
    def register(function):
        TESTS.append((kind, function))
        return function
    return register


def check(good, what):
    if not good:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, '%s: got %r, wanted %r' % (what, got, want))


def until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, '%s did not come about within %d s' % (what, limit))
        time.sleep(0.01)


# ---- the host ----

def become_host():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000 | 0x00020000):  # CLONE_NEWNET, CLONE_NEWNS
        raise Skip('no network name space: ' + os.strerror(ctypes.get_errno()))
    for call in ((b'none', b'/', None, 0x44000, None), (b'tmpfs', b'/run', b'tmpfs', 0, None)):
        if libc.mount(*call):  # private; and the lock of other tests' hosts is none of ours
            raise Skip('no mount name space: ' + os.strerror(ctypes.get_errno()))
    with open('/proc/sys/net/ipv4/ip_forward', 'w') as f:
        f.write('0')  # a new name space may have it from the one outside
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for name, address in ((b'lo', None), (b'lo:1', HOST)):
            if address:
                fcntl.ioctl(s, 0x8916, struct.pack('16sHH4s8x', name, socket.AF_INET, 0,
                                                   socket.inet_aton(address)))
            fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', name, 0x41))  # up, running


def links():
    with open('/proc/self/net/dev') as f:
        return sorted(line.split(':')[0].strip() for line in f if ':' in line)


def tables():
    """How many tables nf_tables has."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
        s.settimeout(LIMIT)
        s.send(struct.pack('=IHHIIBBH', 20, 10 << 8 | 1, 0x301, 1, 0, 0, 0, 0))
        count = 0
        while True:
            data = s.recv(65536)
            while data:
                size, kind = struct.unpack_from('=IH', data)
                if kind in (2, 3):
                    return count
                count += 1
                data = data[(size + 3) & ~3:]


def forwards():
    with open('/proc/sys/net/ipv4/ip_forward') as f:
        return f.read().strip()


def fetch(address, port, limit=LIMIT):
    """The first line of what a container serves there; '' nobody does."""
    try:
        with socket.create_connection((address, port), limit) as s:
            s.settimeout(limit)
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            data = b''
            while True:
                piece = s.recv(4096)
                if not piece:
                    return data.rpartition(b'\r\n\r\n')[2].decode().strip()
                data += piece
    except OSError:
        return ''


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


# ---- a domain ----

SERVE = 'echo %s >/tmp/index.html; exec httpd -f -p %d -h /tmp'


class Domain:
    def __init__(self, number=None):
        self.number = number

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='cloudos-net-')
        if self.number:
            os.mkdir(os.path.join(self.dir, 'state'), 0o700)
            with open(os.path.join(self.dir, 'state/domain'), 'w') as f:
                f.write('%016x\n' % self.number)
            os.chmod(f.name, 0o600)
        self.env = dict(os.environ, CLOUDOS_DIR=self.dir, CLOUDOS_LIBEXECDIR=PROGRAMS)
        try:
            self.ctl('daemon', 'start')
            self.ctl('image', 'create-busybox')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        why = clear([os.path.join(PROGRAMS, 'cloudosctl')], self.env, LIMIT)
        if why:
            print('the containers could not be removed: %s' % why)
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, *args):
        return subprocess.run([os.path.join(PROGRAMS, 'cloudosctl'), *args], env=self.env,
                              capture_output=True, text=True, timeout=2 * LIMIT,
                              stdin=subprocess.DEVNULL)

    def ctl(self, *args):
        done = self.call(*args)
        check(done.returncode == 0, '%s: %d: %s' % (' '.join(args), done.returncode, done.stderr))
        return done.stdout

    def serve(self, name, *options, port=80):
        self.ctl('container', 'run', '-d', '--name', name, *options, 'busybox', 'sh', '-c',
                 SERVE % (name, port))

    def inspect(self, name):
        found = json.loads(self.ctl('container', 'inspect', name))
        return found[0] if isinstance(found, list) else found

    def daemon(self):
        row = json.loads(self.ctl('daemon', 'status', '-o', 'json'))
        self.daemon_pid = int((row[0] if isinstance(row, list) else row)['pid'])
        return self.daemon_pid

    def inside(self, name, *words):
        done = self.call('container', 'exec', name, *words)
        return done.stdout.strip() if done.returncode == 0 else ''


def nothing_is_left():
    until('the end of all links', lambda: links() == ['lo'])
    until('the end of the table', lambda: tables() == 0)
    equal(forwards(), '0', 'ip_forward')
    until('the end of the locks', lambda: not glob.glob('/run/cloudos-network.*'))


# ---- bridge ----

@test('root')
def containers_find_each_other_by_name():
    with Domain() as d:
        d.serve('alice')
        equal(d.inspect('alice')['network']['mode'], 'bridge', "root's default")
        d.serve('bob', '--hostname', 'bobhost')
        until('bob reaches alice',
              lambda: d.inside('bob', 'wget', '-q', '-O', '-', 'http://alice/') == 'alice')
        until('alice reaches bob by his host name',
              lambda: d.inside('alice', 'wget', '-q', '-O', '-', 'http://bobhost/') == 'bob')
        d.inside('alice', 'sh', '-c', 'sed -i d /dev/null; echo 192.0.2.77 mine >>/etc/hosts')
        d.ctl('container', 'rm', '-f', 'bob')
        until("bob's name is gone",
              lambda: 'bob' not in d.inside('alice', 'cat', '/etc/hosts'))
        check('alice' in d.inside('alice', 'cat', '/etc/hosts'), 'alice does not know herself')
    nothing_is_left()


@test('root')
def a_container_asks_the_nameservers_of_the_host_that_it_can_reach():
    with tempfile.NamedTemporaryFile('w', dir='/run') as f:
        f.write('search example\nnameserver 127.0.0.53\nnameserver 10.127.0.1\n'
                'nameserver ::1\n')
        f.flush()
        os.chmod(f.name, 0o644)
        libc = ctypes.CDLL(None)
        there = os.path.realpath('/etc/resolv.conf')
        if not os.path.exists(there):
            print('skipped: nameservers: this box has no /etc/resolv.conf')
            return
        if libc.mount(f.name.encode(), there.encode(), None, 0x1000, None):
            raise AssertionError('no other resolv.conf')
        try:
            with Domain() as d:
                d.serve('a')
                equal(d.inside('a', 'cat', '/etc/resolv.conf'),
                      'search example\nnameserver 10.127.0.1', 'its resolv.conf')
        finally:
            libc.umount2(there.encode(), 2)
    nothing_is_left()


@test('root')
def a_port_is_on_the_loopback_unless_an_address_is_written():
    with Domain() as d:
        near, far = free_port(), free_port()
        d.serve('a', '-p', '%d:80' % near, '-p', '0.0.0.0:%d:80' % far)
        until('the port of the loopback', lambda: fetch('127.0.0.1', near) == 'a')
        equal(fetch(HOST, near, 3), '', 'the same at another address')
        until('the port of all addresses', lambda: fetch(HOST, far) == 'a')
        done = d.call('container', 'run', '-d', '--name', 'b', '-p', '%d:80' % near, 'busybox',
                      'true')
        check(done.returncode != 0 and 'in use already' in done.stderr, done.stderr)
        done = d.call('container', 'run', '-d', '--name', 'c', '-p', '0.0.0.0:%d:80' % far,
                      'busybox', 'true')
        check(done.returncode != 0 and 'published by another container' in done.stderr,
              done.stderr)
        equal(fetch(HOST, far), 'a', 'what the refusal left alone')
        d.ctl('container', 'rm', '-f', 'a')
        until('the port is free', lambda: fetch('127.0.0.1', near, 3) == '')
    nothing_is_left()


@test('root')
def ports_change_while_it_runs_and_outlive_the_daemon():
    with Domain() as d:
        old, near, far = free_port(), free_port(), free_port()
        d.serve('a', '-p', '%d:80' % old)
        until('the first port', lambda: fetch('127.0.0.1', old) == 'a')
        pid = d.inspect('a')['pid']
        d.ctl('container', 'update', '-p', '%d:80' % near, '-p', '0.0.0.0:%d:80' % far, 'a')
        equal(fetch('127.0.0.1', near), 'a', 'the new port of the loopback')
        equal(fetch(HOST, far), 'a', 'the new port of all addresses')
        equal(fetch('127.0.0.1', old, 3), '', 'the old port')
        equal(d.inspect('a')['network']['ports'],
              ['127.0.0.1:%d:80' % near, '0.0.0.0:%d:80' % far], 'what is told of them')
        os.kill(d.daemon(), signal.SIGKILL)
        until('the next daemon', lambda: fetch('127.0.0.1', near, 3) == 'a')
        equal(fetch(HOST, far), 'a', 'what nobody had touched')
        equal(d.inspect('a')['pid'], pid, 'the process')
        d.ctl('container', 'update', '-p', '', 'a')
        equal(fetch(HOST, far, 3), '', 'a port that was taken back')
    nothing_is_left()


@test('root')
def modes_are_what_they_say():
    with Domain() as d:
        d.serve('a')
        d.ctl('container', 'run', '-d', '--name', 'none', '--network', 'none', 'busybox', 'sleep',
              '1000')
        d.ctl('container', 'run', '-d', '--name', 'shared', '--network', 'container:a', 'busybox',
              'sleep', '1000')
        equal(d.inside('none', 'ls', '/sys/class/net') or 'lo', 'lo', 'links of none')
        equal(d.inside('none', 'wget', '-q', '-T', '3', '-O', '-', 'http://' + HOST), '', 'none')
        until('the loopback of another',
              lambda: d.inside('shared', 'wget', '-q', '-O', '-', 'http://127.0.0.1/') == 'a')
        a, shared = d.inspect('a')['pid'], d.inspect('shared')['pid']
        equal(os.readlink('/proc/%d/ns/net' % shared), os.readlink('/proc/%d/ns/net' % a),
              'their name space')
    nothing_is_left()


@test('root')
def who_waits_to_take_a_bridge_away_leaves_it_to_the_next_container():
    with Domain() as d:
        d.serve('one')
        bridge = [link for link in links() if link.startswith('cos')][0]
        d.ctl('container', 'rm', '-f', 'one')
        d.serve('two')
        until('nobody waits', lambda: not os.path.exists('/run/cloudos-network.' + bridge))
        check(bridge in links(), 'the bridge is there')
        address = d.inspect('two')['network']['ip']
        until('two by its address', lambda: fetch(address, 80) == 'two')
        d.ctl('container', 'rm', '-f', 'two')
    nothing_is_left()


@test('root')
def addresses_that_the_host_has_a_route_to_are_passed_over():
    def address(d):
        d.serve('a')
        until('it serves', lambda: fetch(d.inspect('a')['network']['ip'], 80) == 'a')
        return d.inspect('a')['network']['ip']
    with Domain() as d:
        first = address(d)
        with open(os.path.join(d.dir, 'state/domain')) as f:
            number = int(f.read(), 16)
        # of another number, from which the same addresses follow
        with Domain(number + (3072 if number & 0xffffffff < 1 << 31 else -3072)) as other:
            check(address(other) != first, 'addresses of two: %s' % first)
            os.kill(other.daemon(), signal.SIGKILL)
            before = other.inspect('a')['network']['ip']
            until('the next daemon', lambda: other.call('container', 'ls').returncode == 0)
            other.ctl('container', 'restart', '-t', '0', 'a')
            equal(other.inspect('a')['network']['ip'], before, 'after a daemon was killed')
        equal(fetch(first, 80), 'a', 'the first one')
    nothing_is_left()


@test('root')
def a_killed_monitor_leaves_nothing_of_a_network():
    with Domain() as d:
        near, far = free_port(), free_port()
        d.serve('a', '-p', '%d:80' % near, '-p', '0.0.0.0:%d:80' % far)
        until('it serves', lambda: fetch(HOST, far) == 'a')
        with open('/proc/%d/stat' % d.inspect('a')['pid']) as f:
            monitor = int(f.read().rpartition(')')[2].split()[1])
        os.kill(monitor, signal.SIGKILL)
        until('its end is noticed', lambda: d.inspect('a')['state'] not in ('running', 'created'))
        until('its port ends', lambda: fetch('127.0.0.1', near, 3) == '')
        nothing_is_left()
        d.ctl('container', 'start', 'a')
        until('it serves again', lambda: fetch(HOST, far) == 'a')
    nothing_is_left()


@test('root')
def the_next_daemon_takes_away_what_is_left_when_all_were_killed():
    with Domain() as d:
        far = free_port()
        d.serve('a', '-p', '0.0.0.0:%d:80' % far)
        until('it serves', lambda: fetch(HOST, far) == 'a')
        pid = d.inspect('a')['pid']
        with open('/proc/%d/stat' % pid) as f:
            monitor = int(f.read().rpartition(')')[2].split()[1])
        os.kill(d.daemon(), signal.SIGSTOP)  # it notices nothing
        os.kill(monitor, signal.SIGKILL)
        os.kill(d.daemon_pid, signal.SIGKILL)
        until('the next daemon', lambda: d.call('container', 'ls').returncode == 0)
        nothing_is_left()
        until('what became of it', lambda: d.inspect('a')['state'] in ('exited', 'dead'))


def hidden():
    """With sanitizers our init is no static program, and a user may not look into it."""
    if SLOW > 1 and os.geteuid() != 0:
        print('skipped: a user may not look into an init that is no static program')
        return True
    return False


# ---- private ----

@test('user')
def a_user_s_container_has_a_private_network():
    with Domain() as d:
        port = free_port()
        d.serve('a', '-p', '%d:8080' % port, port=8080)
        network = d.inspect('a')['network']
        equal(network['mode'], 'private', 'the default of a user')
        until('the port', lambda: fetch('127.0.0.1', port, 3) == 'a')
        d.ctl('container', 'rm', '-f', 'a')
        until('the port is free', lambda: fetch('127.0.0.1', port, 3) == '')


@test('user')
@test('no tun')
def with_the_hosts_network_it_is_not_the_user_of_the_daemon():
    if hidden():
        return
    with Domain() as d:
        with open(os.path.join(d.dir, 'run/http.json')) as f:
            place = json.load(f)['tcp']
        with open(os.path.join(d.dir, 'state/http.token')) as f:
            token = f.read().strip()
        d.ctl('container', 'run', '-d', '--name', 'a', '--network', 'host', 'busybox', 'sleep',
              '1000')
        words = 'wget', '-O', '-', 'http://%s/v1/sys/containers' % place

        done = d.call('container', 'exec', 'a', *words)
        check('403' in done.stderr and not done.stdout, 'without: %r' % done)
        done = d.call('container', 'exec', 'a', *words, '--header', 'X-API-Key: ' + token)
        check('"name":"a"' in done.stdout.replace(' ', ''), 'with the token: %r' % done)


@test('no tun')
def without_tun_there_is_no_network_and_that_is_said():
    with Domain() as d:
        d.ctl('container', 'run', '-d', '--name', 'a', 'busybox', 'sleep', '1000')
        equal(d.inspect('a')['network']['mode'], 'none', 'the default without tun')
        port = free_port()
        done = d.call('container', 'run', '-d', '--name', 'b', '--network', 'private', '-p',
                      '%d:80' % port, 'busybox', 'sleep', '1000')
        check(done.returncode != 0 and 'no private network' in done.stderr, done.stderr)
        with socket.socket() as s:  # nobody holds on to it
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('127.0.0.1', port))


# ---- without a network ----

@test('root')
@test('user')
@test('no tun')
def ports_lead_into_a_container_that_has_nothing_but_its_loopback():
    if hidden():
        return
    with Domain() as d:
        port, other, far = free_port(), free_port(), free_port()
        d.ctl('container', 'create', '--name', 'a', '--network', 'none', '-p', '%d:8080' % port, 'busybox', 'sh',
              '-c', SERVE % ('a', 8080))
        done = d.call('container', 'run', '--network', 'none', '-p', '%d:1' % port, 'busybox', 'true')
        check(done.returncode != 0 and 'in use already' in done.stderr, done.stderr)
        # who comes before it runs waits for it, as do those that come all at once
        early = [socket.create_connection(('127.0.0.1', port), LIMIT) for _ in range(40)]
        for s in early:
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        d.ctl('container', 'start', 'a')
        for s in early[:1]:  # httpd may not have listened yet: then they were closed
            s.settimeout(LIMIT)
            with contextlib.suppress(OSError):
                s.recv(1)
        for s in early:
            s.close()
        until('the port', lambda: fetch('127.0.0.1', port) == 'a')
        check(all(fetch('127.0.0.1', port) == 'a' for _ in range(50)), 'one after the other')
        equal(d.inspect('a')['network']['mode'], 'none', 'its mode')
        equal(d.inside('a', 'ls', '/sys/class/net'), 'lo', 'its links')
        # others are published while it runs, at any address, and by the next daemon, too
        d.ctl('container', 'update', '-p', '%d:8080' % other, '-p', '0.0.0.0:%d:8080' % far, 'a')
        equal(fetch('127.0.0.1', other), 'a', 'a port published while it runs')
        equal(fetch('127.0.0.1', far), 'a', 'at all addresses')
        equal(fetch('127.0.0.1', port, 3), '', 'the old port')
        os.kill(d.daemon(), signal.SIGKILL)
        until('the next daemon', lambda: fetch('127.0.0.1', other, 3) == 'a')
        d.ctl('container', 'restart', '-t', '0', 'a')
        until('after a restart', lambda: fetch('127.0.0.1', other, 3) == 'a')
        d.ctl('container', 'rm', '-f', 'a')
        until('the port is free', lambda: fetch('127.0.0.1', other, 3) == '')
        # one without any ports gets its first while it runs
        d.serve('b', '--network', 'none', port=8080)
        d.ctl('container', 'update', '-p', '%d:8080' % port, 'b')
        until('its first port', lambda: fetch('127.0.0.1', port, 3) == 'b')
        os.kill(d.daemon(), signal.SIGKILL)
        until('the next daemon', lambda: fetch('127.0.0.1', port, 3) == 'b')
        done = d.call('container', 'create', '--network', 'container:b', '-p', '1:1', 'busybox')
        check(done.returncode != 0 and 'that one publishes them' in done.stderr, done.stderr)
        d.ctl('container', 'rm', '-f', 'b')
        until('its port is free', lambda: fetch('127.0.0.1', port, 3) == '')


# ---- who runs what ----

def doctor():
    done = subprocess.run([os.path.join(PROGRAMS, 'cloudosctl'), 'doctor', '-o', 'json'],
                          capture_output=True, text=True, timeout=LIMIT)
    return {row['feature']: row for row in json.loads(done.stdout)}


def lacking(kind):
    rows = doctor()
    if kind == 'root':
        row = rows['container bridge']
        return '' if row['state'] == 'ok' else row['detail']
    if rows['user name spaces']['state'] != 'ok':
        return rows['user name spaces']['detail']
    row = rows['container private']
    return '' if kind == 'no tun' or row['state'] == 'ok' else row['detail']


def run_kind(kind):
    why, failed = lacking(kind), 0
    for of, function in TESTS:
        if of != kind:
            continue
        name = function.__name__.replace('_', ' ')
        if why:
            print('skipped: %s: %s' % (name, why), flush=True)
            continue
        try:
            function()
            print('ok: %s' % name, flush=True)
        except Exception:
            failed += 1
            print('FAILED: %s\n%s' % (name, traceback.format_exc()), flush=True)
    return failed


def run_as_nobody(kind, folder):
    """From a copy: the folder of the build need not be open to everybody."""
    words = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', sys.executable,
             os.path.join(folder, 'network.py'), kind]
    if kind == 'no tun':
        if not os.path.exists('/dev/net/tun'):
            os.makedirs('/dev/net', exist_ok=True)
        words = ['unshare', '-m', 'sh', '-c',
                 '[ ! -e /dev/net/tun ] || mount --bind /dev/full /dev/net/tun && '
                 'mount -o remount,bind,nodev /dev/net/tun && exec "$@"', 'sh', *words]
    env = dict(os.environ, CO_PROGRAMS=folder, TMPDIR='/var/tmp', HOME='/nonexistent')
    return subprocess.run(words, env=env, cwd='/').returncode != 0


def main():
    if len(sys.argv) > 1:
        sys.exit(run_kind(sys.argv[1]) != 0)
    if os.geteuid() != 0:
        sys.exit(run_kind('user') != 0)
    folder = tempfile.mkdtemp(prefix='cloudos-net-', dir='/var/tmp')
    try:
        os.chmod(folder, 0o755)
        for name in ('cloudosctl', 'cloudosd/cloudosd', 'cloudos-keeper', 'cloudos-ctr',
                     'cloudos-image', 'cloudos-exec', 'cloudos-loader'):
            shutil.copy(os.path.join(BUILD, name), folder)
        for name in ('network.py', 'cleared.py'):
            shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), folder)
        failed = run_as_nobody('user', folder) + run_as_nobody('no tun', folder)
    finally:
        shutil.rmtree(folder)
    try:
        become_host()
        failed += run_kind('root')
    except Skip as why:
        print('skipped: the tests of root: %s' % why)
    sys.exit(failed != 0)


if __name__ == '__main__':
    main()
