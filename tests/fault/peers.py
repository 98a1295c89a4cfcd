# SPDX-License-Identifier: MIT
"""A peer of the engine for messages that speaks the wire itself."""
import array
import ctypes
import fcntl
import mmap
import os
import re
import signal
import socket
import struct
import sys

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import SRC, Client, Domain, check, decode, encode, equal  # noqa: E402

NO_DOORBELL = 2**32 - 1
PORT_MAIN, RECEIVE_STOP, NAME_SESSION, OPEN_SERVICE = 1, 1, 1, 1
JOIN_MESSAGES, OPEN_MESSAGES = 1, 2
CLOSED, DIED, DESTROYED, REVOKED, FULL = range(5)
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE = 1, 2, 4, 8, 16
PAGE = 4096
SEGMENT = PAGE + 64 * 64 + 64 * 64 + 64 * PAGE  # of a client; a server's has one table less
SERVER_SEGMENT = PAGE + 64 * 64 + 64 * PAGE
KICK_AT = 16  # in the control page
libc = ctypes.CDLL(None, use_errno=True)


def limit(name):
    with open(os.path.join(SRC, 'include/co/limits.def')) as f:
        return int(re.search(r'LIMIT\(%s,\s*(\d+)' % name, f.read()).group(1))


def memory(size, seals=SEAL | SHRINK | GROW | FUTURE_WRITE, data=b''):
    """A sealed memory file; the caller closes it."""
    fd = os.memfd_create('segment', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, size)
    if data:
        os.pwrite(fd, data, 0)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Doorbells:
    """The page that its owner writes: bell n is at 64 * (n + 1)."""

    def __init__(self):
        self.fd = os.memfd_create('doorbells', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(self.fd, PAGE)
        self.map = mmap.mmap(self.fd, PAGE)
        fcntl.fcntl(self.fd, F_ADD_SEALS, SEAL | SHRINK | GROW | FUTURE_WRITE)


class Peer(Client):
    """A connection that has said ipc_join; replies and notes are kept apart."""

    def __init__(self, domain, session=0, page=True, hello=False):
        super().__init__(domain, hello=hello)
        self.notes, self.replies = [], {}
        self.bells = Doorbells() if page else None
        joined, fds = self.request('ipc_join', [self.bells.fd] if page else [],
                                   session=session, version=1)
        self.joined, self.control = joined, None
        if joined['status'] == 0:
            self.control = mmap.mmap(fds[0], PAGE, prot=mmap.PROT_READ)
            self.control_seals = fcntl.fcntl(fds[0], F_GET_SEALS)
            os.close(fds[0])
            self.id = joined['peer']

    def kicks(self):
        return struct.unpack_from('<I', self.control, KICK_AT)[0]

    def take(self):
        """One message into notes or replies."""
        data, extra, _, _ = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(64))
        fds = array.array('i')
        for level, kind, payload in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload)
        if not data:
            raise EOFError('the daemon closed the connection')
        message = decode(data)
        if message['form_'] == 'note':
            self.notes.append((message, list(fds)))
        else:
            self.replies[message['tag_']] = (message, list(fds))

    def request(self, name, /, fds=(), **values):
        self.begin(name, fds, **values)
        return self.reply(self.tag)

    def reply(self, tag):
        while tag not in self.replies:
            self.take()
        return self.replies.pop(tag)

    def done(self, name, /, fds=(), status=0, **values):
        """A request with that outcome; the reply."""
        answer, _ = self.request(name, fds, **values)
        equal(answer['status'], status, '%s: %s' % (name, answer['reason_']))
        return answer

    def note(self, want):
        """The next note of that name, and its descriptors."""
        while True:
            for i, (message, fds) in enumerate(self.notes):
                if message['name_'] == want:
                    del self.notes[i]
                    return message, fds
            self.take()

    def tell(self, name, /, fds=(), **values):
        self.send(encode(name, form='note', tag=0, **values), fds)

    # ---- what tests do again and again ----

    def port(self, doorbell=0, flags=0):
        return self.done('port_create', doorbell=doorbell, flags=flags)['cookie']

    def open_begin(self, cookie=0, **values):
        """The tag of an open that may wait."""
        fd = memory(SEGMENT)
        try:
            self.begin('ipc_open', [fd], cookie=cookie, **values)
        finally:
            os.close(fd)
        return self.tag

    def open_end(self, tag, status=0):
        """The reply of an open, without its descriptors."""
        answer, fds = self.reply(tag)
        for fd in fds:
            os.close(fd)
        equal(answer['status'], status, 'open: %s' % answer['reason_'])
        return answer

    def accept(self, size=SERVER_SEGMENT):
        """Accepts the next connection that it is offered."""
        offer, fds = self.note('ipc_attach')
        for fd in fds:
            os.close(fd)
        fd = memory(size)
        self.tell('ipc_accept', [fd], connection=offer['connection'])
        os.close(fd)
        return offer


def connect(client, server, cookie):
    """A connection between the two; its number."""
    tag = client.open_begin(cookie)
    server.accept()
    return client.open_end(tag)['connection']


# ---- domains ----

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
