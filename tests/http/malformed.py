# SPDX-License-Identifier: MIT
"""What is no HTTP, or too much of it, is answered in JSON and ends the connection."""
from talk import Gateway, check, equal, run, test

HOST = b'Host: localhost\r\n'
CHUNKED = b'PUT /v1/sys/state HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: chunked\r\n\r\n'


def put(*fields, body=b''):
    return b'PUT /v1/sys/state HTTP/1.1\r\n' + HOST + b''.join(
        f + b'\r\n' for f in fields) + b'\r\n' + body


def get(*fields, first=b'GET /health HTTP/1.1', host=HOST):
    return first + b'\r\n' + host + b''.join(f + b'\r\n' for f in fields) + b'\r\n'


# name: (bytes, status).  The status 0: any of 400 to 599.
PROBES = {
    'a length beside chunks': (put(b'Content-Length: 3', b'Transfer-Encoding: chunked',
                                   body=b'0\r\n\r\n'), 400),
    'chunks beside a length': (put(b'Transfer-Encoding: chunked', b'Content-Length: 3',
                                   body=b'0\r\n\r\n'), 400),
    'two lengths': (put(b'Content-Length: 2', b'Content-Length: 3', body=b'{}x'), 400),
    'two equal lengths': (put(b'Content-Length: 2', b'Content-Length: 2', body=b'{}'), 400),
    'a list of lengths': (put(b'Content-Length: 2, 2', body=b'{}'), 400),
    'a length with a plus': (put(b'Content-Length: +21'), 400),
    'a length with a minus': (put(b'Content-Length: -1'), 400),
    'a hexadecimal length': (put(b'Content-Length: 0x10'), 400),
    'an empty length': (put(b'Content-Length:'), 400),
    'a length of words': (put(b'Content-Length: ten'), 400),
    'a length that overflows': (put(b'Content-Length: 18446744073709551617'), 400),
    'a length with a space': (put(b'Content-Length: 1 0'), 400),
    'a body that is too large': (put(b'Content-Length: 1048577'), 413),
    'an unknown coding': (put(b'Transfer-Encoding: gzip'), 0),
    'a coding before chunked': (put(b'Transfer-Encoding: gzip, chunked'), 0),
    'chunked twice': (put(b'Transfer-Encoding: chunked', b'Transfer-Encoding: chunked'), 400),
    'a coding with a vertical tab': (put(b'Transfer-Encoding: \x0bchunked'), 400),
    'chunks of HTTP/1.0': (b'PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400),
    'a NUL in a field': (get(b'X: a\0b'), 400),
    'a NUL in a name': (get(b'X\0: a'), 400),
    'a control character in a field': (get(b'X: a\x01b'), 400),
    'a DEL in a field': (get(b'X: a\x7fb'), 400),
    'a folded line': (get(b'X: a', b' b'), 400),
    'a folded line with a tab': (get(b'X: a', b'\tb'), 400),
    'a first line that begins with a space': (b'GET /health HTTP/1.1\r\n Host: a\r\n\r\n', 400),
    'a space before the colon': (get(b'X : a'), 400),
    'a space before the colon of Host': (get(host=b'Host : localhost\r\n'), 400),
    'a name without a colon': (get(b'nothing'), 400),
    'a field without a name': (get(b': a'), 400),
    'a name with a comma': (get(b'a,b: c'), 400),
    'no Host': (get(host=b''), 400),
    'two Hosts': (get(b'Host: localhost'), 400),
    'a Host with a slash': (get(host=b'Host: local/host\r\n'), 400),
    'a Host with a user': (get(host=b'Host: a@localhost\r\n'), 400),
    'a Host with half an address': (get(host=b'Host: [::1\r\n'), 400),
    'no HTTP at all': (b'hello\r\n\r\n', 400),
    'a hello of TLS': (b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400),
    'the preface of HTTP/2': (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 0),
    'HTTP/2.0': (get(first=b'GET /health HTTP/2.0'), 505),
    'HTTP/0.9 with a version': (get(first=b'GET /health HTTP/0.9'), 505),
    'HTTP/1.9': (get(first=b'GET /health HTTP/1.9'), 0),
    'HTTP/0.9 without one': (b'GET /health\r\n\r\n', 0),
    'a version in small letters': (get(first=b'GET /health http/1.1'), 400),
    'a method in small letters': (get(first=b'get /health HTTP/1.1'), 400),
    'a method that there is not': (get(first=b'FETCH /health HTTP/1.1'), 400),
    'no method': (get(first=b' /health HTTP/1.1'), 400),
    'a method of proxies': (b'CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n', 501),
    'a target with a fragment': (get(first=b'GET /a#b HTTP/1.1'), 400),
    'a target of nothing but a scheme': (get(first=b'GET http:/// HTTP/1.1'), 400),
    'a target of another scheme': (get(first=b'GET https://localhost/ HTTP/1.1'), 400),
    'two spaces in the first line': (get(first=b'GET  /health HTTP/1.1'), 400),
    'a tab in the first line': (get(first=b'GET\t/health\tHTTP/1.1'), 400),
    'a space in the target': (get(first=b'GET /a b HTTP/1.1'), 400),
    'a target without a slash': (get(first=b'GET health HTTP/1.1'), 400),
    'a target with a high byte': (get(first=b'GET /\xff HTTP/1.1'), 400),
    'a bad percent sign': (get(first=b'GET /%zz HTTP/1.1'), 400),
    'half a percent sign': (get(first=b'GET /health?a=%4 HTTP/1.1'), 400),
    'a NUL in the path': (get(first=b'GET /%00 HTTP/1.1'), 400),
    'a path that is no UTF-8': (get(first=b'GET /%ff HTTP/1.1'), 400),
    'a query that is no UTF-8': (get(first=b'GET /v1/sys/state?key=%c0%af HTTP/1.1'), 400),
    'a target of another host': (get(first=b'GET http://other/health HTTP/1.1'), 400),
    'a line feed alone': (b'GET /health HTTP/1.1\nHost: localhost\n\n', 400),
    'a line feed alone after a field': (b'GET /health HTTP/1.1\r\nHost: localhost\n\r\n', 400),
    'a carriage return alone': (b'GET /health HTTP/1.1\r\nHost: local\rhost\r\n\r\n', 400),
    'a line feed in front': (b'\nGET /health HTTP/1.1\r\n', 400),
    'many line ends in front': (b'\r\n\r\n\r\nGET /health HTTP/1.1\r\n', 400),
    'a chunk without a size': (CHUNKED + b'\r\n', 400),
    'a chunk with a bad size': (CHUNKED + b'xyz\r\n', 400),
    'a chunk with a sign': (CHUNKED + b'-1\r\n', 400),
    'a chunk that overflows': (CHUNKED + b'ffffffffffffffffff\r\n', 400),
    'a chunk that is too large': (CHUNKED + b'100001\r\n' + b'x' * 0x100001, 413),
    'a chunk that does not end': (CHUNKED + b'3\r\nabcde\r\n', 400),
    'a chunk that ends with a line feed': (CHUNKED + b'3\nabc\n0\n\n', 400),
    'a chunk extension without end': (CHUNKED + b'3;' + b'a' * 40000, 400),
    'a chunk size without end': (CHUNKED + b'0' * 40000, 400),
    'a bad line end of a trailer': (CHUNKED + b'0\r\nX: y\n\r\n', 400),
    'a folded trailer': (CHUNKED + b'0\r\nX: y\r\n z\r\n\r\n', 400),
    'a trailer without a name': (CHUNKED + b'0\r\n: y\r\n\r\n', 400),
    'a trailer without end': (CHUNKED + b'0\r\n' + b'X: y\r\n' * 8000, 400),
    'a head of 20 kB': (get(*[b'X-%d: ' % i + b'a' * 500 for i in range(40)]), 431),
    'a field of 20 kB': (get(b'X: ' + b'a' * 20000), 431),
    'a head of 8 MB': (get(b'X: ' + b'a' * 8000000), 431),
    'a hundred fields': (get(*[b'X-%d: a' % i for i in range(100)]), 431),
    'a target of 3 kB': (get(first=b'GET /' + b'a' * 3000 + b' HTTP/1.1'), 414),
    'a target of 3 MB': (b'GET /' + b'a' * 3000000, 414),
    'an expectation that nobody has': (put(b'Expect: miracles', b'Content-Length: 2'), 417),
    'a body that is no JSON': (put(b'Content-Length: 4', body=b'{"a"'), 400),
    'a body that is a list': (put(b'Content-Length: 2', body=b'[]'), 400),
    'a body that is a number': (put(b'Content-Length: 1', body=b'1'), 400),
    'a body that is no UTF-8': (put(b'Content-Length: 10', body=b'{"a":"\xff" }'), 400),
    'a body that is nested': (put(b'Content-Length: 200', body=b'[' * 200), 400),
}
# These say something about a whole request: the connection goes on.
WHOLE = {'a bad percent sign', 'half a percent sign', 'a NUL in the path',
         'a path that is no UTF-8', 'a query that is no UTF-8',
         'a target of another host', 'a Host with half an address',
         'a body that is no JSON', 'a body that is a list', 'a body that is a number',
         'a body that is no UTF-8', 'a body that is nested'}


def probe(gateway, name, unix):
    data, status = PROBES[name]
    with gateway.connect(unix) as c:
        try:
            c.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = c.answer()
        if status:
            equal(answer.status, status, name)
        check(400 <= answer.status < 600, '%s: %d' % (name, answer.status))
        answer.error()
        if name in WHOLE:
            c.send(get())
            equal(c.answer().status, 200, 'the request after ' + name)
            return
        equal(answer.headers.get('connection'), 'close', name)
        c.socket.shutdown(1)
        equal(c.ended(), b'', 'behind the answer to ' + name)


@test
def everything_malformed_is_answered_in_json():
    with Gateway() as g:
        for unix in (False, True):
            for name in PROBES:
                try:
                    probe(g, name, unix)
                except (AssertionError, EOFError, OSError, ValueError) as e:
                    raise AssertionError('%s: %s' % (name, e)) from e
        equal(g.get().json(), {'status': 'healthy'}, 'the daemon afterwards')


@test
def a_byte_that_cannot_be_is_refused_before_the_line_is_complete():
    with Gateway(head_deadline=3600000) as g:
        for data in (b'\x16', b'\n', b'Z', b'GET\0', b'GET /health HTTP/1.1\r\nX\x01',
                     b'GET /health HTTP/1.1\r\n ', b'GET /health HTTX'):
            with g.connect() as c:
                c.send(data)
                check(c.answer().status in (400, 505), data)


@test
def every_split_of_a_request_means_the_same():
    request = (b'\r\nPUT /v1/sys/nothing?a=b%20c HTTP/1.1\r\nHost: localhost\r\nX: \t y \r\n'
               b'Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nT: u\r\n\r\n')
    with Gateway() as g:
        with g.connect() as c:
            for cut in range(1, len(request)):
                c.send(request[:cut])
                c.send(request[cut:])
                equal(c.answer().error(), 'NOT_FOUND', 'cut at %d' % cut)


@test
def what_is_unusual_but_right_is_served():
    with Gateway() as g:
        for data in (b'\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n',
                     b'GET /health/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
                     b'GET /HEALTH?x=y HTTP/1.1\r\nHOST:localhost\r\n\r\n',
                     b'GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n',
                     b'GET /health HTTP/1.0\r\n\r\n',
                     b'GET /health HTTP/1.1\r\nHost: LOCALHOST.:%d\r\n\r\n' % g.address[1],
                     b'GET /health HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
                     b'GET /health HTTP/1.1\r\nHost: localhost\r\nEmpty:\r\nX: \xff\r\n\r\n'):
            equal(g.ask(data).json(), {'status': 'healthy'}, data)


if __name__ == '__main__':
    run()
