#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Containers of the daemon as sessions and as services of BlackRoad OS."""
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fault'))
from harness import (BUILD, LIMIT, SRC, Domain, Skip, check, equal, run, test,  # noqa: E402
                     until)

ROOT = os.geteuid() == 0
LINKS = {name: os.readlink('/' + name) for name in ('bin', 'sbin', 'lib', 'lib64', 'lib32')
         if os.path.islink('/' + name)}
FOLDERS = ['/usr'] + ['/' + n for n in ('bin', 'sbin', 'lib', 'lib64') if n not in LINKS]


def over(path, method, target, body=None, headers=()):
    """A request over that socket: (status, JSON or text)."""
    connection = http.client.HTTPConnection('localhost', timeout=LIMIT)
    if isinstance(path, str):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(LIMIT)
    else:
        connection.sock = socket.create_connection(path, LIMIT)
        path = None
    with contextlib.closing(connection):
        if path:
            connection.sock.connect(path)
        connection.request(method, target, None if body is None else json.dumps(body),
                           {'Content-Type': 'application/json', **dict(headers)})
        answer = connection.getresponse()
        text = answer.read().decode()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


class Shop(Domain):
    """A daemon, and a root file system that is made of this box's own folders."""

    def __enter__(self):
        super().__enter__()
        try:
            self.start()
            self.root = tempfile.mkdtemp(prefix='cloudos-shop-', dir=None if ROOT else '/var/tmp')
            os.chmod(self.root, 0o755)
            for name in ('usr', 'dev', 'proc', 'sys', 'tmp', 'etc', 'run', 'src', 'build', 'var',
                         *(f[1:] for f in FOLDERS)):
                os.makedirs(os.path.join(self.root, name), exist_ok=True)
            for name, target in LINKS.items():
                os.symlink(target, os.path.join(self.root, name))
            status, said = self.ask_for('POST', 'containers', self.config(['true']))
            if status != 201:
                raise Skip('containers cannot be made here: %s' % said)
            self.ask_for('DELETE', 'container/%d' % said['id'])
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        for c in self.ask_for('GET', 'containers?all=true')[1]['containers']:
            if kind:
                print(c['name'], c['state'], self.log_of(c))
            self.ask_for('DELETE', 'container/%d?force=true' % c['id'])
        shutil.rmtree(self.root)
        super().__exit__(kind, value, trace)

    def ask_for(self, method, target, body=None):
        return over(os.path.join(self.dir, 'run/http.sock'), method, '/v1/sys/' + target, body)

    def config(self, command, **more):
        volumes = ['%s:%s:ro' % (f, f) for f in FOLDERS]
        return dict({'rootfs': self.root, 'command': command, 'networkMode': 'none',
                     'volumes': volumes + [SRC + ':/src:ro', BUILD + ':/build:ro'],
                     'stopTimeout': 1}, **more)

    def begin(self, name, command, **more):
        status, c = self.ask_for('POST', 'containers', self.config(command, name=name, **more))
        equal(status, 201, 'creating %s: %s' % (name, c))
        status, c = self.ask_for('POST', 'container/%s/start' % name)
        equal(status, 200, 'starting %s: %s' % (name, c))
        return c

    def look(self, name):
        return self.ask_for('GET', 'container/%s' % name)[1]

    def log_of(self, c):
        with contextlib.suppress(FileNotFoundError), open(c['log']) as f:
            return ''.join(line.split(' ', 3)[3] for line in f)
        return ''

    def sessions(self):
        return [r for r in self.ask('session_list') if r['form_'] == 'row']


@test
def a_container_tells_its_session_and_the_session_its_container():
    with Shop() as shop:
        shop.begin('one', ['sleep', '60'])
        session = until('its session', lambda: shop.look('one')['session'])
        equal([(s['id'], s['name'], s['container']) for s in shop.sessions()],
              [(session, 'one', 'one')], 'sessions')
        check('one' in shop.ctl('ps').stdout, 'the list names the container')
        told = shop.ask_for('GET', 'sessions')[1]['sessions']
        equal([s.get('container') for s in told], ['one'], 'sessions over HTTP')
        shop.kill_daemon()
        until('the same after kill -9', lambda: shop.look('one')['session'] == session)
        shop.begin('none', ['sleep', '60'], calls=False)
        equal(shop.look('none')['session'], None, 'session of one without calls')
        shop.ask_for('POST', 'container/one/kill', {'signal': 9})
        until('its end', lambda: shop.look('one')['state'] == 'exited')
        until('the end of the session', lambda: shop.look('one')['session'] is None)


# container_get_status of the container whose number is given; prints ip.
STATUS = """
import ctypes, sys
status = bytearray(904)
status[0:4] = (904).to_bytes(4, 'little')
status = (ctypes.c_char * 904).from_buffer(status)
r = ctypes.CDLL(None).syscall(20011, int(sys.argv[1]), ctypes.byref(status))
print(r, status[88:136].split(b'\\0')[0].decode())
"""


@test
def its_address_on_a_bridge_is_told_to_who_asks_for_its_status():
    if not ROOT:
        raise Skip('bridges are for root')
    with Shop() as shop:
        status, said = shop.ask_for('POST', 'containers', shop.config(
            ['sleep', '60'], name='bridged', networkMode='bridge'))
        if status != 201:
            raise Skip('there are no bridges here: %s' % said)
        for name, ip in (('bridged', shop.look('bridged')['network']['ip']),
                         ('none', shop.begin('none', ['sleep', '60'])['network']['ip'])):
            equal(name == 'bridged', '.' in ip, 'address of ' + name)
            told = subprocess.run(
                [os.path.join(BUILD, 'cloudos-exec'), '--', sys.executable, '-c', STATUS,
                 str(shop.look(name)['id'])], env=shop.env, capture_output=True, text=True,
                timeout=LIMIT)
            equal(told.stdout.split(), ['0', ip] if ip else ['0'], name + ' ' + told.stderr)


@test
def only_what_listens_to_a_filter_is_taken_for_a_listener():
    with Shop() as shop:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for what in (os.open('/dev/null', os.O_RDWR), os.eventfd(0), ends[1].fileno()):
            client = shop.client()
            answer = client.ask('attach', fds=(ends[0].fileno(), what), engine=1, personality=0,
                                pid=os.getpid(), launcher_pid=os.getpid(), name='x',
                                command='x', service='')[-1]
            check(answer['status'] < 0, 'it was taken: %s' % answer)
            client.close()
        equal(shop.sessions(), [], 'sessions')


run()
