# SPDX-License-Identifier: MIT
"""A session of Anos programs, and somebody who sends messages to them."""
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import BUILD, CTL, EXEC, LIMIT, check, equal  # noqa: E402

ASK = os.path.join(BUILD, 'anos-ask')


def line(process):
    """The next one that it prints; empty at its end."""
    check(select.select([process.stdout], [], [], LIMIT)[0], 'a line within %d s' % LIMIT)
    return process.stdout.readline()


class Machine:
    """A session of Anos programs; `boot:` is a folder that it makes."""

    def __init__(self, domain, *options, program='boot:/park.elf', root=None,
                 first=b'parked\n', instead=()):
        self.domain = domain
        self.root = tempfile.mkdtemp(dir=domain.dir)
        for name in ('park', 'hello', 'cat', 'files', 'log', 'screen', 'delegate', 'debug',
                     'crowd'):
            built = dict(instead).get(name, name)
            with open(os.path.join(BUILD, 'anos-%s.elf' % built), 'rb') as f:
                self.put(name + '.elf', f.read())
        self.process = subprocess.Popen(
            [EXEC, '--root', root or self.root, *options, *program.split()],
            env=domain.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True)
        if first is None:
            return
        equal(line(self.process), first, 'the first line of the program')
        rows = [s for s in self.sessions() if s['launcher_pid'] == self.process.pid]
        equal(len(rows), 1, 'sessions of that launcher')
        self.session, self.pid = rows[0]['id'], rows[0]['pid']

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):  # the test has ended it
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=LIMIT)

    def sessions(self):
        out = subprocess.run([CTL, 'ps', '-o', 'json'], env=self.domain.env, check=True,
                             capture_output=True).stdout
        return json.loads(out)

    def put(self, name, data):
        with open(os.path.join(self.root, name), 'wb') as f:
            f.write(data)

    def output(self):
        """Of the program, which ends well."""
        out, err = self.process.communicate(timeout=LIMIT)
        equal((self.process.returncode, err), (0, b''), 'status and errors')
        return out.decode()

    def ask(self, name):
        return Asker(self, name)


class Asker:
    def __init__(self, machine, name):
        self.process = subprocess.Popen([ASK, str(machine.session), name],
                                        env=machine.domain.env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.first = line(self.process).strip()

    def __enter__(self):
        equal(self.first, 'ready', 'a connection')
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def begin(self, tag, page=b'', size=None):
        size = len(page) if size is None else size
        self.process.stdin.write('%d %d %s\n' % (tag, size, page.hex() if page else '-'))
        self.process.stdin.flush()

    def answered(self, seconds):
        return select.select([self.process.stdout], [], [], seconds)[0]

    def end(self):
        answer = line(self.process).strip()
        value, _, page = answer.partition(' ')
        check(value.isdigit(), 'an answer: ' + answer)
        return int(value), bytes.fromhex(page)

    def __call__(self, tag, page=b'', size=None):
        self.begin(tag, page, size)
        return self.end()


def machine(domain, *options, **more):
    return Machine(domain, *options, **more)


def text(t):
    return t.encode() + b'\0'
