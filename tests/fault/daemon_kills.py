# SPDX-License-Identifier: MIT
"""kill -9 of daemon and keeper at random, under guests that never stop calling."""
import contextlib
import os
import select
import random
import signal
import sys
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (ENGINES, Domain, check, descriptors, equal, run, stop, test,  # noqa: E402
                     until)

KILLS = int(os.environ.get('CO_KILLS', '50'))
SEED = int(os.environ.get('CO_SEED', str(random.randrange(1 << 30))))


def base(domain):
    """What a daemon holds when nobody is there."""
    status = domain.status()
    return descriptors(status['pid']), descriptors(status['keeper_pid']), status['sessions']


def kills(engine, times):
    print('# CO_SEED=%d' % SEED)
    dice = random.Random(SEED)
    with Domain('keeper.pausing:1+') as domain:
        domain.start()
        before = base(domain)
        guests = [domain.guest(engine) for _ in range(4)]
        for i, guest in enumerate(guests):
            equal(guest.ask('loop g%d 3' % i), 'loop 3', 'threads')
        killed = set()
        for _ in range(times):
            if dice.random() < 0.5:
                domain.kill_daemon()
            for pid in domain.processes(('cloudosd',)):  # maybe it has just begun
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            # anywhere from its start to the middle of its work
            time.sleep(dice.random() * 0.03)
        effects = 0
        for i, guest in enumerate(guests):
            _, calls, bad, first = guest.ask('stop g%d 20' % i).split()
            effects += (int(calls) - 3) // 6 * 2 + 3  # of six, two change the store
            equal((bad, first), ('0', '0'), 'failed calls of guest %d and the first' % i)
        names = {s['name'] for s in domain.services()}
        equal(len(names), 12, 'acknowledged registrations that are still there')
        equal(domain.revision(effects), effects, 'effects, each once')
        # on a slow box there is not always one to kill when its turn comes
        check(killed and domain.status()['restarts'] >= len(killed),
              'the daemon was not started as often as it was killed')
        domain.answered()
        for guest in guests:
            equal(guest.finish()[0], 0, 'exit status')
        until('the end of the sessions', lambda: domain.status()['sessions'] == 0)
        until('the end of their services', lambda: not domain.services())
        until('descriptors as before, %s' % (before,), lambda: base(domain) == before)


def keeper_killed(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine)
        equal(guest.ask('loop k 3'), 'loop 3', 'threads')
        for _ in range(3):
            status = domain.status()
            os.kill(status['keeper_pid'], signal.SIGKILL)
            # the daemon becomes the keeper, and a child of it the daemon
            until('the new keeper', lambda: domain.status()['keeper_pid'] == status['pid'])
        _, calls, bad, first = guest.ask('stop').split()
        equal((bad, first), ('0', '0'), 'failed calls and the first')
        equal(len(domain.services()), 3, 'services')
        # the new keeper does what the old one did
        domain.kill_daemon()
        equal(guest.result('register after'), 0, 'a call after the next crash')
        equal(guest.finish()[0], 0, 'exit status')
        until('the end of the session', lambda: domain.status()['sessions'] == 0)
        domain.ctl('daemon', 'stop')
        until('the end of all processes', lambda: not domain.processes())


def both_killed(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine)
        equal(guest.result('register a'), 0, 'register')
        status = domain.status()
        stop(status['keeper_pid'])  # it must not start another one
        os.kill(status['pid'], signal.SIGKILL)
        guest.tell('register b')  # waits: the keeper holds it
        os.kill(status['keeper_pid'], signal.SIGKILL)
        equal(int(guest.line().split()[1]), -38, 'a call that nobody can answer')
        equal(guest.result('register c'), -38, 'the next one')
        # the launcher may hear of it later than the guest
        until('a sentence', lambda: select.select([guest.process.stderr], [], [], 0)[0])
        code, said = guest.finish()
        equal(code, 0, 'exit status')
        check('cloudos-exec: ' in said and 'keeper' in said and said.count('\n') == 1,
              'cloudos-exec does not say it in one sentence: %r' % said)
        domain.start()
        after = domain.guest(engine)
        equal(after.result('register d'), 0, 'a call to the new daemon')
        equal(len(domain.services()), 1, 'services: what has ended is not found')
        equal(after.finish()[0], 0, 'exit status')


def for_engines(function, sentence, *arguments):
    for engine in ENGINES:
        def case(engine=engine):
            function(engine, *arguments)
        case.__name__ = '%s_under_%s' % (sentence, engine)
        test(case)


for_engines(kills, 'no_call_fails_and_nothing_is_lost_when_the_daemon_is_killed', KILLS)
for_engines(keeper_killed, 'the_daemon_becomes_the_keeper_when_that_is_killed')
for_engines(both_killed, 'guests_get_enosys_when_daemon_and_keeper_are_killed')
run()
