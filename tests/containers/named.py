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
PYTHON = '/usr/bin/python3'  # which is in the containers, too, and anybody may run
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

    def service(self, word):
        """The service of that word: (front, back), as (address, port)."""
        for row in self.ask('name_list', name=word):
            if row['form_'] == 'row' and row['word'] == word:
                return (row['front'], row['port']), (row['back'], row['port'])
        raise AssertionError('there is no service ' + word)

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
                [os.path.join(BUILD, 'cloudos-exec'), '--', PYTHON, '-c', STATUS,
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


# Serves as "core" does: what it is asked, and what it finds when it asks others.
SERVER = r"""
import http.server, json, os, socket, subprocess, sys, urllib.error, urllib.parse, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, rest = self.path.partition('?')
        what = urllib.parse.unquote(rest)
        if path == '/get' or path == '/post':
            data = b'{"rootfs":"/","command":"true","name":"x"}' if path == '/post' else None
            kind = {'Content-Type': 'application/json'}
            try:
                with urllib.request.urlopen(urllib.request.Request(what, data, kind)) as answer:
                    said = [answer.status, answer.read().decode()]
            except urllib.error.HTTPError as error:
                said = [error.code, error.read().decode()]
            except OSError as error:
                said = [0, str(error)]
        elif path == '/connect':
            host, port = what.split(':')
            with socket.socket() as s:
                said = s.connect_ex((host, int(port)))
        elif path == '/environment':
            said = dict(os.environ)
        else:
            said = {'status': 'healthy', 'pid': os.getpid()}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
print('it begins', flush=True)
family = socket.AF_INET6 if sys.argv[1] == '::' else socket.AF_INET
http.server.ThreadingHTTPServer.address_family = family
server = http.server.ThreadingHTTPServer(sys.argv[1:2] and (sys.argv[1], int(os.environ['PORT'])),
                                         Handler)
print('it listens', flush=True)
server.serve_forever()
"""
TALK = (PYTHON, '-B', os.path.join(SRC, 'tests/interop/talk.py'))


def serves(shop, name='core', address='0.0.0.0', **more):
    return shop.begin(name, [PYTHON, '-B', '-c', SERVER, address], service=name, **more)


def program_at(address):
    """The pid that the program there tells; None: it is not there, or not yet."""
    try:
        said = over(address, 'GET', '/any')[1]
    except OSError:
        return None  # the daemon has just gone, or is about to
    return said.get('pid') if isinstance(said, dict) else None


def asked(shop, word, path, limit=LIMIT):
    """Its program's answer, when it is there."""
    front = shop.service(word)[0]
    until('program of %s' % word, lambda: program_at(front), limit)
    return over(front, 'GET', path)[1]


def networks(shop):
    """Those that can be had here."""
    out = ['none', 'host']
    for mode in ('bridge', 'private'):
        status, c = shop.ask_for('POST', 'containers',
                                 shop.config(['true'], networkMode=mode))
        if status == 201:
            out.append(mode)
            shop.ask_for('DELETE', 'container/%d' % c['id'])
    return out


@test
def a_program_in_a_container_is_a_service_whatever_its_network():
    with Shop() as shop:
        operator, _ = shop.service('operator')
        host = subprocess.Popen(
            [os.path.join(BUILD, 'cloudos-exec'), '--service', 'operator', '--', PYTHON,
             '-B', '-c', SERVER, '0.0.0.0'], env=shop.env, stdout=subprocess.DEVNULL)
        until('the host\'s', lambda: 'pid' in over(operator, 'GET', '/any')[1])
        for mode in networks(shop):
            serves(shop, networkMode=mode)
            front, back = shop.service('core')
            there = asked(shop, 'core', '/get?http://blackroad-os-operator.railway.internal:8001/any')
            if mode == 'host' and not ROOT:
                equal(there[0], 403, 'who is not told from others in containers')
                there[1] = json.dumps(over(operator, 'GET', '/any')[1])
                there[0] = 200
            equal((there[0], json.loads(there[1])['pid']),
                  (200, over(operator, 'GET', '/any')[1]['pid']),
                  '%s: the service of the host, asked inside' % mode)
            check('pid' in over(back, 'GET', '/any')[1], mode + ': at its own address')
            status, said = over(front, 'GET', '/v1/sys/identity')
            check(status == 200 and 'pid' in said, 'an endpoint that the program answers itself')
            if mode != 'host':
                gateway = asked(shop, 'core', '/environment')['CLOUDOS_GATEWAY']
                said = asked(shop, 'core', '/get?%s/v1/sys/identity' % gateway)
                equal((said[0], json.loads(said[1])['service']), (200, 'blackroad-os-core'),
                      mode + ': the gateway, asked inside')
                equal(asked(shop, 'core', '/connect?127.0.0.1:%d' % operator[1]), 111,
                      mode + ': the loopback of the host')
                equal(asked(shop, 'core', '/get?http://localhost:8000/any')[0], 200,
                      mode + ': itself at its own loopback')
            row = shop.services('blackroad-os-core')[-1]
            until(mode + ': health', lambda: shop.services('blackroad-os-core')[-1]['health']
                  == 'healthy')
            check(row['pid'] > 0, 'its process: %s' % row)
            shop.ask_for('DELETE', 'container/core?force=true')
            until('its end', lambda: not shop.services('blackroad-os-core'))
            until('its address', lambda: refused(back))
        host.kill()
        host.wait()


@test
def a_service_outlives_the_daemon_and_one_name_is_one_program():
    with Shop() as shop:
        serves(shop)
        front, back = shop.service('core')
        pid = asked(shop, 'core', '/any')['pid']
        for _ in range(2):
            shop.kill_daemon()
            until('it, at its own address', lambda: program_at(back) == pid)
            equal(asked(shop, 'core', '/any')['pid'], pid, 'it, after kill -9 of the daemon')
            there = asked(shop, 'core', '/get?http://127.0.0.1:8787/health')
            equal(there[0], 200, 'the gateway, after kill -9 of the daemon')
        second = shop.begin('second', [PYTHON, '-B', '-c', SERVER, '::'], service='core')
        until('its end', lambda: shop.look('second')['state'] == 'exited')
        check('Address already in use' in shop.log_of(second), shop.log_of(second))
        equal(asked(shop, 'core', '/any')['pid'], pid, 'the first')
        shop.ask_for('POST', 'container/core/kill', {'signal': 9})
        until('its end', lambda: shop.look('core')['state'] == 'exited')
        shop.ask_for('POST', 'container/second/start')
        check(asked(shop, 'core', '/any')['pid'], 'the second, on IPv6 as well')


@test
def what_a_service_writes_is_in_its_log_and_its_life_is_events():
    with Shop() as shop:
        def lines(word):
            return [entry['message'] for entry in
                    shop.ask_for('GET', 'logs?service=%s&limit=100' % word)[1]['logs']]
        shop.begin('web', ['sh', '-c', 'echo one; printf "two\\033[31m red" >&2; exit 3'],
                   service='web')
        until('its end', lambda: shop.look('web')['state'] == 'exited')
        until('its lines', lambda: {'one', 'two red'} <= set(lines('web')))
        shop.begin('core', ['sh', '-c', 'echo silent; exit 0'], service='core:no-logs')
        until('its end', lambda: shop.look('core')['state'] == 'exited')
        check('silent' in shop.log_of(shop.look('core')), 'it is in its own log')
        check('silent' not in lines('core'), 'but not in that of the service')
        wanted = [(what, 'blackroad-os-' + who, status) for who, end in (('web', 3), ('core', 0))
                  for what, status in (('service:started', None), ('service:stopped', end))]
        until('events %s' % wanted, lambda: events(shop) == wanted)


def events(shop):
    """What has been told of services so far."""
    followed = subprocess.run(
        ['timeout', '1', os.path.join(BUILD, 'cloudosctl'), 'event', 'tail', 'service:*',
         '--service', '*', '-o', 'json', '--since', '2020-01-01T00:00:00Z'], env=shop.env,
        stdout=subprocess.PIPE, text=True)
    told = [json.loads(line) for line in followed.stdout.splitlines()]
    return [(e['event'], e['source'], e['data'].get('status')) for e in told]


# A program of CloudOS in a container: registers names, and says to the daemon that it is a
# service already.
CLAIMS = r"""
import ctypes, os, socket, sys
sys.path.insert(0, '/src/tests/fault')
os.environ['srcdir'] = '/src'
import harness
libc = ctypes.CDLL(None, use_errno=True)
for name in b'blackroad-os-core', b'another':
    print('register', name.decode(), libc.syscall(20303, name) and ctypes.get_errno())
class Daemon:
    dir = '/run/cloudos'
client = harness.Client(Daemon)
ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
fds = [s.fileno() for s in ends]
print('attach', client.ask('attach', fds=fds, engine=1, personality=0, pid=os.getpid(),
                           launcher_pid=os.getpid(), container=1, name='x', command='x',
                           service='blackroad-os-core')[-1]['status'])
with socket.socket() as s:
    print('gateway', s.connect_ex(('127.0.0.1', 8787)))
"""


@test
def a_container_is_no_service_unless_it_was_made_one():
    with Shop() as shop:
        status, said = shop.ask_for('POST', 'containers', shop.config(['true'], service='nobody'))
        equal((status, said['error']['code']), (404, 'NOT_FOUND'), 'a service that there is not')
        check('nobody' in said['error']['message'], str(said))
        for bad in ({'service': 'core:logs'}, {'service': 7}, {'service': 'core', 'calls': False}):
            status, said = shop.ask_for('POST', 'containers', shop.config(['true'], **bad))
            equal(status, 400, 'creating one with %s: %s' % (bad, said))
        c = shop.begin('claims', [PYTHON, '-B', '-c', CLAIMS])
        until('its end', lambda: shop.look('claims')['state'] == 'exited')
        equal(shop.log_of(c).split('\n')[:4],
              ['register blackroad-os-core 2005', 'register another 0', 'attach -5', 'gateway 111'],
              'what it is told')
        equal(shop.services('blackroad-os-core'), [], 'instances')


@test
def a_service_in_a_container_has_no_part_in_containers():
    with Shop() as shop:
        serves(shop)
        core = shop.service('core')[0]
        for place in 'http://127.0.0.1:8787', 'http://blackroad-os-operator.railway.internal:8001':
            for path in ('containers', 'Containers/', 'containers/prune', 'image/tag',
                         'images/busybox', 'container/core/kill', 'volumes', 'volumes/prune'):
                said = asked(shop, 'core', '/post?%s/v1/sys/%s' % (place, path))
                equal(said[0], 403, '%s of %s, asked inside' % (path, place))
            said = asked(shop, 'core', '/get?%s/v1/sys/container/core' % place)
            equal(said[0], 403, 'looking at itself')
            said = asked(shop, 'core', '/get?%s/v1/sys/services' % place)
            equal(said[0], 200, 'what everybody may')
        equal(over(core, 'GET', '/v1/sys/containers')[0], 200, 'its front, asked from outside')
        out = shop.guest('notify', program=TALK)
        pid = int(out.ask('discover blackroad-os-core'))
        equal(pid, asked(shop, 'core', '/any')['pid'] and shop.services('blackroad-os-core')[0]['pid'],
              'what a program of CloudOS outside discovers')
        equal(out.finish()[0], 0, 'exit status')


CALLS = "import ctypes; print(ctypes.CDLL(None).syscall(20303, b'%s'), flush=True)"


@test
def health_checks_and_further_programs_call_as_their_container_does():
    with Shop() as shop:
        calls = [PYTHON, '-B', '-c', 'import ctypes; '
                 'raise SystemExit(ctypes.CDLL(None).syscall(20303, b"checked") != 0)']
        shop.begin('checked', ['sleep', '60'],
                   health={'command': calls, 'interval': 0.2, 'retries': 1})
        until('health', lambda: shop.look('checked')['health'] in ('healthy', 'unhealthy'))
        equal(shop.look('checked')['health'], 'healthy', 'a check that registers a name')
        session = shop.look('checked')['session']
        check(shop.log().count('in container checked') > 1, 'the log names its container')
        done = shop.ctl('container', 'exec', 'checked', PYTHON, '-B', '-c', CALLS % 'executed')
        equal(done.stdout.strip(), '0', 'a call by exec')
        equal(shop.look('checked')['session'], session, 'the session of the container')
        shop.begin('quiet', ['sleep', '60'],
                   health={'command': ['true'], 'interval': 0.1, 'retries': 1})
        until('health', lambda: shop.look('quiet')['health'] == 'healthy')
        equal(shop.log().count('in container quiet'), 1,
              'a check that does not call has no session')


# So many threads in a call that nobody answers.
BLOCKS = r"""
import ctypes, sys, threading, time
libc = ctypes.CDLL(None)
threading.stack_size(32768)
def block():
    room, sender = ctypes.create_string_buffer(64), ctypes.c_uint32()
    libc.syscall(20301, ctypes.byref(sender), room, ctypes.c_size_t(64))
for i in range(int(sys.argv[1])):
    threading.Thread(target=block, daemon=True).start()
print('all call', flush=True)
time.sleep(3600)
"""


@test
def who_blocks_thousands_of_calls_leaves_neighbours_theirs():
    with Shop() as shop:
        greedy = [shop.begin('greedy%d' % i, [PYTHON, '-B', '-c', BLOCKS, '1400'])
                  for i in range(4)]
        for c in greedy:
            until('its threads', lambda: 'all call' in shop.log_of(c), 4 * LIMIT)
        last = [0]

        def settled():
            before, last[0] = last[0], shop.status()['calls_pending']
            return last[0] > 1024 and before == last[0]
        until('all that will be taken', settled)
        check(last[0] <= 4096 - 256, '%d of 4096 calls are theirs' % last[0])
        calls = {c['name']: c for c in shop.ask_for('GET', 'sessions')[1]['sessions']}
        check(all(calls['greedy%d' % i]['calls'] <= 1024 + 64 for i in range(4)), str(calls))
        out = shop.guest('notify')
        for i in range(3):
            equal(out.result('register neighbour%d' % i), 0, 'a call of a program outside')
        c = shop.begin('modest', [PYTHON, '-B', '-c', 'import ctypes; '
                                  'print(ctypes.CDLL(None).syscall(20303, b"modest"))'])
        until('the answer of a neighbour', lambda: '0' in shop.log_of(c))
        shop.ask_for('POST', 'container/greedy0/kill', {'signal': 9})
        until('the end of its calls', lambda: shop.look('greedy0')['session'] is None)
        equal(out.finish()[0], 0, 'exit status')


def refused(address):
    with socket.socket() as s:
        return s.connect_ex(address) == 111


def without_privilege():
    """All of it again, as a user who is nobody."""
    done = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                           sys.executable, '-B', os.path.abspath(__file__)],
                          env=dict(os.environ, TMPDIR='/var/tmp'), timeout=10 * LIMIT)
    equal(done.returncode, 0, 'the tests of a user without privileges')


def readable_by_all():
    path = os.path.join(BUILD, 'cloudos-ctr')
    while path != '/':
        if not os.stat(path).st_mode & 1:
            return False
        path = os.path.dirname(path)
    return True


if ROOT and readable_by_all():
    test(without_privilege)
run(at_once=3)
