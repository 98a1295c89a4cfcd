# SPDX-License-Identifier: MIT
"""kill -9 of the daemon anywhere in a call: the native answer, and exactly one effect."""
import os
import resource
import signal
import sys

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import ENGINES, Domain, equal, run, test, until  # noqa: E402

POINTS = ('notify.received', 'call.journalled', 'call.answering', 'call.answered')
STORED = ('store.commit', 'store.committed')

# before, the call, its answer; instances, revisions and reported errors it leaves
EFFECTS = {
    'service_register': ([], 'register web', 'register 0', 1, 1, 0),
    'sys_cloud_register_service': ([], 'cloud web', 'cloud 0', 1, 1, 0),
    'ipc_register_service': ([], 'ipc web', 'ipc 0', 1, 1, 0),
    'service_deregister': (['register web'], 'deregister web', 'deregister 0', 0, 2, 0),
    'report_error': ([], 'report bad -1', 'report 0', 0, 0, 1),
    'service_register, refused': ([], 'register .', 'register -2001', 0, 0, 0),
    'service_deregister, of none': ([], 'deregister web', 'deregister -2003', 0, 0, 0),
}
# before, the call, its answer; what waits after it
MESSAGES = {
    'ipc_send': (['send 3'], 'send 5', 'send 0', '3 5'),
    'ipc_receive': (['send 6', 'send 5'], 'receive', 'receive 0 6', '5'),
    'ipc_receive of a request': (['request 6', 'request 5'], 'receive', 'receive 0 6', '5'),
    'ipc_reply': (['request 9', 'request 5', 'receive', 'receive'], 'reply 5', 'reply 0', '5'),
    'ipc_reply, again': (['request 9', 'receive', 'reply 9'], 'reply 9', 'reply -2003', '9'),
}
# before, the call, its answer; the answers of reading and unlinking after it
SEGMENTS = {
    'shm_create': ([], 'shmcreate a', 'shmcreate 0', 'shmread 0 7', 0),
    'shm_create, of one that is there': (['shmcreate a'], 'shmcreate a', 'shmcreate -2007',
                                         'shmread 0 7', 0),
    'shm_open': (['shmcreate a'], 'shmread a', 'shmread 0 7', 'shmread 0 7', 0),
    'shm_unlink': (['shmcreate a'], 'shmunlink a', 'shmunlink 0', 'shmread -2003 -1', -2003),
}
READS = {
    'service_discover': (['register web'], 'discover web', 'discover 0 1'),
    'interface_version': ([], 'version 1', 'version 65536'),
    'get_last_error': (['report bad -1'], 'last', 'last 0 -1 bad'),
}


def once(engine, point, before, command, want):
    """Runs the call with a daemon that dies there; gives the domain back for a look."""
    # by then the calls before it have been there as well
    visits = len(before) + 1
    domain = Domain('%s:kill:%d' % (point, visits))
    with domain:
        domain.start()
        guest = domain.guest(engine)
        for line in before:
            equal(int(guest.ask(line).split()[1]), 0, line)
        answer = guest.ask(command)
        equal(' '.join(answer.split()[:len(want.split())]), want, 'the answer')
        until('the restart', lambda: domain.status()['restarts'] == 1)
        domain.answered()
        yield domain, guest
        equal(int(guest.ask('register after').split()[1]), 0, 'the next call')
        equal(guest.finish()[0], 0, 'exit status')


def effect(engine, row, point):
    before, command, want, instances, revisions, errors = EFFECTS[row]
    for domain, _ in once(engine, point, before, command, want):
        equal(len(domain.services('web')), instances, 'instances')
        equal(domain.revision(revisions), revisions, 'revisions of the store')
        reported = [e for e in domain.errors() if e['reported']]
        equal(len(reported), errors, 'reported errors')


def make(engine, row):
    def case():
        for point in POINTS + (STORED if EFFECTS[row][4] else ()):
            try:
                effect(engine, row, point)
            except AssertionError as e:
                raise AssertionError('killed at %s: %s' % (point, e)) from e
    case.__name__ = '%s happens once under %s' % (row, engine)
    test(case)


def make_message(engine, row):
    before, command, want, left = MESSAGES[row]

    def case():
        for point in POINTS:
            try:
                for domain, guest in once(engine, point, before, command, want):
                    equal(guest.ask('drain'), 'drain ' + left, 'what waits')
                    equal(domain.revision(0), 0, 'revisions of the store')
            except AssertionError as e:
                raise AssertionError('killed at %s: %s' % (point, e)) from e
    case.__name__ = '%s happens once under %s' % (row, engine)
    test(case)


def make_segment(engine, row):
    before, command, want, read, unlink = SEGMENTS[row]

    def case():
        for point in POINTS:
            try:
                for _, guest in once(engine, point, before, command, want):
                    equal(guest.ask('shmread a'), read, 'what is there')
                    equal(guest.result('shmunlink a'), unlink, 'unlink')
                    equal(guest.result('shmunlink a'), -2003, 'and again')
            except AssertionError as e:
                raise AssertionError('killed at %s: %s' % (point, e)) from e
    case.__name__ = '%s happens once under %s' % (row, engine)
    test(case)


def make_kept(engine):
    def case():
        with Domain() as domain:
            domain.start()
            guest = domain.guest(engine)
            equal(guest.result('shmcreate a'), 0, 'create')
            equal(guest.result('shmcreate b'), 0, 'create')
            for i in range(3):
                domain.kill_daemon()
                until('the restart', lambda: domain.status()['restarts'] == i + 1)
            equal(guest.ask('shmread a'), 'shmread 0 7', 'after three daemons')
            equal(guest.result('shmunlink b'), 0, 'unlink')
            status = domain.status()
            os.kill(status['keeper_pid'], signal.SIGKILL)
            until('the new keeper', lambda: domain.status()['keeper_pid'] == status['pid'])
            equal(guest.ask('shmread a'), 'shmread 0 7', 'after the keeper')
            domain.kill_daemon()
            equal(guest.ask('shmread a'), 'shmread 0 7', 'after the next daemon')
            equal(guest.ask('shmread b'), 'shmread -2003 -1', 'what was unlinked')
            equal(guest.finish()[0], 0, 'exit status')
    case.__name__ = 'segments live through daemons and keepers under %s' % engine
    test(case)


def make_many(engine):
    def case():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            with Domain() as domain:
                domain.start()
                guest = domain.guest(engine)
                for i in range(300):
                    equal(guest.result('shmcreate s%d' % i), 0, 'create')
                domain.kill_daemon()
                until('the restart', lambda: domain.status()['restarts'] == 1)
                for i in range(300):
                    equal(guest.ask('shmread s%d' % i), 'shmread 0 7', 'segment %d' % i)
                equal(guest.finish()[0], 0, 'exit status')
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    case.__name__ = 'more segments live on than a shell has descriptors, under %s' % engine
    test(case)


def make_waiting(engine):
    def case():
        with Domain() as domain:
            domain.start()
            guest = domain.guest(engine)
            for i in (1, 2, 3):
                equal(guest.result('request %d' % i), 0, 'request')
            equal(guest.ask('receive'), 'receive 0 1', 'the first')
            for i in range(3):
                domain.kill_daemon()
                until('the restart', lambda: domain.status()['restarts'] == i + 1)
            equal(guest.ask('receive'), 'receive 0 2', 'the second')
            equal(guest.result('reply 1'), 0, 'the answer to the first')
            domain.kill_daemon()
            equal(guest.ask('drain'), 'drain 3 1', 'what waits')
            equal(guest.result('reply 1'), -2003, 'a second answer')
            pid = guest.result('pid')
            guest.tell('receive')  # waits through the next death
            domain.kill_daemon()
            other = domain.guest(engine)
            equal(other.result('to %d 4' % pid), 0, 'a message of another process')
            equal(guest.line(), 'receive 0 4', 'what comes of it')
            equal(guest.finish()[0], 0, 'exit status')
            equal(other.finish()[0], 0, 'exit status')
    case.__name__ = 'messages wait through any number of daemons under %s' % engine
    test(case)


def make_read(engine, row):
    def case():
        for point in POINTS:
            try:
                for _ in once(engine, point, *READS[row]):
                    pass
            except AssertionError as e:
                raise AssertionError('killed at %s: %s' % (point, e)) from e
    case.__name__ = '%s is answered under %s' % (row, engine)
    test(case)


def make_older(engine):
    def case():
        with Domain('store.committed:kill:1') as domain:
            for fault in ('store.committed:kill:1', 'notify.received:kill:1'):
                domain.fault = fault
                domain.start()
                guest = domain.guest(engine)
                equal(guest.result('register web'), 0, fault)
                until('the restart', lambda: domain.status()['restarts'] == 1)
                equal(len(domain.services('web')), 1, 'instances')
                equal(guest.finish()[0], 0, 'exit status')
                until('the end of it', lambda: not domain.services())
                domain.ctl('daemon', 'stop')
    case.__name__ = 'an older entry of the journal answers no new call under %s' % engine
    test(case)


make_many(ENGINES[0])
for engine in ENGINES:
    make_older(engine)
    for row in EFFECTS:
        make(engine, row)
    make_waiting(engine)
    for row in MESSAGES:
        make_message(engine, row)
    make_kept(engine)
    for row in SEGMENTS:
        make_segment(engine, row)
    for row in READS:
        make_read(engine, row)
run()
