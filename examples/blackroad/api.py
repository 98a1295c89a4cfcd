# SPDX-License-Identifier: MIT
"""A service in Python, with nothing but the standard library.

    cloudos-exec --service api -- python3 api.py

It has one method, userName, for which it asks core.  /version, /v1/sys/identity and
/v1/sys/health are the gateway's, which answers them in its place.
"""
import http.server
import json
import os
import urllib.error
import urllib.request

CORE = 'http://blackroad-os-core.railway.internal:8000/v1/sys/rpc'


def call(url, method, params, timeout=10):
    """The result of a method of another service; ValueError with its error."""
    request = urllib.request.Request(
        url, json.dumps({'method': method, 'params': params, 'timeout': timeout * 1000}).encode(),
        {'Content-Type': 'application/json', 'X-Service-Name': os.environ['SERVICE_NAME'],
         'X-Service-Role': os.environ['SERVICE_ROLE']})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.load(reply)['result']
    except urllib.error.HTTPError as e:
        raise ValueError(json.load(e)['error']['message']) from e


def user_name(params):
    return call(CORE, 'getUserById', {'id': params['id']})['name']


METHODS = {'userName': user_name}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1  # head and body in one piece

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, code, message):
        self.answer(status, {'error': {'code': code, 'message': message}})

    def do_GET(self):
        if self.path == '/health':
            self.answer(200, {'status': 'healthy'})
        else:
            self.fail(404, 'NOT_FOUND', 'there is no ' + self.path)

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path != '/v1/sys/rpc':
            return self.fail(404, 'NOT_FOUND', 'there is no ' + self.path)
        try:
            request = json.loads(text)
            method = METHODS[request['method']]
        except (ValueError, TypeError):
            return self.fail(400, 'INVALID_REQUEST', 'this is no call of a method')
        except KeyError as e:
            return self.fail(404, 'METHOD_NOT_FOUND', 'there is no method %s' % e)
        try:
            self.answer(200, {'result': method(request.get('params') or {})})
        except Exception as e:  # a method may fail as it likes
            self.fail(500, 'RPC_ERROR', str(e))

    def log_message(self, form, *args):
        print(json.dumps({'level': 'info', 'message': form % args}), flush=True)


if __name__ == '__main__':
    server = http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler)
    print('listening on %s:%d' % server.server_address, flush=True)
    server.serve_forever()
