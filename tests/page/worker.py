# SPDX-License-Identifier: MIT
"""A process that answers methods and jobs (cloudos-handlers/1), as a thread of the test."""
import json
import socket
import struct
import threading

HELLO, WELCOME, REGISTER, REGISTERED, CALL = 1, 2, 3, 5, 6
RESULT, ERROR, CANCEL, PROGRESS, HEARTBEAT = 7, 8, 9, 10, 11


class Worker(threading.Thread):
    """answers: name -> function(params), which returns the result or raises RuntimeError.
    What waits for the event `held` does so outside of the reader."""

    def __init__(self, address, service, methods=None, jobs=None):
        super().__init__(daemon=True)
        self.methods, self.jobs, self.calls = methods or {}, jobs or {}, []
        host, port = address.rsplit(':', 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.sendall((
            'POST /v1/sys/handlers HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n'
            'Upgrade: cloudos-handlers/1\r\nContent-Length: 0\r\n\r\n' % address).encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.some(1)
        if b' 101 ' not in head.split(b'\r\n')[0]:
            raise AssertionError('no upgrade: %r' % head)
        self.lock = threading.Lock()
        self.say(HELLO, 0, {'service': service})
        self.expect(WELCOME)
        self.say(REGISTER, 1, {'methods': list(self.methods), 'jobs': list(self.jobs)})
        self.expect(REGISTERED)
        self.start()

    def some(self, n):
        data = b''
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def say(self, kind, number, payload):
        data = json.dumps(payload).encode()
        with self.lock:
            self.socket.sendall(struct.pack('>IB3xQ', 12 + len(data), kind, number) + data)

    def frame(self):
        length, kind, number = struct.unpack('>IB3xQ', self.some(16))
        return kind, number, self.some(length - 12)

    def expect(self, kind):
        got = self.frame()
        if got[0] != kind:
            raise AssertionError('frame %d wanted, got %r' % (kind, got))

    def answer(self, number, call):
        # whoever calls says whether it is a job by the run that it carries
        answers = {**self.methods, **self.jobs}
        name = call.get('method') or call.get('job') or call.get('name')
        try:
            self.say(RESULT, number, answers[name](call.get('params')))
        except RuntimeError as e:
            self.say(ERROR, number, {'code': 'FAILED', 'message': str(e)})

    def run(self):
        try:
            while True:
                kind, number, payload = self.frame()
                if kind == HEARTBEAT:
                    self.say(HEARTBEAT, number, None)
                elif kind == CALL:
                    call = json.loads(payload)
                    self.calls.append(call)
                    threading.Thread(target=self.answer, args=(number, call),
                                     daemon=True).start()
        except (EOFError, OSError):
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()
