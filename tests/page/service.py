# SPDX-License-Identifier: MIT
"""A service for the images: answers GET /health, says what it does, measures it.

	service.py sick     is not well and says why
"""
import http.server
import itertools
import json
import os
import random
import sys
import threading
import time

NAME, PORT = os.environ['SERVICE_NAME'], int(os.environ.get('PORT', 8000))
SAID = [('info', 'GET /api/users 200 in 12 ms', {'status': 200}),
        ('info', 'user logged in', {'userId': 123}), ('debug', 'cache hit', {'session': '8f31'}),
        ('info', 'GET /api/orders/5521 200 in 31 ms', {'status': 200}),
        ('warn', 'slow query: 412 ms', {'table': 'orders'}),
        ('info', 'order paid', {'order': 5521, 'sum': '49.90'}),
        ('info', '3 jobs taken from the queue', {}), ('debug', 'heartbeat', {})]


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sick = sys.argv[1:] == ['sick']
        body = json.dumps({'status': 'unhealthy', 'message': 'no connection to the mail server'}
                          if sick else {'status': 'healthy'}).encode()
        self.send_response(503 if sick else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def talk():
    words = random.Random(NAME)
    for i in itertools.count():
        level, message, more = words.choice(SAID)
        if sys.argv[1:] == ['sick'] and i % 4 == 1:
            level, message, more = 'error', 'SMTP connection failed: ECONNREFUSED', {'attempt': i}
        print(json.dumps({'level': level, 'message': message, 'meta': more}), flush=True)
        end = time.monotonic() + words.random() / 8
        while time.monotonic() < end:  # some work, to be seen
            pass
        time.sleep(0.3 + words.random())


threading.Thread(target=talk, daemon=True).start()
http.server.ThreadingHTTPServer(('', PORT), Health).serve_forever()
