# SPDX-License-Identifier: MIT
"""Ports, names and connections: peers that keep to the rules and peers that do not."""
import array
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (BUILD, LIMIT, Client, Domain, check, descriptors, encode, equal,  # noqa: E402
                     resident_kb, run, test, until)
from peers import (CLOSED, DESTROYED, DIED, F_GET_SEALS, FULL, FUTURE_WRITE, GROW,  # noqa: E402
                   NAME_SESSION, NO_DOORBELL, OPEN_SERVICE, PAGE, PORT_MAIN, RECEIVE_STOP,
                   REVOKED, SEAL, SEGMENT, SERVER_SEGMENT, SHRINK, WRITE, Doorbells, Peer,
                   connect, libc, limit, memory)

(INVALID, NO_MEMORY, NOT_FOUND, ACCESS, BUSY, EXISTS, TABLE_FULL, NAME_TOO_LONG, INTERRUPTED,
 TIMED_OUT, GONE) = -1, -2, -3, -5, -6, -7, -14, -19, -21, -22, -23
SYS_FUTEX, FUTEX_WAIT = 202, 0


class Engine:
    """A domain whose daemon is to be the same one at the end."""

    def __init__(self, **more):
        self.domain = Domain(**more)

    def __enter__(self):
        self.domain.__enter__()
        self.domain.start()
        self.pid = self.domain.status()['pid']
        self.peers = []
        return self

    def __exit__(self, kind, value, trace):
        try:
            if not kind:
                equal(self.domain.status()['pid'], self.pid, 'the daemon')
        finally:
            for peer in self.peers:
                peer.close()
            self.domain.__exit__(kind, value, trace)

    def peer(self, **more):
        peer = Peer(self.domain, **more)
        equal(peer.joined['status'], 0, 'ipc_join: ' + peer.joined['reason_'])
        self.peers.append(peer)
        return peer

    def child(self, function):
        """Runs function(engine) in a process of its own that stays until it is killed."""
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(out)
                for peer in self.peers:
                    peer.close()
                self.peers = []
                kept = function(self)
                os.write(into, b'%d' % (kept if isinstance(kept, int) else 0))
                os.close(into)
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        os.close(into)
        with os.fdopen(out) as f:
            said = f.read()
        check(said, 'the child has failed')
        return pid, int(said)


def reap(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@test
def two_peers_get_each_others_segments_read_only():
    with Engine() as e:
        server, client = e.peer(), e.peer(page=False)
        cookie = server.port(doorbell=5)
        check(cookie > 2**32, 'the cookie %#x is a small number' % cookie)
        equal(server.control_seals & FUTURE_WRITE, FUTURE_WRITE, 'seals of the control page')
        fd = memory(SEGMENT, seals=0)
        mine = mmap.mmap(fd, SEGMENT)
        fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
        client.begin('ipc_open', [fd], cookie=cookie)
        tag, kicks = client.tag, server.kicks()
        offer, (theirs,) = server.note('ipc_attach')
        equal((offer['cookie'], offer['pid'], offer['uid'], offer['session']),
              (cookie, os.getpid(), os.getuid(), 0), 'who opens')
        check(server.kicks() != kicks or kicks > 0, 'the receiver was not kicked')
        seen = mmap.mmap(theirs, SEGMENT, prot=mmap.PROT_READ)
        mine[5] = 77
        equal(seen[5], 77, 'what the client writes')
        try:
            mmap.mmap(theirs, SEGMENT)
            raise AssertionError('the receiver may write into the segment of the client')
        except PermissionError:
            pass
        answer = memory(SERVER_SEGMENT, data=b'answer')
        server.tell('ipc_accept', [answer], connection=offer['connection'])
        reply, (segment, page) = client.reply(tag)
        equal((reply['status'], reply['connection'], reply['cookie'], reply['doorbell'],
               reply['pid']), (0, offer['connection'], cookie, 5, os.getpid()), 'the reply')
        equal(os.pread(segment, 6, 0), b'answer', 'the segment of the receiver')
        server.bells.map[64 * 6] = 9
        equal(os.pread(page, 1, 64 * 6), b'\x09', 'the doorbell of the receiver')
        client.done('ipc_close', connection=reply['connection'])
        note, _ = server.note('ipc_detach')
        equal((note['connection'], note['why']), (offer['connection'], CLOSED), 'the end')
        for fd in (fd, theirs, answer, segment, page):
            os.close(fd)


run()
