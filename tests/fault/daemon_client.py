# SPDX-License-Identifier: MIT
"""Hostile clients of the control socket: the daemon lives, others are served, nothing grows."""
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (ENGINES, LAYOUTS, LIMIT, SLOW, Client, Domain, check, descriptors,  # noqa: E402
                     encode, equal, resident_kb, run, test, until)

SEED = int(os.environ.get('CO_SEED', str(random.randrange(1 << 30))))
GROWTH_KB = 24 * 1024 * (4 if SLOW > 1 else 1)  # buffers of the allocator stay


def served(domain, pid):
    """Another client is served by the same process."""
    status = domain.status()
    equal(status['pid'], pid, 'the daemon that answers')
    return status


class Besieged:
    """A daemon with one registered service; on leaving, everything is as it was."""

    def __enter__(self):
        self.domain = Domain()
        self.domain.start()
        guest = self.domain.guest(ENGINES[0])
        equal(guest.result('register victim'), 0, 'register')
        self.guest, self.pid = guest, self.domain.status()['pid']
        until('the connections to close', lambda: self.domain.status()['clients'] == 1)
        self.fds, self.kb = descriptors(self.pid), resident_kb(self.pid)
        return self

    def __exit__(self, kind, value, trace):
        try:
            if not kind:
                served(self.domain, self.pid)
                until('one client', lambda: self.domain.status()['clients'] == 1)
                until('%d descriptors' % self.fds,
                      lambda: descriptors(self.pid) <= self.fds)
                grown = resident_kb(self.pid) - self.kb
                check(grown < GROWTH_KB, 'the daemon grew by %d KiB' % grown)
                equal(self.guest.ask('discover victim'), 'discover 0 1', 'the service')
                equal(self.guest.finish()[0], 0, 'exit status')
        except BaseException as e:
            self.domain.__exit__(type(e), e, None)
            raise
        self.domain.__exit__(kind, value, trace)

    def client(self, hello=True):
        return Client(self.domain, hello)

    def attack(self, messages, fds=(), hello=True):
        """Sends until the daemon closes or all are sent; then goes away."""
        client = self.client(hello)
        client.socket.settimeout(5)
        try:
            for message in messages:
                client.send(message, fds)
        except OSError:
            pass
        client.close()


def kinds():
    for (name, form), layout in sorted(LAYOUTS.items(), key=lambda i: i[1].type):
        yield name, form, layout


def wrong(name, form, layout):
    """One message of a type with each of its fields wrong, one at a time."""
    good = encode(name, form, 7)
    yield good
    for size in (0, 1, 15, 16, len(good) - 1, len(good) + 1, 65536, 0xffffffff):
        yield good[:4] + struct.pack('<I', size) + good[8:]
    for length in (0, 1, 4, 15, 16, len(good) - 1):
        if length:
            yield good[:length]
    yield good + b'\0' * 8
    for at in range(16, len(good), 4):
        for value in (1, 0x7fffffff, 0x80000000, 0xffffffff, len(good), len(good) - 1):
            yield good[:at] + struct.pack('<I', value) + good[at + 4:]
    for kind, field in layout.fields:
        if kind not in ('TEXT', 'BYTES'):
            continue
        for text in (b'x' * 70, b'a\0b', b'\xff\xfe', b'../../x', b'%s%n', b'x' * 60000):
            yield encode(name, form, 7, **{field: text})


# stopping is what these are for; everything else must leave the daemon alone
HARMFUL = {('stop', 'request')}


@test
def every_message_with_every_field_wrong():
    with Besieged() as siege:
        for name, form, layout in kinds():
            if (name, form) in HARMFUL:
                continue
            for message in wrong(name, form, layout):
                siege.attack([message])
            served(siege.domain, siege.pid)
        # what was registered on the way has no process: it is taken away again
        for s in siege.domain.services():
            if s['name'] != 'victim':
                siege.domain.ask('service_deregister', name=s['name'], pid=s['pid'])


@test
def random_bytes_and_random_changes():
    print('# CO_SEED=%d' % SEED)
    dice = random.Random(SEED)
    good = [encode(n, f, 7) for n, f, _ in kinds() if (n, f) not in HARMFUL]
    with Besieged() as siege:
        for _ in range(600):
            message = bytearray(dice.choice(good))
            for _ in range(dice.randrange(1, 6)):
                at = dice.randrange(8, len(message))  # not the type: stop stays out
                message[at] = dice.randrange(256)
            siege.attack([bytes(message), dice.randbytes(dice.randrange(1, 200))])
        served(siege.domain, siege.pid)


@test
def no_hello_and_no_request():
    with Besieged() as siege:
        for name, form, _ in kinds():
            if (name, form) not in HARMFUL:
                siege.attack([encode(name, form, 7)], hello=name == 'hello')
        client = siege.client(hello=False)
        client.send(encode('status', 'request', 1))
        check(client.closed(), 'a request before hello is answered')
        client = siege.client()
        client.send(encode('status', 'request', 0))
        check(client.closed(), 'a request without a tag is answered')


@test
def connections_that_never_say_anything():
    with Besieged() as siege:
        silent = []
        for _ in range(300):
            client = siege.client(hello=False)
            silent.append(client)
        equal(siege.guest.ask('discover victim'), 'discover 0 1', 'a guest meanwhile')
        served(siege.domain, siege.pid)
        for client in silent:
            client.close()


@test
def descriptors_that_nobody_asked_for():
    with Besieged() as siege:
        pipe = os.pipe()
        for name, form, _ in kinds():
            if (name, form) in HARMFUL:
                continue
            for n in (1, 2, 3, 4, 64, 250):
                siege.attack([encode(name, form, 7)], [pipe[0]] * n)
        for fd in pipe:
            os.close(fd)


@test
def listings_that_are_asked_for_and_never_read():
    with Besieged() as siege:
        for i in range(200):
            siege.domain.ask('service_register', name='many%d' % i, ttl=600,
                             metadata='m' * 1000)
        deaf = [siege.client() for _ in range(8)]
        for client in deaf:
            client.socket.settimeout(0)
            try:
                for i in range(2000):
                    client.send(encode('service_list', 'request', i + 1, all=1))
            except OSError:
                pass
        served(siege.domain, siege.pid)
        watcher = siege.client()
        watcher.begin('service_watch', name='')
        watcher.socket.settimeout(0)
        for i in range(300):
            siege.domain.ask('service_register', name='many0', ttl=600, version=str(i))
        served(siege.domain, siege.pid)
        for client in deaf + [watcher]:
            client.close()
        for i in range(200):
            siege.domain.ask('service_deregister', name='many%d' % i, pid=0)


@test
def a_flood_of_requests():
    with Besieged() as siege:
        floods = [siege.client() for _ in range(8)]
        for client in floods:
            client.socket.settimeout(0)
        sent = 0
        end = time.monotonic() + LIMIT
        while sent < 20000 and time.monotonic() < end:
            for client in floods:
                try:
                    client.send(encode('status', 'request', 1 + sent))
                    sent += 1
                    client.receive()
                except OSError:
                    pass
        check(sent > 100, 'only %d requests' % sent)
        served(siege.domain, siege.pid)
        equal(siege.guest.ask('discover victim'), 'discover 0 1', 'a guest meanwhile')
        for client in floods:
            client.close()


@test
def sessions_that_are_none():
    """attach with descriptors of the wrong kind, twice, and without a launcher behind."""
    with Besieged() as siege:
        pipe = os.pipe()
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open('/dev/null', os.O_RDWR)
        kinds_of = [null, pipe[0], pair[0].fileno()]
        for engine in (0, 1, 2, 3, 99):
            for a in kinds_of:
                for fds in ([a], [a, a], [a, null]):
                    siege.attack([encode('attach', 'request', 7, engine=engine, pid=1,
                                         launcher_pid=1, name='x', command='x')], fds)
        for fd in pipe + (null,):
            os.close(fd)
        for s in pair:
            s.close()
        until('no session but the guest\'s', lambda: siege.domain.status()['sessions'] == 1)


run()
