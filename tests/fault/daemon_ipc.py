# SPDX-License-Identifier: MIT
"""Ports, names and connections: peers that keep to the rules and peers that do not."""
import ctypes
import fcntl
import json
import mmap
import os
import random
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (BUILD, LAYOUTS, LIMIT, SLOW, Client, check, descriptors, encode, equal,  # noqa: E402
                     resident_kb, run, test, until)
from peers import (CLOSED, DESTROYED, DIED, FULL, FUTURE_WRITE, GROW, JOIN_MESSAGES,  # noqa: E402
                   NAME_SESSION, NO_DOORBELL, OPEN_MESSAGES, OPEN_SERVICE, PAGE, PORT_MAIN, RECEIVE_STOP, SEAL, SEGMENT,
                   SERVER_SEGMENT, SHRINK, WRITE, Engine, Peer, connect, libc, limit,
                   memory, reap)

(INVALID, NOT_FOUND, ACCESS, BUSY, EXISTS, TABLE_FULL, NAME_TOO_LONG, INTERRUPTED, TIMED_OUT,
 GONE) = -1, -3, -5, -6, -7, -14, -19, -21, -22, -23
SYS_FUTEX, FUTEX_WAIT = 202, 0
FRAMES = int(os.environ.get('CO_FRAMES', '1000'))
SEED = int(os.environ.get('CO_SEED', str(random.randrange(1 << 30))))
OPENS = int(os.environ.get('CO_OPENS', '4000'))  # make check-reach: a million
NAMES_AT = 20  # in the control page


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
        tag = client.tag
        offer, (theirs,) = server.note('ipc_attach')
        equal((offer['cookie'], offer['pid'], offer['uid'], offer['session']),
              (cookie, os.getpid(), os.getuid(), 0), 'who opens')
        until('a kick of the receiver', lambda: server.kicks() > 0)
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


@test
def a_segment_of_another_size_or_without_its_seals_is_refused():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        good = SEAL | SHRINK | GROW | FUTURE_WRITE
        out, into = os.pipe()
        bad = [memory(SEGMENT - 2 * PAGE), memory(SEGMENT + 1), memory(PAGE), memory(0),
               memory(1 << 40), into, out, os.open(BUILD, os.O_RDONLY),
               os.open('/dev/zero', os.O_RDWR), os.open('/proc/self/mem', os.O_RDWR)]
        bad += [memory(SEGMENT, seals=good & ~seal) for seal in (SHRINK, GROW, FUTURE_WRITE)]
        bad += [memory(SEGMENT, seals=0)]
        for fd in bad:
            client.done('ipc_open', [fd], INVALID, cookie=cookie)
        client.done('ipc_open', status=INVALID, cookie=cookie)  # none at all
        # and so with what the receiver answers: the client is told, the next one is served
        for fd in bad:
            tag = client.open_begin(cookie)
            offer, (theirs,) = server.note('ipc_attach')
            os.close(theirs)
            server.tell('ipc_accept', [fd], connection=offer['connection'])
            client.open_end(tag, ACCESS)
        connect(client, server, cookie)
        # nor is a page of doorbells that can shrink under the daemon's feet
        for fd in bad + [memory(PAGE, seals=good & ~SHRINK), memory(2 * PAGE)]:
            c = Client(e.domain, hello=False)
            reply = c.ask('ipc_join', [fd], version=1)[-1]
            if fd != bad[2]:
                equal(reply['status'], INVALID, 'a page of doorbells: ' + reply['reason_'])
            c.close()
        for fd in bad:
            os.close(fd)


@test
def more_descriptors_than_a_message_has_end_the_connection():
    with Engine() as e:
        server = e.peer()
        cookie = server.port()
        before = descriptors(e.pid)
        for n in (2, 4, 5, 100):
            peer, fds = e.peer(), [memory(SEGMENT) for _ in range(n)]
            peer.begin('ipc_open', fds, cookie=cookie)
            check(peer.closed(), 'the connection is open')
            for fd in fds:
                os.close(fd)
        until('descriptors as before', lambda: descriptors(e.pid) <= before)


@test
def what_a_peer_may_not_say_ends_its_connection_and_nothing_else():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        server.done('name_register', cookie=cookie, name='stays')
        for bad in (b'x', b'\xff' * 64, bytes(64), encode('status'), encode('hello'),
                    encode('ipc_join', version=1), encode('port_create', tag=0),
                    encode('ipc_attach', form='note', tag=0), encode('call', form='note', tag=0),
                    encode('name_find', name=b'a\0b'), encode('name_find', name='x')[:-1],
                    encode('name_register', cookie=cookie, name=b'SYSTEM\0::VFS')):
            peer = e.peer()
            peer.send(bad)
            check(peer.closed(), 'the connection is open after %r' % bad[:40])
        for name in ('port_create', 'ipc_open', 'name_find'):  # before ipc_join
            c = Client(e.domain)
            c.begin(name)
            check(c.closed(), '%s without ipc_join' % name)
        equal(client.done('name_find', name='stays')['cookie'], cookie, 'the other port')
        connect(client, server, cookie)


@test
def whatever_a_peer_says_costs_nobody_else_anything():
    print('# CO_SEED=%d' % SEED)
    names = [(name, form) for (name, form), layout in sorted(LAYOUTS.items())
             if form in ('request', 'note') and 70 <= layout.type & 0xffffff]
    check(len(names) > 20, 'messages of peers')

    def attack(engine):
        dice = random.Random(SEED)
        fds = memory(SEGMENT), memory(SERVER_SEGMENT), memory(PAGE, seals=0)
        sent = 0
        while sent < FRAMES:
            try:
                bad = Peer(engine.domain)
            except (OSError, EOFError):
                continue
            bad.socket.settimeout(LIMIT)
            try:
                for _ in range(dice.randrange(1, 8)):
                    message = bytearray(encode(*dice.choice(names), tag=dice.randrange(2)))
                    for _ in range(dice.randrange(4)):
                        at = dice.randrange(len(message))
                        message[at] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
                    if dice.randrange(8) == 0:
                        del message[dice.randrange(1, len(message)):]
                    bad.send(bytes(message), [dice.choice(fds) for _ in range(dice.randrange(4))])
                    sent += 1
            except OSError:  # it was closed
                sent += 1
            bad.close()
        return sent

    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        connect(client, server, cookie)
        before = descriptors(e.pid)
        pid, sent = e.child(attack)
        check(sent >= FRAMES, 'messages that were sent')
        reap(pid)
        client.done('name_find', name='nobody')
        connect(client, server, cookie)
        until('as many descriptors as before', lambda: descriptors(e.pid) <= before + 2)


@test
def only_who_joined_may_speak():
    with Engine() as e:
        peer = e.peer()
        if os.fork() == 0:
            peer.begin('port_create', doorbell=0)
            os._exit(0)
        os.wait()
        check(peer.closed(), 'a child has spoken for its parent')
        c = Client(e.domain, hello=False)
        c.tag += 1
        if os.fork() == 0:
            c.send(encode('ipc_join', version=1))
            os._exit(0)
        os.wait()
        equal(c.receive()['status'], ACCESS, 'ipc_join by a child')


@test
def what_cannot_be_joined_is_refused_with_a_reason():
    with Engine() as e:
        for status, part, values in ((-25, 'version', {'version': 0}),
                                     (-25, 'version', {'version': 99}),
                                     (INVALID, 'session', {'version': 1, 'session': 2**63}),
                                     (INVALID, 'flags', {'version': 1, 'flags': JOIN_MESSAGES | 2})):
            c = Client(e.domain, hello=False)
            reply = c.ask('ipc_join', **values)[-1]
            equal(reply['status'], status, 'ipc_join %s' % values)
            check(part in reply['reason_'], reply['reason_'])
            c.close()
        equal(e.peer(hello=True).joined['status'], 0, 'ipc_join behind hello')


@test
def names_are_whole_strings():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        first, second = server.port(), server.port(doorbell=1)
        longest = 'n' * limit('IPC_NAME')
        for name, cookie in (('SYSTEM::VFS', first), ('SYSTEM::VF', second), ('\u00e9', first),
                             ('svc://a/b', second), (longest, first), (' ', second)):
            server.done('name_register', cookie=cookie, name=name)
            equal(client.done('name_find', name=name)['cookie'], cookie, name)
        for name in ('SYSTEM::', 'system::vfs', 'SYSTEM::VFS ', 'svc://a', longest[1:], '',
                     longest + 'n', 'x' * 60000):
            equal(client.done('name_find', name=name)['cookie'], 0, name[:20])
        client.done('name_register', status=EXISTS, cookie=second, name='SYSTEM::VFS')
        server.done('name_register', status=EXISTS, cookie=first, name='SYSTEM::VFS')
        for name, status in (('', INVALID), (longest + 'n', NAME_TOO_LONG),
                             ('x' * 65000, NAME_TOO_LONG)):
            client.done('name_register', status=status, cookie=first, name=name)
        client.done('name_register', status=INVALID, cookie=first, name='n', flags=128)
        client.done('name_register', status=NOT_FOUND, cookie=first ^ 1, name='n')
        client.done('name_remove', name='SYSTEM::VFS')
        client.done('name_remove', status=NOT_FOUND, name='SYSTEM::VFS')
        equal(client.done('name_find', name='SYSTEM::VFS')['cookie'], 0, 'a removed name')
        client.done('port_destroy', cookie=second)
        equal(client.done('name_find', name='SYSTEM::VF')['cookie'], 0, 'of a port that is gone')
        server.done('name_register', cookie=first, name='SYSTEM::VF')


@test
def the_control_page_tells_that_names_have_changed():
    with Engine() as e:
        server, client = e.peer(), e.peer()

        def names():
            return struct.unpack_from('<I', client.control, NAMES_AT)[0]
        cookie = server.port()
        seen = [names()]
        check(seen[0], 'it is 0')
        for request in (('name_register', {'cookie': cookie, 'name': 'a'}),
                        ('name_remove', {'name': 'a'}),
                        ('name_register', {'cookie': cookie, 'name': 'b'}),
                        ('port_destroy', {'cookie': cookie})):
            server.done(request[0], **request[1])
            check(names() not in seen, 'it is the same behind %s' % request[0])
            seen.append(names())
        client.done('name_find', name='b')
        equal(names(), seen[-1], 'behind a search')


@test
def a_name_of_a_session_is_for_its_programs_and_found_first():
    with Engine() as e:
        sessions = []
        for _ in range(2):
            guest = e.domain.guest('notify')
            guest.result('version 1')
            sessions.append(max(r['id'] for r in e.domain.ask('session_list')
                                if r['form_'] == 'row'))
        one, two = (e.peer(session=s) for s in sessions)
        outside = e.peer()
        mine, theirs, everybodys = one.port(), two.port(), outside.port()
        one.done('name_register', cookie=mine, name='SYSTEM::VFS', flags=NAME_SESSION)
        two.done('name_register', cookie=theirs, name='SYSTEM::VFS', flags=NAME_SESSION)
        equal(outside.done('name_find', name='SYSTEM::VFS')['cookie'], 0, 'from outside')
        outside.done('name_register', cookie=everybodys, name='SYSTEM::VFS')
        outside.done('name_register', status=INVALID, cookie=everybodys, name='x',
                     flags=NAME_SESSION)
        for peer, cookie in ((one, mine), (two, theirs), (outside, everybodys)):
            equal(peer.done('name_find', name='SYSTEM::VFS')['cookie'], cookie, 'the port')
        one.done('name_remove', name='SYSTEM::VFS')
        equal(one.done('name_find', name='SYSTEM::VFS')['cookie'], everybodys, 'behind it')


@test
def a_weak_name_gives_way_to_another_process():
    with Engine() as e:
        guest = e.domain.guest('notify')
        guest.result('version 1')
        session = max(r['id'] for r in e.domain.ask('session_list') if r['form_'] == 'row')
        launcher, outside = e.peer(session=session), e.peer()
        weak = launcher.port()
        launcher.done('name_register', cookie=weak, name='DEVMAN', flags=NAME_SESSION | 2)
        launcher.done('name_register', status=EXISTS, cookie=weak, name='DEVMAN',
                      flags=NAME_SESSION)

        def serve(engine):
            peer = engine.peer(session=session)
            cookie = peer.port()
            peer.done('name_register', cookie=cookie, name='DEVMAN')
            return cookie
        pid, cookie = e.child(serve)
        equal(launcher.done('name_find', name='DEVMAN')['cookie'], cookie, 'the port')
        equal(outside.done('name_find', name='DEVMAN')['cookie'], 0, 'outside of the session')
        launcher.done('name_register', status=EXISTS, cookie=weak, name='DEVMAN',
                      flags=NAME_SESSION)
        reap(pid)
        until('its name is free', lambda: launcher.request(
            'name_register', cookie=weak, name='DEVMAN', flags=NAME_SESSION)[0]['status'] == 0)


@test
def ten_thousand_names_meet_the_limit_of_their_process():
    with Engine() as e:
        greedy, modest = e.peer(), None
        cookie, most = greedy.port(), limit('IPC_PROCESS_NAMES')
        before = resident_kb(e.pid)
        for i in range(10000):
            status = greedy.request('name_register', cookie=cookie,
                                    name='%d.' % i + 'x' * 240)[0]['status']
            equal(status, 0 if i < most else TABLE_FULL, 'name %d' % i)
        check(resident_kb(e.pid) < before + 8192, 'memory of the daemon')

        def others(engine):
            peer = engine.peer()
            peer.done('name_register', cookie=cookie, name='of another process')
        pid, _ = e.child(others)
        greedy.close()
        modest = e.peer()
        reap(pid)
        until('the end of all names',
              lambda: modest.done('name_find', name='0.' + 'x' * 240)['cookie'] == 0)


@test
def an_open_waits_for_a_receiver():
    with Engine() as e:
        owner, client, receiver = e.peer(), e.peer(), e.peer()
        cookie = owner.port(doorbell=NO_DOORBELL)
        tags = [client.open_begin(cookie) for _ in range(3)]
        late = client.open_begin(cookie, timeout_ms=1)
        client.open_end(late, TIMED_OUT)
        client.tell('ipc_cancel', open_tag=tags[1])
        client.open_end(tags[1], INTERRUPTED)
        client.tell('ipc_cancel', open_tag=tags[1])  # once more
        client.tell('ipc_cancel', open_tag=2**60)
        receiver.done('port_receive', cookie=cookie, doorbell=62)
        for tag in (tags[0], tags[2]):
            receiver.accept()
            equal(client.open_end(tag)['doorbell'], 62, 'doorbell')
        receiver.done('port_receive', cookie=cookie, flags=RECEIVE_STOP)
        tag = client.open_begin(cookie)
        owner.done('port_destroy', cookie=cookie)
        client.open_end(tag, GONE)
        for peer in (client, receiver):  # what is open stays until somebody closes it
            for _ in range(2):
                equal(peer.note('ipc_detach')[0]['why'], DESTROYED, 'why')
        equal(receiver.note('port_gone')[0]['cookie'] if receiver.notes else 0, 0, 'stopped')


@test
def a_receiver_that_stops_before_it_answers_is_taken_out():
    with Engine() as e:
        owner, client, first, second = e.peer(), e.peer(), e.peer(), e.peer()
        cookie = owner.port(doorbell=NO_DOORBELL)
        first.done('port_receive', cookie=cookie, doorbell=0)
        tag = client.open_begin(cookie)
        offer, (fd,) = first.note('ipc_attach')
        os.close(fd)
        first.done('port_receive', cookie=cookie, flags=RECEIVE_STOP)
        equal(first.note('ipc_detach')[0]['connection'], offer['connection'], 'it is told')
        fd = memory(SERVER_SEGMENT, data=b'late')
        first.tell('ipc_accept', [fd], connection=offer['connection'])
        os.close(fd)
        second.done('port_receive', cookie=cookie, doorbell=1)
        second.accept()
        equal(client.open_end(tag)['doorbell'], 1, 'the doorbell of the second')


@test
def connections_are_spread_over_receivers():
    with Engine() as e:
        owner, client = e.peer(), e.peer()
        cookie = owner.port(doorbell=NO_DOORBELL)
        receivers = [e.peer() for _ in range(3)]
        for i, receiver in enumerate(receivers):
            receiver.done('port_receive', cookie=cookie, doorbell=i)
        bells = []
        for i in range(9):
            tag = client.open_begin(cookie)
            for receiver in receivers:
                receiver.done('name_find', name='x')  # reads what there is
                if any(m['name_'] == 'ipc_attach' for m, _ in receiver.notes):
                    receiver.accept()
            bells.append(client.open_end(tag)['doorbell'])
        equal(sorted(bells), [0, 0, 0, 1, 1, 1, 2, 2, 2], 'doorbells')


@test
def a_port_outlives_its_owner_while_another_process_receives_there():
    with Engine() as e:
        mine, client = e.peer(), e.peer()

        def own(engine):
            return engine.peer().port(doorbell=0)
        pid, cookie = e.child(own)
        mine.done('port_receive', cookie=cookie, doorbell=3)
        reap(pid)
        for _ in range(2):  # the first may go to the one that is dead
            tag = client.open_begin(cookie)
            mine.accept()
            client.open_end(tag)
        mine.close()
        until('the end of the port', lambda: client.request(
            'name_register', cookie=cookie, name='n')[0]['status'] == NOT_FOUND)


@test
def processes_and_services_are_found_by_number_and_name():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        fd = memory(SEGMENT)
        client.done('ipc_open', [fd], NOT_FOUND, pid=os.getpid())
        client.done('ipc_open', [fd], NOT_FOUND, name='nobody')
        client.done('ipc_open', [fd], NOT_FOUND, name='svc', flags=OPEN_SERVICE)
        client.done('ipc_open', [fd], INVALID, name='svc', flags=64)
        client.done('ipc_open', [fd], INVALID, name='svc',
                    flags=OPEN_SERVICE | OPEN_MESSAGES)
        for pid in (-1, -2**31, 2**31 - 1, 1):
            client.done('ipc_open', [fd], NOT_FOUND, pid=pid)
        server.port(doorbell=9)
        main = server.port(doorbell=2, flags=PORT_MAIN)
        server.done('name_register', cookie=main, name='by name')
        equal(e.domain.ask('service_register', name='svc', version='1.0.0', pid=os.getpid(),
                           port=1)[-1]['status'], 0, 'service_register')
        for values in ({'pid': os.getpid()}, {'pid': 0}, {'name': 'by name'},
                       {'name': 'svc', 'flags': OPEN_SERVICE}, {'cookie': main, 'pid': -5}):
            tag = client.open_begin(**values)
            server.accept()
            reply = client.open_end(tag)
            equal((reply['cookie'], reply['doorbell']), (main, 2), 'opened by %s' % values)
        os.close(fd)


def futex_sleeps(tid):
    with open('/proc/self/task/%d/stat' % tid) as f:
        if f.read().rpartition(')')[2].split()[0] != 'S':
            return False
    with open('/proc/self/task/%d/syscall' % tid) as f:
        return f.read().split()[0] == str(SYS_FUTEX)


def sleeper(address, value, woken):
    libc.syscall(SYS_FUTEX, ctypes.c_void_p(address), FUTEX_WAIT, value, None, None, 0)
    woken.append(time.monotonic())


def address_of(page):
    return ctypes.addressof(ctypes.c_char.from_buffer(page))


@test
def the_daemon_wakes_a_thread_that_sleeps_at_a_doorbell_it_may_only_read():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie, woken = server.port(doorbell=7), []
        thread = threading.Thread(target=sleeper, args=(
            address_of(server.bells.map) + 64 * 8, 0, woken))
        thread.start()
        until('it sleeps', lambda: futex_sleeps(thread.native_id))
        kicks = server.kicks()
        tag = client.open_begin(cookie)
        thread.join(LIMIT)
        check(woken, 'the receiver sleeps on')
        check(server.kicks() != kicks, 'the kick counter')
        server.accept()
        client.open_end(tag)


@test
def death_frees_everybody_who_waits_for_the_dead():
    with Engine() as e:
        ports = 64
        clients = [e.peer() for _ in range(4)]

        def serve(engine):
            server = engine.peer()
            cookie = server.port()
            server.done('name_register', cookie=cookie, name='mortal')

            def accepts():
                while True:
                    server.accept()
            threading.Thread(target=accepts, daemon=True).start()
            return cookie
        pid, cookie = e.child(serve)
        connections = []
        for client in clients:
            connections.append([client.open_end(client.open_begin(cookie))['connection']
                                for _ in range(ports // len(clients))])
        kicks = [client.kicks() for client in clients]
        os.kill(pid, signal.SIGKILL)
        began, told = time.monotonic(), None
        for client, mine, kick in zip(clients, connections, kicks):
            for _ in mine:
                note, _ = client.note('ipc_detach')
                check(note['connection'] in mine and note['why'] == DIED, 'the note: %s' % note)
            told = time.monotonic()
            until('the kick', lambda: client.kicks() != kick)
        print('  64 waiting were told after %.1f ms' % ((told - began) * 1000))
        os.waitpid(pid, 0)
        until('the end of its name',
              lambda: clients[0].done('name_find', name='mortal')['cookie'] == 0)
        client.done('port_destroy', status=NOT_FOUND, cookie=cookie)


@test
def opens_and_closes_leave_nothing_behind():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        fds = memory(SEGMENT), memory(SERVER_SEGMENT)

        def cycle(n):
            for _ in range(n):
                client.begin('ipc_open', [fds[0]], cookie=cookie)
                offer, (fd,) = server.note('ipc_attach')
                os.close(fd)
                server.tell('ipc_accept', [fds[1]], connection=offer['connection'])
                client.open_end(client.tag)
                client.done('ipc_close', connection=offer['connection'])
                server.note('ipc_detach')
        cycle(1000)
        before = descriptors(e.pid), resident_kb(e.pid)
        began = time.monotonic()
        cycle(OPENS)
        took = time.monotonic() - began
        print('  %d opens and closes, each %.0f us; descriptors %d, then %d; KiB %d, then %d'
              % (OPENS, took / OPENS * 1e6, before[0], descriptors(e.pid), before[1],
                 resident_kb(e.pid)))
        equal(descriptors(e.pid), before[0], 'descriptors')
        # a sanitizer keeps for a while what is freed
        check(SLOW > 1 or resident_kb(e.pid) < before[1] + 256, 'memory: %d, then %d KiB'
              % (before[1], resident_kb(e.pid)))
        for fd in fds:
            os.close(fd)


@test
def who_opens_without_end_reaches_its_own_limit_only():
    with Engine() as e:
        server, greedy = e.peer(), e.peer()
        cookie, most = server.port(doorbell=NO_DOORBELL), limit('IPC_OPENING')
        before = descriptors(e.pid)
        tags = [greedy.open_begin(cookie) for _ in range(most + 5)]
        for tag in tags[most:]:
            greedy.open_end(tag, BUSY)
        for tag in tags[:most]:
            greedy.tell('ipc_cancel', open_tag=tag)
            greedy.open_end(tag, INTERRUPTED)
        equal(descriptors(e.pid), before, 'descriptors')

        with open('/proc/%d/limits' % e.pid) as f:
            files = int(next(line for line in f if 'open files' in line).split()[3])
        most = min(limit('IPC_PROCESS_CONNECTIONS'), files // 16)

        # connections that are open
        def consume(engine):
            peer = engine.peer()
            for i in range(most + 1):
                answer = peer.reply(peer.open_begin(cookie))
                for fd in answer[1]:
                    os.close(fd)
                if answer[0]['status'] != 0:
                    break
            return i if answer[0]['status'] == TABLE_FULL else 0
        server.done('port_receive', cookie=cookie, doorbell=0)
        go = threading.Event()

        def accepts():
            while not go.is_set():
                try:
                    server.accept()
                except OSError:
                    pass
        thread = threading.Thread(target=accepts, daemon=True)
        thread.start()
        pid, opened = e.child(consume)
        equal(opened, most, 'connections of one process')
        other = e.peer()
        other.open_end(other.open_begin(cookie))
        reap(pid)
        other.open_end(other.open_begin(cookie))
        go.set()
        other.open_begin(cookie)  # it looks again
        thread.join(LIMIT)


@test
def a_receiver_that_does_not_read_holds_up_only_those_who_want_it():
    with Engine() as e:
        deaf, client, good = e.peer(), e.peer(), e.peer()
        cookie, other = deaf.port(), good.port()
        tags = [client.open_begin(cookie) for _ in range(limit('IPC_OPENING') - 1)]
        for _ in range(3 * limit('IPC_OFFERED')):  # comes and goes
            client.tell('ipc_cancel', open_tag=tags.pop())
            tags.append(client.open_begin(cookie))
        began = time.monotonic()
        connect(client, good, other)
        check(time.monotonic() - began < LIMIT / 2, 'another receiver is slow')
        client.close()
        equal(good.done('name_find', name='x')['cookie'], 0, 'the daemon answers')
        deaf.close()


@test
def a_peer_that_asks_and_does_not_read_is_not_listened_to():
    with Engine() as e:
        deaf, good = e.peer(), e.peer()
        before = resident_kb(e.pid)
        deaf.socket.setblocking(False)
        end = time.monotonic() + 3
        said = 0
        while time.monotonic() < end and said < 100000:
            try:
                deaf.begin('name_find', name='x')
                said += 1
            except BlockingIOError:
                break
        check(said < 100000, 'it is listened to')
        good.done('name_find', name='x')
        check(resident_kb(e.pid) < before + 8192, 'memory')


@test
def guessed_cookies_are_counted_and_slow_down():
    with Engine() as e:
        thief, good = e.peer(), e.peer()
        cookie = good.port()
        burst, rate = limit('IPC_GUESSES'), limit('IPC_GUESS_RATE')
        fd = memory(SEGMENT)
        began = time.monotonic()
        for i in range(burst + rate // 2):
            guess = cookie ^ (1 << i % 60)
            thief.done(*(('port_destroy', (), NOT_FOUND), ('port_receive', (), NOT_FOUND),
                         ('ipc_open', [fd], NOT_FOUND))[i % 3], cookie=guess)
        took = time.monotonic() - began
        check(took > 0.2, 'guessing is not slowed down: %.2f s' % took)
        os.close(fd)
        log = e.domain.log()
        for n in (10, 100):
            equal(log.count('has named %d ports that do not exist' % n), 1, 'audit of %d' % n)

        def others(engine):  # another process is not held up
            peer = engine.peer()
            for _ in range(50):
                peer.done('name_register', status=EXISTS, cookie=cookie, name='taken')
        good.done('name_register', cookie=cookie, name='taken')
        reap(e.child(others)[0])


@test
def connections_are_closed_by_their_two_sides_only():
    with Engine() as e:
        server, client, third = e.peer(), e.peer(), e.peer()
        cookie = server.port()
        connection = connect(client, server, cookie)
        fd = memory(SERVER_SEGMENT)
        third.done('ipc_close', status=NOT_FOUND, connection=connection)
        third.tell('ipc_accept', [fd], connection=connection)
        server.tell('ipc_accept', [fd], connection=connection)  # twice
        client.tell('ipc_accept', [fd], connection=connection)
        third.done('ipc_blob', [fd], NOT_FOUND, connection=connection)
        tag = client.open_begin(cookie)
        offer, (theirs,) = server.note('ipc_attach')
        os.close(theirs)
        third.tell('ipc_accept', [fd], connection=offer['connection'])
        client.done('ipc_close', status=NOT_FOUND, connection=offer['connection'])
        server.done('ipc_close', connection=offer['connection'], why=FULL)
        client.open_end(tag, TABLE_FULL)
        server.done('ipc_close', status=NOT_FOUND, connection=offer['connection'])
        server.done('ipc_close', connection=connection)
        equal(client.note('ipc_detach')[0]['why'], CLOSED, 'why')
        os.close(fd)


@test
def a_peer_may_talk_to_itself():
    with Engine() as e:
        peer = e.peer()
        cookie = peer.port()
        connection = connect(peer, peer, cookie)
        peer.done('ipc_close', connection=connection)
        equal(peer.note('ipc_detach')[0]['connection'], connection, 'the receiver is told')
        peer.done('ipc_close', status=NOT_FOUND, connection=connection)
        connect(peer, peer, cookie)
        peer.open_begin(cookie)
        peer.close()
        other = e.peer()
        until('its end', lambda: other.request('name_register', cookie=cookie,
                                               name='n')[0]['status'] == NOT_FOUND)


@test
def a_large_payload_goes_over_as_a_sealed_file():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        connection = connect(client, server, server.port())
        data = os.urandom(300000)
        sealed = SEAL | SHRINK | GROW | WRITE
        fd = memory(len(data), sealed, data)
        for sender, receiver in ((client, server), (server, client)):
            kicks = receiver.kicks()
            sender.done('ipc_blob', [fd], connection=connection, blob=2**63 + 1)
            note, (theirs,) = receiver.note('ipc_blob_came')
            equal((note['connection'], note['blob'], note['size']),
                  (connection, 2**63 + 1, len(data)), 'the note')
            equal(os.pread(theirs, len(data), 0), data, 'the payload')
            until('a kick of the receiver', lambda: receiver.kicks() != kicks)
            os.close(theirs)
        for bad in (memory(4096, sealed & ~WRITE), memory(4096, sealed & ~SHRINK), memory(0),
                    memory(4096)):
            client.done('ipc_blob', [bad], INVALID, connection=connection)
            os.close(bad)
        huge = memory(limit('IPC_BLOB') + 1, sealed)
        client.done('ipc_blob', [huge], -10, connection=connection)
        client.done('ipc_blob', status=INVALID, connection=connection)
        os.close(huge)
        os.close(fd)


@test
def tokens_are_the_same_for_the_next_daemon_and_only_for_their_user():
    with Engine() as e:
        tokens = e.domain.ask('token_get')[-1]['tokens']
        words = struct.unpack('<30Q', tokens)
        equal(words[0], 0, 'token 0')
        equal(len(set(words)), 30, 'different tokens')
        check(all(w > 2**32 for w in words[1:]), 'they are small numbers')
        path = os.path.join(e.domain.dir, 'state/secrets')
        equal(os.stat(path).st_mode & 0o777, 0o600, 'mode of the file')
        e.domain.kill_daemon()
        equal(e.domain.ask('token_get')[-1]['tokens'], tokens, 'after a restart')
        e.pid = e.domain.status()['pid']


@test
def a_port_is_announced_again_with_its_secret():
    with Engine() as e:
        first = e.peer()
        made = first.done('port_create', doorbell=4)
        cookie, secret = made['cookie'], made['secret']
        other = e.peer()
        other.done('port_create', status=EXISTS, cookie=cookie, secret=secret, doorbell=1)
        for wrong in (0, secret ^ 1, cookie):
            other.done('port_create', status=ACCESS, cookie=cookie, secret=wrong, doorbell=1)
        other.done('port_create', status=ACCESS, cookie=cookie ^ 1, secret=secret, doorbell=1)
        e.domain.kill_daemon()
        e.pid = e.domain.status()['pid']
        check(first.closed(), 'the connection is open')
        again, client = e.peer(), e.peer()
        again.done('port_create', status=ACCESS, cookie=cookie, secret=secret ^ 1, doorbell=4)
        equal(again.done('port_create', cookie=cookie, secret=secret, doorbell=4),
              {**made, 'tag_': again.tag}, 'the port')
        connect(client, again, cookie)


def listed(e, *words):
    return json.loads(e.domain.ctl('channel', *words, '-o', 'json').stdout)


@test
def connections_go_on_with_the_next_daemon():
    with Engine() as e:
        out, into = os.pipe()

        def serve(engine):
            server = engine.peer()
            made = server.done('port_create', doorbell=0)
            os.write(into, struct.pack('<QQ', made['cookie'], made['secret']))
            connection = server.accept()['connection']
            check(server.closed(), 'the daemon lives')
            again = until('the next daemon', lambda: rejoined(engine))
            again.done('port_create', cookie=made['cookie'], secret=made['secret'], doorbell=0)
            again.done('ipc_resume', connection=connection, cookie=made['cookie'],
                       pid=os.getppid(), flags=1)
            os.write(into, b'x')
            signal.pause()

        def rejoined(engine):
            try:
                peer = Peer(engine.domain)
            except (OSError, EOFError):
                return None
            engine.peers.append(peer)
            return peer
        client = e.peer()
        pid = os.fork()
        if pid == 0:
            try:
                e.peers = []
                serve(e)
            finally:
                os._exit(1)
        cookie, _ = struct.unpack('<QQ', os.read(out, 16))
        connection = client.open_end(client.open_begin(cookie))['connection']
        e.domain.kill_daemon()
        e.pid = e.domain.status()['pid']
        client = e.peer()
        equal(os.read(out, 1), b'x', 'the server is there again')
        for bad in ({'pid': os.getpid()}, {'pid': pid, 'flags': 1}):
            client.done('ipc_resume', status=EXISTS, connection=connection, cookie=cookie, **bad)
        for bad in ({'pid': 0}, {'pid': -1}, {'pid': pid, 'flags': 2}):
            client.done('ipc_resume', status=INVALID, connection=connection, cookie=cookie, **bad)
        client.done('ipc_resume', connection=connection, cookie=cookie, pid=pid)
        client.done('ipc_resume', status=EXISTS, connection=connection, cookie=cookie, pid=pid)
        row, = listed(e, 'ls')
        equal((row['connections'], row['pid']), (1, pid), 'the channel')
        reap(pid)
        note, _ = client.note('ipc_detach')
        equal((note['connection'], note['why']), (connection, DIED), 'the end of the server')
        # one whose other side has died meanwhile
        client.done('ipc_resume', connection=5, cookie=cookie, pid=pid)
        equal(client.note('ipc_detach')[0]['connection'], 5, 'it is gone')
        client.done('ipc_resume', connection=6, cookie=cookie, pid=os.getppid())
        client.done('ipc_close', connection=6)
        server = e.peer()  # numbers that somebody claims are not given to others
        cookie = server.port()
        number = connect(client, server, cookie)
        for i in range(1, 20):
            client.done('ipc_resume', connection=number + i, cookie=1, pid=os.getppid())
        number = connect(client, server, cookie)
        client.done('ipc_close', connection=number)
        equal(server.note('ipc_detach')[0]['connection'], number, 'the right one')
        os.close(out)
        os.close(into)


@test
def numbers_of_doorbells_and_flags_are_checked():
    with Engine() as e:
        peer, bare = e.peer(), e.peer(page=False)
        for doorbell in (63, 64, 2**31, 2**32 - 2):
            peer.done('port_create', status=INVALID, doorbell=doorbell)
        peer.done('port_create', status=INVALID, doorbell=0, flags=4)
        bare.done('port_create', status=INVALID, doorbell=0)
        cookie = bare.port(doorbell=NO_DOORBELL)
        bare.done('port_receive', status=INVALID, cookie=cookie, doorbell=0)
        for doorbell, flags in ((63, 0), (NO_DOORBELL, 0), (0, 2), (2**31, 0)):
            peer.done('port_receive', status=INVALID, cookie=cookie, doorbell=doorbell,
                      flags=flags)
        peer.done('port_receive', cookie=cookie, doorbell=62)


@test
def ports_and_peers_meet_the_limits_of_their_process():
    with Engine() as e:
        most = limit('IPC_PROCESS_PEERS')
        peers = [e.peer() for _ in range(most)]
        extra = Peer(e.domain)
        equal(extra.joined['status'], TABLE_FULL, 'one more peer')
        extra.close()
        ports = limit('IPC_PROCESS_PORTS')
        for i in range(ports):
            peers[i % most].done('port_create', doorbell=i % 63)
        peers[0].done('port_create', status=TABLE_FULL, doorbell=0)
        peers[1].close()
        until('room again', lambda: peers[0].request('port_create')[0]['status'] == 0)


run()
