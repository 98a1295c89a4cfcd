# SPDX-License-Identifier: MIT
"""Takes the images of docs/images: the page on a system with services, jobs and guests.

	srcdir=.. builddir=$PWD python3 ../tests/page/shots.py [FOLDER]      in the build folder
"""
import collections
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib

from world import BUILD, HERE, World, finish, until
from harness import EXEC, SRC

CROWD = {'core': [], 'api': [], 'operator': ['sick'], 'web': []}
CORE = 'blackroad-os-core'


# ---- small images: a palette of 256 colours ----

def rows_of(data):
    """Width, and the rows of an 8-bit RGB(A) image as lists of (r, g, b)."""
    at, packed = 8, b''
    while at < len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        if kind == b'IHDR':
            width, height, _, colour = struct.unpack_from('>IIBB', data, at + 8)
        elif kind == b'IDAT':
            packed += data[at + 8:at + 8 + size]
        at += size + 12
    step = {2: 3, 6: 4}[colour]
    raw, before, rows = zlib.decompress(packed), bytearray(width * step), []
    for y in range(height):
        start = y * (width * step + 1)
        method, row = raw[start], bytearray(raw[start + 1:start + 1 + width * step])
        for i in range(len(row)):
            a = row[i - step] if i >= step else 0
            b = before[i]
            c = before[i - step] if i >= step else 0
            if method == 4:
                p = a + b - c
                guess = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                guess = (0, a, b, (a + b) // 2)[method]
            row[i] = (row[i] + guess) & 255
        rows.append([tuple(row[i:i + 3]) for i in range(0, len(row), step)])
        before = row
    return width, rows


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def shrink(path):
    with open(path, 'rb') as f:
        width, rows = rows_of(f.read())
    count = collections.Counter(p for row in rows for p in row)
    # a small dot of colour says more than one more grey
    palette = sorted(count, key=lambda c: -count[c] * (1 + max(c) - min(c)))[:256]
    index = {c: i for i, c in enumerate(palette)}
    for colour in count:
        if colour not in index:
            index[colour] = min(range(len(palette)), key=lambda i: sum(
                (x - y) ** 2 for x, y in zip(palette[i], colour)))
    raw = b''.join(b'\0' + bytes(index[p] for p in row) for row in rows)
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' +
                chunk(b'IHDR', struct.pack('>IIBBBBB', width, len(rows), 8, 3, 0, 0, 0)) +
                chunk(b'PLTE', b''.join(map(bytes, palette))) +
                chunk(b'IDAT', zlib.compress(raw, 9)) + chunk(b'IEND', b''))
    print('%s: %d bytes' % (path, os.path.getsize(path)))


# ---- the system ----

class System(World):
    def program(self, *words, name=None, personality=None, service=None):
        options = ['--name=' + name] if name else []
        options += ['--personality=blackroad', '--service=' + service] if service else []
        process = subprocess.Popen([EXEC, *options, '--', *words], env=self.env, cwd=self.dir,
                                   stdout=subprocess.PIPE if not service else subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        self.guests.append(type('Guest', (), {'process': process, 'kill': process.kill})())
        return process

    def fill(self):
        for name, words in CROWD.items():
            shutil.copy(os.path.join(HERE, 'service.py'), os.path.join(self.dir, name + '.py'))
            self.program('python3', name + '.py', *words, name=name, service=name)
        for program in ('example-client', 'anos-ask.elf', 'example-service', 'anos-echo.elf'):
            shutil.copy(os.path.join(BUILD, program), self.dir)
        for program in ('example-service', 'anos-echo.elf'):
            name = program.split('.')[0]
            self.program('./' + program, name=name).stdout.readline()
        self.worker(CORE, methods={'getUserById': lambda p: {
            'id': 123, 'name': 'Ada Lovelace', 'email': 'ada@example.com'}}, jobs={
                'nightly-report': lambda p: {'pages': 12, 'rows': 18211},
                'sync-inventory': lambda p: {'changed': 7}, 'send-email': self.email})
        self.keep()
        self.work()
        until('the services', lambda: sum(
            s['status'] in ('healthy', 'unhealthy') for s in self.web('GET', 'services')['services']) > 4)

    @staticmethod
    def email(_):
        raise RuntimeError('SMTP connection failed: connect ECONNREFUSED 127.0.0.1:25')

    def keep(self):
        for key, value in {
                'user:1:name': 'Ada', 'user:1:visits': 41, 'user:2:name': 'Grace',
                'user:2:visits': 17, 'user:count': 2, 'config/theme': {'mode': 'dark'},
                'config/limits': {'uploads': 20, 'sessions': 400}, 'feature:beta': True,
                'order:5521': {'sum': '49.90', 'paid': True}, 'order:5522': {'sum': '7.00'}}.items():
            self.web('PUT', 'state?service=' + CORE, {'key': key, 'value': value})

    def work(self):
        for job in ({'name': 'nightly-report', 'schedule': 'CRON_TZ=Europe/Berlin 0 3 * * mon-fri',
                     'params': {'format': 'pdf'}},
                    {'name': 'sync-inventory', 'schedule': '*/5 * * * *'},
                    {'name': 'send-email', 'params': {'to': 'user@example.com'}}):
            made = self.web('POST', 'job?service=' + CORE, job)
            if 'schedule' in job:
                for _ in range(3):
                    self.web('POST', 'job/%s/run?service=%s' % (made['id'], CORE), {})

    def live(self):
        """Goes on in the background: metrics, events, guests that call."""
        def turn(n):
            for core in (0, 1):
                self.web('POST', 'metric?service=' + CORE, {
                    'name': 'cpu.usage', 'unit': 'percent', 'tags': {'core': str(core)},
                    'value': round(38 + 20 * abs((n + 9 * core) % 40 / 20 - 1) + n * 7 % 5, 1)})
            self.web('POST', 'metric?service=' + CORE, {
                'name': 'http.request.duration', 'unit': 'ms', 'tags': {'path': '/api/users'},
                'value': round(8 + (n * 37 % 23) / 2 + (40 if n % 29 == 0 else 0), 1)})
            self.web('POST', 'metric?service=' + CORE, {'name': 'queue.depth',
                                                       'value': abs(n % 34 - 17)})
            if n % 4 == 0:
                self.web('POST', 'event?service=' + CORE, {
                    'event': ('user:created', 'order:paid')[n // 4 % 2],
                    'data': {'userId': 120 + n}}, X_Service_Name=CORE)
            if n % 24 == 0:
                self.program('./example-client', name='client')
                self.program('./anos-ask.elf', 'echo', 'good morning', name='ask')

        def loop():
            n = 0
            while not self.over:
                turn(n)
                n += 1
                time.sleep(0.25)
        self.over = False
        self.thread = threading.Thread(target=loop)
        self.thread.start()

    def contain(self):
        self.ctl('image', 'create-busybox')
        run = ('container', 'run', '-d', '--net', 'none', '--stop-timeout', '1')
        self.ctl(*run, '--name', 'shop', '-p', '8080:80', '-m', '64m', '--allow-unenforced-limits', '--health-cmd',
                 'wget -q -O- http://127.0.0.1', '--health-interval', '1s', 'busybox', 'sh', '-c',
                 'mkdir /www; echo Welcome > /www/index.html; echo serving /www; exec httpd -f -v -p 80 -h /www')
        self.ctl(*run, '--name', 'queue', '--restart', 'always', 'busybox', 'sleep', '100000')
        self.ctl('container', 'run', '--name', 'import-prices', 'busybox', 'sh', '-c',
                 'echo "no prices for 2026-11"; exit 3', status=3)

    def stop(self):
        for name in ('shop', 'queue', 'import-prices'):
            self.ctl('container', 'rm', '-f', name, status=None)
        self.over = True
        self.thread.join()

    def look(self, view, **look):
        tab = self.open(view, **look)
        tab.until('the services', 'document.querySelector("#service").options.length > 5')
        if view in ('state', 'jobs', 'rpc', 'metrics', 'events'):
            tab.run('(s => { s.value = %r; s.dispatchEvent(new Event("change")); })'
                    '(document.querySelector("#service"))' % CORE)
        return tab


def take(tab, folder, name):
    tab.run('document.querySelectorAll("#toasts *").forEach(e => e.remove())')
    tab.run('document.activeElement?.blur()')
    path = os.path.join(folder, 'page-%s.png' % name)
    tab.shot(path)
    shrink(path)


def conflict(system, tab):
    tab.click('.leaf', 'theme')
    tab.click('.pane button', 'Edit')
    tab.fill('Value (JSON)', '{\n  "mode": "light"\n}')
    system.web('PUT', 'state?service=' + CORE, {'key': 'config/theme',
                                               'value': {'mode': 'dark', 'accent': '#2563eb'}})
    tab.click('button[type=submit]')
    tab.shows('Changed by somebody else', '.conflict')


def main(folder):
    os.makedirs(folder, exist_ok=True)
    with System() as s:
        s.fill()
        s.live()
        try:
            overview, metrics = s.look('overview'), s.look('metrics', dark=True)
            logs, trace = s.look('logs', dark=True), s.look('trace')
            phone = s.look('logs', dark=True, width=390, height=760)
            time.sleep(int(os.environ.get('SHOTS_SECONDS', 75)))  # so that the charts have something to show
            take(overview, folder, 'overview')
            take(metrics, folder, 'metrics')
            take(logs, folder, 'logs')
            take(trace, folder, 'trace')
            take(phone, folder, 'phone')
            jobs = s.look('jobs')
            jobs.click('tbody tr', 'nightly-report')
            jobs.shows('"format": "pdf"', '.pane')
            take(jobs, folder, 'jobs')
            state = s.look('state')
            conflict(s, state)
            take(state, folder, 'state')
            guests = s.look('guests')
            guests.shows('receiving')
            take(guests, folder, 'guests')
            s.contain()
            containers = s.look('containers')
            containers.shows('healthy', 'tbody')
            containers.click('tbody tr', 'shop')
            containers.shows('serving /www', '.pane pre')
            take(containers, folder, 'containers')
        finally:
            s.stop()


if __name__ == '__main__':
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(SRC, 'docs/images'))
    finally:
        finish()
