# SPDX-License-Identifier: MIT
"""RPC through the daemon: handlers that answer, hang, crash, lie and come too late."""
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import LIMIT, SRC, Domain, alive, check, equal, run, test, until  # noqa: E402

EXAMPLES = os.path.join(SRC, 'examples/blackroad')
sys.path.insert(0, EXAMPLES)
import cloudos_handlers as wire  # noqa: E402


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=LIMIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


class Gateway(Domain):
    def __enter__(self):
        self.start()
        self.unix = os.path.join(self.dir, 'run/http.sock')
        return self

    def request(self, method, path, body=None, headers=None, connection=None):
        """(status, JSON, headers)"""
        c = connection or UnixConnection(self.unix)
        c.request(method, path, None if body is None else body if isinstance(body, bytes)
                  else json.dumps(body).encode(), dict(headers or {}))
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, json.loads(data), dict(r.getheaders())

    def rpc(self, method, params=None, timeout=None, service=None, **headers):
        body = {'method': method}
        if params is not None:
            body['params'] = params
        if timeout is not None:
            body['timeout'] = timeout
        return self.request('POST', '/v1/sys/rpc' + ('?service=' + service if service else ''), body,
                        {k.replace('_', '-'): v for k, v in headers.items()})

    def error(self, method, status, code, **more):
        got, reply, _ = self.rpc(method, **more)
        equal((got, reply['error']['code']), (status, code), method)
        return reply['error']

    def methods(self):
        return {m['name']: m for m in self.request('GET', '/v1/sys/methods')[1]['methods']}


class Raw:
    """A handler that speaks the protocol word by word."""

    def __init__(self, gateway, methods=(), most=None, service=None, address=None):
        self.wire = wire.Connection(address or 'unix:' + gateway.unix)
        self.wire.socket.settimeout(LIMIT)
        hello = {} if service is None else {'service': service}
        self.say(wire.HELLO, 0, hello)
        self.hear(wire.WELCOME)
        names = {'methods': list(methods)}
        if most:
            names['maxConcurrency'] = most
        self.say(wire.REGISTER, 1, names)
        self.hear(wire.REGISTERED)

    def say(self, kind, number, value=None):
        self.wire.send(kind, number, b'' if value is None else json.dumps(value).encode())

    def hear(self, want):
        while True:
            kind, number, payload = self.wire.receive()
            if kind == wire.HEARTBEAT:
                continue
            equal(kind, want, 'the frame %r' % payload)
            return number, json.loads(payload) if payload else None

    def call(self):
        return self.hear(wire.CALL)

    def answer(self, value=None):
        number, said = self.call()
        self.say(wire.RESULT, number, value)
        return said

    def close(self):
        self.wire.close()


class Later:
    """A request that waits in a thread of its own."""

    def __init__(self, function, *arguments, **more):
        self.value = self.problem = None
        self.thread = threading.Thread(target=self.run, args=(function, arguments, more))
        self.thread.start()

    def run(self, function, arguments, more):
        try:
            self.value = function(*arguments, **more)
        except Exception as problem:
            self.problem = problem

    def get(self):
        self.thread.join(LIMIT)
        check(not self.thread.is_alive(), 'an answer')
        if self.problem:
            raise self.problem
        return self.value


# ---- calls ----

@test
def a_program_with_the_example_client_answers():
    with Gateway() as g:
        p = subprocess.Popen([sys.executable, os.path.join(EXAMPLES, 'users.py'),
                              'blackroad-os-core'], env=g.env)
        try:
            until('its method', lambda: any(m['name'] == 'getUserById' for m in g.request(
                'GET', '/v1/sys/methods?service=blackroad-os-core')[1]['methods']))
            equal(g.rpc('getUserById', {'id': 123}, service='blackroad-os-core')[:2],
                  (200, {'result': {'id': 123, 'email': 'user@example.com',
                                    'name': 'John Doe'}}), 'the call')
            equal(g.rpc('getUserById', {'id': 7}, service='blackroad-os-core')[:2],
                  (500, {'error': {'code': 'USER_NOT_FOUND',
                                   'message': 'User with ID 7 not found',
                                   'details': {'id': 7}}}), 'the failure')
            equal(g.rpc('getUserById', {'id': 123})[0], 404, 'of another service')
        finally:
            p.kill()
            p.wait()
        until('the end of its methods', lambda: g.rpc(
            'getUserById', {'id': 123}, service='blackroad-os-core')[0] == 404)


@test
def values_come_and_go_byte_for_byte():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        odd = b'{"a":9007199254740993,"b":1e400,"c":0.10,"a":-0,"d":"\\u0000\\ud800"}'
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/rpc', b'{"method":"x","params":' + odd + b'}')
        kind, number, payload = h.wire.receive()
        equal(kind, wire.CALL, 'a call')
        check(odd in payload, 'the params as they were in %r' % payload)
        h.wire.send(wire.RESULT, number, odd)
        equal(c.getresponse().read(), b'{"result":' + odd + b'}', 'the result')


@test
def the_handler_learns_who_calls_and_nothing_is_null():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        later = Later(g.rpc, 'x', X_Service_Name='blackroad-os-operator', X_Service_Role='operator',
                      X_Request_Id='r-1')
        said = h.answer()
        equal(later.get()[:2], (200, {'result': None}), 'nothing')
        equal(said['params'], None, 'params')
        equal(said['caller'], {'service': 'blackroad-os-operator', 'role': 'operator',
                               'pid': os.getpid(), 'uid': os.geteuid()}, 'the caller')
        equal((said['requestId'], said['kind'], said['name']), ('r-1', 'method', 'x'), 'the call')
        check(0 < said['timeoutMs'] <= 10000, 'ten seconds unless said')


@test
def what_is_no_call_is_refused():
    with Gateway() as g:
        for body in (b'', b'{', b'[]', b'7', b'{}', b'{"method":7}', b'{"method":""}',
                     b'{"method":"x","timeout":-1}', b'{"method":"x","timeout":"1"}',
                     b'{"method":"%s"}' % (b'n' * 256), b'{"method":"x\xff"}'):
            status, reply, _ = g.request('POST', '/v1/sys/rpc', body)
            equal((status, 'message' in reply['error']), (400, True), repr(body[:40]))
        g.error('nobody', 404, 'METHOD_NOT_FOUND')
        equal(g.rpc('sys.echo', {'a': 1})[1], {'result': {'a': 1}}, 'sys.echo')
        check(g.rpc('sys.ping')[1]['result']['pong'], 'sys.ping')
        equal(g.rpc('sys.methods')[1], {'result': ['sys.echo', 'sys.methods', 'sys.ping']},
              'sys.methods')


@test
def handlers_attach_over_tcp_too():
    with Gateway() as g:
        with open(os.path.join(g.dir, 'run/http.json')) as f:
            address = json.load(f)['url']
        with contextlib.closing(Raw(g, ['x'], address=address)) as h:
            later = Later(g.rpc, 'x', [1])
            equal(h.answer([2])['params'], [1], 'the call')
            equal(later.get()[1], {'result': [2]}, 'the answer')
            later = Later(g.rpc, 'x')
            h.call()
            h.close()
            check('over TCP' in later.get()[1]['error']['message'], 'who has gone')


@test
def large_calls_wait_for_a_process_that_reads_slowly():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        big = ['%d' % i + 'x' * 1000000 for i in range(6)]
        calls = [Later(g.rpc, 'x', p, timeout=200000) for p in big]
        until('the first', lambda: g.methods()['x']['inFlight'])
        got = []
        for _ in big:  # at most as many bytes wait for it as a stream may hold
            number, said = h.call()
            got.append(said['params'])
            h.say(wire.RESULT, number, len(said['params']))
        equal(sorted(got), big, 'all of them, once')
        equal({later.get()[0] for later in calls}, {200}, 'all answered')
        status, reply, _ = g.rpc('x', 'x' * 1045000)
        equal((status, reply['error']['code']), (413, 'TOO_LARGE'), 'too large')


# ---- handlers as they must not be ----

@test
def one_that_hangs_costs_its_caller_the_timeout_and_no_other():
    with Gateway() as g, contextlib.closing(Raw(g, ['hang', 'x'])) as h:
        later = Later(g.rpc, 'hang', timeout=300)
        number, _ = h.call()
        quick = Later(g.rpc, 'x')
        h.answer(1)
        equal(quick.get()[1], {'result': 1}, 'another call meanwhile')
        status, reply, _ = later.get()
        equal((status, reply['error']['code']), (500, 'TIMEOUT'), 'the hanging one')
        check(300 <= reply['error']['details']['elapsedMs'] < 1000 * LIMIT, 'elapsedMs')
        equal(h.hear(wire.CANCEL)[0], number, 'the cancel')
        h.say(wire.RESULT, number, 'too late')
        h.say(wire.RESULT, number, 'twice')
        quick = Later(g.rpc, 'x')
        h.answer(2)
        equal(quick.get()[1], {'result': 2}, 'the connection after that')


@test
def a_crash_is_told_at_once_to_all_its_callers():
    with Gateway() as g:
        p = subprocess.Popen([sys.executable, '-c', '''
import sys, time
sys.path.insert(0, %r)
from cloudos_handlers import Handlers
h = Handlers()
h.method("hang")(lambda params, call: time.sleep(1000))
h.run()''' % EXAMPLES], env=g.env)
        until('its method', lambda: 'hang' in g.methods())
        calls = [Later(g.rpc, 'hang', timeout=200000) for _ in range(8)]
        until('the calls', lambda: g.methods()['hang']['inFlight'] == 8)
        begun = time.monotonic()
        p.kill()
        p.wait()
        for later in calls:
            status, reply, _ = later.get()
            equal((status, reply['error']['code']), (500, 'HANDLER_CRASHED'), 'a call')
            check('process %d' % p.pid in reply['error']['message'], 'which process')
        check(time.monotonic() - begun < 20, 'at once')
        g.error('hang', 404, 'METHOD_NOT_FOUND')


@test
def garbage_and_too_much_fail_one_call():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        for payload, code in ((b'{"a":', 'INVALID_RESULT'), (b'\xff', 'INVALID_RESULT'),
                              (b'[' * 100 + b']' * 100, 'INVALID_RESULT'),
                              (b'"' + b'a' * (1 << 20) + b'"', 'RESULT_TOO_LARGE')):
            later = Later(g.rpc, 'x')
            h.wire.send(wire.RESULT, h.call()[0], payload)
            status, reply, _ = later.get()
            equal((status, reply['error']['code']), (500, code), code)
        later = Later(g.rpc, 'x')
        h.wire.send(wire.ERROR, h.call()[0], b'garbage')
        equal(later.get()[1]['error']['code'], 'INVALID_RESULT', 'an error that is none')
        later = Later(g.rpc, 'x')
        big = 'b' * ((1 << 20) - 2)
        h.answer(big)
        equal(later.get()[1], {'result': big}, 'the largest')


@test
def who_breaks_the_protocol_is_disconnected_and_the_rest_goes_on():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as good:
        for bad in (b'GET / HTTP/1.1\r\n\r\n', b'\0' * 64, b'\xff' * 64,
                    wire.HEAD.pack(12, wire.RESULT, 1 << 60),
                    wire.HEAD.pack(14, wire.HELLO, 0) + b'{}',
                    wire.HEAD.pack(14, wire.REGISTER, 0) + b'[]'):
            h = Raw(g, ['bad'])
            later = Later(g.rpc, 'bad')
            h.call()
            h.wire.socket.sendall(bad)
            number, said = h.hear(wire.ERROR)
            equal((number, said['code']), (0, 'PROTOCOL'), repr(bad[:20]))
            equal(h.wire.file.read(), b'', 'the end of the connection')
            equal(later.get()[1]['error']['code'], 'HANDLER_CRASHED', repr(bad[:20]))
            h.close()
        later = Later(g.rpc, 'x')
        good.answer(1)
        equal(later.get()[0], 200, 'another handler')


@test
def a_connection_that_is_no_upgrade_is_told_so():
    with Gateway() as g:
        status, reply, headers = g.request('POST', '/v1/sys/handlers', b'')
        equal((status, headers['Upgrade']), (426, 'cloudos-handlers/1'), 'without Upgrade')


@test
def more_callers_than_may_wait_are_refused_with_retry_after():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'], most=1)) as h:
        sockets = []
        for i in range(258):  # one is in flight, 256 wait, one is refused
            c = UnixConnection(g.unix)
            c.request('POST', '/v1/sys/rpc', b'{"method":"x","timeout":200000}')
            sockets.append(c)
            if i == 0:
                number, _ = h.call()
        r = sockets[-1].getresponse()
        equal((r.status, r.getheader('Retry-After')), (503, '1'), 'the last')
        equal(json.loads(r.read())['error']['code'], 'OVERLOADED', 'the last')
        for i, c in enumerate(sockets[:-1]):
            h.say(wire.RESULT, number, i)
            equal(json.loads(c.getresponse().read()), {'result': i}, 'in order')
            c.close()
            if i < 256:
                number, _ = h.call()


@test
def a_client_that_goes_away_cancels_its_call():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/rpc', b'{"method":"x","timeout":200000}')
        number, _ = h.call()
        c.close()
        equal(h.hear(wire.CANCEL)[0], number, 'the cancel')
        h.say(wire.RESULT, number, 1)
        later = Later(g.rpc, 'x')
        h.answer(2)
        equal(later.get()[1], {'result': 2}, 'the next call')


@test
def calls_are_shared_between_processes_and_none_runs_twice():
    with Gateway() as g:
        handlers = [Raw(g, ['x'], most=4) for _ in range(3)]
        seen, lock = [], threading.Lock()

        def serve(h):
            with contextlib.suppress(wire.Lost, OSError):
                while True:
                    number, said = h.call()
                    with lock:
                        seen.append(said['params'])
                    h.say(wire.RESULT, number, said['params'])

        for h in handlers:
            threading.Thread(target=serve, args=(h,), daemon=True).start()

        def client(n):
            c = UnixConnection(g.unix)
            for i in range(50):
                got = g.request('POST', '/v1/sys/rpc', {'method': 'x', 'params': [n, i]},
                            connection=c)
                equal(got[:2], (200, {'result': [n, i]}), 'a call')
            c.close()

        for later in [Later(client, n) for n in range(12)]:
            later.get()
        equal(sorted(seen), sorted([n, i] for n in range(12) for i in range(50)), 'each once')
        for h in handlers:
            h.close()


@test
def at_the_daemons_death_the_client_sees_an_error_at_once_and_nothing_runs_twice():
    with Gateway() as g:
        ran = os.path.join(g.dir, 'ran')
        p = subprocess.Popen([sys.executable, '-c', '''
import sys, time
sys.path.insert(0, %r)
from cloudos_handlers import Handlers
h = Handlers()
def effect(params, call):
    with open(%r, "a") as f:
        f.write("%%s\\n" %% params)
    call.cancelled.wait(1000 if params == "slow" else 0)
    return params
h.method("effect")(effect)
h.run()''' % (EXAMPLES, ran)], env=g.env)
        try:
            until('its method', lambda: 'effect' in g.methods())
            c = UnixConnection(g.unix)
            c.request('POST', '/v1/sys/rpc',
                      b'{"method":"effect","params":"slow","timeout":200000}')
            until('its effect', lambda: os.path.exists(ran))
            g.kill_daemon()
            with contextlib.suppress(OSError, http.client.HTTPException):
                c.getresponse()
                raise AssertionError('a call survived its daemon')

            def again():
                try:
                    return g.rpc('effect', 'quick')
                except OSError:
                    return (0, None)
            status = 0
            end = time.monotonic() + LIMIT
            while status != 200 and time.monotonic() < end:
                status = again()[0]  # 404 until it has attached again
                time.sleep(0.02)
            equal(status, 200, 'with the next daemon')
            with open(ran) as f:
                equal(sorted(f.read().split()), ['quick', 'slow'], 'effects')
        finally:
            p.kill()
            p.wait()


@test
def whoever_is_killed_no_call_runs_twice_and_every_answer_is_of_one_that_ran():
    with Gateway() as g:
        ran, over = os.path.join(g.dir, 'ran'), threading.Event()

        def handler():
            return subprocess.Popen([sys.executable, '-c', '''
import os, sys
sys.path.insert(0, %r)
from cloudos_handlers import Handlers
h = Handlers()
out = os.open(%r, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def effect(params, call):
    os.write(out, ("%%s\\n" %% params).encode())
    return params
h.method("effect")(effect)
h.run()''' % (EXAMPLES, ran)], env=g.env, stderr=subprocess.DEVNULL)

        answered = []

        def client(n):
            i = 0
            while not over.is_set():
                i += 1
                try:
                    status, reply, _ = g.rpc('effect', '%d.%d' % (n, i))
                except (OSError, http.client.HTTPException, ValueError):
                    continue
                if status == 200:
                    equal(reply, {'result': '%d.%d' % (n, i)}, 'an answer')
                    answered.append('%d.%d' % (n, i))
        p = handler()
        try:
            until('its method', lambda: 'effect' in g.methods())
            clients = [Later(client, n) for n in range(4)]
            for n in range(6):
                before = len(answered)
                until('answers', lambda: len(answered) > before + 20)
                if n % 2:
                    g.kill_daemon()
                else:
                    p.kill()
                    p.wait()
                    p = handler()
            before = len(answered)
            until('answers', lambda: len(answered) > before + 20)
            over.set()
            for later in clients:
                later.get()
        finally:
            over.set()
            p.kill()
            p.wait()
        with open(ran) as f:
            seen = f.read().split()
        equal(len(seen), len(set(seen)), 'calls that ran, each once')
        equal(set(answered) - set(seen), set(), 'answers to calls that did not run')


@test
def a_stopping_daemon_lets_calls_end():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        later = Later(g.rpc, 'x', timeout=200000)
        number, _ = h.call()
        os.kill(g.status()['pid'], signal.SIGTERM)
        until('its listener to go', lambda: not reachable(g.unix))
        h.say(wire.RESULT, number, 'done')
        equal(later.get()[1], {'result': 'done'}, 'the call')


@test
def a_stopping_daemon_tells_who_still_waits_after_ten_seconds():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        later = Later(g.rpc, 'x', timeout=200000)
        h.call()
        os.kill(g.status()['pid'], signal.SIGTERM)
        status, reply, _ = later.get()
        equal((status, reply['error']['code']), (500, 'SHUTDOWN'), 'the call')


@test
def a_run_goes_on_over_the_daemons_death_and_its_result_is_taken():
    for program, end in ((python_job, Gateway.kill_daemon), (node_job, Gateway.kill_daemon),
                         (python_job, lambda g: (g.ctl('daemon', 'stop'), g.start()))):
        with Gateway() as g:
            ran, go = os.path.join(g.dir, 'ran'), os.path.join(g.dir, 'go')
            p = program(g, ran, go)
            if not p:
                continue
            try:
                until('its handler', lambda: g.request(
                    'POST', '/v1/sys/job', {'name': 'work', 'params': 1})[0] == 201)
                until('its beginning', lambda: os.path.exists(ran))
                job = g.request('GET', '/v1/sys/jobs')[1]['jobs'][0]['id']
                end(g)

                def status():
                    try:
                        return g.request('GET', '/v1/sys/job/' + job)[1]
                    except OSError:
                        return {'status': None}
                until('the next daemon', lambda: status()['status'] == 'running')
                until('its process to take it up', lambda: any(
                    j['name'] == 'work' and j['inFlight'] == 1
                    for j in g.request('GET', '/v1/sys/methods')[1]['jobs']))
                with open(go, 'w'):
                    pass
                until('its end', lambda: status()['status'] not in (None, 'running'))
                equal((status()['status'], status()['result']), ('completed', {'done': 1}),
                      'the run: %s' % status())
                with open(ran) as f:
                    equal(f.read(), 'ran\n', 'effects')
            finally:
                p.kill()
                p.wait()


def python_job(g, ran, go):
    return subprocess.Popen([sys.executable, '-c', '''
import os, sys, time
sys.path.insert(0, %r)
from cloudos_handlers import Handlers
h = Handlers()
def work(params, call):
    with open(%r, "a") as f:
        f.write("ran\\n")
    while not os.path.exists(%r):
        time.sleep(0.01)
    return {"done": params}
h.job("work")(work)
h.run()''' % (EXAMPLES, ran, go)], env=g.env)


def node_job(g, ran, go):
    if not has_node():
        return None
    return subprocess.Popen(['node', '-e', '''
const { Handlers } = require(%s), fs = require('fs');
const h = new Handlers();
h.job('work', (params) => new Promise((resolve) => {
	fs.appendFileSync(%s, 'ran\\n');
	const timer = setInterval(() => {
		if (!fs.existsSync(%s)) return;
		clearInterval(timer);
		resolve({ done: params });
	}, 10);
}));
h.run();''' % tuple(json.dumps(os.path.abspath(x)) for x in (
        os.path.join(EXAMPLES, 'cloudos-handlers.js'), ran, go))], env=g.env)


def has_node():
    if any(os.access(os.path.join(d, 'node'), os.X_OK)
           for d in os.environ.get('PATH', '').split(':')):
        return True
    print('SKIP: node is missing: apt-get install nodejs')
    check(os.environ.get('CO_STRICT') != '1', 'node is there')
    return False


def reachable(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
        try:
            s.connect(path)
            return True
        except OSError:
            return False


@test
def the_node_client_answers():
    if not has_node():
        return
    with Gateway() as g:
        p = subprocess.Popen(['node', '-e', '''
const { Handlers, Failure } = require(%s);
const h = new Handlers();
h.method('add', (params) => params.a + params.b);
h.method('nothing', async () => {});
h.method('fails', () => { throw new Failure('NO', 'not today', { why: 1 }); });
h.method('hang', (params, call) => new Promise((resolve) =>
	call.signal.addEventListener('abort', () => resolve(cancelled = true))));
h.method('was', () => cancelled);
let cancelled = false;
h.run();''' % json.dumps(os.path.join(os.path.abspath(EXAMPLES), 'cloudos-handlers.js'))], env=g.env)
        try:
            until('its methods', lambda: 'was' in g.methods())
            equal(g.rpc('add', {'a': 2, 'b': 3})[1], {'result': 5}, 'add')
            equal(g.rpc('nothing')[1], {'result': None}, 'nothing')
            equal(g.error('fails', 500, 'NO')['details'], {'why': 1}, 'fails')
            g.error('hang', 500, 'TIMEOUT', timeout=100)
            until('its cancel', lambda: g.rpc('was')[1] == {'result': True})
        finally:
            p.kill()
            p.wait()


@test
def what_handlers_have_done_is_in_the_metrics():
    with Gateway() as g:
        g.rpc('sys.ping')
        g.rpc('nobody')
        c = UnixConnection(g.unix)
        c.request('GET', '/metrics')
        lines = c.getresponse().read().decode().splitlines()
        check('cloudos_handler_calls_total 2' in lines and 'cloudos_handler_calls_in_flight 0' in lines,
              '\n'.join(lines))


# ---- commands ----

def configured(g, text):
    os.makedirs(os.path.join(g.dir, 'config'), exist_ok=True)
    with open(os.path.join(g.dir, 'config/handlers.yaml'), 'w') as f:
        f.write(text)
    os.chmod(os.path.join(g.dir, 'config/handlers.yaml'), 0o600)
    return g.ctl('daemon', 'reload', status=None)


def command(name, code, more=''):
    return '  %s:\n    methods: [%s]\n    command: [/bin/sh, -c, %s]\n%s' % (
        name, name, json.dumps(code), more)


@test
def a_command_gets_params_and_answers_without_a_shell_of_ours():
    with Gateway() as g:
        r = configured(g, 'handlers:\n' + command('echo', 'cat') + command('nothing', 'cat >/dev/null') +
                       command('who', 'printf \'["%s","%s","%s","%s"]\' "$CLOUDOS_METHOD" '
                               '"$CLOUDOS_CALLER" "$A" "$PWD"',
                               '    environment: [A=b c]\n    directory: /usr\n') +
                       '  odd:\n    methods: [odd]\n    command: [/usr/bin/env, expr, length, '
                       '"\\x01a b"]\n'
                       '  plain:\n    methods: [plain]\n    command: [/bin/echo, "\'$HOME; ls\'"]\n')
        equal(r.returncode, 0, r.stderr)
        odd = b'{"method":"echo","params":{"a":1e400,"b":0.10}}'
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/rpc', odd)
        equal(c.getresponse().read(), b'{"result":{"a":1e400,"b":0.10}}', 'echo')
        big = 'x' * 900000
        equal(g.rpc('echo', big)[1], {'result': big}, 'more than a pipe holds')
        equal(g.rpc('odd')[1], {'result': 4}, 'an argument as it is')
        equal(g.rpc('nothing')[1], {'result': None}, 'nothing')
        equal(g.rpc('nothing', big)[1], {'result': None}, 'who does not read')
        equal(g.rpc('who', X_Service_Name='op; `rm`')[1],
              {'result': ['who', 'op; `rm`', 'b c', '/usr']}, 'its environment')
        equal(g.error('plain', 500, 'INVALID_RESULT')['code'], 'INVALID_RESULT', 'no shell')
        equal(g.methods()['echo']['kind'], 'command', 'its kind')


@test
def a_command_that_fails_says_how():
    with Gateway() as g:
        configured(g, 'handlers:\n' + command('three', 'echo no such user >&2; exit 3') +
                   command('dies', 'kill -9 $$') +
                   command('floods', 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done') +
                   command('mutters', 'head -c 100000 /dev/zero | tr "\\0" x >&2; exit 1') +
                   '  missing:\n    methods: [missing]\n    command: [/no/such/program]\n')
        e = g.error('three', 500, 'COMMAND_FAILED')
        equal(e['details'], {'exit': 3, 'signal': None, 'stderrTail': 'no such user\n'}, 'exit')
        equal(g.error('dies', 500, 'COMMAND_FAILED')['details']['signal'], 9, 'signal')
        g.error('floods', 500, 'RESULT_TOO_LARGE')
        equal(g.error('mutters', 500, 'COMMAND_FAILED')['details']['stderrTail'], 'x' * 4096,
              'the end of what it said')
        check('/no/such/program' in g.error('missing', 503, 'UNAVAILABLE')['message'], 'missing')


@test
def a_command_that_hangs_is_ended_with_all_it_has_started():
    with Gateway() as g:
        pids = os.path.join(g.dir, 'pids')
        configured(g, 'handlers:\n' + command(
            'hang', 'trap "" TERM; (trap "" TERM; sleep 1000) & echo $$ $! >%s; sleep 1000' % pids) +
            command('leaves', 'sleep 1000 >/dev/null 2>&1 & echo $!'))
        g.error('hang', 500, 'TIMEOUT', timeout=300)
        with open(pids) as f:
            both = [int(p) for p in f.read().split()]
        until('the end of both', lambda: not any(alive(p) for p in both))
        left = g.rpc('leaves')[1]['result']
        until('the end of what it left behind', lambda: not alive(left))


@test
def a_client_that_goes_away_ends_its_command():
    with Gateway() as g:
        pid = os.path.join(g.dir, 'pid')
        configured(g, 'handlers:\n' + command('hang', 'echo $$ >%s; exec sleep 1000' % pid))
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/rpc', b'{"method":"hang","timeout":200000}')
        until('its pid', lambda: os.path.exists(pid) and os.path.getsize(pid))
        c.close()
        with open(pid) as f:
            number = int(f.read())
        until('its end', lambda: not alive(number))


@test
def commands_die_with_the_daemon():
    with Gateway() as g:
        pid = os.path.join(g.dir, 'pid')
        configured(g, 'handlers:\n' + command('hang', 'echo $$ >%s; exec sleep 1000' % pid))
        c = UnixConnection(g.unix)
        c.request('POST', '/v1/sys/rpc', b'{"method":"hang","timeout":200000}')
        until('its pid', lambda: os.path.exists(pid) and os.path.getsize(pid))
        with open(pid) as f:
            number = int(f.read())
        g.kill_daemon()
        until('its end', lambda: not alive(number))


@test
def more_commands_than_may_run_wait_and_all_are_answered():
    with Gateway() as g:
        now, most = os.path.join(g.dir, 'now'), 16
        os.mkdir(now)
        configured(g, 'handlers:\n' + command(
            'count', 'touch %s/$$; ls %s | wc -l; sleep 0.05; rm %s/$$' % (now, now, now),
            '    concurrency: 100\n'))
        calls = [Later(g.rpc, 'count', timeout=200000) for _ in range(48)]
        seen = [later.get() for later in calls]
        equal({s[0] for s in seen}, {200}, 'all of them')
        check(max(s[1]['result'] for s in seen) <= most, 'at most %d at a time' % most)


@test
def what_the_file_says_is_checked_and_changes_leave_the_rest_alone():
    with Gateway() as g:
        equal(configured(g, 'handlers:\n' + command('a', 'echo 1') +
                         command('slow', 'sleep 0.5; echo 2')).returncode, 0, 'reload')
        later = Later(g.rpc, 'slow')
        until('its call', lambda: g.methods()['slow']['inFlight'])
        equal(configured(g, 'handlers:\n' + command('b', 'echo 3') +
                         command('slow', 'sleep 0.5; echo 2')).returncode, 0, 'reload')
        equal(later.get()[1], {'result': 2}, 'a call over a reload')
        g.error('a', 404, 'METHOD_NOT_FOUND')
        equal(g.rpc('b')[1], {'result': 3}, 'the new one')
        for bad, part in (('handlers:\n  x: 7\n', 'group of keys'),
                          ('handlers:\n  x:\n    methods: [a]\n', 'either a command or a backend'),
                          ('handlers:\n  x:\n    methods: [a]\n    command: [ls]\n', 'from the root'),
                          ('handlers:\n  x:\n    command: [/bin/ls]\n', 'neither methods nor jobs'),
                          ('handlers:\n  x:\n    comand: [/bin/ls]\n', 'no key "comand"'),
                          ('handlers:\n  x:\n    backend: ftp://x\n', 'backend must be'),
                          ('handler:\n', 'one key')):
            r = configured(g, bad)
            check(r.returncode and part in r.stderr, '%r: %s' % (bad, r.stderr))
        equal(g.rpc('b')[1], {'result': 3}, 'what was there before')
        path = os.path.join(g.dir, 'config/handlers.yaml')
        with open(path, 'w') as f:
            f.write('handlers:\n' + command('evil', 'echo 1'))
        os.chmod(path, 0o666)
        r = g.ctl('daemon', 'reload', status=None)
        check(r.returncode and 'nobody else may write it' in r.stderr, r.stderr)
        g.error('evil', 404, 'METHOD_NOT_FOUND')


# ---- backends ----

class Backend(http.server.BaseHTTPRequestHandler):
    """A service with its own POST /v1/sys/rpc, which notes what it is asked."""
    protocol_version = 'HTTP/1.1'
    asked = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        said = json.loads(body)
        Backend.asked.append((self.path, body, dict(self.headers)))
        status, reply = {
            'add': lambda p: (200, {'result': p['a'] + p['b']}),
            'nothing': lambda p: (200, {}),
            'missing': lambda p: (404, {'error': {'code': 'METHOD_NOT_FOUND', 'message': 'no',
                                                  'extra': 1}}),
            'wrong': lambda p: (200, {'error': {'code': 'MINE', 'message': 'sorry'}}),
            'text': lambda p: (500, b'<html>'),
            'hang': lambda p: (Backend.hang.wait(LIMIT), (200, {}))[1],
        }[said['method']](said.get('params'))
        data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *words):
        pass


@test
def a_backend_gets_the_call_and_its_errors_are_passed_on():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Backend)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Backend.hang = threading.Event()
    with Gateway() as g:
        r = configured(g, 'handlers:\n  b:\n    backend: http://127.0.0.1:%d\n' % server.server_port)
        equal(r.returncode, 0, r.stderr)
        equal(g.rpc('add', {'a': 2, 'b': 3}, timeout=60000, X_Service_Name='op', X_Service_Role='r',
                    X_Request_Id='r-7')[:2], (200, {'result': 5}), 'add')
        path, body, headers = Backend.asked[-1]
        said = json.loads(body)
        equal((path, said['method'], said['params']), ('/v1/sys/rpc', 'add', {'a': 2, 'b': 3}), 'asked')
        check(0 < said['timeout'] <= 60000, 'what is left of the timeout')
        equal([headers.get(n) for n in ('X-Service-Name', 'X-Service-Role', 'X-Request-Id')],
              ['op', 'r', 'r-7'], 'headers')
        equal(g.rpc('nothing')[1], {'result': None}, 'nothing')
        equal(g.rpc('missing')[:2], (404, {'error': {'code': 'METHOD_NOT_FOUND', 'message': 'no',
                                                     'extra': 1}}), 'passed on')
        equal(g.rpc('wrong')[:2], (500, {'error': {'code': 'MINE', 'message': 'sorry'}}), '200 and an error')
        g.error('text', 500, 'INVALID_RESULT')
        before = len(Backend.asked)
        g.error('hang', 500, 'TIMEOUT', timeout=200)
        equal(len(Backend.asked), before + 1, 'asked once')
        Backend.hang.set()
        server.shutdown()
        server.server_close()
        until('nobody to listen', lambda: g.rpc('add', {'a': 1, 'b': 1})[0] == 503)
        g.error('add', 503, 'UNAVAILABLE')


# ---- the command line ----

@test
def the_command_line_calls_and_lists():
    with Gateway() as g, contextlib.closing(Raw(g, ['x'])) as h:
        equal(g.ctl('rpc', 'call', 'sys.echo', '{"a": 1e400}').stdout, '{"a": 1e400}\n', 'a result')
        equal(g.ctl('rpc', 'call', 'sys.echo', '1', '-o', 'json').stdout, '{"result":1}\n', 'as JSON')
        equal(g.ctl('rpc', 'call', 'sys.echo', '-t', 'hello').stdout, 'hello\n', 'a text')
        check('4' == str(g.ctl('rpc', 'call', 'nobody', status=None).returncode), 'not found')
        equal(g.ctl('rpc', 'call', 'sys.echo', '{', status=None).returncode, 2, 'no JSON')
        later = Later(g.ctl, 'rpc', 'call', 'x', '--timeout', '200', status=1)
        number, _ = h.call()
        check('within 200 ms' in later.get().stderr, later.get().stderr)
        out = g.ctl('rpc', 'methods').stdout
        check(all(w in out for w in ('sys.ping', 'builtin', 'x', 'attached')), out)


run()
