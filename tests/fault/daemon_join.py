# SPDX-License-Identifier: MIT
"""Connections of guests under trap: who may speak for whom, and what a hostile one gets.

The test joins the session of a real guest as one more process of it, which is what any
process of that user can do, and then does not keep to the rules.
"""
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (ENGINES, EXEC, GUEST, LIMIT, Client, Domain, Skip, check,  # noqa: E402
                     descriptors, encode, equal, run, stop, test, until)

NOT_FOUND, INVALID, ACCESS, VERSION = -3, -1, -5, -25
NR_IPC_REGISTER, NR_DEREGISTER, NR_VERSION = 20303, 20501, 21900
GUEST_CONNECTIONS = 8192


def pointer(text):
    """Memory of ours that the daemon may read; kept for ever."""
    pointer.kept.append(ctypes.create_string_buffer(text.encode()))
    return ctypes.addressof(pointer.kept[-1])


pointer.kept = []


class Member(Client):
    """A connection that has joined."""

    ids = int.from_bytes(os.urandom(4), 'little') << 16

    def __init__(self, domain, session, personality=0, version=1):
        super().__init__(domain, hello=False)
        self.joined = self.ask('join', session=session, personality=personality,
                               version=version)[-1]

    def note(self, name, **values):
        self.send(encode(name, form='note', tag=0, **values))

    def say(self, number, *words, id=None, tid=None):
        """Says a call and gives its id."""
        if id is None:
            Member.ids += 1
            id = Member.ids
        words = dict(zip(('a0', 'a1', 'a2', 'a3', 'a4', 'a5'), words))
        self.note('call', id=id, tid=threading.get_native_id() if tid is None else tid,
                  number=number, **words)
        return id

    def result(self, id):
        answer = self.receive()
        equal((answer['name_'], answer['id']), ('call_result', id), 'the answer')
        return answer['result']

    def call(self, number, *words, **more):
        return self.result(self.say(number, *words, **more))


class Session:
    """A domain with one guest under trap, to be joined; it must not notice anything."""

    def __init__(self, engine='trap'):
        if 'trap' not in ENGINES:
            raise Skip('CO_ENGINE asks for another engine than trap')
        self.domain = Domain()
        self.engine = engine

    def __enter__(self):
        self.domain.__enter__()
        self.domain.start()
        self.guest = self.domain.guest(self.engine)
        equal(self.guest.result('register guest'), 0, 'a call of the guest')
        row, = [r for r in self.domain.ask('session_list') if r['form_'] == 'row']
        self.id, self.pid = row['id'], int(self.guest.ask('pid').split()[1])
        self.daemon = self.domain.status()['pid']
        return self

    def join(self, **more):
        member = Member(self.domain, self.id, **more)
        equal(member.joined['status'], 0, 'join (%s)' % member.joined['reason_'])
        return member

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                equal(self.guest.ask('discover guest'), 'discover 0 1', 'the guest, after it')
                equal(self.domain.status()['pid'], self.daemon, 'the daemon')
                equal(self.guest.finish()[0], 0, 'exit status')
        finally:
            self.domain.__exit__(kind, value, trace)


def refused(session, status, text, /, **values):
    client = Client(session.domain, hello=False)
    answer = client.ask('join', **values)[-1]
    equal(answer['status'], status, 'join of %r' % values)
    check(text in answer['reason_'], 'the reason is %r' % answer['reason_'])
    client.close()


@test
def a_process_that_joins_is_answered():
    with Session() as s:
        m = s.join()
        equal(m.call(NR_VERSION, 1), 65536, 'interface_version')
        equal(m.call(NR_IPC_REGISTER, pointer('mine')), 0, 'ipc_register_service')
        found, = s.domain.services('mine')
        equal(found['pid'], os.getpid(), 'who has registered it')
        equal(m.call(NR_IPC_REGISTER, 8), -2017, 'a bad pointer')
        equal(m.call(20100), -2005, 'a call that has no answer in this version')


@test
def what_cannot_be_joined_is_refused_with_a_reason():
    with Session() as s:
        good = {'session': s.id, 'personality': 0, 'version': 1}
        refused(s, NOT_FOUND, 'no session 0', **dict(good, session=0))
        refused(s, NOT_FOUND, 'no session %d' % (s.id + 1), **dict(good, session=s.id + 1))
        refused(s, NOT_FOUND, 'no session', **dict(good, session=2**64 - 1))
        refused(s, INVALID, 'personality', **dict(good, personality=99))
        refused(s, INVALID, 'not one of engine trap', **dict(good, personality=1))
        refused(s, VERSION, 'version', **dict(good, version=0))
        refused(s, VERSION, 'version', **dict(good, version=77))
    if 'notify' in ENGINES:
        with Session('notify') as s:
            refused(s, INVALID, 'not one of engine trap', session=s.id, personality=0,
                    version=1)


@test
def a_connection_belongs_to_who_made_it():
    with Session() as s:
        client = Client(s.domain, hello=False)
        client.tag += 1
        if os.fork() == 0:  # joins on a connection of its parent's
            client.send(encode('join', session=s.id, personality=0, version=1, tag=1))
            os._exit(0)
        os.wait()
        answer = client.receive()
        equal(answer['status'], ACCESS, 'join by a child')
        m = s.join()
        equal(m.call(NR_VERSION, 1), 65536, 'a call of the one who joined')
        if os.fork() == 0:  # and calls on it, for its parent's thread
            m.say(NR_IPC_REGISTER, pointer('stolen'), tid=os.getppid())
            os._exit(0)
        os.wait()
        check(m.closed(), 'the connection is open')
        equal(s.domain.services('stolen'), [], 'services')


@test
def a_call_is_made_for_threads_of_its_own_process_only():
    with Session() as s:
        for tid in (s.pid, s.daemon, 1, 0, -1, 2**31 - 1):
            m = s.join()
            m.say(NR_IPC_REGISTER, pointer('foreign'), tid=tid)
            check(m.closed(), 'the connection is open after a call for thread %d' % tid)
        equal(s.domain.services('foreign'), [], 'services')
        equal(len(s.domain.services()), 1, 'all services')
        # another thread of ours, while it lives
        m, go = s.join(), threading.Event()
        thread = threading.Thread(target=go.wait)
        thread.start()
        equal(m.call(NR_VERSION, 1, tid=thread.native_id), 65536, 'another thread')
        tid = thread.native_id
        go.set()
        thread.join()
        until('the end of the thread', lambda: not os.path.exists('/proc/self/task/%d' % tid))
        m.say(NR_VERSION, 1, tid=tid)
        check(m.closed(), 'a thread that has ended calls')


@test
def a_second_call_before_the_answer_ends_the_connection():
    with Session() as s:
        m = s.join()
        daemon = s.domain.status()['pid']
        stop(daemon)  # both are there before it looks
        for _ in range(2):
            m.say(NR_IPC_REGISTER, pointer('double'))
        os.kill(daemon, signal.SIGCONT)
        check(m.closed(), 'the connection is open')


@test
def notes_that_nobody_waits_for_change_nothing():
    with Session() as s:
        m = s.join()
        m.note('call_cancel', id=1)
        m.note('call_performed', id=1, raw=0)
        m.send(encode('memory_read', form='reply', tag=77, data=b'x' * 5000))
        m.send(encode('memory_write', form='reply', tag=78, written=5))
        equal(m.call(NR_VERSION, 1), 65536, 'the next call')
        id = m.say(NR_VERSION, 1)
        m.note('call_performed', id=id, raw=-1)
        m.note('call_cancel', id=id)
        equal(m.result(id), 65536, 'a call that was cancelled too late')


@test
def what_is_no_message_for_the_daemon_ends_the_connection():
    with Session() as s:
        good = encode('call', form='note', tag=0, id=1, tid=os.getpid(), number=NR_VERSION)
        for bad in (b'x', b'', good[:-1], good + b'x', b'\xff' * 64, bytes(64),
                    encode('status'), encode('join', session=s.id, version=1),
                    encode('session_ended', form='note', tag=0),
                    encode('call_result', form='note', tag=0, id=1),
                    encode('memory_read', tag=1, length=8, address=pointer('x')),
                    encode('hello', version_min=1, version_max=1, program='x')):
            m = s.join()
            m.send(bad)
            check(m.closed(), 'the connection is open after %r' % bad[:40])
        # descriptors that do not belong to a message
        with open('/dev/null') as null:
            m = s.join()
            m.send(good, [null.fileno()])
            check(m.closed(), 'the connection is open')


@test
def a_connection_that_never_reads_holds_up_nobody():
    with Session() as s:
        m = s.join()
        began, said, closed = time.monotonic(), 0, False
        while not closed and time.monotonic() < began + LIMIT:
            try:
                m.say(NR_VERSION, 1)
            except OSError:
                closed = True
            said += 1
            other = s.join()
            equal(other.call(NR_VERSION, 1), 65536, 'another connection')
            other.close()
        check(closed, 'it is listened to after %d calls' % said)


@test
def more_connections_than_there_is_room_for():
    want = GUEST_CONNECTIONS + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < want + 200:
        raise Skip('this process may have %d descriptors' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want + 200), hard))
    with Session() as s:
        before = descriptors(s.daemon)
        # those of the guest go first: they are the oldest, and it opens others
        members = [s.join() for _ in range(want)]
        equal(members[-1].call(NR_VERSION, 1), 65536, 'the newest')
        check(members[0].closed(), 'the oldest is open')
        check(descriptors(s.daemon) < 2 * GUEST_CONNECTIONS + 200, 'too many descriptors')
        for m in members:
            m.close()
        until('descriptors as before', lambda: descriptors(s.daemon) <= before + 1)


def register_again(s, name, id, first):
    """Says the call again on a new connection, first(old connection) having happened."""
    old = s.join()
    where = pointer(name)
    old.say(NR_IPC_REGISTER, where, id=id)
    first(old)
    new = s.join()
    new.say(NR_IPC_REGISTER, where, id=id)
    return old, new


@test
def a_call_that_is_said_again_happens_once():
    with Session() as s:
        revisions = s.domain.status()['store_revision']
        id = Member.ids = Member.ids + 1

        # the connection is lost before, at or behind the effect; and while it is there
        def lost(old):
            old.close()

        def answered(old):
            until('the effect', lambda: s.domain.services('behind'))
            old.close()

        def effective(old):
            until('the effect', lambda: s.domain.services('open'))

        for name, first in (('lost', lost), ('behind', answered), ('open', effective),
                            ('there', lambda old: None)):
            id += 1
            new = register_again(s, name, id, first)[1]
            equal(new.result(id), 0, 'the call that is said again, %s' % name)
            new.close()
            new = s.join()
            new.say(NR_IPC_REGISTER, pointer(name), id=id)
            equal(new.result(id), 0, 'the call that is said once more, %s' % name)
            revisions += 1
            equal(s.domain.revision(revisions), revisions, 'revisions, %s' % name)
            equal(len(s.domain.services(name)), 1, 'instances')
        Member.ids = id
        # and under another number it is another call
        equal(new.call(NR_DEREGISTER, pointer('there')), 0, 'another call')
        equal(len(s.domain.services('there')), 0, 'instances')
        s.domain.answered()


def sessions(domain):
    return {r['id']: r for r in domain.ask('session_list') if r['form_'] == 'row'}


@test
def a_process_that_outlives_its_launcher_goes_on_in_its_session():
    with Session() as s:
        fifo, out = s.domain.dir + '/fifo', s.domain.dir + '/out'
        os.mkfifo(fifo)
        r = subprocess.Popen([EXEC, '--engine=trap', '--name=left', 'sh', '-c',
                              '"$0" <"$1" >"$2" &', GUEST, fifo, out], env=s.domain.env)
        with open(fifo, 'w') as commands:
            equal(r.wait(LIMIT), 0, 'exit status of the launcher')
            left, = [i for i, row in sessions(s.domain).items() if row['name'] == 'left']

            def said():
                with open(out) as f:
                    return f.read().splitlines()

            def ask(command):
                lines = len(said())
                commands.write(command + '\n')
                commands.flush()
                until('the answer to ' + command, lambda: len(said()) > lines)
                return said()[-1]
            # it has never called, and still its session is there, for a second daemon too
            s.daemon = s.domain.kill_daemon() and s.domain.status()['pid']
            equal(ask('register late'), 'register 0', 'a call behind the launcher')
            check(left in sessions(s.domain), 'its session is over')
            s.daemon = s.domain.kill_daemon() and s.domain.status()['pid']
            equal(ask('discover late'), 'discover 0 1', 'a call behind another daemon')
            check(left in sessions(s.domain), 'its session is over')
        until('the end of its session', lambda: left not in sessions(s.domain))


@test
def a_session_that_is_over_is_found_again():
    with Session() as s:
        other = s.domain.guest('trap')
        equal(other.result('version 1'), 65536, 'a call')
        id, = [i for i in sessions(s.domain) if i != s.id]
        equal(other.finish()[0], 0, 'exit status')
        # a list may leave out what is still in doubt
        until('its end', lambda: s.domain.status()['sessions'] == 1)
        m = Member(s.domain, id)
        equal(m.joined['status'], 0, m.joined['reason_'])
        equal(m.call(NR_VERSION, 1), 65536, 'a call of one who comes late')
        equal(sessions(s.domain)[id]['pid'], os.getpid(), 'its process')
        s.daemon = s.domain.kill_daemon() and s.domain.status()['pid']
        m.close()
        m = Member(s.domain, id)
        equal(m.joined['status'], 0, m.joined['reason_'])
        m.close()
        until('its end again', lambda: id not in sessions(s.domain))


@test
def a_guest_with_pids_of_its_own_is_answered():
    with Session() as s:
        r = subprocess.run([EXEC, '--engine=trap', 'unshare', '--pid', '--fork', GUEST,
                            'register inside', 'pid', 'discover inside', 'spawn c 3'],
                           env=s.domain.env, timeout=LIMIT, capture_output=True, text=True)
        if 'unshare failed' in r.stderr:
            raise Skip('no pid name spaces: ' + r.stderr.strip())
        equal(r.stdout, 'register 0\npid 1\ndiscover 0 1\nspawn 0\n', r.stderr)


def cut_off(session, command, error):
    """A guest that changes so before its first call, and one that does behind it."""
    guest = session.domain.guest('trap')
    answer = guest.ask(command)
    if answer.endswith(' -1'):
        raise Skip('this user may not: ' + command)
    check(answer.endswith(' 0'), answer)
    for _ in range(2):
        equal(guest.result('version 1'), error, 'a call behind "%s"' % command)
    code, said = guest.finish()
    equal(code, 0, 'exit status')
    check(said.startswith('cloudos: ') and said.count('\n') == 1,
          'it is not said in one sentence: %r' % said)
    guest = session.domain.guest('trap')
    for line in ('version 1', command, 'version 1'):
        check(guest.result(line) in (0, 65536), line)
    code, said = guest.finish()
    equal((code, said), (0, ''), 'exit status and what was said')


@test
def another_root_folder_cuts_off_from_the_daemon():
    with Session() as s:
        os.mkdir(s.domain.dir + '/root')
        cut_off(s, 'root %s/root' % s.domain.dir, -2004)


@test
def another_user_is_not_let_in():
    with Session() as s:
        cut_off(s, 'user 65534', -2005)


@test
def a_long_path_leads_to_the_daemon():
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get('TMPDIR')
        os.environ['TMPDIR'] = os.path.join(folder, 'x' * 120)
        os.mkdir(os.environ['TMPDIR'])
        try:
            with Session() as s:
                check(len(s.domain.dir) > 120, s.domain.dir)
                equal(s.guest.result('version 1'), 65536, 'interface_version')
                s.daemon = s.domain.kill_daemon() and s.domain.status()['pid']
                equal(s.guest.result('version 1'), 65536, 'after a restart')
        finally:
            os.environ.pop('TMPDIR')
            if before:
                os.environ['TMPDIR'] = before


@test
def connections_and_calls_of_the_dead_are_forgotten():
    with Session() as s:
        before = descriptors(s.daemon)
        for i in range(20):
            pid = os.fork()
            if pid == 0:
                m = s.join()
                m.say(NR_IPC_REGISTER, pointer('dead%d' % i))
                os._exit(0)
            os.waitpid(pid, 0)
        until('descriptors as before', lambda: descriptors(s.daemon) <= before)
        until('the end of their services', lambda: len(s.domain.services()) == 1)
        s.domain.answered()


run()
