# SPDX-License-Identifier: MIT
"""What cloudosctl tells about channels, messages and capabilities."""
import fcntl
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import threading

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (CTL, LIMIT, check, equal, run, test, until)  # noqa: E402
from peers import (FUTURE_WRITE, GROW, PAGE, REVOKED, SEAL, SEGMENT, SERVER_SEGMENT, SHRINK,  # noqa: E402
                   Engine, connect, memory, reap)

NOT_FOUND, ACCESS = -3, -5


def segments(client, server, cookie):
    """A connection whose segments the test may write: (connection, of client, of server)."""
    maps, fds = [], []
    for size in (SEGMENT, SERVER_SEGMENT):
        fds.append(memory(size, seals=0))
        maps.append(mmap.mmap(fds[-1], size))
        fcntl.fcntl(fds[-1], 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
    client.begin('ipc_open', [fds[0]], cookie=cookie)
    offer, (theirs,) = server.note('ipc_attach')
    server.tell('ipc_accept', [fds[1]], connection=offer['connection'])
    connection = client.open_end(client.tag)['connection']
    for fd in fds + [theirs]:
        os.close(fd)
    return connection, maps[0], maps[1]


COUNTS, LATENCY, BUCKETS, SLOTS = 64, 128, 40, 64  # in a client's segment
FIELDS = ('messages', 'answers', 'bytes', 'bytes_back', 'errors', 'sleeps', 'wakes', 'depth_max')
SLOT_FIELDS = ('answers', 'bytes', 'bytes_back')  # each slot has its own, added up


def count(segment, **values):
    for name, value in values.items():
        if name not in SLOT_FIELDS:
            struct.pack_into('<Q', segment, COUNTS + 8 * FIELDS.index(name), value)
            continue
        for slot, part in ((0, value // 3), (SLOTS - 1, value - value // 3)):
            struct.pack_into('<Q', segment, LATENCY + 8 * BUCKETS + 32 * slot +
                             8 * SLOT_FIELDS.index(name), part)


def listed(e, *words):
    return json.loads(e.domain.ctl('channel', *words, '-o', 'json').stdout)


@test
def channels_are_listed_with_what_their_programs_have_counted():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie, idle = server.port(), server.port()
        for name in ('SYSTEM::VFS', 'second'):
            server.done('name_register', cookie=cookie, name=name)
        connection, mine, _ = segments(client, server, cookie)
        count(mine, messages=1000, answers=990, bytes=64000, bytes_back=5, errors=3, depth_max=9)
        struct.pack_into('<Q', mine, LATENCY + 8 * 10, 980)
        struct.pack_into('<Q', mine, LATENCY + 8 * 20, 10)
        rows = listed(e, 'ls')
        equal([r['name'] for r in rows], ['SYSTEM::VFS, second', ''], 'names')
        row = rows[0]
        equal({k: row[k] for k in ('pid', 'messages', 'answers', 'bytes', 'bytes_back', 'errors',
                                   'pending', 'depth_max', 'connections', 'receivers', 'opens')},
              {'pid': os.getpid(), 'messages': 1000, 'answers': 990, 'bytes': 64000,
               'bytes_back': 5, 'errors': 3, 'pending': 7, 'depth_max': 9, 'connections': 1,
               'receivers': 1, 'opens': 1}, 'the row')
        check(0 < row['took_p50_ns'] and 0 < row['took_p90_ns'] < row['took_p99_ns'],
              'latency: %s' % row)
        check(4096 <= row['memory'] <= 2 * SEGMENT, 'memory: %d' % row['memory'])
        said = e.domain.ctl('channel', 'ls').stdout + e.domain.ctl('channel', 'ls', 'second').stdout
        check(str(cookie) not in said and '%x' % cookie not in said, 'a cookie is shown')
        equal(len(listed(e, 'ls', 'second')), 1, 'one channel')
        stats = listed(e, 'stats', str(row['id']))
        equal((stats['messages'], stats['channels'], stats['tokens']), (1000, 1, 29), 'stats')
        buckets = listed(e, 'stats', '--histogram')
        equal([b['answers'] for b in buckets], [980, 10], 'histogram')
        # what has been stays counted
        client.done('ipc_close', connection=connection)
        row = listed(e, 'ls')[0]
        equal((row['messages'], row['pending'], row['connections']), (1000, 0, 0), 'afterwards')
        for words in (('ls', 'none'), ('stats', '99'), ('kill', 'none'), ('trace', '99')):
            said = e.domain.ctl('channel', *words, status=4).stderr
            check('there is no channel' in said, said)
        r = subprocess.run([CTL, 'channel', 'top', '-n', '1', '-o', 'json'], env=e.domain.env,
                           capture_output=True, text=True, timeout=LIMIT)
        equal(r.returncode, 0, r.stderr)
        equal(sorted(r['id'] for r in json.loads(r.stdout)), [r['id'] for r in listed(e, 'ls')],
              'channels of top')


@test
def segments_full_of_nonsense_are_nonsense_in_lists_and_nothing_else():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        for fill in (b'\xff', b'\x80\x01\x7f'):
            _, mine, theirs = segments(client, server, cookie)
            for segment in (mine, theirs):
                segment[:PAGE * 3] = (fill * PAGE * 3)[:PAGE * 3]
        row, = listed(e, 'ls')
        check(row['pending'] <= 2 * 64 and row['depth_max'] <= 64, 'the row: %s' % row)
        equal(len(listed(e, 'stats', '--histogram')), 40, 'histogram')
        listed(e, 'ls', '--deadlocks')


@test
def a_revoked_channel_is_gone_for_everybody():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        made = server.done('port_create', doorbell=0)
        cookie = made['cookie']
        server.done('name_register', cookie=cookie, name='victim')
        connection = connect(client, server, cookie)
        e.domain.ctl('channel', 'kill', 'victim')
        for peer in (client, server):
            note, _ = peer.note('ipc_detach')
            equal((note['connection'], note['why']), (connection, REVOKED), 'detach')
        note, _ = server.note('port_gone')
        equal((note['cookie'], note['why']), (cookie, REVOKED), 'port_gone')
        fd = memory(SEGMENT)
        client.done('ipc_open', [fd], NOT_FOUND, cookie=cookie)
        os.close(fd)
        server.done('port_create', status=ACCESS, cookie=cookie, secret=made['secret'], doorbell=0)
        equal(client.done('name_find', name='victim')['cookie'], 0, 'its name')
        check('is revoked: process' in e.domain.log(), 'it is not in the log')


@test
def a_trace_shows_what_the_receiver_writes_down():
    with Engine() as e:
        server, client = e.peer(), e.peer()
        cookie = server.port()
        connection, _, _ = segments(client, server, cookie)
        other, _, _ = segments(client, server, server.port())
        id = listed(e, 'ls')[0]['id']
        trace = subprocess.Popen([CTL, 'channel', 'trace', str(id)], env=e.domain.env,
                                 stdout=subprocess.PIPE, text=True)
        flags = 12
        until('the flag', lambda: server.control[flags] == 1)
        equal(client.control[flags], 0, 'the flag of the client')
        size = PAGE + 256 * 128
        fd = memory(size, seals=0)
        capture = mmap.mmap(fd, size)
        fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
        for n, (c, data) in enumerate(((connection, b'hello\n'), (other, b'not'),
                                       (connection, b'\\end'), (2**60, b'nobody'))):
            struct.pack_into('<QQQQIIIHBB', capture, PAGE + 128 * n, n + 1, 0, c, 7, 42, len(data),
                             os.getpid(), 0, 2, 0)
            capture[PAGE + 128 * n + 64:PAGE + 128 * n + 64 + len(data)] = data
        capture[16:24] = struct.pack('<Q', 4)
        server.tell('ipc_capture', [fd])
        got = [trace.stdout.readline() for _ in range(2)]
        check('received connection %x seq 42 tag 7 size 6 "hello\\x0a"' % connection in got[0], got)
        check('"\\x5cend"' in got[1], got)
        capture[16:24] = b'\xff' * 8  # and nonsense
        client.done('port_destroy', cookie=cookie)
        equal(trace.wait(LIMIT), 0, 'exit status behind the end of the channel')
        until('the flag is gone', lambda: server.control[flags] == 0)
        trace.stdout.close()
        os.close(fd)


@test
def a_trace_of_all_shows_every_channel():
    with Engine() as e:
        one, two, client = e.peer(), e.peer(), e.peer()
        trace = subprocess.Popen([CTL, 'channel', 'trace', '-o', 'json'], env=e.domain.env,
                                 stdout=subprocess.PIPE, text=True)
        ids = []
        for n, server in enumerate((one, two)):  # made while it runs
            connection, _, _ = segments(client, server, server.port())
            ids.append(max(row['id'] for row in listed(e, 'ls')))
            until('the flag', lambda: server.control[12] == 1)
            size = PAGE + 256 * 128
            fd = memory(size, seals=0)
            capture = mmap.mmap(fd, size)
            fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
            struct.pack_into('<QQQQIIIHBB', capture, PAGE, 1, 0, connection, 7 + n, 42, 0,
                             os.getpid(), 0, 2, 0)
            capture[16:24] = struct.pack('<Q', 1)
            server.tell('ipc_capture', [fd])
            os.close(fd)
            row = json.loads(trace.stdout.readline())
            equal((row['id'], row['tag']), (ids[n], 7 + n), 'a message')
        trace.kill()
        trace.wait(LIMIT)
        trace.stdout.close()
        until('the flags are gone', lambda: (one.control[12], two.control[12]) == (0, 0))


def waits_there(segment, ticket=1, seq=5):
    """Writes a message that a sleeping thread waits for into slot 0."""
    struct.pack_into('<QQQQII', segment, PAGE, ticket, 0, 0, 0, 0, seq)
    struct.pack_into('<I', segment, 2 * PAGE, 1)


@test
def processes_that_wait_for_each_other_are_reported():
    with Engine() as e:
        me = e.peer()
        mine = me.port()
        out, into = os.pipe()
        back, again = os.pipe()

        def other(engine):
            peer = engine.peer()
            cookie = peer.port()
            os.write(into, struct.pack('<Q', cookie))
            peer.accept()
            fd = memory(SEGMENT, seals=0)
            segment = mmap.mmap(fd, SEGMENT)
            fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
            peer.begin('ipc_open', [fd], cookie=mine)
            tag = peer.tag

            def later():
                peer.open_end(tag)
                waits_there(segment)
                os.write(again, b'x')
                threading.Event().wait()
            threading.Thread(target=later, daemon=True).start()
        pid = os.fork()
        if pid == 0:
            try:
                e.peers = []
                other(e)
                signal.pause()
            finally:
                os._exit(1)
        theirs, = struct.unpack('<Q', os.read(out, 8))
        fd = memory(SEGMENT, seals=0)
        segment = mmap.mmap(fd, SEGMENT)
        fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
        me.begin('ipc_open', [fd], cookie=theirs)
        me.open_end(me.tag)
        me.accept()
        os.read(back, 1)
        equal(listed(e, 'ls', '--deadlocks'), [], 'one of two waits')
        waits_there(segment)
        row, = until('the report', lambda: listed(e, 'ls', '--deadlocks'))
        equal(row['processes'], 2, 'processes')
        check(row['who'] in ('%d -> %d -> %d' % (pid, os.getpid(), pid),
                             '%d -> %d -> %d' % (os.getpid(), pid, os.getpid())), row['who'])
        equal(e.domain.log().count('wait for each other'), 1, 'lines in the log')
        segment[2 * PAGE] = 0  # nobody waits any more
        until('its end', lambda: not listed(e, 'ls', '--deadlocks'))
        reap(pid)
        for fd in (fd, out, into, back, again):
            os.close(fd)


@test
def capabilities_are_listed_by_name_and_holders():
    with Engine() as e:
        one, two = e.peer(), e.peer()
        one.tell('ipc_holds', calls=1 << 8 | 1 << 29 | 1 << 63)
        two.tell('ipc_holds', calls=1 << 8)
        one.done('name_find', name='x')
        two.done('name_find', name='x')
        rows = json.loads(e.domain.ctl('capability', 'ls', '-o', 'json').stdout)
        equal([r['id'] for r in rows], list(range(1, 30)), 'ids')
        equal({r['name']: r['holders'] for r in rows if r['holders']},
              {'send_message': 2, rows[28]['name']: 1}, 'holders')
        words = struct.unpack('<30Q', e.domain.ask('token_get')[-1]['tokens'])
        said = json.dumps(rows)
        check(not any(str(w) in said or '%x' % w in said for w in words[1:]), 'a token is shown')
        two.close()
        until('one holder', lambda: '"holders": 2' not in e.domain.ctl(
            'capability', 'ls', '-o', 'json').stdout)


run()
