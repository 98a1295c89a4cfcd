# SPDX-License-Identifier: MIT
"""Walls between containers, the daemon and other users of the machine."""
import ctypes
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import ROOT, WAITS, Box  # noqa: E402
from talk import LIMIT, Skip, check, equal, run, test, until  # noqa: E402
from harness import BUILD, TESTS, Client, Domain  # noqa: E402

TESTS.clear()  # those of service.py
GROUP = 41234  # of nobody
ENGINES = 'auto', 'notify', 'trap', 'ptrace'  # as lib/engine.h has them


def inside(c):
    """Who is in the container's mount name space and not of its own pid name space."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            here = [os.readlink('/proc/%s/ns/%s' % (pid, n)) for n in ('mnt', 'pid')]
        except OSError:
            continue
        theirs = [os.readlink('/proc/%d/ns/%s' % (c['pid'], n)) for n in ('mnt', 'pid')]
        if here[0] == theirs[0] and here[1] != theirs[1]:
            found.append(int(pid))
    return found


def groups(pid):
    with open('/proc/%d/status' % pid) as f:
        return next(line.split()[1:] for line in f if line.startswith('Groups:'))


@test
def who_copies_out_of_a_running_container_has_left_his_groups():
    if not ROOT:
        raise Skip('only root has groups to give')
    with Box() as box:
        box.ctl('image', 'create-busybox')
        c = box.begin('dd if=/dev/zero of=/tmp/big bs=1M count=4; ' + WAITS, name='c',
                      rootfs=None, image='busybox')
        until('it is up', lambda: 'up' in box.log_of(c))
        words = ['setpriv', '--groups=%d' % GROUP, os.path.join(BUILD, 'cloudosctl'), 'container',
                 'cp', 'c:/tmp/big', '-']
        with subprocess.Popen(words, env=box.env, stdout=subprocess.PIPE) as copier:
            # nobody reads: it waits inside
            pid = until('it is inside', lambda: inside(c))[0]
            until('it has none of our groups', lambda: groups(pid) == [])
            check(len(copier.stdout.read()) > 4 << 20, 'it has copied')
        equal(copier.returncode, 0, 'its end')


@test
def a_read_only_container_writes_no_more_than_its_tmpfs_holds():
    with Box() as box:
        c = box.begin('dd if=/dev/zero of=/tmp/a bs=64k; for f in / /etc /bin; do '
                      'busybox touch $f/x; done; ' + WAITS, readOnly=True, tmpfs=['/tmp:1m'])
        box.says(c, 'up\n')
        text = box.log_of(c)
        check('No space left' in text and text.count('Read-only') >= 3, text)
        with open('/proc/%d/mountinfo' % c['pid']) as f:
            mounts = [line.split(' - ')[1].split() for line in f if ' /tmp ' in line]
        check('size=1024k' in mounts[0][2].split(','), mounts)


class Contained(Client):
    """A connection to the socket that programs in containers have."""

    def __init__(self, domain):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.open(os.path.join(domain.dir, 'run'), os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.connect('/proc/self/fd/%d/guest.sock' % folder)
        finally:
            os.close(folder)
        self.socket.settimeout(LIMIT)
        self.tag = 0


@test
def a_connection_out_of_a_container_is_of_who_made_it():
    # its pid tells the daemon where it is; it could be given to somebody outside meanwhile
    hello = dict(version_min=1, version_max=1, program='test')
    with Domain() as domain:
        domain.start()
        c = Contained(domain)
        equal(c.ask('hello', **hello)[-1]['status'], 0, 'hello')
        equal(c.ask('attach', engine=99)[-1]['status'] < 0, True, 'a request of the same process')
        child = os.fork()
        if not child:
            c.begin('attach', engine=99)
            os._exit(0)
        os.waitpid(child, 0)
        try:
            check(False, 'an answer: %r' % c.receive())
        except (EOFError, ConnectionResetError):
            pass
        c.close()
        check('another process uses its connection' in domain.log(), domain.log())
        domain.ctl('daemon', 'stop')


@test
def one_container_leaves_room_for_the_clients_of_others():
    hello = dict(version_min=1, version_max=1, program='test')

    def greets():
        c = Contained(domain)
        try:
            return c if c.ask('hello', **hello)[-1]['status'] == 0 else None
        except (EOFError, ConnectionError):
            return None
    with Domain() as domain:
        domain.start()
        mine = [greets() for _ in range(70)]
        equal(sum(c is not None for c in mine), 32, 'connections of one')
        flags = 0x20000000 | (0 if ROOT else 0x10000000)  # a pid name space of its own
        child = os.fork()
        if not child:
            if ctypes.CDLL(None).unshare(flags):
                os._exit(2)
            inner = os.fork()
            if not inner:
                os._exit(0 if greets() else 1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
        result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if result == 2:
            raise Skip('name spaces are forbidden here')
        equal(result, 0, 'another')
        domain.ctl('daemon', 'stop')


@test
def who_begins_in_a_container_cannot_say_that_others_call():
    # under ptrace it is the launcher who says who calls and whose memory is meant
    hello = dict(version_min=1, version_max=1, program='test')
    me = dict(pid=os.getpid(), name='x', command='x')
    with Domain() as domain:
        domain.start()
        inside, outside = Contained(domain), Client(domain, hello=False)
        for c in inside, outside:
            c.ask('hello', **hello)
            mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with mine, its, open('/dev/null') as null:
                traced = c.ask('attach', fds=[its.fileno()], engine=ENGINES.index('ptrace'), **me)[-1]
                notified = c.ask('attach', fds=[its.fileno(), null.fileno()],
                                 engine=ENGINES.index('notify'), **me)[-1]
            if c is inside:
                check('ptrace' in traced['reason_'] and traced['status'] < 0, traced)
                check('listener' in notified['reason_'] and notified['status'] < 0, notified)
            else:
                equal(traced['status'], 0, 'from outside, who could do it all himself')
            c.close()
        domain.ctl('daemon', 'stop')


if __name__ == '__main__':
    run()
