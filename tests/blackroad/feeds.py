# SPDX-License-Identifier: MIT
"""What the tests of logs, metrics and events share: a daemon, requests, event streams."""
import contextlib
import http.client
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../http'))
from harness import (BUILD, CTL, ENGINES, EXEC, LIMIT, SLOW, Domain, Skip,  # noqa: E402,F401
                     check, equal, run, test, until)
from unix import Connection  # noqa: E402


@contextlib.contextmanager
def long_path(path):
    """sun_path has 108 bytes; TMPDIR may be longer."""
    folder = os.open(os.path.dirname(path), os.O_PATH)
    yield '/proc/self/fd/%d/%s' % (folder, os.path.basename(path))
    os.close(folder)


class World(Domain):
    """A daemon with a configuration: World(http_heartbeat=50, telemetry_rows=100)."""

    def __init__(self, **keys):
        super().__init__()
        self.keys = dict({'http_port': 0}, **keys)

    def __enter__(self):
        os.makedirs(os.path.join(self.dir, 'config'), mode=0o700)
        with open(os.path.join(self.dir, 'config/cloudosd.yaml'), 'w') as f:
            for section in sorted({k.partition('_')[0] for k in self.keys}):
                f.write(section + ':\n')
                for key, value in self.keys.items():
                    if key.partition('_')[0] == section:
                        f.write('  %s: %s\n' % (key.partition('_')[2], value))
        self.start()
        self.socket = os.path.join(self.dir, 'run/http.sock')
        return self

    def send(self, method, path, body=None, **headers):
        """Status, headers, text; also from several threads."""
        data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        connection = Connection(self.dir)
        with contextlib.closing(connection):
            connection.request(method, path, data,
                               {k.replace('_', '-'): v for k, v in headers.items()})
            answer = connection.getresponse()
            return (answer.status, {k.lower(): v for k, v in answer.getheaders()},
                    answer.read().decode())

    def ask(self, method, path, body=None, **headers):
        """Status and JSON; body is an object or the text itself."""
        status, self.headers, self.text = self.send(method, path, body, **headers)
        is_json = 'json' in self.headers.get('content-type', '') and self.text
        return status, json.loads(self.text) if is_json else self.text

    def get(self, path, **headers):
        status, answer = self.ask('GET', path, **headers)
        equal(status, 200, '%s: %s' % (path, answer))
        return answer

    def post(self, path, body, **headers):
        status, answer = self.ask('POST', path, body, **headers)
        equal(status, 201, '%s: %s' % (path, answer))
        return answer

    def refused(self, status, method, path, body=None):
        got, answer = self.ask(method, path, body)
        equal(got, status, '%s %s %s: %s' % (method, path, body, answer))
        check(answer['error']['code'] and answer['error']['message'], 'a sentence')
        return answer['error']

    def emit(self, name, data=None, **headers):
        return self.post('/v1/sys/event', {'event': name, 'data': data}, **headers)

    def follow(self, path='/v1/sys/events', **headers):
        return Stream(self, path, headers)

    def daemon(self):
        return self.processes(['cloudosd'])[-1]

    def kill(self):
        """kill -9; returns when the keeper's next daemon answers."""
        old = self.daemon()
        os.kill(old, signal.SIGKILL)

        def answers():
            with contextlib.suppress(OSError, http.client.HTTPException, IndexError):
                return self.daemon() != old and self.ask('GET', '/health')[0] == 200
        until('the next daemon', answers)


class Stream:
    """Server-sent events as a browser reads them."""

    def __init__(self, world, path, headers):
        self.connection = Connection(world.dir)
        self.connection.request('GET', path, None,
                                {k.replace('_', '-'): v for k, v in headers.items()})
        self.answer = self.connection.getresponse()
        equal(self.answer.status, 200, path)
        equal(self.answer.getheader('content-type'), 'text/event-stream', 'its type')
        self.comments, self.fields, self.last = 0, set(), None
        until('its first comment', lambda: self.line() == ': ok')

    def line(self):
        line = self.answer.readline()
        if not line:
            raise EOFError('the stream has ended')
        line = line.decode().rstrip('\n')
        self.comments += line.startswith(':')
        return line

    def frame(self):
        """The data of the next frame, joined as the specification says."""
        data = []
        while True:
            line = self.line()
            if not line and data:
                return json.loads('\n'.join(data))
            name, _, value = line.partition(':')
            if name:
                self.fields.add(name)
            if name == 'data':
                data.append(value[1:] if value.startswith(' ') else value)
            elif name == 'id':
                self.last = value.strip()

    def frames(self, n):
        return [self.frame() for _ in range(n)]

    def close(self):
        self.connection.close()
        self.answer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
