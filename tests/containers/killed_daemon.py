# SPDX-License-Identifier: MIT
"""kill -9 of the daemon while containers are made, started, stopped and removed.

What was acknowledged is there afterwards, what lives goes on living, and when all are
removed nothing is left: process, group, mount, interface, table, file.  It happens in a network
name space of the test's own, which is "the host".
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import network
from cleared import clear
from monitored import BUILD, CTR, SLOW, Skip, alive, busybox, check, equal, run, test, until

CTL = os.path.join(BUILD, 'cloudosctl')
MOMENTS = 6  # of each kind, spread over the time that a command takes


class Domain:
    def __init__(self):
        busybox()  # or skip
        self.dir = tempfile.mkdtemp(prefix='ctr-killed.')
        self.env = dict(os.environ, CLOUDOS_DIR=self.dir, CLOUDOS_LIBEXECDIR=BUILD)
        self.groups = set()
        self.pids = set()
        self.ctl('daemon', 'start')
        self.ctl('image', 'create-busybox')

    def run(self, *words):
        return subprocess.run([CTL, *words], env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60 * SLOW, check=False)

    def ctl(self, *words):
        done = self.run(*words)
        equal(done.returncode, 0, '%s: %s' % (' '.join(words), done.stderr))
        return done.stdout

    def begin(self, *words):
        return subprocess.Popen([CTL, *words], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def daemon(self):
        found = re.search(r'^pid:\s+(\d+)', self.run('daemon', 'status').stdout, re.M)
        return int(found.group(1)) if found else 0

    def kill_daemon(self):
        """kill -9; returns when its successor answers."""
        old = self.daemon()
        check(old, 'there is a daemon')
        os.kill(old, signal.SIGKILL)
        return old

    def back(self, old):
        until('the next daemon', lambda: self.daemon() not in (0, old))

    def list(self):
        """All containers; the daemon may be about to find out about them."""
        done = self.run('container', 'ls', '-a', '-o', 'json')
        if done.returncode != 0:
            return None
        found = json.loads(done.stdout or '[]')
        for c in found:
            self.groups.add(self.group(c))
            if c['pid']:
                self.pids.add(c['pid'])
        return {c['name']: c for c in found}

    def group(self, c):
        try:
            with open(os.path.join(c['bundle'], 'config.json')) as f:
                return json.load(f)['linux']['cgroupsPath']
        except (OSError, KeyError, ValueError):
            return None

    def listed(self):
        return until('a list of containers', lambda: [self.list()])[0] or {}

    def settled(self):
        """The list, when nothing in it is on its way to something else."""
        def calm():
            found = self.list()
            return found is not None and [found] if found is None or not any(
                c['state'] in ('restarting', 'removing', 'stopping') for c in found.values()
            ) else None
        return until('all is settled', calm)[0]

    def remove_all(self):
        for name in self.settled():
            def gone(name=name):
                self.run('container', 'rm', '-f', name)
                found = self.list()
                return found is not None and name not in found
            until(name + ' is removed', gone)

    def left(self):
        found = []
        for folder in ('run/containers', 'state/containers'):
            path = os.path.join(self.dir, folder)
            if os.path.isdir(path):
                found += [os.path.join(path, n) for n in os.listdir(path)]
        for group in filter(None, self.groups):
            for top in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory',
                        '/sys/fs/cgroup/pids'):
                if os.path.isdir(os.path.join(top, group)):
                    found.append(os.path.join(top, group))
        found += ['process %d' % p for p in self.pids if alive(p)]
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as f:
                    line = f.read().replace(b'\0', b' ').decode(errors='replace')
            except OSError:
                continue
            if self.dir in line and ' monitor ' in line:
                found.append('process %s: %s' % (pid, line))
        with open('/proc/mounts') as f:
            found += [line for line in f if self.dir in line]
        return found

    def close(self):
        try:
            self.remove_all()
            until('nothing left: %s' % self.left(), lambda: not self.left())
            network.nothing_is_left()
            keeper = re.search(r'^keeper pid:\s+(\d+)', self.run('daemon', 'status').stdout, re.M)
            self.ctl('daemon', 'stop')
            if keeper:
                until('the keeper ends', lambda: not alive(int(keeper.group(1))))
        except BaseException:
            clear([CTL], self.env, 60 * SLOW)
            raise
        finally:
            shutil.rmtree(self.dir)


def killed_during(domain, command, took):
    """The command, with the daemon killed at moments all over it: (moment, command)."""
    for n in range(MOMENTS):
        child = domain.begin(*command(n))
        time.sleep(took * n / MOMENTS)  # the moment itself, not a wait for anything
        old = domain.kill_daemon()
        said, complaint = child.communicate(timeout=60 * SLOW)
        domain.back(old)
        yield n, child.returncode, said.decode().strip(), complaint.decode().strip()


def duration(function):
    begin = time.monotonic()
    function()
    return (time.monotonic() - begin) * 1.2


@test
def while_containers_are_made_and_started():
    domain = Domain()
    try:
        took = duration(lambda: domain.ctl('container', 'run', '-d', '--name', 'first',
                                           'busybox', 'sleep', '1000'))
        if domain.listed()['first']['network']['mode'] == 'bridge':
            check(len(network.links()) > 1, 'there is an interface that could be left')
        for n, status, said, _ in killed_during(
                domain, lambda n: ['container', 'run', '-d', '--name', 'c%d' % n, 'busybox',
                                   'sleep', '1000'], took):
            found = domain.settled()
            check('first' in found and found['first']['state'] == 'running' and
                  alive(found['first']['pid']), 'the one from before goes on: %s' % found)
            if status == 0:
                check('c%d' % n in found, 'acknowledged with %s, and not there' % said)
        for name, c in domain.settled().items():
            if c['state'] == 'running':
                check(alive(c['pid']), name + ' is said to run and does not')
    finally:
        domain.close()


@test
def while_containers_are_stopped_and_removed():
    domain = Domain()
    try:
        for n in range(MOMENTS):
            domain.ctl('container', 'run', '-d', '--name', 'c%d' % n, 'busybox', 'sleep', '1000')
        domain.ctl('container', 'run', '-d', '--name', 'other', 'busybox', 'sleep', '1000')
        took = duration(lambda: domain.ctl('container', 'rm', '-f', 'other'))
        domain.listed()
        for n, status, _, _ in killed_during(
                domain, lambda n: ['container', 'rm', '-f', 'c%d' % n], took):
            if status == 0:
                check('c%d' % n not in domain.settled(), 'c%d was removed' % n)
    finally:
        domain.close()


@test
def the_end_of_a_container_is_not_missed():
    domain = Domain()
    try:
        domain.ctl('container', 'run', '-d', '--name', 'ends', 'busybox', 'sh', '-c',
                   'while ! test -e /end; do sleep 0.02; done; exit 9')
        c = domain.listed()['ends']
        old = domain.kill_daemon()
        subprocess.run([CTR, '--root', os.path.dirname(c['runFolder']), 'exec',
                        os.path.basename(c['runFolder']), 'touch', '/end'], check=True)
        domain.back(old)
        end = until('its end', lambda: [c for c in [domain.listed()['ends']]
                                        if c['state'] == 'exited'])[0]
        equal(end['exitCode'], 9, 'how it ended')
    finally:
        domain.close()


@test
def a_monitor_that_is_killed_is_an_end():
    domain = Domain()
    try:
        domain.ctl('container', 'run', '-d', '--name', 'c', 'busybox', 'sleep', '1000')
        c = domain.listed()['c']
        with open(os.path.join(c['runFolder'], 'monitor.json')) as f:
            monitor = json.load(f)['monitor']
        os.kill(monitor, signal.SIGKILL)
        until('its process is gone', lambda: not alive(c['pid']))
        until('it is seen', lambda: domain.listed()['c']['state'] in ('exited', 'dead'))
        domain.ctl('container', 'start', 'c')
        equal(domain.listed()['c']['state'], 'running', 'state')
    finally:
        domain.close()


if __name__ == '__main__':
    if os.geteuid() != 0:
        sys.exit(77)
    try:
        network.become_host()
    except network.Skip as why:
        print('SKIPPED: %s' % why)
        sys.exit(77)
    sys.exit(run())
