# SPDX-License-Identifier: MIT
"""Bundles whose root is made of this box's own system folders.  For tests/containers/*.py."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fault'))
from harness import BUILD, SRC, Guest, LIMIT, check, equal, until  # noqa: E402,F401

RUN = os.path.join(BUILD, 'calls-run')
SYSTEM = ('/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/etc')
ROOT = os.geteuid() == 0


def identity():
    """Id maps as the daemon makes them: root's containers are 100000 and up."""
    outside = 100000 if ROOT else os.geteuid()
    group = 100000 if ROOT else os.getegid()
    count = 65536 if ROOT else 1
    return ([{'containerID': 0, 'hostID': outside, 'size': count}],
            [{'containerID': 0, 'hostID': group, 'size': count}])


def refusal():
    """Why user name spaces cannot be had here; None if they can."""
    try:
        subprocess.run(['unshare', '-Ur', 'true'], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return 'user name spaces cannot be had here: %s' % getattr(error, 'stderr', error)
    return None


def bundle(folder, words, cloudos=None, environment=(), **more):
    """A bundle in that folder; more goes into the file's "linux"."""
    root = os.path.join(folder, 'rootfs')
    mounts = [{'destination': '/proc', 'type': 'proc', 'source': 'proc'},
              {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',
               'options': ['nosuid', 'mode=755']},
              {'destination': '/run', 'type': 'tmpfs', 'source': 'tmpfs'},
              {'destination': '/tmp', 'type': 'tmpfs', 'source': 'tmpfs'}]
    for name in ('proc', 'dev', 'run', 'tmp', 'sys'):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    for path in SYSTEM + (BUILD, os.path.join(SRC, 'tests'), os.path.join(SRC, 'include')):
        if not os.path.isdir(path):
            continue
        if os.path.islink(path):
            with contextlib.suppress(FileExistsError):
                os.symlink(os.readlink(path), root + path)
            continue
        os.makedirs(root + path, exist_ok=True)
        mounts.append({'destination': path, 'type': 'bind', 'source': path,
                       'options': ['rbind', 'ro']})
    uids, gids = identity()
    linux = {'uidMappings': uids, 'gidMappings': gids,
             'namespaces': [{'type': t} for t in ('user', 'pid', 'mount', 'ipc', 'uts', 'network')]}
    if ROOT:  # the same name may be in use elsewhere on this machine
        linux['cgroupsPath'] = '/cloudos/' + os.path.basename(folder)
    linux.update(more)
    config = {'ociVersion': '1.0.2', 'root': {'path': root},
              'hostname': 'box', 'mounts': mounts, 'linux': linux,
              'process': {'user': {'uid': 0, 'gid': 0}, 'cwd': '/', 'args': list(words),
                          'noNewPrivileges': True,
                          'env': ['PATH=/usr/bin:/bin', *environment]},
              'cloudos': {'calls': True, 'init': True, **(cloudos or {})}}
    with open(os.path.join(folder, 'config.json'), 'w') as f:
        json.dump(config, f)
    return folder


@contextlib.contextmanager
def folder_of_bundles():
    """A folder that a rootless test may use, gone at the end."""
    path = tempfile.mkdtemp(prefix='cloudos-boxes-', dir='/var/tmp' if not ROOT else None)
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Boxed(Guest):
    """A program in a container with calls of CloudOS, which takes commands as Guest's do."""

    def __init__(self, domain, folder, *more):
        self.process = subprocess.Popen(
            [RUN, folder, 'box', *more], env=domain.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        domain.guests.append(self)
        self.buffer = b''
        self.pid = None
        if not more:
            line = self.process.stderr.readline().decode()
            check(line.startswith('pid '), 'the container did not start: %s' % line)
            self.pid = int(line.split()[1])


def socket_of(domain):
    return os.path.join(domain.dir, 'run/control.sock')
