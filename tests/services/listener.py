# SPDX-License-Identifier: MIT
"""A program for tests of services: binds as it is told, tells what it got, serves HTTP.

    listener.py BIND...       4:PORT  6:PORT  only6:PORT  udp:PORT  lo:PORT  unix:PATH

Prints one JSON line for each, {"bound": ADDRESS} or {"errno": NAME}, then takes commands on
standard input: "get URL", "hosts", "say TEXT", "cry TEXT", "environment", "fork", "end".
"""
import errno
import json
import os
import socket
import sys
import threading
import urllib.request


def tell(**what):
    print(json.dumps(what), flush=True)


def serve(listening):
    while True:
        try:
            connection = listening.accept()[0]
            request = connection.recv(65536).decode(errors='replace')
        except OSError:
            continue
        path = request.split(' ')[1] if ' ' in request else '/'
        body = json.dumps({'status': 'healthy'} if path == '/health' else {
            'pid': os.getpid(), 'service': os.environ.get('SERVICE_NAME'), 'path': path,
            'host': [h[5:].strip() for h in request.split('\r\n') if h.lower().startswith('host:')]})
        connection.sendall(('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
                            'Content-Length: %d\r\nConnection: close\r\n\r\n%s'
                            % (len(body), body)).encode())
        connection.close()


def bind(word):
    kind, _, at = word.partition(':')
    if kind == 'unix':
        s = socket.socket(socket.AF_UNIX)
        s.bind(at)
        return s
    family = socket.AF_INET6 if kind in ('6', 'only6') else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
    if kind != 'udp':
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, kind == 'only6')
    s.bind((('::' if family == socket.AF_INET6 else '127.0.0.1' if kind == 'lo' else ''), int(at)))
    return s


def main():
    kept = []
    for word in sys.argv[1:]:
        try:
            s = bind(word)
        except OSError as e:
            tell(errno=errno.errorcode[e.errno])
            continue
        kept.append(s)
        if s.type == socket.SOCK_STREAM:
            s.listen(16)
            threading.Thread(target=serve, args=(s,), daemon=True).start()
        name = s.getsockname()
        tell(bound=name if isinstance(name, str) else '%s:%d' % name[:2])
    for line in sys.stdin:
        command, _, rest = line.strip().partition(' ')
        if command == 'get':
            try:
                with urllib.request.urlopen(rest, timeout=20) as reply:
                    tell(status=reply.status, body=json.load(reply))
            except OSError as e:
                tell(error=str(e))
        elif command == 'hosts':
            with open('/etc/hosts') as f:
                tell(hosts=f.read())
        elif command == 'resolve':
            try:
                tell(address=socket.gethostbyname(rest))
            except OSError as e:
                tell(error=str(e))
        elif command == 'say':
            print(rest, flush=True)
        elif command == 'cry':
            print(rest, file=sys.stderr, flush=True)
        elif command == 'environment':
            tell(**{k: os.environ.get(k) for k in rest.split()})
        elif command == 'privileges':
            with open('/proc/self/status') as f:
                tell(**{k: v.strip() for k, v in (l.split(':', 1) for l in f)
                        if k in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'Uid', 'Gid')})
        elif command == 'bind':
            try:
                kept.append(bind(rest))
                tell(bound=str(kept[-1].getsockname()))
            except OSError as e:
                tell(errno=errno.errorcode[e.errno])
        elif command == 'pid':
            tell(pid=os.getpid())
        elif command == 'fork':
            pid = os.fork()
            if pid == 0:
                os.setsid()
                for fd in range(3):
                    os.dup2(os.open('/dev/null', os.O_RDWR), fd)
                threading.Event().wait()
            tell(pid=pid)
        elif command == 'end':
            os._exit(int(rest or 0))


main()
