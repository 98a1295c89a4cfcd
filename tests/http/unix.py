# SPDX-License-Identifier: MIT
"""A daemon and HTTP clients on its Unix socket: what tests of endpoints share."""
import http.client
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import LIMIT, Domain  # noqa: E402


class Connection(http.client.HTTPConnection):
    def __init__(self, folder):
        super().__init__('localhost', timeout=LIMIT)
        self.folder = folder

    def connect(self):
        # not by its path, which may be too long for an address
        folder = os.open(os.path.join(self.folder, 'run'), os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(LIMIT)
            self.sock.connect('/proc/self/fd/%d/http.sock' % folder)
        finally:
            os.close(folder)


class Unix(Domain):
    """A daemon with one client on its Unix socket."""

    def __enter__(self):
        os.makedirs(os.path.join(self.dir, 'config'), mode=0o700)
        with open(os.path.join(self.dir, 'config/cloudosd.yaml'), 'w') as f:
            f.write('http:\n  port: 0\n')
        self.start()
        self.connection = Connection(self.dir)
        return self

    def raw(self, method, target, body=None, **headers):
        """Status, headers and text; body is bytes, a text or what JSON can say."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        names = {k.replace('_', '-'): v for k, v in headers.items()}
        c = self.connection
        try:
            c.request(method, target, body=body, headers=names)
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        except (OSError, http.client.HTTPException):
            c.close()
            raise

    def json(self, method, target, body=None, **headers):
        status, _, text = self.raw(method, target, body, **headers)
        return status, json.loads(text) if text else None
