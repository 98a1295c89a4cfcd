# SPDX-License-Identifier: MIT
"""kill -9 of a container's monitor, creator and first process at every step of its life.

Whatever dies, nothing of the container is left after a look of the daemon (`reap`): no
process, group, mount, file, and what was committed has a record of its end.
"""
import json
import os
import signal
import subprocess
import sys
import time

from monitored import (SLOW, Box, Refused, Skip, alive, check, equal, run, test, until)

# where the monitor dies, and whether the container was committed by then
STEPS = {'monitor.claimed': False, 'monitor.grouped': False, 'monitor.made': False, 'monitor.parked': False,
         'monitor.listening': False, 'monitor.committed': True, 'monitor.started': True,
         'monitor.ended': True, 'monitor.recorded': True, 'monitor.cleaned': True}
NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']


def groups():
    """All groups with our name in any hierarchy."""
    found = set()
    for top in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'):
        for folder, folders, _ in os.walk(top):
            found.update(os.path.join(folder, f) for f in folders if f.startswith('killed%d-' % os.getpid()))
    return found


def live(c, fault=None, init=True):
    """One container through all its steps, until something in it is gone."""
    if fault:
        c.box.environment = dict(os.environ, CO_FAULT=fault)
    try:
        c.launch()
        c.created().commit().start()
        c.creator.ask('signal', signal=9, all=True)
        c.creator.event('exited')
        c.creator.read_all()
        return True
    except (AssertionError, OSError) as why:
        check('within' not in str(why), str(why))  # it is gone, not silent
        return False
    finally:
        c.box.environment = None


def prepare(box, args, **more):
    c = box.prepare(args, **more)
    name = 'killed%d-%d' % (os.getpid(), box.number)
    c.folder = os.path.join(box.root, name)
    c.name = name
    return c


def nothing_is_left(box, c, committed):
    if c.pid:
        until('its first process is gone', lambda: not alive(c.pid))
    box.reap()
    until('nothing is left: %s' % box.left(), lambda: not box.left())
    until('no group is left: %s' % groups(), lambda: not groups())
    record = os.path.join(c.bundle, 'exit.json')
    equal(os.path.exists(record), committed, 'a record')
    if committed:
        with open(record) as f:
            equal(json.load(f)['exitCode'], 137, 'how it ended')
    for name in os.listdir(c.bundle):
        check(name in ('config.json', 'exit.json', 'log'), 'left in the bundle: ' + name)


def at_every_step(box, **more):
    check(live(prepare(box, 'sleep 1000 & sleep 1000', **more)), 'nothing armed, nothing dies')
    for step, committed in STEPS.items():
        c = prepare(box, 'sleep 1000 & sleep 1000', **more)
        check(not live(c, step + ':kill:1'), 'it died at ' + step)
        try:
            nothing_is_left(box, c, committed)
        except AssertionError as why:
            raise AssertionError('%s: %s' % (step, why)) from why


@test
def the_monitor_at_every_step():
    box = Box()
    try:
        at_every_step(box, init=True)
    finally:
        box.close()


@test
def the_monitor_at_every_step_without_an_init():
    box = Box()
    try:
        at_every_step(box, init=False)
    finally:
        box.close()


@test
def the_monitor_at_every_step_with_limits():
    box = Box()
    limits = {'resources': {'pids': {'limit': 50}, 'memory': {'limit': 1 << 27}}}
    try:
        c = prepare(box, 'true', linux=limits)
        c.launch()
        try:
            c.created()
        except Refused as why:
            raise Skip('no limits: %s' % why) from why
        c.creator.close()
        until('it is undone', lambda: not os.path.exists(c.folder))
        c.creator = None
        at_every_step(box, linux=limits)
    finally:
        box.close()


@test
def the_monitor_of_a_user_at_every_step():
    if os.geteuid() != 0:
        raise Skip('not root')
    box = Box(prefix=NOBODY, owner=65534)
    try:
        c = box.prepare('true')
        c.launch()
        try:
            c.created()
        except Refused as why:
            raise Skip('no user name space: %s' % why) from why
        c.creator.close()
        until('it is undone', lambda: not os.path.exists(c.folder))
        c.creator = None
        at_every_step(box)
    finally:
        box.close()


@test
def the_creator_at_any_moment():
    """A process of its own, killed at moments all over a creation of some milliseconds."""
    box = Box()
    try:
        for n in range(24):
            c = prepare(box, 'sleep 1000')
            child = subprocess.Popen([sys.executable, '-c', CREATOR, c.bundle, c.name, box.root],
                                     stdout=subprocess.PIPE, env=dict(
                                         os.environ, PYTHONPATH=os.path.dirname(
                                             os.path.abspath(__file__))))
            child.stdout.readline()  # the monitor is about to be launched
            time.sleep(n * 0.0008 * SLOW)  # the moment itself, not a wait for anything
            child.kill()
            said = child.stdout.read()
            child.wait()
            if b'committed' in said:
                c.creator = c.connect()
                equal(c.creator.ask('status')['state'], 'created', 'it lives on')
                c.creator.ask('signal', signal=9, all=True)
            # committed without the creator having heard of it is allowed: whoever comes
            # next finds it by its folder
            until('it is undone or waits', lambda: waits_or_gone(c))
            if os.path.exists(c.folder):
                c.creator = c.creator or c.connect()
                c.kill()
            until('it is gone', lambda: not os.path.exists(c.folder))
            until('no group is left', lambda: not groups())
        equal(box.reap(), 0, 'left for reap')
    finally:
        box.close()


CREATOR = '''
import sys
from monitored import Container
class Box: prefix = []; root = sys.argv[3]; dir = ''; environment = None
c = Container(Box, sys.argv[2])
c.bundle = sys.argv[1]
print('begin', flush=True)
c.launch()
c.created().commit()
print('committed', flush=True)
import signal
signal.pause()
'''


def waits_or_gone(c):
    """It was committed and listens, or it is undone and its monitor has ended."""
    if not has_monitor(c):
        return not os.path.exists(c.folder)
    try:
        with open(os.path.join(c.folder, 'monitor.json')) as f:
            committed = json.loads(f.read() or '{}').get('committed')
    except (FileNotFoundError, ValueError):
        return False
    return committed and os.path.exists(os.path.join(c.folder, 'ctl.sock'))


def has_monitor(c):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid, 'rb') as f:
                if c.bundle.encode() in f.read().split(b'\0') and int(pid) != os.getpid():
                    return True
        except OSError:
            pass
    return False


@test
def the_first_process_at_every_step():
    box = Box()
    try:
        for step in ('created', 'started', 'paused', 'exec'):
            c = prepare(box, 'sleep 1000 & sleep 1000', init=True)
            c.launch()
            c.created().commit()
            if step != 'created':
                c.start()
            if step == 'paused':
                try:
                    c.creator.ask('pause')
                except Refused as why:
                    c.kill()
                    print('  no freezer: %s' % why)
                    continue
            if step == 'exec':
                tag = c.creator.send('exec', args=['sleep', '1000'])
            os.kill(c.pid, signal.SIGKILL)
            if step == 'paused':  # with the freezer of v1 it dies when it is thawed
                c.creator.ask('signal', signal=9, all=True)
            if step == 'exec':
                try:
                    equal(c.creator.reply(tag)['exitCode'], 137, 'how that ended')
                except Refused:
                    pass  # it was too early to be begun
            end = c.creator.event('exited')['exit']
            equal((end['exitCode'], end['signal']), (137, 9), 'its end when ' + step)
            c.creator.read_all()
            check(not os.path.exists(c.folder), 'its folder')
            check(not groups(), 'its group')
        equal(box.reap(), 0, 'left for reap')
    finally:
        box.close()


@test
def all_monitors_at_once():
    box = Box()
    try:
        many = [prepare(box, 'sleep 1000 & sleep 1000') for _ in range(20)]
        for c in many:
            c.launch()
        for c in many:
            c.created().commit().start()
        for c in many:
            os.kill(c.monitor_pid(), signal.SIGKILL)
        until('all are gone', lambda: not any(alive(c.pid) for c in many))
        equal(box.reap(), 20, 'reaped')
        for c in many:
            check(os.path.exists(os.path.join(c.bundle, 'exit.json')), 'a record')
        check(not groups(), 'no group')
    finally:
        box.close()


if __name__ == '__main__':
    sys.exit(run())
