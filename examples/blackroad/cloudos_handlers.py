# SPDX-License-Identifier: MIT
"""Answers RPC calls and runs jobs of cloudosd: cloudos-handlers/1, see docs/handlers.md.

    from cloudos_handlers import Failure, Handlers

    handlers = Handlers(service='blackroad-os-core')

    @handlers.method('getUserById')
    def get_user(params, call):
        if params['id'] not in users:
            raise Failure('USER_NOT_FOUND', 'there is no such user', {'id': params['id']})
        return users[params['id']]

    handlers.run()

Nothing but the standard library.  Each call runs in a thread of its own, at most
`concurrency` at a time; call.cancelled is an Event that tells that nobody waits any more.
A job goes on while cloudosd is away: the next one is told of the run, and of its result.
"""
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback

HELLO, WELCOME, REGISTER, UNREGISTER, REGISTERED, CALL, RESULT, ERROR, CANCEL, PROGRESS, \
    HEARTBEAT = range(1, 12)
HEAD = struct.Struct('>IB3xQ')
MOST = 16 << 20
KEEP = 60  # seconds that a result is kept, should it have been lost with cloudosd


class Failure(Exception):
    """What a method raises to fail with a code of its own."""

    def __init__(self, code, message, details=None):
        super().__init__(message)
        self.code, self.details = code, details


class Lost(Exception):
    """The connection has ended."""


def default_address():
    """Where cloudosd of this user listens."""
    if os.environ.get('CLOUDOS_DIR'):
        run = os.path.join(os.environ['CLOUDOS_DIR'], 'run')
    elif os.path.isdir(os.environ.get('XDG_RUNTIME_DIR', '')):
        run = os.path.join(os.environ['XDG_RUNTIME_DIR'], 'cloudos')
    else:
        run = '/tmp/cloudos-%d' % os.geteuid()
    return 'unix:' + os.path.join(run, 'http.sock')


class Connection:
    """Frames over one upgraded connection."""

    def __init__(self, address):
        if address.startswith('unix:'):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(address[5:])
            host = 'localhost'
        else:
            host = address.removeprefix('http://').rstrip('/')
            name, _, port = host.rpartition(':')
            self.socket = socket.create_connection((name, int(port)))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock = threading.Lock()
        self.socket.sendall(('POST /v1/sys/handlers HTTP/1.1\r\nHost: %s\r\n'
                             'Connection: Upgrade\r\nUpgrade: cloudos-handlers/1\r\n'
                             'Content-Length: 0\r\n\r\n' % host).encode())
        self.file = self.socket.makefile('rb')
        status = self.file.readline().decode('latin-1')
        while self.file.readline() not in (b'\r\n', b''):
            pass
        if ' 101 ' not in status:
            raise Lost('%s does not take handlers: %s' % (address, status.strip()))

    def send(self, kind, number=0, payload=b''):
        with self.lock:
            self.socket.sendall(HEAD.pack(len(payload) + 12, kind, number) + payload)

    def receive(self):
        head = self.file.read(HEAD.size)
        if len(head) < HEAD.size:
            raise Lost('cloudosd has closed the connection')
        length, kind, number = HEAD.unpack(head)
        if not 12 <= length <= MOST:
            raise Lost('a frame of %d bytes' % length)
        payload = self.file.read(length - 12)
        if len(payload) < length - 12:
            raise Lost('cloudosd has closed the connection')
        return kind, number, payload

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already
        self.socket.close()


class Call:
    """One call: what it is, and whether anybody still waits for it."""

    def __init__(self, connection, number, said):
        self.connection, self.number = connection, number
        self.result = self.finished = None
        self.name, self.kind = said['name'], said['kind']
        self.caller = said.get('caller', {})
        self.run, self.attempt = said.get('run'), said.get('attempt')
        self.token = said.get('token')
        self.deadline = time.monotonic() + said['timeoutMs'] / 1000 if 'timeoutMs' in said else None
        self.cancelled = threading.Event()

    def progress(self, value):
        self.send(PROGRESS, json.dumps(value).encode())

    def send(self, kind, payload):
        connection, number = self.connection, self.number
        if connection:
            try:
                connection.send(kind, number, payload)
            except OSError:
                pass  # the connection has ended; a method's call with it, a run not


class Handlers:
    def __init__(self, service=None, address=None, concurrency=16):
        self.service, self.concurrency = service, concurrency
        self.address = address or default_address()
        self.methods, self.jobs = {}, {}
        self.calls, self.runs, self.lock = {}, {}, threading.Lock()
        self.connection, self.stopping = None, False
        self.ready = threading.Event()

    def method(self, name):
        """A decorator: def answer(params, call) -> result."""
        def keep(function):
            self.methods[name] = function
            return function
        return keep

    def job(self, name):
        """The same for jobs."""
        def keep(function):
            self.jobs[name] = function
            return function
        return keep

    def serve(self):
        """Attaches and answers until the connection ends, which raises Lost."""
        connection = self.connection = Connection(self.address)
        hello = {'maxConcurrency': self.concurrency}
        if self.service:
            hello['service'] = self.service
        with self.lock:
            self.runs = {run: c for run, c in self.runs.items()
                         if not c.finished or time.monotonic() - c.finished < KEEP}
            hello['runs'] = [{'run': run, 'token': c.token} for run, c in self.runs.items()]
        connection.send(HELLO, 0, json.dumps(hello).encode())
        connection.send(REGISTER, 1, json.dumps(
            {'methods': list(self.methods), 'jobs': list(self.jobs)}).encode())
        try:
            while True:
                self.take(connection, *connection.receive())
        finally:
            self.ready.clear()
            with self.lock:
                for call in self.calls.values():
                    call.connection = None
                    if call.run not in self.runs:
                        call.cancelled.set()
                self.calls.clear()
            connection.close()

    def resume(self, connection, runs):
        """cloudosd says which runs are still ours, and by which numbers."""
        for said in runs:
            with self.lock:
                call = self.runs.get(said['run'])
                if call and said['id']:
                    call.connection, call.number = connection, said['id']
                    self.calls[call.number] = call
                elif call:
                    del self.runs[said['run']]
                    call.cancelled.set()
                    call = None
                result = call.result if call else None
            if result:
                call.send(*result)

    def run(self):
        """Serves for ever, through restarts of cloudosd."""
        wait = 0.1
        while not self.stopping:
            begun = time.monotonic()
            try:
                self.serve()
            except (Lost, OSError) as problem:
                if self.stopping:
                    return
                if time.monotonic() - begun > 5:
                    wait = 0.1
                print('cloudos_handlers: %s; trying again' % problem, file=sys.stderr)
                time.sleep(wait)
                wait = min(wait * 2, 5)

    def stop(self):
        self.stopping = True
        if self.connection:
            self.connection.close()

    def take(self, connection, kind, number, payload):
        if kind == CALL:
            call = Call(connection, number, json.loads(payload))
            with self.lock:
                self.calls[number] = call
                if call.kind == 'job' and call.token:
                    self.runs[call.run] = call
            threading.Thread(target=self.answer, daemon=True,
                             args=(call, json.loads(payload)['params'])).start()
        elif kind == CANCEL:
            with self.lock:
                call = self.calls.get(number)
            if call:
                call.cancelled.set()
        elif kind == HEARTBEAT:
            connection.send(HEARTBEAT, number)
        elif kind == WELCOME:
            self.resume(connection, json.loads(payload)['runs'])
        elif kind == REGISTERED:
            self.ready.set()
        elif kind == ERROR:
            raise Lost('cloudosd says %s' % payload.decode('utf-8', 'replace'))

    def answer(self, call, params):
        table = self.methods if call.kind == 'method' else self.jobs
        try:
            kind, value = RESULT, table[call.name](params, call)
            payload = json.dumps(value, allow_nan=False).encode()
        except Failure as failure:
            kind, value = ERROR, {'code': failure.code, 'message': str(failure)}
            if failure.details is not None:
                value['details'] = failure.details
            payload = json.dumps(value).encode()
        except Exception as problem:  # whatever it is, the caller hears of it
            kind = ERROR
            payload = json.dumps({'code': 'RPC_ERROR', 'message': str(problem),
                                  'stack': traceback.format_exc()}).encode()
        with self.lock:
            self.calls.pop(call.number, None)
            call.result, call.finished = (kind, payload), time.monotonic()
            self.runs = {run: c for run, c in self.runs.items()
                         if not c.finished or time.monotonic() - c.finished < KEEP}
        call.send(kind, payload)
