# SPDX-License-Identifier: MIT
"""Many requests on one connection: their order, their batches, who goes away in between."""
import socket

from talk import Gateway, check, equal, run, test, until

GET = b'GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n'
# is answered later, by a thread, when no check-up is fresh
LATER = GET % b'/v1/sys/health'


@test
def answers_come_in_the_order_of_their_requests():
    with Gateway() as g:
        for _ in range(3):
            with g.connect() as c:
                c.send(LATER + GET % b'/version' + GET % b'/nothing' + LATER + GET % b'/health')
                equal(set(c.answer().json()) > {'checks', 'memory'}, True, 'the first')
                equal(c.answer().json()['service'], 'cloudosd', 'the second')
                equal(c.answer().error(), 'NOT_FOUND', 'the third')
                equal('checks' in c.answer().json(), True, 'the fourth')
                equal(c.answer().json(), {'status': 'healthy'}, 'the fifth')


@test
def thousands_of_requests_at_once_are_all_answered():
    n = 5000
    with Gateway() as g:
        with g.connect() as c:
            c.socket.settimeout(60)
            import threading
            data = b''.join(GET % (b'/nothing/%d' % i) for i in range(n))
            sender = threading.Thread(target=c.send, args=(data,))
            sender.start()
            for i in range(n):
                answer = c.answer()
                equal(answer.status, 404, 'status')
                check(b'/nothing/%d"' % i in answer.body, 'answer %d is %r' % (i, answer.body))
            sender.join()
        equal(g.get().status, 200, 'the daemon afterwards')


@test
def who_does_not_read_is_not_read_from_and_loses_nothing():
    n = 200000
    with Gateway() as g:
        with g.connect() as c:
            c.socket.setblocking(False)
            data, sent = GET % b'/v1/sys/identity' * n, 0
            # until neither side takes anything more
            quiet = 0
            while quiet < 20 and sent < len(data):
                try:
                    sent += c.socket.send(data[sent:sent + 65536])
                    quiet = 0
                except BlockingIOError:
                    quiet += 1
                    equal(g.get().status, 200, 'somebody else')
            check(sent < len(data), 'the daemon takes %d bytes without an answer read' % sent)
            whole = sent // len(GET % b'/v1/sys/identity')
            c.socket.settimeout(60)
            for i in range(whole):
                equal(c.answer().status, 200, 'answer %d of %d' % (i, whole))


@test
def a_head_answer_has_the_head_of_get_and_no_body():
    with Gateway() as g:
        with g.connect() as c:
            for path in (b'/health', b'/version', b'/nothing', b'/v1/sys/config'):
                c.send(GET % path)
                whole = c.answer()
                c.send((GET % path).replace(b'GET', b'HEAD'))
                head = c.answer(head=True)
                equal(head.status, whole.status, path)
                for name in ('content-length', 'content-type'):
                    equal(head.headers.get(name), whole.headers[name], name)
            c.send(GET % b'/health')
            equal(c.answer().json(), {'status': 'healthy'}, 'the request behind')


@test
def a_wrong_method_is_told_which_are_right():
    with Gateway() as g:
        for method, path, allow in (('POST', '/health', 'GET, HEAD'),
                                    ('DELETE', '/v1/sys/log', 'POST'),
                                    ('OPTIONS', '/v1/sys/job/1', 'GET, HEAD'),
                                    ('GET', '/v1/sys/job/1/cancel', 'POST')):
            answer = g.get(path, method=method)
            equal((answer.status, answer.error()), (405, 'METHOD_NOT_ALLOWED'), path)
            equal(answer.headers['allow'], allow, path)
            equal(answer.reason, 'Method Not Allowed', path)
        equal(g.get('/v1/sys/job/a/b').status, 404, 'a job of two parts')
        equal(g.get('/v1/sys/health/subscribe').error(), 'NOT_FOUND', 'an endpoint of others')


@test
def a_connection_is_kept_when_the_client_keeps_it():
    with Gateway() as g:
        for first, kept in ((b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n', True),
                            (b'GET /health HTTP/1.1\r\nHost: localhost\r\n'
                             b'Connection: x, Close\r\n\r\n', False),
                            (b'GET /health HTTP/1.0\r\n\r\n', False),
                            (b'GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', True)):
            with g.connect() as c:
                c.send(first)
                answer = c.answer()
                if kept:
                    check(answer.headers.get('connection', 'keep-alive') == 'keep-alive', first)
                    c.send(first)
                    equal(c.answer().status, 200, first)
                else:
                    equal(answer.headers.get('connection'), 'close', first)
                    c.socket.shutdown(socket.SHUT_WR)
                    equal(c.ended(), b'', first)


@test
def a_client_that_waits_for_100_gets_it_when_its_body_is_wanted():
    with Gateway() as g:
        with g.connect() as c:
            c.send(b'PUT /v1/sys/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n'
                   b'Expect: 100-continue\r\n\r\n')
            equal(c.until(b'\r\n\r\n'), b'HTTP/1.1 100 Continue', 'the interim answer')
            c.send(b'{}')
            equal(c.answer().error(), 'NOT_FOUND', 'the answer')
        with g.connect() as c:
            c.send(b'PUT /v1/sys/state HTTP/1.1\r\nHost: localhost\r\n'
                   b'Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n')
            equal(c.answer().error(), 'BODY_TOO_LARGE', 'without an interim answer')
        with g.connect() as c:
            c.send(b'PUT /v1/sys/state HTTP/1.1\r\nHost: other.example\r\nContent-Length: 2\r\n'
                   b'Expect: 100-continue\r\n\r\n')
            equal(c.answer().error(), 'FORBIDDEN', 'without an interim answer')


@test
def who_goes_away_before_the_answer_does_no_harm():
    with Gateway() as g:
        for _ in range(200):
            with g.connect() as c:
                c.send(LATER)
        for _ in range(50):
            with g.connect() as c:
                c.send(LATER * 50)
        equal(g.get().status, 200, 'the daemon afterwards')
        until('a check-up', lambda: 'checks' in g.get('/v1/sys/health').json())


@test
def a_stopping_daemon_answers_what_it_has_and_ends():
    with Gateway() as g:
        with g.connect() as c, g.connect(unix=True) as idle:
            idle.send(GET % b'/health')
            equal(idle.answer().status, 200, 'before')
            c.send(LATER)
            g.ctl('daemon', 'stop')
            equal('checks' in c.answer().json(), True, 'what was asked before the stop')
            c.closed_within(30)
            idle.closed_within(30)


if __name__ == '__main__':
    run()
