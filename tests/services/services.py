# SPDX-License-Identifier: MIT
"""cloudos-exec --service: names, addresses, environment, output, cleaning up.

As root everything runs twice, as root and as "nobody"; otherwise as whoever it is.
"""
import ctypes
import errno
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.abspath(os.environ.get('srcdir', '.')), 'tests/fault'))
import harness  # noqa: E402
from harness import BUILD, LIMIT, SRC, Skip, alive, check, equal, run, test, until  # noqa: E402

HERE = os.path.join(SRC, 'tests/services')
NOBODY = 65534
# one that nobody may run, too
PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else shutil.which('python3')
ENGINES = [e for e in ('notify', 'ptrace') if os.environ.get('CO_ENGINE') in (None, '', e)]
INTERNAL = 'http://blackroad-os-%s.railway.internal:%d%s'


# ---- who runs it ----

class Me:
    name, words = 'oneself', []

    def place(self):
        return os.environ.get('TMPDIR') or '/tmp'

    def give(self, path):
        pass


class Nobody(Me):
    name = 'nobody'
    words = ['setpriv', '--reuid', str(NOBODY), '--regid', str(NOBODY), '--clear-groups']

    def __init__(self):
        self.base = None

    def place(self):
        """A folder where nobody may run what lies there; programs are copied into it."""
        if not self.base:
            self.base = tempfile.mkdtemp(prefix='services-', dir='/var/tmp')
            for program in ('cloudos-exec', 'cloudosctl', 'cloudos-keeper', 'cloudosd/cloudosd',
                            'cloudos-loader'):
                shutil.copy(os.path.join(BUILD, program), self.base)
            shutil.copy(os.path.join(HERE, 'listener.py'), self.base)
            self.give(self.base)
        return self.base

    def give(self, path):
        os.chown(path, NOBODY, NOBODY)
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                os.chown(os.path.join(folder, name), NOBODY, NOBODY)


def users():
    if os.getuid():
        return [Me()]
    if not shutil.which('setpriv'):
        raise Skip('setpriv is missing: apt-get install util-linux')
    return [Me(), NOBODY_USER]


NOBODY_USER = Nobody()


class Domain(harness.Domain):
    def __init__(self, user):
        self.user = user
        super().__init__()
        if user.words:
            shutil.rmtree(self.dir)
            self.dir = tempfile.mkdtemp(prefix='d-', dir=user.place())
            user.give(self.dir)
            self.env.update(CLOUDOS_DIR=self.dir, CLOUDOS_LIBEXECDIR=user.base,
                            HOME=self.dir, TMPDIR=user.base)
        self.programs = user.base if user.words else BUILD

    def words(self, program):
        return [*self.user.words, os.path.join(self.programs, program)]

    def start(self):
        environment = dict(self.env, **({'CO_FAULT': self.fault} if self.fault else {}))
        r = subprocess.run([*self.words('cloudosctl'), 'daemon', 'start'], env=environment,
                           timeout=LIMIT, capture_output=True, text=True, cwd='/')
        equal(r.returncode, 0, 'daemon start (%s)' % r.stderr)

    def ctl(self, *words, status=0):
        r = subprocess.run([*self.words('cloudosctl'), *words], env=self.env, timeout=LIMIT,
                           capture_output=True, text=True, cwd='/')
        if status is not None:
            equal(r.returncode, status, 'cloudosctl %s (%s)' % (' '.join(words), r.stderr))
        return r

    def connect(self):
        """To the gateway, as soon as there is one."""
        def attempt():
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(LIMIT)
            try:
                s.connect(os.path.join(self.dir, 'run/http.sock'))
                return s
            except OSError:
                s.close()
                return None
        return until('the gateway', attempt)

    def get(self, s, path):
        """The reply to it; who is not its user shows the token of the daemon."""
        with open(os.path.join(self.dir, 'state/http.token')) as f:
            token = f.read().strip()
        s.sendall(('GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n'
                   % (path, token)).encode())
        reply = http.client.HTTPResponse(s)
        reply.begin()
        equal(reply.status, 200, path)
        return reply

    def http(self, path):
        def attempt():  # a daemon that was killed is not there at once
            with self.connect() as s:
                try:
                    return json.loads(self.get(s, path).read())
                except ConnectionError:
                    return None
        return until(path, attempt)

    def events(self, count):
        """The first events of core's bus."""
        out = []
        with self.connect() as s:
            reply = self.get(s, '/v1/sys/events?service=blackroad-os-core&since=2000-01-01T00:00:00Z')
            while len(out) < count:
                line = reply.readline()
                check(line, 'the stream has ended')
                if line.startswith(b'data:') and b'"service:' in line:
                    out.append(json.loads(line[5:]))
        return out

    def configure(self, text):
        os.makedirs(os.path.join(self.dir, 'config'), mode=0o700, exist_ok=True)
        with open(os.path.join(self.dir, 'config/services.yaml'), 'w') as f:
            f.write(text)
        self.user.give(self.dir)

    def names(self):
        return {row['word']: row for row in json.loads(self.ctl('service', 'names', '-o', 'json').stdout)}

    def service(self, name, *binds, **more):
        return Service(self, name, binds, **more)


class Service(harness.Guest):
    def __init__(self, domain, name, binds, options=(), variables=(), engine=None, before=None):
        listener = os.path.join(domain.user.base if domain.user.words else HERE, 'listener.py')
        words = ['--service', name] if name else ['--personality=blackroad']
        if engine:
            words.append('--engine=' + engine)
        self.process = subprocess.Popen(
            [*domain.words('cloudos-exec'), *words, *options, '--', PYTHON, listener, *binds],
            env=dict(domain.env, **dict(variables)), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, cwd='/',
            preexec_fn=before)
        domain.guests.append(self)
        self.buffer = b''
        self.bound = [json.loads(self.line()) for _ in binds]

    def ask(self, command):
        self.tell(command)
        return json.loads(self.line())

    def pid(self):
        return self.ask('pid')['pid']


def without_name_spaces():
    """In the child, before exec: a filter that answers unshare with EPERM."""
    libc = ctypes.CDLL(None, use_errno=True)
    unshare = {'x86_64': 272, 'aarch64': 97}[os.uname().machine]
    code = b''.join(struct.pack('=HBBI', *i) for i in (
        (0x20, 0, 0, 0), (0x15, 0, 1, unshare), (0x06, 0, 0, 0x50000 | errno.EPERM),
        (0x06, 0, 0, 0x7fff0000)))
    kept = ctypes.create_string_buffer(code)
    program = struct.pack('=H6xQ', 4, ctypes.addressof(kept))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), 'prctl')


def needs_name_spaces(d):
    """For what holds only where programs can have mounts of their own."""
    r = subprocess.run([*d.words('cloudos-exec'), '--service=core', 'true'], env=d.env,
                       capture_output=True, text=True, timeout=LIMIT, cwd='/')
    if 'name spaces are forbidden' in r.stderr:
        raise Skip(r.stderr.strip())


def each_user(function):
    def all_of_them():
        for user in users():
            try:
                function(user)
            except AssertionError as e:
                raise AssertionError('as %s: %s' % (user.name, e)) from e
    all_of_them.__name__ = function.__name__
    return test(all_of_them)


def each_engine(function):
    def all_of_them(user):
        for engine in ENGINES:
            try:
                function(user, engine)
            except AssertionError as e:
                raise AssertionError('engine %s: %s' % (engine, e)) from e
    all_of_them.__name__ = function.__name__
    return each_user(all_of_them)


# ---- addresses ----

@each_engine
def a_wildcard_of_its_own_port_is_bound_on_the_back_address(user, engine):
    with Domain(user) as d:
        for kind, shape in (('4', '%s:8000'), ('6', '::ffff:%s:8000')):
            with_it = d.service('core', kind + ':8000', engine=engine)
            back = d.names()['core']['back']
            equal(with_it.bound, [{'bound': shape % back}], 'a bind of %s' % kind)
            with_it.finish()


@each_engine
def other_ports_and_datagrams_are_bound_on_the_front_address(user, engine):
    with Domain(user) as d:
        s = d.service('operator', '4:0', '6:0', 'udp:8001', '4:8001', engine=engine)
        row = d.names()['operator']
        got = [b['bound'].rpartition(':')[0] for b in s.bound]
        equal(got, [row['front'], '::ffff:' + row['front'], row['front'], row['back']],
              'addresses')
        check(not s.bound[0]['bound'].endswith(':0'), 'no port was chosen')


@each_engine
def a_socket_for_ipv6_alone_is_put_aside(user, engine):
    with Domain(user) as d:
        s = d.service('core', '4:8000', 'only6:8000', engine=engine)
        other = d.service('api', '4:8000', 'only6:8000', engine=engine)
        for service, word in ((s, 'core'), (other, 'api')):
            row = d.names()[word]
            equal(service.bound, [{'bound': row['back'] + ':8000'},
                                  {'bound': '::ffff:%s:8000' % row['front'].replace('127.77', '127.78')}],
                  'what %s has bound' % word)


@each_engine
def other_addresses_and_families_are_the_kernels(user, engine):
    with Domain(user) as d:
        path = os.path.join(d.dir, 'socket')
        s = d.service('core', 'lo:0', 'unix:' + path, engine=engine)
        check(s.bound[0]['bound'].startswith('127.0.0.1:'), s.bound[0])
        equal(s.bound[1], {'bound': path}, 'a path')
        check(os.path.exists(path), 'there is no socket in the folder')


@each_engine
def a_port_that_is_taken_is_taken(user, engine):
    with Domain(user) as d:
        first = d.service('core', '4:8000', engine=engine)
        second = d.service('core', '4:8000', '6:8000', engine=engine)
        check('bound' in first.bound[0], first.bound)
        equal(second.bound, [{'errno': 'EADDRINUSE'}] * 2, 'the second one')


@each_engine
def wrong_arguments_of_bind_fail_as_they_do_natively(user, engine):
    program = r'''
import ctypes, errno, json, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def bind(fd, address, size):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno(), 0) if libc.bind(fd, address, size) else 0
def listen(fd):
    return errno.errorcode.get(ctypes.get_errno(), 0) if libc.listen(fd, 5) else 0
any4 = struct.pack('=HH4s8x', socket.AF_INET, 0, bytes(4))
unspec = struct.pack('=HH4s8x', socket.AF_UNSPEC, 0, bytes(4))
any6 = struct.pack('=HHI16sI', socket.AF_INET6, 0, 0, bytes(16), 0)
four = lambda: socket.socket(); six = lambda: socket.socket(socket.AF_INET6)
held = []
def on(make, address, size):
    s = make(); held.append(s)
    return bind(s.fileno(), address, size)
twice = four(); first = bind(twice.fileno(), any4, 16)
print(json.dumps([
    bind(-1, any4, 16), bind(9999, any4, 16), bind(0, any4, 16),
    on(four, any4, 0), on(four, any4, 2), on(four, any4, 15), on(four, any4, 129), on(four, any4, -1),
    on(four, None, 16), on(four, ctypes.c_void_p(1), 16), on(four, any6, 28), on(six, any4, 16),
    on(six, any6, 23), on(six, any6, 24), on(four, unspec, 16), first, bind(twice.fileno(), any4, 16),
    listen(-1), listen(0), on(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), any4, 16)]))
'''
    native = subprocess.run([PYTHON, '-c', program], capture_output=True, text=True, check=True,
                            stdin=subprocess.DEVNULL).stdout
    with Domain(user) as d:
        ours = subprocess.run([*d.words('cloudos-exec'), '--engine=' + engine, '--service=core',
                               '--', PYTHON, '-c', program], env=d.env, capture_output=True,
                              text=True, timeout=LIMIT, cwd='/', stdin=subprocess.DEVNULL)
        equal(ours.stdout, native, 'results (%s)' % ours.stderr)


# ---- names ----

@each_engine
def two_services_call_each_other_by_their_names(user, engine):
    with Domain(user) as d:
        core = d.service('core', '6:8000', engine=engine)
        operator = d.service('operator', '4:8001', '4:9999', engine=engine)
        for port in 8001, 9999:
            got = core.ask('get ' + INTERNAL % ('operator', port, '/x'))
            equal((got['body']['service'], got['body']['path']), ('blackroad-os-operator', '/x'),
                  'who answers at port %d' % port)
        got = operator.ask('get ' + INTERNAL % ('core', 8000, '/y'))
        equal((got['body']['service'], got['body']['host']),
              ('blackroad-os-core', ['blackroad-os-core.railway.internal:8000']), 'who answers')
        for name in ('blackroad-os-core.railway.internal', 'core.blackroad.systems'):
            equal(operator.ask('resolve ' + name), {'address': d.names()['core']['front']}, name)


@each_user
def a_program_without_a_service_knows_the_names_too(user):
    with Domain(user) as d:
        caller = d.service(None)
        equal(caller.ask('resolve blackroad-os-api.railway.internal'),
              {'address': d.names()['api']['front']}, 'its address')
        equal(caller.ask('environment SERVICE_NAME'), {'SERVICE_NAME': None}, 'its environment')


@each_user
def the_machines_own_names_stay(user):
    with open('/etc/hosts') as f:
        before = f.read()
    with Domain(user) as d:
        s = d.service('core')
        hosts = s.ask('hosts')['hosts']
        check(hosts.endswith(before), 'the lines of the machine are not there')
        check('\tblackroad-os-core.railway.internal\n' in hosts, 'ours are not there')
        with open('/etc/hosts') as f:
            equal(f.read(), before, 'the file of everybody else')


@each_engine
def where_name_spaces_are_forbidden_the_daemon_hands_out_the_names(user, engine):
    with Domain(user) as d:
        s = d.service('core', '4:8000', variables={'CO_HOSTS': 'calls'}, engine=engine)
        row = d.names()['core']
        equal(s.bound, [{'bound': row['back'] + ':8000'}], 'a bind')
        equal(s.ask('resolve blackroad-os-core.railway.internal'), {'address': row['front']},
              'a name')
        check('\tblackroad-os-core.railway.internal\n' in s.ask('hosts')['hosts'], 'the file')
        status, said = s.finish()
        check('no private /etc/hosts for core' in said, said)


@each_user
def a_sandbox_that_forbids_name_spaces_is_noticed(user):
    with Domain(user) as d:
        d.ctl('daemon', 'start')
        s = d.service('core', '4:8000', before=without_name_spaces)
        row = d.names()['core']
        equal(s.bound, [{'bound': row['back'] + ':8000'}], 'a bind')
        equal(s.ask('resolve blackroad-os-core.railway.internal'), {'address': row['front']},
              'a name')
        status, said = s.finish()
        check('name spaces are forbidden here (Operation not permitted)' in said, said)


@each_user
def no_privilege_stays_with_the_program(user):
    with Domain(user) as d:
        needs_name_spaces(d)
        s = d.service('core')
        mine = s.ask('privileges')
        status, said = s.finish()
        equal((status, said), (0, ''), 'status and what is said')
        if user.words or os.getuid():
            equal({k: mine[k] for k in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb')},
                  dict.fromkeys(('CapPrm', 'CapEff', 'CapBnd', 'CapAmb'), '0' * 16),
                  'capabilities')
            uid = NOBODY if user.words else os.getuid()
            equal(mine['Uid'].split(), [str(uid)] * 4, 'users')
        else:
            with open('/proc/self/status') as f:
                equal(mine['CapEff'], re.search(r'CapEff:\s*(\S+)', f.read()).group(1),
                      'capabilities of root')


# ---- environment ----

@each_user
def the_environment_has_what_programs_expect(user):
    want = {'SERVICE_NAME': 'blackroad-os-operator', 'SERVICE_ROLE': 'operator',
            'ENVIRONMENT': 'development', 'PORT': '8001', 'VERSION': '1.0.0'}
    with Domain(user) as d:
        for name in want:
            d.env.pop(name, None)
        d.env.pop('npm_package_version', None)
        s = d.service('blackroad-os-operator.railway.internal')
        equal(s.ask('environment ' + ' '.join(want)), want, 'variables')
        own = {'ENVIRONMENT': 'production', 'PORT': '9000', 'VERSION': '2.1'}
        s = d.service('operator', variables=own)
        equal(s.ask('environment ' + ' '.join(want)), dict(want, **own), 'variables of the user')
        s = d.service('operator', variables={'npm_package_version': '3.2.1'})
        equal(s.ask('environment VERSION'), {'VERSION': '3.2.1'}, 'the version of the package')


@each_user
def an_unknown_service_is_refused_with_a_sentence(user):
    with Domain(user) as d:
        r = subprocess.run([*d.words('cloudos-exec'), '--service', 'cores', 'true'], env=d.env,
                           capture_output=True, text=True, timeout=LIMIT, cwd='/')
        equal(r.returncode, 125, 'status')
        check('no service of the registry of names is called "cores"' in r.stderr, r.stderr)


@test
def services_are_for_programs_of_blackroad():
    with Domain(Me()) as d:
        for words, sentence in (
                (['--service=core', '--personality=linux'], 'are for programs of BlackRoad OS'),
                (['--no-logs', '--personality=blackroad'], '--no-logs goes with --service'),
                (['--service=core', '--engine=trap'], 'engine trap does not run programs of BlackRoad')):
            r = subprocess.run([*d.words('cloudos-exec'), *words, 'true'], env=d.env,
                               capture_output=True, text=True, timeout=LIMIT)
            equal(r.returncode, 125, ' '.join(words))
            check(sentence in r.stderr, r.stderr)


# ---- the registry ----

@each_engine
def a_service_that_listens_is_registered_until_it_ends(user, engine):
    with Domain(user) as d:
        s = d.service('core', '4:8000', engine=engine)
        row, = d.services('blackroad-os-core')
        names = d.names()['core']
        equal((row['pid'], row['port'], row['endpoint']),
              (s.pid(), 8000, 'http://%s:8000' % names['front']), 'the instance')
        equal(names['serving'], 1, 'serving')
        until('its health', lambda: d.services('blackroad-os-core')[0]['health'] == 'healthy')
        s.finish()
        until('its end', lambda: not d.services())
        equal(d.names()['core']['serving'], 0, 'serving')


@each_user
def a_service_is_served_by_the_next_daemon(user):
    with Domain(user) as d:
        s = d.service('core', '4:8000')
        bound = d.names()['core']['back']
        d.kill_daemon()
        equal(d.names()['core']['back'], bound, 'its address')
        until('serving', lambda: d.names()['core']['serving'] == 1)
        second = d.service('core', '4:8000')
        equal(second.bound, [{'errno': 'EADDRINUSE'}], 'another one')
        equal(s.ask('get http://%s:8000/' % bound)['body']['service'], 'blackroad-os-core',
              'the answer')


@each_user
def a_bind_while_the_daemon_restarts_has_its_answer(user):
    with Domain(user) as d:
        s = d.service('core', '4:0')
        for _ in range(3):
            d.kill_daemon()
            other = d.service('api', '4:8000')
            check('bound' in other.bound[0], other.bound)
            other.finish()
        equal(s.ask('environment PORT'), {'PORT': '8000'}, 'the first one')


@each_user
def a_daemon_killed_over_a_bind_answers_it_once(user):
    for point in ('notify.received:kill:1', 'call.answering:kill:1', 'call.answered:kill:1'):
        with Domain(user) as d:
            d.fault = point
            d.start()
            s = d.service('core', '4:8000', engine='notify')
            until('the restart after ' + point, lambda: d.status()['restarts'] == 1)
            back = d.names()['core']['back']
            equal(s.bound, [{'bound': back + ':8000'}], point)
            equal(s.ask('get http://%s:8000/' % back)['body']['service'], 'blackroad-os-core',
                  'the answer after ' + point)
            equal(len(d.services('blackroad-os-core')), 1, 'instances after ' + point)


@each_user
def without_daemon_and_keeper_nothing_hangs(user):
    with Domain(user) as d:
        s = d.service('core')
        s.pid()
        pids = d.processes(['cloudosd', 'cloudos-keeper'])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until('their end', lambda: not any(alive(p) for p in pids))
        s.tell('say still here')
        equal(s.line(), 'still here', 'the program')
        equal(s.ask('bind 4:8000'), {'errno': 'ENOSYS'}, 'a bind that nobody answers')
        status, said = s.finish()
        equal(status, 0, 'its status (%s)' % said)


# ---- output ----

def lines(d, count):
    """The last so many lines of core's log, as soon as there are as many."""
    def there():
        rows = d.http('/v1/sys/logs?service=blackroad-os-core')['logs']
        return rows if len(rows) >= count else None
    return until('%d lines of the log' % count, there)


def own_words(said):
    """Standard error without what cloudos-exec says where name spaces are forbidden."""
    return ''.join(line for line in said.splitlines(True)
                   if 'name spaces are forbidden here' not in line)


@each_engine
def output_is_in_the_logs_of_the_service(user, engine):
    with Domain(user) as d:
        s = d.service('core', engine=engine)
        s.tell('say one line')
        equal(s.line(), 'one line', 'standard output')
        s.tell('cry for help')
        got = lines(d, 2)
        equal([(r['message'], r['service']) for r in got],
              [('one line', 'blackroad-os-core'), ('for help', 'blackroad-os-core')], 'lines')
        equal([r['level'] for r in got], ['info', 'error'], 'levels')
        s.tell('say ' + 'é' * 40000)
        equal(len(s.line()), 40000, 'a long line on standard output')
        until('all of the long line in the log', lambda: ''.join(
            r['message'] for r in lines(d, 3)[2:]) == 'é' * 40000)
        check(len(lines(d, 3)) > 3, 'it is one entry')
        d.kill_daemon()
        s.tell('say to the next one')
        equal(s.line(), 'to the next one', 'standard output')
        until('the line in the log', lambda: lines(d, 3)[-1]['message'] == 'to the next one')
        status, said = s.finish()
        equal((status, own_words(said)), (0, 'for help\n'), 'status and standard error')


@each_user
def the_level_of_standard_error_is_that_of_services_yaml(user):
    with Domain(user) as d:
        d.configure('services:\n  core:\n    stderr: debug\n')
        s = d.service('core')
        s.pid()
        s.tell('cry so be it')
        equal([r['level'] for r in lines(d, 2)], ['info', 'debug'], 'levels')
        d.configure('services:\n  core:\n    stderr: fatal\n')
        d.ctl('daemon', 'reload')
        s.tell('cry again')
        equal([r['level'] for r in lines(d, 3)], ['info', 'debug', 'fatal'], 'after a reload')


@each_user
def a_service_of_ones_own_has_name_port_and_address(user):
    with Domain(user) as d:
        d.configure('services:\n  billing:\n    port: 8123\n    role: money\n')
        s = d.service('billing', '4:8123')
        row = d.names()['billing']
        equal(s.bound, [{'bound': row['back'] + ':8123'}], 'a bind')
        equal(s.ask('environment SERVICE_NAME SERVICE_ROLE PORT'),
              {'SERVICE_NAME': 'blackroad-os-billing', 'SERVICE_ROLE': 'money', 'PORT': '8123'},
              'environment')
        other = d.service('core')
        equal(other.ask('get ' + INTERNAL % ('billing', 8123, '/'))['body']['service'],
              'blackroad-os-billing', 'who answers')
        with open(os.path.join(d.dir, 'config/services.yaml'), 'w') as f:
            f.write('services:\n  billing:\n    port: none\n')
        r = d.ctl('daemon', 'reload', status=None)
        check(r.returncode and 'services.yaml:3: billing.port is "none"; it must be' in r.stderr, r.stderr)
        equal(d.names()['billing'], row, 'the service after that')


@each_user
def no_logs_keeps_output_out_of_them(user):
    with Domain(user) as d:
        quiet = d.service('core', options=['--no-logs'])
        quiet.tell('say a secret')
        equal(quiet.line(), 'a secret', 'standard output')
        equal(quiet.finish()[0], 0, 'status')
        s = d.service('core')
        s.tell('say no secret')
        equal([r['message'] for r in lines(d, 1)], ['no secret'], 'lines')


@each_user
def colours_stay_on_a_terminal_and_out_of_the_logs(user):
    with Domain(user) as d:
        d.ctl('daemon', 'start')
        outer, inner = os.openpty()
        p = subprocess.Popen(
            [*d.words('cloudos-exec'), '--service=core', '--', 'sh', '-c',
             "test -t 1 && test -t 2 && stty size <&1 && printf '\\033[31mred\\033[0m\\n' && exit 5"],
            env=d.env, stdin=inner, stdout=inner, stderr=inner, cwd='/')
        os.close(inner)
        equal(p.wait(LIMIT), 5, 'status: is it a terminal?')
        shown = os.read(outer, 4096)
        check(shown.endswith(b'\x1b[31mred\x1b[0m\r\n'), shown)
        equal(lines(d, 2)[-1]['message'], 'red', 'the line in the log')
        os.close(outer)


@each_user
def beginning_and_end_are_events(user):
    with Domain(user) as d:
        s = d.service('core')
        pid = s.pid()
        s.tell('end 3')
        equal(s.process.wait(LIMIT), 3, 'status')
        s = d.service('core', '4:8000')
        s.process.kill()
        got = d.events(4)
        equal([(e['event'], e['source']) for e in got],
              [('service:' + what, 'blackroad-os-core') for what in ('started', 'stopped') * 2],
              'events')
        equal(got[0]['data']['pid'], pid, 'the process')
        equal(got[1]['data']['status'], 3, 'how the first ended')
        equal(got[3]['data']['reason'], 'its cloudos-exec was killed', 'how the second ended')


@each_user
def output_goes_on_unchanged_and_ends_with_the_program(user):
    big = b''.join(b'%06d %s\n' % (i, b'x' * (i % 300)) for i in range(20000))
    with Domain(user) as d:
        r = subprocess.run([*d.words('cloudos-exec'), '--service=core', '--', 'cat'], env=d.env,
                           input=big, capture_output=True, timeout=LIMIT, cwd='/')
        equal(r.returncode, 0, 'status')
        check(r.stdout == big, 'what came out is not what went in')
        r = subprocess.run([*d.words('cloudos-exec'), '--service=core', '--', 'sh', '-c',
                            'echo out; echo err >&2; printf end; exit 7'], env=d.env,
                           capture_output=True, timeout=LIMIT, cwd='/')
        equal((r.returncode, r.stdout, own_words(r.stderr.decode())), (7, b'out\nend', 'err\n'),
              'the other one')


@each_user
def who_stops_reading_stops_the_program(user):
    with Domain(user) as d:
        d.ctl('daemon', 'start')
        p = subprocess.Popen([*d.words('cloudos-exec'), '--service=core', '--', 'yes'],
                             env=d.env, stdout=subprocess.PIPE, cwd='/')
        p.stdout.read(10)
        p.stdout.close()
        equal(p.wait(LIMIT), -signal.SIGPIPE, 'how `yes` ends')


@each_user
def a_daemon_that_stands_still_holds_up_nobody(user):
    with Domain(user) as d:
        s = d.service('core')
        s.pid()
        pid = d.status()['pid']
        os.kill(pid, signal.SIGSTOP)
        try:
            for i in range(100):
                s.tell('say %d %s' % (i, 'x' * 20000))
                equal(len(s.line()), 20001 + len(str(i)), 'line %d' % i)
        finally:
            os.kill(pid, signal.SIGCONT)
        status, said = s.finish()
        equal(status, 0, 'status')
        check('are not in the logs: the daemon was not fast enough' in said, said)


@each_user
def children_may_write_after_the_program(user):
    with Domain(user) as d:
        d.ctl('daemon', 'start')
        p = subprocess.run([*d.words('cloudos-exec'), '--service=core', '--', 'sh', '-c',
                            '(while kill -0 $$ 2>/dev/null; do :; done; echo late) & echo early'],
                           env=d.env, capture_output=True, text=True, timeout=LIMIT, cwd='/')
        equal(p.stdout, 'early\nlate\n', 'output')


# ---- cleaning up ----

def mounts():
    with open('/proc/self/mountinfo') as f:
        return f.read()


@each_engine
def kill_9_of_the_launcher_leaves_nothing(user, engine):
    before = mounts()
    with Domain(user) as d:
        needs_name_spaces(d)
        s = d.service('core', '4:8000', engine=engine)
        program = s.pid()
        child = s.ask('fork')['pid']
        check(alive(program) and alive(child), 'they do not run')
        s.process.kill()
        s.process.wait()
        until('the end of the program', lambda: not alive(program))
        until('the end of its child', lambda: not alive(child))
        until('the end of its registration', lambda: not d.services())
        equal(mounts(), before, 'mounts')
        again = d.service('core', '4:8000', engine=engine)
        check('bound' in again.bound[0], again.bound)


@test
def a_daemon_with_mounts_of_its_own_kills_nobody_else():
    if os.getuid():
        raise Skip('only root can give a daemon a mount name space and leave it its user')
    with Domain(users()[1]) as d:
        made = subprocess.run(['unshare', '-m', *d.words('cloudosctl'), 'daemon', 'start'],
                              env=d.env, capture_output=True, text=True, timeout=LIMIT, cwd='/')
        if 'unshare failed' in made.stderr:
            raise Skip(made.stderr.strip())
        equal(made.returncode, 0, 'daemon start (%s)' % made.stderr)
        bystander = subprocess.Popen([*d.user.words, 'sleep', '1000'], env=d.env, cwd='/')
        try:
            s = d.service('core', '4:8000', variables={'CO_HOSTS': 'calls'})
            program = s.pid()
            s.process.kill()
            until('the end of the program', lambda: not alive(program))
            until('the end of its registration', lambda: not d.services())
            got = d.events(2)[1]
            equal(got['event'], 'service:stopped', 'the last event')
            s = d.service('core')  # the worker threads of the daemon have had their turn
            s.pid()
            check(bystander.poll() is None, 'a process that has nothing to do with it is dead')
        finally:
            bystander.kill()
            bystander.wait()


@each_user
def signals_and_status_are_those_of_the_program(user):
    with Domain(user) as d:
        s = d.service('core', '4:8000')
        s.process.terminate()
        equal(s.process.wait(LIMIT), -signal.SIGTERM, 'status')
        s = d.service('core')
        s.tell('end 9')
        equal(s.process.wait(LIMIT), 9, 'status')


try:
    run()
finally:
    if NOBODY_USER.base:
        shutil.rmtree(NOBODY_USER.base, ignore_errors=True)
