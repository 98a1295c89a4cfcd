# SPDX-License-Identifier: MIT
"""kill -9 of the daemon anywhere in a call: the native answer, and exactly one effect."""
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
        yield domain
        equal(int(guest.ask('register after').split()[1]), 0, 'the next call')
        equal(guest.finish()[0], 0, 'exit status')


def effect(engine, row, point):
    before, command, want, instances, revisions, errors = EFFECTS[row]
    for domain in once(engine, point, before, command, want):
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


for engine in ENGINES:
    make_older(engine)
    for row in EFFECTS:
        make(engine, row)
    for row in READS:
        make_read(engine, row)
run()
