#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cloudos-ctr inside a container of cloudos-ctr, whose masks the inner one keeps."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boxes import BUILD, LIMIT, ROOT, bundle, check, equal, folder_of_bundles, refusal  # noqa: E402
from harness import Skip, run, test  # noqa: E402

CTR = os.path.join(BUILD, 'cloudos-ctr')
CAPABILITIES = ['CAP_' + c for c in (
    'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_ADMIN '
    'SYS_CHROOT SYS_ADMIN MKNOD SETFCAP SYS_PTRACE').split()]
LOOK = ('/bin/busybox echo hello from inside; '
        '[ -c /proc/keys ] && ! (echo x > /proc/sys/kernel/hostname) 2>/dev/null && [ -c /dev/null ] && '
        '/bin/busybox touch /new && exec /bin/busybox echo masks hold')


def inner(user_space):
    """The configuration of the inner one, in a folder of the outer's tmpfs."""
    spaces = [{'type': t} for t in ('pid', 'mount', 'ipc', 'uts', 'network')]
    linux = {'namespaces': spaces, 'maskedPaths': ['/proc/keys'], 'readonlyPaths': ['/proc/sys']}
    if user_space:
        spaces.append({'type': 'user'})
        size = 1000 if ROOT else 1
        linux['uidMappings'] = linux['gidMappings'] = [
            {'containerID': 0, 'hostID': 1000 if ROOT else 0, 'size': size}]
    return {'ociVersion': '1.0.2', 'root': {'path': 'rootfs'}, 'linux': linux,
            'process': {'user': {'uid': 0, 'gid': 0}, 'cwd': '/', 'env': ['PATH=/bin'],
                        'args': ['/bin/busybox', 'sh', '-c', LOOK]},
            'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'},
                       {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs'},
                       {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',
                        'options': ['newinstance', 'gid=5']},
                       {'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue'},
                       {'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs',
                        'options': ['ro']}],
            'cloudos': {'layers': ['/tmp/in/layer'], 'upper': '/tmp/in/upper',
                        'work': '/tmp/in/work', 'idmap': user_space and ROOT}}


SCRIPT = r"""set -e
mkdir -p /tmp/in/layer/bin /tmp/in/upper /tmp/in/work /tmp/in/rootfs
cp "$1" /tmp/in/layer/bin/busybox
cd /tmp/in
printf %s "$2" > config.json
exec "$3" --root /tmp/in/run run inner
"""


def nest(user_space):
    busybox = shutil.which('busybox')
    reason = refusal()
    if reason or not busybox:
        raise Skip(reason or 'busybox-static is missing: apt install busybox-static')
    with folder_of_bundles() as folder:
        outer = os.path.join(folder, 'outer')
        os.mkdir(outer)
        bundle(outer, ['/bin/sh', '-c', SCRIPT, 'x', busybox, json.dumps(inner(user_space)), CTR],
               cloudos={'calls': False}, maskedPaths=['/proc/keys', '/proc/timer_list'],
               readonlyPaths=['/proc/sys'], seccomp={'defaultAction': 'SCMP_ACT_ALLOW'})
        path = os.path.join(outer, 'config.json')
        with open(path) as f:
            config = json.load(f)
        config['process']['capabilities'] = {k: CAPABILITIES for k in (
            'bounding', 'effective', 'permitted', 'inheritable')}
        with open(path, 'w') as f:
            json.dump(config, f)
        done = subprocess.run([CTR, '--root', os.path.join(folder, 'run'), 'run', 'outer'],
                              cwd=outer, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT)
        text = done.stdout.decode(errors='replace')
        equal(done.returncode, 0, text)
        check('hello from inside' in text and 'masks hold' in text, text)


@test
def a_container_runs_in_a_container():
    nest(False)


@test
def a_container_with_its_own_ids_runs_in_a_container():
    nest(True)


run()
