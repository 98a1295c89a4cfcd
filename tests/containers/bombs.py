# SPDX-License-Identifier: MIT
"""Bombs inside a container: forks, memory, output.  The neighbours keep their p99.

The bomb has the limits that a careful person gives.  What a neighbour needs for one thing
(a process begun and ended in it) is measured before and during; a machine that does other work
at the same time gets several attempts.
"""
import os
import sys
import time

from monitored import SLOW, Box, Refused, Skip, check, equal, run, test, until

TIMES, ATTEMPTS, WORSE = 150, 6, 3
LIMITS = {'pids': {'limit': 64}, 'memory': {'limit': 64 << 20, 'swap': 64 << 20},
          'cpu': {'quota': 50000, 'period': 100000}}


def uid_of(pid):
    try:
        return os.stat('/proc/' + pid).st_uid if pid.isdigit() else None
    except OSError:
        return None


def p99(neighbour):
    took = []
    for _ in range(TIMES):
        begin = time.monotonic()
        equal(neighbour.creator.ask('exec', args=['true'])['exitCode'], 0, 'the neighbour')
        took.append(time.monotonic() - begin)
    return sorted(took)[TIMES * 99 // 100]


# A bound as every container has it that was given no limit (of another size: it has to fill).
USERS = {'linux': {'namespaces': [{'type': kind} for kind in
                                  ('pid', 'mount', 'ipc', 'uts', 'network', 'user')],
                   'uidMappings': [{'containerID': 0, 'hostID': 300000, 'size': 65536}],
                   'gidMappings': [{'containerID': 0, 'hostID': 300000, 'size': 65536}]},
         'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'},
                    {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs'}],
         'rlimits': [{'type': 'RLIMIT_NPROC', 'soft': 128, 'hard': 128}]}


def bomb(box, args, *options, **more):
    more = more or {'linux': {'resources': LIMITS}}
    c = box.prepare(args, init=True, **more)
    c.launch(*options)
    try:
        c.created()
    except Refused as why:
        raise Skip('it cannot be made here: %s' % why) from why
    return c.commit()


def neighbours_are_kept(args, goes_off, *options, **more):
    box = Box()
    os.chmod(box.dir, 0o755)  # of other users, too
    try:
        neighbour = box.container(['sleep', '1000'], init=True).start()
        c = bomb(box, args, *options, **more)
        tried = []
        for _ in range(ATTEMPTS):
            before = p99(neighbour)
            if not tried:
                c.start()
            else:
                c.creator.ask('resume')
            until('it goes off', lambda: goes_off(c))
            during = p99(neighbour)
            tried.append('%.1f ms, %.1f before' % (during * 1e3, before * 1e3))
            if during <= WORSE * before:
                break
            try:
                c.creator.ask('pause')
            except Refused as why:
                raise AssertionError('%s; no other attempt: %s' % (tried, why)) from why
        else:
            check(False, 'p99 of the neighbour: %s' % tried)
        print('  p99 of the neighbour: %s' % tried[-1])
        begin = time.monotonic()
        c.creator.ask('signal', signal=9, all=True)
        equal(c.exit()['signal'], 9, 'it ends when it has to')
        check(time.monotonic() - begin < 5 * SLOW, 'at once')
        equal(neighbour.creator.ask('status')['state'], 'running', 'the neighbour')
        return box, c
    finally:
        box.close()


@test
def a_fork_bomb():
    bang = 'f() { f | f & }; f 2>/dev/null &'

    def full(c):
        usage = c.creator.ask('usage')
        if usage['pids']['used'] < 10:  # it may die out by itself
            c.creator.send('exec', args=['sh', '-c', bang], timeoutMs=1000)
        return usage['pids']['used'] >= 50 or usage['cpu']['throttled'] > 0
    neighbours_are_kept(bang + ' exec sleep 1000', full)


@test
def a_fork_bomb_of_a_container_without_limits():
    def inside(c):
        return sum(uid == 300000 for uid in map(uid_of, os.listdir('/proc')))
    bang = '(while :; do (while :; do :; done) & done) & exec sleep 1000'
    most = []

    def full(c):
        most.append(inside(c))
        return most[-1] >= 120
    neighbours_are_kept(bang, full, **USERS)
    check(max(most) <= 128, '%d processes' % max(most))


@test
def a_log_bomb():
    def much(c):
        return c.creator.ask('status')['log']['bytes'] > 1 << 20
    neighbours_are_kept('yes', much, '--log-size', '1000000', '--log-files', '3')


@test
def a_log_bomb_leaves_no_more_than_its_files():
    box = Box()
    try:
        c = bomb(box, 'yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
                 '--log-size', '100000', '--log-files', '3').start()
        until('much is printed', lambda: c.creator.ask('status')['log']['bytes'] > 5 << 20)
        files = [n for n in os.listdir(c.bundle) if n.startswith('log')]
        check(len(files) <= 3, files)
        c.kill()
        c.exit()
        size = sum(os.path.getsize(os.path.join(c.bundle, n))
                   for n in os.listdir(c.bundle) if n.startswith('log'))
        check(size <= 300000, '%d bytes of log' % size)
    finally:
        box.close()


@test
def a_memory_bomb():
    box = Box()
    try:
        neighbour = box.container(['sleep', '1000'], init=True).start()
        before = max(p99(neighbour), 0.001)
        for attempt in range(ATTEMPTS):
            c = bomb(box, 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')
            c.start()
            during = p99(neighbour)
            end = c.exit()
            check(end['oomKilled'], 'killed for want of memory: %s' % end)
            if during <= WORSE * before:
                break
        check(during <= WORSE * before, 'p99 of the neighbour: %.1f ms, %.1f before'
              % (during * 1e3, before * 1e3))
        print('  p99 of the neighbour: %.1f ms, %.1f before' % (during * 1e3, before * 1e3))
    finally:
        box.close()


if __name__ == '__main__':
    sys.exit(run())
