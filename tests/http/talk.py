# SPDX-License-Identifier: MIT
"""What the tests of the HTTP server share: a daemon with a configuration, raw sockets."""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import LIMIT, SRC, Domain, Skip, check, equal, run, stop, test, until  # noqa: E402,F401


class Gateway(Domain):
    """A daemon; keys of its configuration as keywords (head_deadline=200)."""

    def __init__(self, fault=None, **http):
        super().__init__(fault)
        self.http = dict({'port': 0}, **http)

    def __enter__(self):
        os.makedirs(os.path.join(self.dir, 'config'), mode=0o700)
        with open(os.path.join(self.dir, 'config/cloudosd.yaml'), 'w') as f:
            f.write('http:\n' + ''.join('  %s: %s\n' % kv for kv in self.http.items()))
        self.start()
        with open(os.path.join(self.dir, 'run/http.json')) as f:
            self.told = json.load(f)
        host, _, port = (self.told['tcp'] or ':0').rpartition(':')
        self.address = (host, int(port))
        return self

    def token(self):
        with open(os.path.join(self.dir, 'state/http.token')) as f:
            return f.read().strip()

    def connect(self, unix=False):
        return Connection(self, unix)

    def ask(self, data, unix=False):
        """One request on a connection of its own: status, headers, JSON."""
        with self.connect(unix) as c:
            c.send(data)
            return c.answer()

    def get(self, path='/health', *headers, method='GET', body=None, unix=False):
        lines = ['%s %s HTTP/1.1' % (method, path)]
        if not any(h.lower().startswith('host:') for h in headers):
            lines.append('Host: localhost')
        lines += headers
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        if data is not None:
            lines.append('Content-Length: %d' % len(data))
        return self.ask('\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + (data or b''), unix)


class Answer:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def json(self):
        equal(self.headers.get('content-type'), 'application/json', 'the type of the answer')
        return json.loads(self.body)

    def error(self):
        error = self.json()['error']
        check(error['message'] and error['code'], 'an error without words: %r' % error)
        return error['code']


class Connection:
    def __init__(self, gateway, unix=False):
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            folder = os.open(os.path.join(gateway.dir, 'run'), os.O_PATH | os.O_DIRECTORY)
            try:
                self.socket.connect('/proc/self/fd/%d/http.sock' % folder)
            finally:
                os.close(folder)
        else:
            self.socket = socket.create_connection(gateway.address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(LIMIT)
        self.rest = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 16)
        self.rest += data
        return data

    def until(self, end):
        while end not in self.rest:
            if not self.more():
                raise EOFError('the connection ended after %r' % self.rest)
        head, _, self.rest = self.rest.partition(end)
        return head

    def answer(self, head=False):
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        version, status, reason = lines[0].split(' ', 2)
        equal(version, 'HTTP/1.1', 'the version')
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(':')
            check(name.lower() not in headers, 'two fields %s' % name)
            headers[name.lower()] = value.strip()
        length = int(headers.get('content-length', 0))
        while not head and len(self.rest) < length:
            if not self.more():
                raise EOFError('the body ended after %d of %d bytes' % (len(self.rest), length))
        body = b'' if head else self.rest[:length]
        self.rest = self.rest[len(body):]
        return Answer(int(status), reason, headers, body)

    def ended(self):
        """Waits for the other side to close; what came before."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return self.rest

    def closed_within(self, seconds):
        start = time.monotonic()
        self.ended()
        took = time.monotonic() - start
        check(took <= seconds, 'it took %.1f s to close' % took)
