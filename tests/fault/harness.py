# SPDX-License-Identifier: MIT
"""What the fault tests of the daemon share: private domains, guests, the wire.

A test is a function whose name is a sentence, registered with @test; run() at the end of
the file runs them all.  No test sleeps to synchronise: until() polls with a deadline.
"""
import array
import atexit
import concurrent.futures
import contextlib
import glob
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

SRC = os.path.abspath(os.environ.get('srcdir', '.'))
BUILD = os.path.abspath(os.environ.get('builddir', '.'))
EXEC, CTL = os.path.join(BUILD, 'cloudos-exec'), os.path.join(BUILD, 'cloudosctl')
KEEPER, GUEST = os.path.join(BUILD, 'cloudos-keeper'), os.path.join(BUILD, 'fault-guest')
SLOW = 4 if os.environ.get('CO_SANITIZERS') not in (None, '', 'no') else 1
LIMIT = 60 * SLOW  # seconds; tens of times what is needed, whatever else the machine does
ENGINES = [e for e in ('notify', 'ptrace', 'trap') if os.environ.get('CO_ENGINE') in (None, '', e)]
NATIVE = {'ENOSYS': -38, 'EIO': -5, 'EINTR': -4}


class Skip(Exception):
    pass


def until(what, condition, limit=LIMIT):
    """Waits for a true value of condition() and returns it."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('%s did not come about within %d s' % (what, limit))
        time.sleep(0.005)


def equal(got, want, what):
    if got != want:
        raise AssertionError('%s: got %r, wanted %r' % (what, got, want))


def check(good, what):
    if not good:
        raise AssertionError(what)


def alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def stop(pid):
    """SIGSTOP; returns when it has stopped."""
    os.kill(pid, signal.SIGSTOP)

    def stopped():
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] == 'T'
    until('its stop', stopped)


# ---- the wire, from wire.def ----

FORMS = {'request': 0, 'reply': 1, 'row': 2, 'note': 3}
NUMBERS = {'I32': 'i', 'U32': 'I', 'I64': 'q', 'U64': 'Q'}


class Layout:
    def __init__(self, number, name, form, fields):
        self.name, self.form, self.type = name, form, number | FORMS[form] << 24
        self.fields = [f for f in fields if f[0] != 'FDS']
        self.fds = sum(int(f[1]) for f in fields if f[0] == 'FDS')


def layouts():
    with open(os.path.join(SRC, 'include/co/wire.def')) as f:
        text = re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)
    out = {}
    for kind, rest in re.findall(r'^(MSG|ROW|NOTE)\((.*?)\)\s*(?=^MSG|^ROW|^NOTE|\Z)',
                                 text, re.S | re.M):
        number, name, rest = [x.strip() for x in rest.split(',', 2)]
        forms = ['request', 'reply'] if kind == 'MSG' else [kind.lower()]
        parts = re.split(r'\)\s*,\s*\(', rest) if kind == 'MSG' else [rest]
        for form, part in zip(forms, parts):
            fields = re.findall(r'(I32|U32|I64|U64|TEXT|BYTES|FDS)\((\w+)\)', part)
            out[name, form] = Layout(int(number), name, form, fields)
    return out


LAYOUTS = layouts()
BY_TYPE = {layout.type: layout for layout in LAYOUTS.values()}


def encode(name, /, form='request', tag=1, **values):
    layout = LAYOUTS[name, form]
    fixed, tail = b'', b''
    base = 16 + (16 if form == 'reply' else 0)
    base += sum(8 if k in ('TEXT', 'BYTES', 'I64', 'U64') else 4 for k, _ in layout.fields)
    if form == 'reply':
        fixed += struct.pack('<iIII', values.get('status', 0), 0, 0, 0)
    for kind, field in layout.fields:
        if kind in NUMBERS:
            fixed += struct.pack('<' + NUMBERS[kind], values.get(field, 0))
            continue
        data = values.get(field, b'')
        data = data.encode() if isinstance(data, str) else data
        fixed += struct.pack('<II', base + len(tail) if data else 0, len(data))
        if data:
            tail += data + (b'\0' if kind == 'TEXT' else b'')
    return struct.pack('<IIQ', layout.type, 16 + len(fixed) + len(tail), tag) + fixed + tail


def decode(data):
    kind, size, tag = struct.unpack_from('<IIQ', data)
    layout = BY_TYPE[kind]
    out = {'name_': layout.name, 'form_': layout.form, 'tag_': tag}
    at = 16
    fields = layout.fields
    if layout.form == 'reply':
        fields = [('I32', 'status'), ('U32', 'zero'), ('TEXT', 'reason_')] + fields
    for form, field in fields:
        if form in NUMBERS:
            out[field], = struct.unpack_from('<' + NUMBERS[form], data, at)
            at += 4 if form in ('I32', 'U32') else 8
        else:
            offset, length = struct.unpack_from('<II', data, at)
            text = data[offset:offset + length]
            out[field] = text.decode() if form == 'TEXT' else text
            at += 8
    check(size == len(data), 'a message of %d bytes says %d' % (len(data), size))
    return out


class Client:
    """One connection to the control socket."""

    def __init__(self, domain, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # not by its path, which may be too long for an address
        folder = os.open(os.path.join(domain.dir, 'run'), os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.connect('/proc/self/fd/%d/control.sock' % folder)
        finally:
            os.close(folder)
        self.socket.settimeout(LIMIT)
        self.tag = 0
        if hello:
            self.hello = self.ask('hello', version_min=1, version_max=1, program='test')[-1]

    def send(self, data, fds=()):
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.socket.sendmsg([data], extra)

    def receive(self):
        data = self.socket.recv(1 << 17)
        if not data:
            raise EOFError('the daemon closed the connection')
        return decode(data)

    def begin(self, name, /, fds=(), **values):
        self.tag += 1
        self.send(encode(name, tag=self.tag, **values), fds)

    def ask(self, name, /, fds=(), **values):
        """Sends a request; rows and, last, the reply."""
        self.begin(name, fds, **values)
        out = [self.receive()]
        while out[-1]['form_'] != 'reply':
            out.append(self.receive())
        return out

    def closed(self):
        """Has the daemon closed it?  Reads what came before."""
        try:
            while self.socket.recv(1 << 17):
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self.socket.close()


# ---- guests ----

class Guest:
    """A program under cloudos-exec that takes commands (daemon_guest.c)."""

    def __init__(self, domain, engine, *arguments, program=(GUEST,), options=()):
        self.process = subprocess.Popen(
            [EXEC, '--engine=' + engine, *options, '--', *program, *arguments],
            env=domain.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True)
        domain.guests.append(self)
        self.buffer = b''

    def tell(self, command):
        self.process.stdin.write(command.encode() + b'\n')
        self.process.stdin.flush()

    def line(self, limit=LIMIT):
        """The next line; AssertionError when it does not come: something hangs."""
        end = time.monotonic() + limit
        while b'\n' not in self.buffer:
            left = end - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))[0]
            if not ready:
                raise AssertionError('a guest hangs: no answer within %d s' % limit)
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError('the guest ended: status %r, %s' % (
                    self.process.wait(), self.process.stderr.read().decode()))
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b'\n')
        return line.decode()

    def ask(self, command, limit=LIMIT):
        self.tell(command)
        return self.line(limit)

    def result(self, command, limit=LIMIT):
        """The raw result of a command's call."""
        return int(self.ask(command, limit).split()[1])

    def finish(self, limit=LIMIT):
        """Ends it; exit status and what it said on standard error."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        status = self.process.wait(limit)
        said = self.process.stderr.read().decode()
        self.process.stderr.close()
        self.process.stdout.close()
        return status, said

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


# ---- domains ----

class Domain:
    """A folder with its daemon.  On leaving, everything in it is ended."""

    def __init__(self, fault=None, **variables):
        self.dir = tempfile.mkdtemp(prefix='fault-', dir=os.environ.get('TMPDIR') or '/tmp')
        self.env = dict(os.environ, CLOUDOS_DIR=self.dir, **variables)
        for name in ('CO_FAULT', 'CO_ENGINE', 'CLOUDOS_AUTOSTART'):
            self.env.pop(name, None)
        self.fault, self.guests = fault, []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and kind is not Skip:
            print('---- the log of %s' % self.dir)
            print(''.join(self.log().splitlines(True)[-25:]))
        for guest in self.guests:
            if guest.process.poll() is None:
                guest.kill()
        until('the end of all processes', lambda: not self.kill_all())
        found = re.search(r'^.*(Sanitizer|runtime error:)[^$]{,6000}', self.log(), re.M)
        shutil.rmtree(self.dir, ignore_errors=True)
        if found:
            raise AssertionError('the log has: ' + found.group())

    def kill_all(self):
        """What was there; a daemon whose keeper goes first becomes one and starts another.  Who
        takes a bridge of containers away does so within a second, if he is let."""
        there = self.processes()
        for pid in set(there) - set(self.processes(['cloudos-bridge'])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return there

    def log(self):
        with contextlib.suppress(OSError):
            with open(os.path.join(self.dir, 'state/cloudosd.log'), errors='replace') as f:
                return f.read()
        return ''

    def processes(self, names=None):
        """Everybody whose environment names this folder, oldest first."""
        out, want = [], b'CLOUDOS_DIR=' + self.dir.encode() + b'\0'
        for path in glob.glob('/proc/[0-9]*'):
            pid = int(path[6:])
            try:
                with open(path + '/environ', 'rb') as f:
                    mine = want in f.read() + b'\0'
                with open(path + '/comm') as f:
                    name = f.read().strip()
            except OSError:
                continue
            if name == 'cloudos-bridge':
                continue  # takes a bridge away a second after the last container, and ends
            if mine and alive(pid) and pid != os.getpid() and (not names or name in names):
                out.append(pid)
        return sorted(out)

    def start(self, ok=True):
        environment = dict(self.env)
        if self.fault:
            environment['CO_FAULT'] = self.fault
        r = subprocess.run([CTL, 'daemon', 'start'], env=environment, timeout=LIMIT,
                           capture_output=True, text=True)
        if ok:
            equal(r.returncode, 0, 'daemon start (%s)' % r.stderr.strip())
        return r

    def ctl(self, *words, status=0):
        r = subprocess.run([CTL, *words], env=self.env, timeout=LIMIT, capture_output=True,
                           text=True)
        if status is not None:
            equal(r.returncode, status, 'cloudosctl %s (%s)' % (' '.join(words), r.stderr))
        return r

    def client(self, limit=LIMIT):
        """A connection, as soon as a daemon serves."""
        end = time.monotonic() + limit
        while True:
            try:
                return Client(self)
            except (OSError, EOFError):
                if time.monotonic() > end:
                    raise AssertionError('no daemon serves within %d s' % limit)
                time.sleep(0.005)

    def ask(self, name, /, **values):
        """A question that may be asked again should the daemon die over it."""
        end = time.monotonic() + LIMIT
        while True:
            client = self.client()
            try:
                return client.ask(name, **values)
            except (OSError, EOFError):
                if time.monotonic() > end:
                    raise
            finally:
                client.close()

    def status(self):
        return self.ask('status')[-1]

    def answered(self):
        """Waits until no call is owed."""
        try:
            until('the end of all calls', lambda: self.status()['calls_pending'] == 0)
        except AssertionError as e:
            raise AssertionError('%s: %s' % (e, self.status())) from e

    def revision(self, least):
        """The store's, as soon as it is `least`: answers come before the count."""
        until('revision %d' % least, lambda: self.status()['store_revision'] >= least)
        return self.status()['store_revision']

    def services(self, name=''):
        return [r for r in self.ask('service_list', all=1, name=name) if r['form_'] == 'row']

    def errors(self):
        return [r for r in self.ask('error_list', limit=1000) if r['form_'] == 'row']

    def kill_daemon(self):
        """kill -9; returns its pid when it is gone."""
        pid = self.status()['pid']
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until('the end of the daemon', lambda: not alive(pid))
        return pid

    def guest(self, engine, *arguments, **more):
        return Guest(self, engine, *arguments, **more)


def descriptors(pid):
    return len(os.listdir('/proc/%d/fd' % pid))


def resident_kb(pid):
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


# ---- running ----

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def try_one(function):
    """How it ended, and what there is to say of it."""
    began = time.monotonic()
    name = function.__name__
    try:
        function()
        return 'PASS', '%s (%.1f s)' % (name, time.monotonic() - began)
    except Skip as skip:
        return 'SKIP', '%s: %s' % (name, skip)
    except AssertionError as e:
        return 'FAIL', '%s: %s' % (name, e)
    except Exception:
        return 'FAIL', '%s: %s' % (name, traceback.format_exc())


def at_the_same_time(function, cases, threads=4):
    """function(*case) for each; raises what the first one of them raised."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(function, *case) for case in cases]:
            future.result()


def run(at_once=1):
    """All tests, or those that are named; at_once: they only wait for others, and share
    nothing."""
    sys.stdout.reconfigure(line_buffering=True)
    chosen = [f for f in TESTS
              if len(sys.argv) == 1 or any(w in f.__name__ for w in sys.argv[1:])]
    ends = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for how, said in (pool.map if at_once > 1 else map)(try_one, chosen):
            print('%s: %s' % (how, said))
            ends.append(how)
    sys.exit(1 if 'FAIL' in ends else 77 if ends and set(ends) == {'SKIP'} else 0)
