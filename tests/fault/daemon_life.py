# SPDX-License-Identifier: MIT
"""Services across restarts and deaths; stopping, starting, and what stands in its way."""
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, __file__.rpartition('/')[0])
from harness import (CTL, ENGINES, EXEC, GUEST, LIMIT, Domain, Skip, check,  # noqa: E402
                     equal, run, stop, test, until)


def names(domain):
    return sorted(s['name'] for s in domain.services())


def for_engines(function):
    for engine in ENGINES:
        def case(engine=engine):
            function(engine)
        case.__name__ = '%s_under_%s' % (function.__name__, engine)
        test(case)


@for_engines
def services_survive_a_restart_as_far_as_their_processes_do(engine):
    with Domain() as domain:
        domain.start()
        a, b = domain.guest(engine), domain.guest(engine)
        equal(a.result('register a'), 0, 'register a')
        equal(b.result('register b'), 0, 'register b')
        status = domain.status()
        stop(status['keeper_pid'])
        domain.kill_daemon()
        b.kill()
        os.kill(status['keeper_pid'], signal.SIGCONT)
        until('the restart', lambda: domain.status()['restarts'] == 1)
        until('services [a]', lambda: names(domain) == ['a'])
        equal(a.ask('discover a'), 'discover 0 1', 'the one that lives')
        equal(a.ask('discover b'), 'discover 0 0', 'the one that died meanwhile')
        equal(a.finish()[0], 0, 'exit status')


@for_engines
def a_dead_process_leaves_discovery_at_once(engine):
    with Domain() as domain:
        domain.start()
        watch = domain.client()
        watch.begin('service_watch', name='')
        for _ in range(9):
            guest = domain.guest(engine)
            equal(guest.result('register w'), 0, 'register')
            pid = int(guest.ask('pid').split()[1])
            while watch.receive().get('event') != 'registered':
                pass
            os.kill(pid, signal.SIGKILL)
            while watch.receive().get('event') != 'removed':
                pass
            equal(domain.services(), [], 'services')


def wakeups(pid):
    """How often a process has slept and woken up, all threads together."""
    found = 0
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/status' % (pid, thread)) as f:
            found += int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', f.read(), re.M)[1])
    return found


@for_engines
def nobody_polls_for_the_end_of_a_process(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine)
        equal(guest.result('register w'), 0, 'register')
        pid = domain.status()['pid']

        def quiet():
            before = wakeups(pid)
            time.sleep(1)  # what is measured; a busy machine makes it longer, not harder
            return wakeups(pid) - before < 10
        until('a second without polling', quiet)
        equal(guest.finish()[0], 0, 'exit status')


@test
def a_lapsed_ttl_is_critical_and_then_removed():
    with Domain() as domain:
        domain.start()
        watch = domain.client()
        watch.begin('service_watch', name='')
        guest = domain.guest(ENGINES[0])
        began, seen = time.monotonic(), {}
        equal(guest.result('register t 1'), 0, 'register')
        while 'removed' not in seen:
            event = watch.receive()['event']
            seen[event] = time.monotonic() - began
        check(0.9 < seen.get('critical', 0) < seen['removed'], 'events: %s' % seen)
        check(seen['removed'] > 1.9, 'two ttls are two seconds: %s' % seen)
        equal(guest.ask('discover t'), 'discover 0 0', 'discovery')
        # the daemon's clock starts again with it: nobody lapses while it was away
        equal(guest.result('register t %d' % (LIMIT // 2)), 0, 'register again')
        domain.kill_daemon()
        equal(guest.ask('discover t'), 'discover 0 1', 'discovery behind a restart')


@for_engines
def stopping_is_refused_or_forced_while_programs_run(engine):
    with Domain() as domain:
        domain.start()
        guest = domain.guest(engine)
        equal(guest.result('register a'), 0, 'register')
        refused = domain.ctl('daemon', 'stop', status=5)
        check('1 program still runs' in refused.stderr, refused.stderr)
        said = domain.ctl('daemon', 'stop', '--force').stdout
        check('wait' in said, 'it does not say that calls wait: %r' % said)
        domain.ctl('daemon', 'status', status=3)
        guest.tell('register b')
        domain.start()
        equal(guest.line(), 'register 0', 'the call that waited')
        equal(names(domain), ['a', 'b'], 'services')
        domain.ctl('daemon', 'stop', '--force')
        equal(guest.finish()[0], 0, 'exit status')
        until('the end of the keeper', lambda: not domain.processes())
        check(not os.path.exists(domain.dir + '/run/control.sock'), 'the socket is left')


@test
def a_second_daemon_is_refused_by_name():
    with Domain() as domain:
        domain.start()
        keeper = domain.status()['keeper_pid']
        for program in ('cloudos-keeper', 'cloudosd/cloudosd'):
            second = subprocess.run(
                [os.path.join(os.path.dirname(CTL), program)] +
                (['--foreground'] if 'keeper' in program else []),
                env=domain.env, capture_output=True, text=True, timeout=LIMIT)
            check(second.returncode == 1 and 'process %d' % keeper in second.stderr,
                  '%s: %d %r' % (program, second.returncode, second.stderr))
        equal(domain.start().returncode, 0, 'a second start, which finds it running')
        equal(domain.status()['keeper_pid'], keeper, 'keeper')


@test
def simultaneous_starts_give_one_daemon():
    for _ in range(3):
        with Domain() as domain:
            guests = [domain.guest(ENGINES[0]) for _ in range(6)]
            for i, guest in enumerate(guests):
                equal(guest.result('register g%d' % i), 0, 'register')
            # those that have lost may still be on their way out
            until('one daemon', lambda: len(domain.processes(('cloudosd',))) == 1)
            until('one keeper', lambda: len(domain.processes(('cloudos-keeper',))) == 1)
            equal(len(domain.services()), 6, 'services')
            for guest in guests:
                equal(guest.finish()[0], 0, 'exit status')


def trouble(domain, *words, statuses=(1,)):
    """Both programs say it in one sentence, and nothing is left running."""
    for command, wanted in (([CTL, 'daemon', 'start'], statuses),
                            ([EXEC, '--', '/bin/true'], (125,))):
        r = subprocess.run(command, env=domain.env, capture_output=True, text=True, timeout=LIMIT)
        name = os.path.basename(command[0])
        check(r.returncode in wanted, '%s: %d %r' % (name, r.returncode, r.stderr))
        for word in words:
            check(word in r.stderr, '%s does not name %r: %r' % (name, word, r.stderr))
        check(r.stderr.count('\n') == 1, '%s: not one sentence: %r' % (name, r.stderr))
        until('the end of all processes', lambda: not domain.processes())


@test
def a_damaged_database_is_told():
    with Domain() as domain:
        domain.start()
        domain.ctl('daemon', 'stop')
        path = domain.dir + '/state/state.db'
        for suffix in ('-wal', '-journal'):
            if os.path.exists(path + suffix):
                os.unlink(path + suffix)
        with open(path, 'r+b') as f:
            f.write(b'this was a database once' * 100)
        trouble(domain, 'state.db')


@test
def a_newer_database_is_told():
    with Domain() as domain:
        domain.start()
        domain.ctl('daemon', 'stop')
        db = sqlite3.connect(domain.dir + '/state/state.db')
        db.execute('PRAGMA user_version = 1000')
        db.commit()
        db.close()
        trouble(domain, 'state.db', '1000')


def config(domain, text):
    os.makedirs(domain.dir + '/config', 0o700, exist_ok=True)
    with open(domain.dir + '/config/cloudosd.yaml', 'w') as f:
        f.write(text)


@test
def an_unknown_key_is_told_with_its_line():
    with Domain() as domain:
        config(domain, 'log: info\n\nlogg: debug\n')
        trouble(domain, 'cloudosd.yaml:3', 'logg')


@test
def a_nesting_bomb_is_told_at_once():
    with Domain() as domain:
        config(domain, 'log: ' + '[' * 20000 + '\n')
        trouble(domain, 'cloudosd.yaml')


@test
def a_folder_of_somebody_else_is_told():
    if os.geteuid():
        raise Skip('only root can give a folder away')
    for inner in ('', '/run', '/state'):
        with Domain() as domain:
            os.makedirs(domain.dir + inner, 0o700, exist_ok=True)
            os.chown(domain.dir + inner, 12345, 12345)
            trouble(domain, domain.dir, '12345', statuses=(1, 5))


@test
def a_full_disk_is_told():
    if os.geteuid():
        raise Skip('only root can mount a small disk')
    with Domain() as domain:
        state = domain.dir + '/state'
        os.makedirs(state, 0o700)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', state],
                          capture_output=True).returncode:
            raise Skip('mount is not permitted here')
        try:
            with open(state + '/full', 'wb', 0) as f:
                try:
                    while True:
                        f.write(b'x' * 4096)
                except OSError:
                    pass
            trouble(domain, domain.dir)
        finally:
            subprocess.run(['umount', state], check=True)


run()
