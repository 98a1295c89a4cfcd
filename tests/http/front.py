# SPDX-License-Identifier: MIT
"""The front of a service: what passes through, what is filled in, who is mixed up with whom."""
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

from talk import LIMIT, Connection, Gateway, check, equal, run, test, until
from harness import EXEC, Domain, Guest, resident_kb

HERE = os.path.dirname(os.path.abspath(__file__))
GET = 'GET %s HTTP/1.1\r\nHost: core\r\n\r\n'


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def field(self, name):
        found = [v for n, v in self.fields if n.lower() == name.lower()]
        check(len(found) < 2, 'two fields %s' % name)
        return found[0] if found else None

    def json(self):
        equal(self.field('content-type'), 'application/json', 'the type of %r' % self.body)
        return json.loads(self.body)

    def code(self):
        return self.json()['error']['code']


class Client(Connection):
    """Reads answers with a length, in chunks and until the end."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(LIMIT)
        self.rest = b''

    def head(self):
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        version, status, _ = lines[0].split(' ', 2)
        equal(version, 'HTTP/1.1', 'the version')
        return Answer(int(status), [tuple(line.split(': ', 1)) for line in lines[1:]], b'')

    def exactly(self, n):
        while len(self.rest) < n:
            if not self.more():
                raise EOFError('the body ended after %d of %d bytes' % (len(self.rest), n))
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    def pieces(self, answer):
        if answer.field('transfer-encoding') == 'chunked':
            while True:
                size = int(self.until(b'\r\n'), 16)
                piece = self.exactly(size)
                equal(self.exactly(2), b'\r\n', 'the end of a chunk')
                if not size:
                    return
                yield piece
        elif answer.field('content-length') is not None:
            yield self.exactly(int(answer.field('content-length')))
        else:
            yield self.ended()

    def whole(self, head=False):
        answer = self.head()
        while answer.status == 102:
            answer = self.head()
        if not head:
            answer.body = b''.join(self.pieces(answer))
        return answer


class Front(Gateway):
    """A daemon, and the service core under it."""

    def __enter__(self):
        super().__enter__()
        self.program = None
        with open(os.path.join(self.dir, 'state/addresses')) as f:
            text = f.read()
        block = re.search(r'^block (\d+)$', text, re.M).group(1)
        place = re.search(r'^(\d+) blackroad-os-core$', text, re.M).group(1)
        self.at = ('127.77.%s.%s' % (block, place), 8000)
        return self

    def run(self):
        words = [EXEC, '--personality=blackroad', '--service=core', '--', sys.executable,
                 os.path.join(HERE, 'front_service.py')]
        guest = Guest.__new__(Guest)
        guest.process = subprocess.Popen(words, env=self.env, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         start_new_session=True)
        guest.buffer = b''
        self.guests.append(guest)
        equal(guest.line(), 'ready', 'the first word of the program')
        self.program = guest
        return guest

    def dial(self):
        return Client(self.at)

    def ask(self, *words, **values):
        """The daemon, over its own socket."""
        return Domain.ask(self, *words, **values)

    def say(self, path, *fields, method='GET', body=None):
        with self.dial() as c:
            c.send(request(path, *fields, method=method, body=body))
            return c.whole(method == 'HEAD')

    def numbers(self):
        return self.say('/numbers').json()


def request(path, *fields, method='GET', body=None):
    lines = ['%s %s HTTP/1.1' % (method, path), 'Host: core', *fields]
    if body is not None:
        lines.append('Content-Length: %d' % len(body))
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + (body or b'')


def service(function, **http):
    """A test with a service whose program runs."""
    def with_program():
        with Front(**http) as f:
            f.run()
            function(f)
            equal(f.numbers()['mixed'] if f.program.process.poll() is None else 0, 0,
                  'requests that were none')
    with_program.__name__ = function.__name__
    return test(with_program)


# ---- what passes ----

@service
def what_is_asked_and_answered_passes_as_it_is(f):
    body = os.urandom(5000)
    a = f.say('/echo?a=%20b&c', 'X-Mine: as It is', 'x-lower: 1', method='PATCH', body=body)
    equal((a.status, a.field('X-MiXed-Case')), (200, 'kept'), 'the answer')
    check(('X-MiXed-Case', 'kept') in a.fields, 'names as they were written: %r' % a.fields)
    seen = a.json()
    equal((seen['method'], seen['target'], seen['size']), ('PATCH', '/echo?a=%20b&c', 5000), 'it')
    equal(seen['digest'], hashlib.sha256(body).hexdigest(), 'the body')
    fields = [tuple(x) for x in seen['fields']]
    for want in (('Host', 'core'), ('X-Mine', 'as It is'), ('x-lower', '1'),
                 ('X-Forwarded-For', '127.0.0.1'), ('X-Forwarded-Host', 'core'),
                 ('X-Forwarded-Proto', 'http'), ('Content-Length', '5000')):
        check(want in fields, '%r in %r' % (want, fields))


@service
def what_is_of_one_connection_does_not_pass(f):
    seen = f.say('/echo', 'Connection: keep-alive, X-Secret', 'Keep-Alive: timeout=5',
                 'X-Secret: 1', 'TE: trailers', 'Proxy-Connection: close',
                 'X-Forwarded-For: 10.0.0.1').json()
    names = [n.lower() for n, _ in seen['fields']]
    for name in ('connection', 'keep-alive', 'x-secret', 'te', 'proxy-connection'):
        check(name not in names, '%s passes' % name)
    check(['X-Forwarded-For', '10.0.0.1, 127.0.0.1'] in seen['fields'], 'who came before')


@service
def bodies_in_chunks_pass_both_ways(f):
    with f.dial() as c:
        c.send(b'POST /echo HTTP/1.1\r\nHost: core\r\nTransfer-Encoding: chunked\r\n\r\n')
        for piece in (b'a', b'bc' * 5000, b'd'):
            c.send(b'%x;x=y\r\n%s\r\n' % (len(piece), piece))
        c.send(b'0\r\nX-Trailer: 1\r\n\r\n')
        equal(c.whole().json()['size'], 10002, 'what arrived')
        c.send((GET % '/chunked').encode())
        a = c.whole()
        equal(a.body, b''.join(b'%05d' % i for i in range(100)), 'what came back')
        c.send((GET % '/numbers').encode())
        equal(c.whole().status, 200, 'the next request of the connection')


@service
def requests_sent_together_are_answered_in_their_order(f):
    with f.dial() as c:
        paths = ['/echo?%d' % i for i in range(50)] + ['/health', '/chunked', '/echo?last']
        c.send(b''.join(request(p) if i % 2 else request(p, method='POST', body=b'x' * i)
                        for i, p in enumerate(paths)))
        for i, path in enumerate(paths):
            a = c.whole()
            if path.startswith('/echo'):
                seen = a.json()
                equal((seen['target'], seen['size']), (path, 0 if i % 2 else i), 'answer %d' % i)


@service
def an_answer_that_ends_with_its_connection_gets_an_end(f):
    with f.dial() as c:
        c.send((GET % '/eof').encode())
        a = c.whole()
        equal((a.field('transfer-encoding'), a.body), ('chunked', b'until the end'), 'it')
        c.send((GET % '/numbers').encode())
        equal(c.whole().status, 200, 'the next')
    with f.dial() as c:
        c.send(b'GET /eof HTTP/1.0\r\n\r\n')
        a = c.whole()
        equal((a.field('transfer-encoding'), a.field('connection'), a.body),
              (None, 'close', b'until the end'), 'for HTTP/1.0')


@service
def head_has_no_body_and_the_connection_goes_on(f):
    with f.dial() as c:
        for path in ('/echo', '/health', '/nowhere'):
            c.send(request(path, method='HEAD'))
            a = c.whole(head=True)
            check(int(a.field('content-length')) > 0, path)
        c.send((GET % '/numbers').encode())
        equal(c.whole().status, 200, 'the next')


@service
def events_come_at_once_and_who_goes_away_is_missed(f):
    with f.dial() as c:
        c.send((GET % '/events').encode())
        a = c.head()
        equal(next(c.pieces(a)), b'data: 1\n\n', 'the first event')
        before = f.numbers()['closed']
    until('the end at the program', lambda: f.numbers()['closed'] > before)


@service
def a_changed_protocol_belongs_to_both_ends(f):
    with f.dial() as c:
        c.send(request('/upgrade', 'Connection: Upgrade', 'Upgrade: shout') + b'early ')
        a = c.head()
        equal((a.status, a.field('upgrade'), a.field('connection')),
              (101, 'shout', 'Upgrade'), 'the answer')
        equal(c.exactly(12), b'hello EARLY ', 'what was sent with the request')
        c.send(b'and late')
        equal(c.exactly(8), b'AND LATE', 'and later')
        c.socket.shutdown(socket.SHUT_WR)
        equal(c.ended(), b'bye', 'the last word of the program')


@service
def a_client_that_waits_for_100_gets_the_programs(f):
    with f.dial() as c:
        c.send(b'POST /continue HTTP/1.1\r\nHost: core\r\nExpect: 100-continue\r\n'
               b'Content-Length: 5\r\n\r\n')
        equal(c.head().status, 100, 'go on')
        c.send(b'12345')
        equal(c.whole().json()['size'], 5, 'what arrived')


@service
def a_hundred_megabytes_pass_without_growing_anything(f):
    n = 100 << 20
    pid = f.status()['pid']
    before = resident_kb(pid)
    with f.dial() as c:
        c.send((GET % ('/big?n=%d' % n)).encode())
        a, got, most = c.head(), 0, 0
        got = len(c.rest)
        while got < n:
            data = c.socket.recv(1 << 20)
            check(data, 'the body ended after %d' % got)
            got += len(data)
            most = max(most, resident_kb(pid)) if got % 16 == 0 else most
        most = max(most, resident_kb(pid))
    with f.dial() as c:
        c.send(b'POST /echo HTTP/1.1\r\nHost: core\r\nContent-Length: %d\r\n\r\n' % n)
        piece = bytes(1 << 20)
        for _ in range(100):
            c.send(piece)
            most = max(most, resident_kb(pid))
        equal(c.whole().json()['size'], n, 'what arrived')
    check(most - before < 8192, 'the daemon grew by %d kB' % (most - before))


@service
def a_reader_that_stops_holds_up_the_program_only(f):
    with f.dial() as c:
        c.send((GET % '/big?n=1000000000').encode())
        c.head()
        last = [-1]

        def stands():
            now = f.numbers()['bytes']
            same, last[0] = now == last[0], now
            return same and now
        until('the program to be held up', stands)
        check(last[0] < 100 << 20, '%d bytes have been taken' % last[0])
        equal(f.say('/echo').status, 200, 'somebody else meanwhile')


@service
def two_hundred_and_fifty_six_at_once(f):
    failed = []

    def one(i):
        try:
            for k in range(4):
                body = b'%d-%d' % (i, k) * 500
                seen = f.say('/echo?%d-%d' % (i, k), method='POST', body=body).json()
                equal((seen['target'], seen['digest']),
                      ('/echo?%d-%d' % (i, k), hashlib.sha256(body).hexdigest()), 'it')
        except Exception as e:
            failed.append(repr(e))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(256)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(failed[:3], [], 'failures')


# ---- what is filled in ----

@service
def what_the_program_lacks_the_gateway_answers_for_it(f):
    equal(f.say('/health').json(), {'status': 'healthy'}, 'health')
    equal(f.say('/version').json()['service'], 'blackroad-os-core', 'version')
    identity = f.say('/v1/sys/identity').json()
    equal((identity['service'], identity['role'], identity['runtime']['port']),
          ('blackroad-os-core', 'core', 8000), 'identity')
    check('checks' in f.say('/v1/sys/health').json(), 'health')
    equal(f.say('/v1/sys/version').json()['service'], 'blackroad-os-core', 'version')
    equal(f.say('/v1/sys/config').json()['service']['name'], 'blackroad-os-core', 'config')
    put = f.say('/v1/sys/state', method='PUT', body=b'{"key":"k","value":9007199254740993}')
    equal(put.status, 200, 'put')
    check(b'9007199254740993' in f.say('/v1/sys/state?key=k').body, 'what was put')
    equal(f.say('/v1/sys/rpc', method='POST', body=b'{"method":"sys.ping"}').status, 200, 'rpc')
    a = f.say('/nowhere')
    equal((a.status, a.body), (404, b'<h1>Cannot /nowhere</h1>'), 'what is no endpoint')


@service
def a_program_that_has_an_endpoint_says_no_itself(f):
    a = f.say('/v1/sys/state?key=none&own=1')
    equal(a.json(), {'error': 'Key not found, says the program'}, 'the answer')


@service
def a_body_that_the_program_refused_reaches_the_gateway_whole(f):
    value = 'x' * 500000
    with f.dial() as c:
        text = json.dumps({'key': 'long', 'value': value}).encode()
        c.send(b'PUT /v1/sys/state HTTP/1.1\r\nHost: core\r\nTransfer-Encoding: chunked\r\n\r\n')
        for at in range(0, len(text), 50000):
            piece = text[at:at + 50000]
            c.send(b'%x\r\n%s\r\n' % (len(piece), piece))
        c.send(b'0\r\n\r\n')
        equal(c.whole().status, 200, 'put')
    equal(f.say('/v1/sys/state?key=long').json()['value'], value, 'what was put')


@test
def without_a_program_the_gateway_is_the_service():
    with Front() as f:
        equal(f.say('/health').json(), {'status': 'healthy'}, 'health')
        equal(f.say('/v1/sys/identity').json()['service'], 'blackroad-os-core', 'identity')
        f.run()
        equal(f.say('/echo').status, 200, 'the program')
        with f.dial() as c:
            c.send((GET % '/echo').encode())
            equal(c.whole().status, 200, 'the program')
            f.program.finish()
            until('the gateway on the same connection', lambda: c.send(
                (GET % '/v1/sys/identity').encode()) or c.whole().status == 200)
        until('the gateway', lambda: f.say('/echo').status == 404)
        equal(f.say('/health').status, 200, 'health')


# ---- enemies ----

@service
def a_backend_that_answers_garbage_is_502_with_a_sentence(f):
    for path in ('/garbage', '/nothing', '/half', '/two', '/both', '/endless', '/unasked',
                 '/interim'):
        a = f.say(path)
        equal((path, a.status, a.code()), (path, 502, 'BAD_GATEWAY'), 'the answer')
        check('blackroad-os-core' in a.json()['error']['message'] or path == '/unasked',
              a.json())
    with f.dial() as c:
        c.send((GET % '/garbage').encode() + (GET % '/echo').encode())
        equal((c.whole().status, c.whole().status), (502, 200), 'and the connection goes on')


@service
def an_answer_that_breaks_off_is_not_taken_for_a_whole_one(f):
    for path in ('/mid', '/midchunk'):
        with f.dial() as c:
            c.send((GET % path).encode())
            try:
                c.whole()
            except (EOFError, ConnectionResetError):
                continue
            raise AssertionError(path + ' looks like a whole answer')


@service
def what_follows_an_answer_is_nobodys(f):
    with f.dial() as c:
        c.send((GET % '/split').encode() * 2 + (GET % '/echo').encode())
        equal([c.whole().body for _ in range(2)], [b'ab', b'ab'], 'the answers')
        equal(c.whole().json()['target'], '/echo', 'the next')


@service
def two_requests_in_one_are_refused_and_never_arrive(f):
    before = f.numbers()['requests']
    evil = b'GET /evil HTTP/1.1\r\nHost: core\r\n\r\n'
    for fields in (b'Content-Length: %d\r\nTransfer-Encoding: chunked' % len(evil),
                   b'Content-Length: 0\r\nContent-Length: %d' % len(evil),
                   b'Content-Length: +%d' % len(evil), b'Transfer-Encoding: chunked, identity',
                   b'Transfer-Encoding: xchunked', b'Transfer-Encoding : chunked',
                   b'X: 1\r\n Content-Length: 0'):
        with f.dial() as c:
            c.send(b'POST /echo HTTP/1.1\r\nHost: core\r\n' + fields + b'\r\n\r\n' + evil)
            a = c.whole()
            check(a.status in (400, 501), '%r: %d' % (fields, a.status))
            a.code()
            equal(c.ended(), b'', 'what follows')
    equal(f.numbers()['requests'], before + 1, 'requests that arrived')


@service
def an_answer_before_the_request_has_ended_is_given(f):
    with f.dial() as c:
        c.send(b'POST /early HTTP/1.1\r\nHost: core\r\nContent-Length: 100000000\r\n\r\n1234')
        a = c.whole()
        equal((a.status, a.field('connection')), (413, 'close'), 'the answer')
    equal(f.say('/echo').status, 200, 'the next')


@service
def a_get_on_a_connection_that_had_died_is_said_again(f):
    for _ in range(3):
        equal(f.say('/between').status, 200, 'the answer')
        equal(f.say('/echo').status, 200, 'said again')
    equal(f.say('/between').status, 200, 'the answer')
    a = f.say('/echo', method='POST', body=b'once')
    equal(a.status, 502, 'a POST is not')


@test
def a_slow_backend_is_given_up_and_told_so():
    with Front(answer=400, head_deadline=10000) as f:
        f.run()
        a = f.say('/silent')
        equal((a.status, a.code()), (504, 'TIMEOUT'), 'silence')
        equal(f.say('/echo').status, 200, 'the next')


@test
def a_slow_client_is_given_up():
    with Front(head_deadline=300, body_deadline=300, idle=2000) as f:
        f.run()
        with f.dial() as c:
            c.send(b'GET /echo HT')
            equal(c.whole().code(), 'REQUEST_TIMEOUT', 'half a head')
        with f.dial() as c:
            c.send(b'POST /echo HTTP/1.1\r\nHost: core\r\nContent-Length: 5\r\n\r\n12')
            equal(c.whole().code(), 'REQUEST_TIMEOUT', 'half a body')
        with f.dial() as c:
            equal(c.ended(), b'', 'nothing at all')


@test
def a_backend_killed_in_the_middle_of_its_answer():
    with Front() as f:
        f.run()
        with f.dial() as c:
            c.send((GET % '/die').encode())
            try:
                c.whole()
            except (EOFError, ConnectionResetError):
                pass
            else:
                raise AssertionError('half an answer looks like a whole one')
        f.program.process.wait(LIMIT)
        until('the gateway in its place', lambda: f.say('/v1/sys/identity').status == 200)
        f.run()
        equal(f.say('/echo').status, 200, 'its successor')


@service
def who_connects_while_there_is_no_daemon_waits_for_the_next(f):
    for _ in range(3):
        with f.dial() as old:
            f.kill_daemon()
            with f.dial() as front, f.connect() as tcp, f.connect(unix=True) as unix:
                for c in (front, tcp, unix):
                    c.send(b'GET /v1/sys/version HTTP/1.1\r\nHost: localhost\r\n\r\n')
                equal(front.whole().json()['service'], 'blackroad-os-core', 'at the front')
                equal(tcp.answer().status, 200, 'at the gateway')
                equal(unix.answer().status, 200, 'at its Unix socket')
            equal(old.ended(), b'', 'who was connected before')
        equal(f.say('/echo').status, 200, 'the program')
    f.ctl('daemon', 'stop', '--force')
    for address in (f.at, f.address):
        try:
            socket.create_connection(address, LIMIT).close()
        except ConnectionRefusedError:
            continue
        raise AssertionError('%r listens without a daemon' % (address,))
    f.ctl('daemon', 'start')


@service
def strangers_names_of_hosts_and_tunnels_are_refused(f):
    with f.dial() as c:
        c.send(b'GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n')
        equal((c.whole().code(), True), ('FORBIDDEN', True), 'a page of somebody else')
    with f.dial() as c:
        c.send(b'CONNECT example.org:443 HTTP/1.1\r\nHost: core\r\n\r\n')
        equal(c.whole().status, 501, 'CONNECT')
    with f.dial() as c:
        c.send(b'GET http://core/echo?x HTTP/1.1\r\nHost: other\r\n\r\n')
        a = c.whole()
        equal(a.status, 403, 'a Host that is none')
    with f.dial() as c:
        c.send(b'GET http://core/echo?x HTTP/1.1\r\nHost: localhost\r\n\r\n')
        seen = c.whole().json()
        equal(seen['target'], '/echo?x', 'the target')
        check(['Host', 'core'] in seen['fields'], 'the host of the target counts')


if __name__ == '__main__':
    run()
