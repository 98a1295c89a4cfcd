# SPDX-License-Identifier: MIT
"""A daemon with a root file system of busybox, spoken to by HTTP.  For tests of containers.

At the end of a Box all containers are removed, and nothing of them may be left.
"""
import glob
import os
import shutil
import signal
import sys

from cleared import clear

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'http'))
from talk import LIMIT, Gateway, Skip, check, equal, run, test, until  # noqa: E402,F401
from harness import CTL, SLOW, at_the_same_time  # noqa: E402,F401

BUSYBOX = next((p for p in ('/bin/busybox', '/usr/bin/busybox') if os.path.exists(p)), None)
ROOT = os.geteuid() == 0
# A shell that ends when it is asked to, and otherwise waits.
WAITS = 'trap "exit 0" TERM; echo up; while :; do sleep 0.05; done'


def cgroups(gateway):
    with open(os.path.join(gateway.dir, 'state/domain')) as f:
        domain = int(f.read(), 16)
    name = 'cloudos-%08x' % (domain & 0xffffffff)
    return [path for path in glob.glob('/sys/fs/cgroup/**/' + name + '/*', recursive=True)
            if os.path.isdir(path)]


class Box(Gateway):
    """A daemon and a root file system; at the end nothing of both may be left."""

    def __init__(self, fault=None, probe=True):
        super().__init__(fault)
        self.probe = probe

    def __enter__(self):
        super().__enter__()
        try:
            self.make_root()
            if self.probe:
                self.try_once()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def make_root(self):
        if not BUSYBOX:
            raise Skip('there is no static busybox (package busybox-static)')
        self.root = os.path.join(self.dir, 'root')
        for name in ('bin', 'dev', 'proc', 'sys', 'tmp', 'etc'):
            os.makedirs(os.path.join(self.root, name))
        for path in ('', 'root', 'root/bin', 'root/etc'):
            os.chmod(os.path.join(self.dir, path), 0o755)
        shutil.copy(BUSYBOX, os.path.join(self.root, 'bin/busybox'))
        for name in ('sh', 'sleep', 'cat', 'grep', 'id', 'test', 'true', 'hostname', 'ls'):
            os.symlink('busybox', os.path.join(self.root, 'bin', name))
        with open(os.path.join(self.root, 'etc/passwd'), 'w') as f:
            f.write('root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001:Bob:/home/bob:/bin/sh\n')
        with open(os.path.join(self.root, 'etc/group'), 'w') as f:
            f.write('root:x:0:\nstaff:x:50:bob\nbob:x:1001:\n')

    def try_once(self):
        answer = self.ask_for('POST', 'containers', {'rootfs': self.root, 'command': 'true',
                                                     'networkMode': 'none'})
        if answer.status == 201:
            self.ask_for('DELETE', 'container/1')
            return
        raise Skip('containers cannot be made here: %s' % answer.body.decode())

    def __exit__(self, kind, value, trace):
        if kind is None:
            try:
                self.remove_all()
            except BaseException:
                self.__exit__(*sys.exc_info())
                raise
            left = [m for m in open('/proc/self/mounts') if self.dir in m]
            equal(left, [], 'mounts that are left')
            equal(cgroups(self), [], 'cgroups that are left')
            equal(os.listdir(os.path.join(self.dir, 'run/containers')), [], 'run folders')
            equal(os.listdir(os.path.join(self.dir, 'state/containers')), [], 'bundles')
        else:
            why = clear([CTL], self.env, LIMIT)
            if why:
                print('the containers could not be removed: %s' % why)
        super().__exit__(kind, value, trace)

    def remove_all(self):
        for c in self.ask_for('GET', 'containers?all=true').json()['containers']:
            self.ask_for('DELETE', 'container/%d?force=true' % c['id'])

    def ask_for(self, method, path, body=None):
        return self.get('/v1/sys/' + path, method=method, body=body, unix=True)

    def want(self, method, path, body=None, status=200):
        answer = self.ask_for(method, path, body)
        equal(answer.status, status, '%s %s: %s' % (method, path, answer.body.decode()))
        return answer.json()

    def refused(self, status, code, method, path, body=None):
        answer = self.ask_for(method, path, body)
        equal((answer.status, answer.error()), (status, code),
              '%s %s: %s' % (method, path, answer.body.decode()))
        return answer.json()['error']['message']

    def create(self, command, **more):
        config = dict({'rootfs': self.root, 'command': ['sh', '-c', command],
                       'networkMode': 'none'}, **more)
        return self.want('POST', 'containers', config, 201)

    def begin(self, command, **more):
        return self.want('POST', 'container/%d/start' % self.create(command, **more)['id'])

    def look(self, which):
        return self.want('GET', 'container/%s' % which)

    def becomes(self, which, **members):
        def there():
            try:
                c = self.look(which)
            except OSError:
                return None  # the daemon is just begun again
            return c if all(c[k] == v for k, v in members.items()) else None
        return until('%r of container %s' % (members, which), there)

    def log_of(self, c):
        try:
            with open(c['log']) as f:
                return ''.join(line.split(' ', 3)[3] for line in f)
        except FileNotFoundError:
            return ''

    def says(self, c, text):
        until('%r in the log of %s, which is %r' % (text, c['name'], self.log_of(c)),
              lambda: text in self.log_of(c))

    def output(self, command, **more):
        """Of a container that runs to its end."""
        c = self.create(command, **more)
        self.want('POST', 'container/%d/start' % c['id'])
        end = self.want('POST', 'container/%d/wait' % c['id'])
        out = self.log_of(c)
        equal(end['exitCode'], 0, 'the end of %r: %r' % (command, out))
        self.want('DELETE', 'container/%d' % c['id'])
        return out

    def daemon(self):
        return self.processes(['cloudosd'])[-1]

    def kill_daemon(self):
        pid = self.daemon()
        os.kill(pid, signal.SIGKILL)

        def another():
            try:
                return self.daemon() != pid and self.ask_for('GET', 'containers').status == 200
            except (OSError, IndexError, AssertionError):
                return False
        until('the next daemon', another)
