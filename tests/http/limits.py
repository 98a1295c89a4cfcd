# SPDX-License-Identifier: MIT
"""Deadlines, numbers and sizes: who takes too long or too much loses only his own."""
import json
import os
import select
import socket
import threading
import time

from talk import Gateway, check, equal, run, test, until

GET = b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'


def drip(connections, byte, every, seconds):
    """Sends each one byte at a time until all are closed; how long that took."""
    start, open_ = time.monotonic(), set(connections)
    while open_ and time.monotonic() - start < seconds:
        for c in list(open_):
            try:
                c.socket.send(byte)
            except OSError:
                open_.discard(c)
        ready = select.select([c.socket for c in open_], [], [], every)[0] if open_ else []
        for c in [c for c in open_ if c.socket in ready]:
            try:
                if not c.more():
                    open_.discard(c)
            except OSError:
                open_.discard(c)
    check(not open_, '%d connections are still open' % len(open_))
    return time.monotonic() - start


@test
def a_head_that_drips_in_is_not_waited_for():
    with Gateway(head_deadline=500) as g:
        many = [g.connect() for _ in range(500)]
        for c in many:
            c.send(b'GET /health HTTP/1.1\r\nHost: localhost\r\nX: ')
        took = drip(many, b'a', 0.02, 60)
        check(took >= 0.4, 'closed after %.2f s' % took)
        for c in many:
            answer = c.answer()
            equal((answer.status, answer.error()), (408, 'REQUEST_TIMEOUT'), 'the answer')
            c.socket.close()
        equal(g.get().status, 200, 'somebody else')


@test
def a_body_that_drips_in_is_not_waited_for_and_a_steady_one_is():
    head = b'PUT /v1/sys/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n'
    with Gateway(body_deadline=300, body_rate=1000) as g:
        with g.connect() as c:
            c.send(head)
            drip([c], b' ', 0.02, 60)
            equal(c.answer().error(), 'REQUEST_TIMEOUT', 'dripping')
        with g.connect() as c:
            # three times the deadline, but ten times the rate
            c.send(head + b'{}')
            sent = 2
            start = time.monotonic()
            while sent < 100000:
                piece = min(5000, 100000 - sent)
                c.send(b' ' * piece)
                sent += piece
                time.sleep(0.05)
            check(time.monotonic() - start > 0.6, 'it was too fast for this test')
            equal(c.answer().error(), 'NOT_FOUND', 'steady')


@test
def an_idle_connection_ends_and_a_used_one_does_not():
    with Gateway(idle=400) as g:
        with g.connect() as idle, g.connect() as used, g.connect() as empty_lines:
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                used.send(GET)
                equal(used.answer().status, 200, 'the used one')
                try:
                    empty_lines.socket.send(b'\r\n')
                except OSError:
                    pass
                time.sleep(0.02)
            equal(idle.ended(), b'', 'the idle one')
            empty_lines.ended()


@test
def a_client_that_does_not_read_is_not_waited_for_either():
    with Gateway(idle=500) as g:
        with g.connect() as c:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = b'GET /v1/sys/identity HTTP/1.1\r\nHost: localhost\r\n\r\n' * 1000
            with_limit = time.monotonic() + 60
            try:
                while time.monotonic() < with_limit:
                    c.socket.settimeout(5)
                    c.send(request)
                raise AssertionError('it is still being read from')
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                pass
            until('its end', lambda: ended(c))


def ended(c):
    try:
        c.socket.settimeout(0.2)
        return not c.socket.recv(1 << 20)
    except TimeoutError:
        return False
    except OSError:
        return True


@test
def an_idle_connection_makes_room_for_a_new_one():
    with Gateway(connections=8) as g:
        old = [g.connect() for _ in range(8)]
        for c in old:
            c.send(GET)
            equal(c.answer().status, 200, 'one of eight')
        equal(g.get().status, 200, 'the ninth')
        equal(old[0].ended(), b'', 'the one that has been idle for longest')
        old[7].send(GET)
        equal(old[7].answer().status, 200, 'the youngest')
        for c in old:
            c.socket.close()


@test
def where_nobody_is_idle_a_new_connection_is_told_so():
    with Gateway(connections=8, head_deadline=600000) as g:
        busy = [g.connect() for _ in range(8)]
        for c in busy:
            c.send(GET + b'GET /hea')
            equal(c.answer().status, 200, 'the request before')

        def refused():
            with g.connect() as c:
                try:
                    answer = c.answer()
                except (EOFError, OSError):
                    return False
                equal((answer.status, answer.error()), (503, 'TOO_MANY_CONNECTIONS'), 'it')
                return True
        until('a refusal', refused)
        for c in busy:
            c.send(b'lth HTTP/1.1\r\nHost: localhost\r\n\r\n')
            equal(c.answer().status, 200, 'those that were there')
            c.socket.close()


@test
def a_body_may_be_as_large_as_configured_and_no_larger():
    def put(g, n, chunked):
        head = b'PUT /v1/sys/nothing HTTP/1.1\r\nHost: localhost\r\n'
        body = b'{}' + b' ' * (n - 2)
        with g.connect() as c:
            sender = threading.Thread(target=quietly, args=(c, (
                head + b'Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n' % (n, body)
                if chunked else head + b'Content-Length: %d\r\n\r\n' % n + body)))
            sender.start()
            code = c.answer().error()
            c.socket.shutdown(socket.SHUT_WR) if code == 'BODY_TOO_LARGE' else None
            sender.join()
            return code
    with Gateway(body=5000000) as g:
        for chunked in (False, True):
            equal(put(g, 5000000, chunked), 'NOT_FOUND', 'as large')
            equal(put(g, 5000001, chunked), 'BODY_TOO_LARGE', 'larger')
    with Gateway() as g:
        for chunked in (False, True):
            equal(put(g, 1 << 20, chunked), 'NOT_FOUND', 'as large by default')
            equal(put(g, 100 << 20, chunked), 'BODY_TOO_LARGE', 'a hundred times that')
        equal(g.get().status, 200, 'the daemon afterwards')


def quietly(c, data):
    try:
        c.send(data)
    except OSError:
        pass  # refused meanwhile


STREAM = b'GET /v1/sys/events HTTP/1.1\r\nHost: localhost\r\n\r\n'


def follow(g, data=STREAM):
    c = g.connect()
    c.send(data)
    head = c.until(b'\r\n\r\n')
    return c, int(head.split()[1])


@test
def there_are_as_many_streams_as_configured():
    with Gateway(streams=5) as g:
        first = [follow(g) for _ in range(5)]
        equal([status for _, status in first], [200] * 5, 'the first five')
        answer = g.ask(STREAM)
        equal((answer.status, answer.error()), (503, 'OVERLOADED'), 'the sixth')
        equal(answer.headers['retry-after'], '5', 'when to come again')
        first[0][0].socket.close()
        until('its place', lambda: follow(g)[1] == 200)
        for c, _ in first:
            c.socket.close()


@test
def who_does_not_read_a_stream_costs_the_daemon_a_bounded_queue():
    with Gateway() as g:
        lazy, _ = follow(g)
        lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        eager, _ = follow(g)
        before, text, n = resident(g), 'x' * 50000, 600  # thirty megabytes
        for i in range(n):
            answer = g.get('/v1/sys/event', method='POST', body={'event': 'e%d' % i, 'data': text})
            equal(answer.status, 201, 'event %d' % i)
            eager.until(b'"e%d"' % i)
        grown = resident(g) - before
        check(grown < 12000 or sanitized(), '%d kB are kept for who does not read' % grown)
        lazy.socket.close()
        eager.socket.close()


@test
def a_daemon_that_was_started_by_itself_stays_while_it_is_asked():
    with Gateway() as g:
        g.ctl('daemon', 'stop')
        with open(g.dir + '/config/cloudosd.yaml', 'a') as f:
            f.write('idle_timeout: 2\n')
        g.env['CLOUDOS_AUTOSTART'] = '1'
        g.start()
        with open(g.dir + '/run/http.json') as f:
            g.address = ('127.0.0.1', json.load(f)['port'])
        pids = g.processes(['cloudosd'])
        end = time.monotonic() + 5
        while time.monotonic() < end:
            equal(g.get().status, 200, 'while it is asked')
            time.sleep(0.3)
        c, _ = follow(g)
        time.sleep(4)
        equal(g.processes(['cloudosd']), pids, 'while somebody follows')
        c.socket.close()
        until('its end', lambda: not g.processes(['cloudosd']))


def sanitized():
    """Then memory is not what it is."""
    return 'address' in os.environ.get('CO_SANITIZERS', '')


def resident(g):
    pid = g.processes(['cloudosd'])[0]
    with open('/proc/%d/status' % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))


@test
def an_idle_connection_holds_no_buffers():
    with Gateway(connections=2000) as g:
        with g.connect() as c:
            c.send(GET)
            c.answer()
        before = resident(g)
        many = [g.connect() for _ in range(900)]
        for c in many:
            c.send(GET)
            equal(c.answer().status, 200, 'one of them')
        grown = resident(g) - before
        print('%d connections take %d kB' % (len(many), grown))
        check(grown < 2 * len(many) or sanitized(), '%d kB for %d' % (grown, len(many)))
        for c in many:
            c.socket.close()


if __name__ == '__main__':
    run()
