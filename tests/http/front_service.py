# SPDX-License-Identifier: MIT
"""A program of a service for front.py: a server that does what the path of a request says.

It reads requests strictly: whatever is not one request after the other counts as mixed.
"""
import hashlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time

PORT = int(os.environ.get('PORT', '8000'))
GONE = threading.Event()
count = {'connections': 0, 'requests': 0, 'mixed': 0, 'bytes': 0, 'closed': 0}
lock = threading.Lock()


def add(name, n=1):
    with lock:
        count[name] += n


class Peer:
    def __init__(self, sock):
        self.socket, self.rest = sock, b''
        self.head = None

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.rest += data

    def line(self):
        while b'\r\n' not in self.rest:
            self.more()
        line, _, self.rest = self.rest.partition(b'\r\n')
        return line

    def request(self):
        while b'\r\n\r\n' not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        if not re.fullmatch(r'[A-Z]+ [/*]\S* HTTP/1\.1', lines[0]):
            add('mixed')
            raise EOFError
        self.head = head
        self.method, self.target, _ = lines[0].split(' ')
        self.fields = [tuple(line.split(': ', 1)) for line in lines[1:]]
        add('requests')

    def field(self, name):
        found = [v for n, v in self.fields if n.lower() == name]
        if len(found) > 1:
            add('mixed')
        return found[0] if found else None

    def body(self):
        """In pieces."""
        if self.field('transfer-encoding') == 'chunked':
            while True:
                size = int(self.line(), 16)
                while len(self.rest) < size + 2:
                    self.more()
                piece, self.rest = self.rest[:size], self.rest[size + 2:]
                if not size:
                    return
                yield piece
        left = int(self.field('content-length') or 0)
        while left:
            if not self.rest:
                self.more()
            piece, self.rest = self.rest[:left], self.rest[left:]
            left -= len(piece)
            yield piece

    def say(self, data):
        self.socket.sendall(data)

    def answer(self, status, body=b'', type='application/json', head=b''):
        self.say(b'HTTP/1.1 %s\r\nContent-Type: %s\r\nX-MiXed-Case: kept\r\n%s'
                 b'Content-Length: %d\r\n\r\n' % (status.encode(), type.encode(), head, len(body))
                 + (b'' if self.method == 'HEAD' else body))

    def wait_for_the_end(self):
        try:
            while True:
                self.rest = b''
                self.more()
        except (EOFError, OSError):
            add('closed')


def echo(p):
    digest, size = hashlib.sha256(), 0
    for piece in p.body():
        digest.update(piece)
        size += len(piece)
    p.answer('200 Fine', json.dumps({
        'method': p.method, 'target': p.target, 'fields': p.fields, 'size': size,
        'digest': digest.hexdigest()}).encode())


def numbers(p):
    p.answer('200 OK', json.dumps(dict(count, pid=os.getpid())).encode())


def chunked(p):
    p.say(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n')
    for i in range(100):
        p.say(b'5\r\n%05d\r\n' % i)
    p.say(b'0\r\n\r\n')


def big(p):
    n = int(p.target.partition('=')[2])
    p.say(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % n)
    piece = bytes(range(256)) * 256
    while n > 0:
        p.say(piece[:min(n, len(piece))])
        add('bytes', min(n, len(piece)))
        n -= len(piece)


def says(text, end=True, read=True):
    def handler(p):
        if read:
            for _ in p.body():
                pass
        p.say(text)
        if not end:
            p.wait_for_the_end()
        raise EOFError
    return handler


def endless(p):
    p.say(b'HTTP/1.1 200 OK\r\n')
    try:
        while True:
            p.say(b'X-More: and more of it\r\n' * 100)
    except OSError:
        add('closed')
        raise EOFError


def drip(p):
    p.say(b'HTTP/1.1 200 OK\r\nX: ')
    try:
        while not GONE.wait(0.05):
            p.say(b'x')
    except OSError:
        add('closed')
    raise EOFError


def early(p):
    p.answer('413 Too Much', b'{"error":{"code":"X","message":"no"}}')
    p.wait_for_the_end()
    raise EOFError


def events(p):
    p.say(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked'
          b'\r\n\r\n9\r\ndata: 1\n\n\r\n')
    p.wait_for_the_end()
    raise EOFError


def upgrade(p):
    p.say(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\nhello '
          % p.field('upgrade').encode())
    try:
        while True:
            if not p.rest:
                p.more()
            data, p.rest = p.rest, b''
            p.say(data.upper())
    except (EOFError, OSError):
        add('closed')
    p.say(b'bye')
    raise EOFError


def go_on(p):
    if p.field('expect') == '100-continue':
        p.say(b'HTTP/1.1 100 Continue\r\n\r\n')
    echo(p)


def slow(p):
    """Reads nothing of the body until it is told to end."""
    GONE.wait(60)
    raise EOFError


def die(p):
    p.say(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n' + b'x' * 1000)
    os.kill(os.getpid(), signal.SIGKILL)


def own_state(p):
    for _ in p.body():
        pass
    p.answer('404 Not Found', b'{"error":"Key not found, says the program"}')


def missing(p):
    for _ in p.body():
        pass
    p.answer('404 Not Found', b'<h1>Cannot %s</h1>' % p.target.encode(), 'text/html')


def gone_between(p):
    """Answers, and then closes without a word as soon as the next request comes."""
    p.answer('200 OK', b'{"n":%d}' % count['requests'])
    p.request()
    raise EOFError


HANDLERS = {
    '/echo': echo, '/numbers': numbers, '/chunked': chunked, '/big': big, '/endless': endless,
    '/drip': drip, '/early': early, '/events': events, '/upgrade': upgrade, '/continue': go_on,
    '/slow': slow, '/die': die, '/between': gone_between,
    '/eof': says(b'HTTP/1.1 200 OK\r\n\r\nuntil the end'),
    '/mid': says(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
    '/midchunk': says(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    '/garbage': says(b'SSH-2.0-OpenSSH_9\r\n\r\n'),
    '/nothing': says(b''),
    '/half': says(b'HTTP/1.1 200 OK\r\nContent-'),
    '/two': says(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'),
    '/both': says(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n'
                  b'0\r\n\r\n'),
    '/split': says(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 Evil\r\n'
                   b'Content-Length: 4\r\n\r\nevil', end=False),
    '/silent': says(b'', end=False),
    '/unasked': says(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade'
                     b'\r\n\r\n', end=False),
    '/interim': says(b'HTTP/1.1 102 Processing\r\n\r\n' * 1000, end=False),
}


def serve(sock):
    add('connections')
    p = Peer(sock)
    try:
        while True:
            p.request()
            path = p.target.partition('?')[0]
            if path == '/v1/sys/state' and 'own' in p.target:
                own_state(p)
            else:
                HANDLERS.get(path, missing)(p)
    except (EOFError, OSError, ValueError):
        pass
    finally:
        sock.close()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('0.0.0.0', PORT))
    listener.listen(1024)
    print('ready', flush=True)

    def end():
        sys.stdin.read()
        GONE.set()
        time.sleep(0.05)
        os._exit(0)
    threading.Thread(target=end, daemon=True).start()
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


main()
