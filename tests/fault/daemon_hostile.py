# SPDX-License-Identifier: MIT
"""Hostile guests: storms of signals, memory that changes or never comes, sudden ends."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (ENGINES, EXEC, GUEST, LIMIT, SLOW, Domain, Skip, check,  # noqa: E402
                     descriptors, equal, run, test, until)


def for_engines(function):
    for engine in ENGINES:
        def case(engine=engine):
            function(engine)
        case.__name__ = '%s_under_%s' % (function.__name__, engine)
        test(case)


def empty(domain):
    """Everything that guests had is given back."""
    until('the end of the sessions', lambda: domain.status()['sessions'] == 0)
    domain.answered()
    until('the end of their services', lambda: not domain.services())


@for_engines
def a_storm_of_signals_has_as_many_effects_as_successes(engine):
    with Domain() as domain:
        domain.start()
        for prefix in ('restart', 'fail'):
            guest = domain.guest(engine)
            answer = guest.ask('storm %s 300' % prefix)
            good, interrupted, bad = [int(n) for n in answer.split()[1:]]
            equal((good + interrupted, bad), (300, 0), answer)
            there = len([s for s in domain.services() if s['name'].startswith(prefix)])
            # an interrupted call may have had its effect, an answered one must
            check(good <= there <= good + interrupted, '%s but %d effects' % (answer, there))
            # SA_RESTART does not bring back what the daemon has received for 20 ms
            equal(guest.finish()[0], 0, 'exit status')
        empty(domain)


@for_engines
def what_changes_while_it_is_read_is_read_once(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine)
        answer = guest.ask('tear torn 400')
        equal(answer, 'tear 200 0 0', 'refused for want of an end, and wrong answers and the first')
        found, = domain.services('torn')
        equal(set(found['metadata']) <= set('ab'), True, 'metadata')
        equal(len(found['metadata']), 1000, 'its length')
        equal(guest.finish()[0], 0, 'exit status')
        empty(domain)


@for_engines
def memory_that_never_comes_holds_up_its_own_session_only(engine):
    with Domain() as domain:
        domain.start()
        stuck, other = domain.guest(engine), domain.guest(engine)
        answer = stuck.ask('stick x 6')
        if 'skip' in answer:
            raise Skip(answer)
        for i in range(50):
            equal(other.result('register o%d' % i), 0, 'another guest')
        status = domain.status()
        check(status['threads'] < 16, '%d threads' % status['threads'])
        # and a restart is not held up either
        domain.kill_daemon()
        equal(other.result('register again'), 0, 'another guest after a restart')
        stuck.kill()
        equal(other.finish()[0], 0, 'exit status')
        empty(domain)


@for_engines
def a_filter_of_the_guests_own_comes_on_top(engine):
    with Domain() as domain:
        domain.start()
        options = ()
        if engine == 'trap':
            # the engine says no unless it is told otherwise
            guest = domain.guest(engine)
            check(guest.ask('filter').startswith('filter -22 '), 'its own filter, unasked')
            equal(guest.finish()[0], 0, 'exit status')
            options = ('--allow-guest-seccomp',)
        guest = domain.guest(engine, options=options)
        equal(guest.ask('filter'), 'filter 0 -25', 'its own filter')
        equal(guest.result('register f'), 0, 'a private call behind it')
        domain.kill_daemon()
        equal(guest.ask('discover f'), 'discover 0 1', 'and after a restart')
        equal(guest.finish()[0], 0, 'exit status')


@for_engines
def two_hundred_children_call_at_once(engine):
    with Domain() as domain:
        domain.start()
        before = descriptors(domain.status()['pid'])
        guest = domain.guest(engine)
        equal(guest.ask('spawn c 200'), 'spawn 0', 'children that failed')
        until('the end of their services', lambda: not domain.services())
        equal(guest.finish()[0], 0, 'exit status')
        empty(domain)
        until('descriptors as before',
              lambda: descriptors(domain.status()['pid']) <= before)


@for_engines
def closing_every_descriptor_does_not_matter(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine, 'closeall')
        equal(guest.line(), 'closeall 0', 'a call without descriptors')
        equal(guest.finish()[0], 0, 'exit status')
        empty(domain)


@for_engines
def ending_in_the_middle_of_a_call_leaves_nothing(engine):
    with Domain() as domain:
        domain.start()
        pid = domain.status()['pid']
        before = descriptors(pid)
        for i in range(20):
            equal(domain.guest(engine, 'endcall e%d' % i).finish()[0], 0, 'exit status')
        for i in range(20):
            guest = domain.guest(engine)
            equal(guest.ask('loop l 4'), 'loop 4', 'threads')
            guest.kill()
        empty(domain)
        equal(domain.status()['pid'], pid, 'the daemon')
        until('%d descriptors' % before, lambda: descriptors(pid) <= before)


def short_guests(engine, many):
    with Domain() as domain:
        domain.start()
        status = domain.status()
        pids = status['pid'], status['keeper_pid']
        before = [descriptors(pid) for pid in pids]
        for _ in range(many):
            r = subprocess.run([EXEC, '--engine=' + engine, GUEST, 'register s'],
                               env=domain.env, capture_output=True, timeout=LIMIT)
            equal((r.returncode, r.stdout), (0, b'register 0\n'), r.stderr)
        empty(domain)
        equal(domain.status()['pid'], pids[0], 'the daemon')
        until('descriptors as before, %s' % before,
              lambda: all(descriptors(p) <= n for p, n in zip(pids, before)))


@for_engines
def many_short_guests_leave_nothing(engine):
    short_guests(engine, int(os.environ.get('CO_GUESTS', '1000')) if SLOW == 1 else 60)


@for_engines
def more_guests_at_once_than_clients_are_allowed(engine):
    with Domain() as domain:
        domain.start()
        status = domain.status()
        before = descriptors(status['pid']), descriptors(status['keeper_pid'])
        guests = [domain.guest(engine) for _ in range(300)]
        for i, guest in enumerate(guests):
            guest.tell('register g%d' % i)
        for guest in guests:
            equal(guest.line(), 'register 0', 'a call')
        equal(domain.status()['sessions'], 300, 'sessions')
        equal(len(domain.services()), 300, 'services')
        for guest in guests:
            guest.process.stdin.close()
        for guest in guests:
            equal(guest.process.wait(LIMIT), 0, 'exit status')
            guest.process.stdout.close()
            guest.process.stderr.close()
        empty(domain)
        until('descriptors as before', lambda: (
            descriptors(status['pid']), descriptors(status['keeper_pid'])) <= before)


run()
