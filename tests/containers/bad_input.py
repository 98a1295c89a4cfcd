# SPDX-License-Identifier: MIT
"""What nobody should say to the daemon about containers and images, by every road there is: a
system call of a guest, HTTP, cloudosctl.  Each is refused with a sentence or means what it says;
none leads out, and none leaves anything.

What the engine and cloudos-image make of such input is in escapes.py, abuse.c and
images_hostile.py; arrays without an end are in tests/guest/cloudos/container_create.c.
"""
import gzip
import json
import os
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cli  # noqa: E402
from images_made import LAYER, Layout, docker, entry, folder, hard, link, tar  # noqa: E402
from served import CTL, ROOT, SLOW, Box, Skip, check, equal, run, test  # noqa: E402

EACCES, EEXIST = -2005, -2007
DEAF = 'trap "" TERM; echo up; while :; do sleep 0.05; done'

# A guest: each line is a configuration, answered with what the system call returned.
CREATES = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
for line in sys.stdin:
    c = json.loads(line)
    strings = [ctypes.create_string_buffer(s.encode()) for s in c.get('env', [])]
    config = (ctypes.c_char * 2608)()
    for at, name in (0, 'name'), (256, 'image'), (768, 'command'), (1792, 'folder'), (2569, 'net'):
        text = c.get(name, 'none' if name == 'net' else '').encode()
        config[at:at + len(text)] = text
    for i, s in enumerate(strings):
        ctypes.c_uint64.from_buffer(config, 2048 + 8 * i).value = ctypes.addressof(s)
    ctypes.c_uint32.from_buffer(config, 2560).value = c.get('memory', 0)
    ctypes.c_uint8.from_buffer(config, 2568).value = c.get('privileged', 0)
    r = libc.syscall(20004, ctypes.byref(config))
    print('result', r if r >= 0 else -ctypes.get_errno(), flush=True)
"""


def caller(box):
    return box.guest('notify', program=(sys.executable, '-B', '-c', CREATES))


def by_call(guest, **config):
    return guest.result(json.dumps(config))


def by_cli(box, *words, status=None):
    return box.ctl('container', *words, status=status)


def bundles(box):
    return len(os.listdir(os.path.join(box.dir, 'state/containers')))


def printed(box, number):
    """What a container that was made prints until it ends."""
    box.want('POST', 'container/%d/start' % number)
    equal(box.want('POST', 'container/%d/wait' % number)['exitCode'], 0, 'its end')
    out = box.log_of(box.look(number))
    box.want('DELETE', 'container/%d' % number)
    return out


@test
def a_text_with_a_zero_byte_or_too_long_is_refused():
    with Box() as box:
        good = {'rootfs': box.root, 'command': ['true'], 'networkMode': 'none'}
        for member in ('name', 'image', 'rootfs', 'command', 'workingDir', 'networkMode', 'user',
                       'hostname', 'stopSignal', 'runtime', 'seccomp'):
            for text in ('a\0b', '/a\0/../..', '/' * 60000):
                if (member, text[0:2]) == ('command', '//'):
                    continue  # that is one; nobody can run it
                box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', dict(good, **{member: text}))
        for member in ('command', 'entrypoint', 'env', 'ports', 'volumes', 'tmpfs', 'capAdd', 'capDrop'):
            box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', dict(good, **{member: ['A=\0']}))
        equal(bundles(box), 0, 'bundles')


@test
def sixty_four_variables_arrive_and_none_behind_them_is_read():
    with Box() as box:
        env = ['V%d=%s' % (i, 'v' * 100) for i in range(64)]
        count = ['sh', '-c', 'set | grep -c "^V[0-9]*=.*vvv"']
        c = box.create(count[2], env=env)
        equal(printed(box, c['id']), '64\n', 'over HTTP')
        guest = caller(box)
        # behind the last one is the limit, which is no pointer
        number = by_call(guest, image=box.root, env=env, memory=4096, command="sh -c '%s'" % count[2])
        if number == EACCES:  # no limits here
            number = by_call(guest, image=box.root, env=env, command="sh -c '%s'" % count[2])
        check(number > 0, 'by a system call: %d' % number)
        equal(printed(box, number), '64\n', 'by a system call')
        equal(guest.finish()[0], 0, 'the guest')
        words = [w for e in env for w in ('-e', e)]
        r = by_cli(box, 'run', '--rm', '--net', 'none', *words, '--rootfs', box.root, *count, status=0)
        equal(r.stdout, '64\n', 'by cloudosctl')
        box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', {
            'rootfs': box.root, 'command': 'true', 'env': ['A=b'] * 8000})
        box.refused(413, 'TOO_LARGE', 'POST', 'containers', {
            'rootfs': box.root, 'command': 'true', 'env': ['A=b'] * 20000})


@test
def a_folder_that_is_a_descriptor_is_in_the_container_or_refused():
    with Box() as box:
        guest = caller(box)
        climb = 'test ! -e ../../../../../../../../../..%s && echo in' % box.dir
        for path in (['/proc/self/fd/%d' % n for n in range(3, 24)] +
                     ['/proc/self/fd/9/../../..', '/proc/1/cwd', '/proc/self/root/proc/1/fd/5']):
            config = {'rootfs': box.root, 'command': ['sh', '-c', climb], 'networkMode': 'none',
                      'workingDir': path}
            answer = box.ask_for('POST', 'containers', config)
            if answer.status == 201:
                equal(printed(box, answer.json()['id']), 'in\n', path)
            else:
                check(answer.status in (400, 403, 404), '%s: %s' % (path, answer.body))
            number = by_call(guest, image=box.root, folder=path, command="sh -c '%s'" % climb)
            equal(number > 0, answer.status == 201, 'the same by a system call: %d' % number)
            if number > 0:
                equal(printed(box, number), 'in\n', path)
        r = by_cli(box, 'run', '--rm', '--net', 'none', '-w', '/proc/self/fd/7', '--rootfs', box.root,
                   'true', status=125)
        check('/proc/self/fd/7' in r.stderr, r.stderr)
        equal(bundles(box), 0, 'bundles')


@test
def no_memory_limit_and_the_largest_are_what_they_say():
    with Box() as box:
        guest = caller(box)
        for mib in (0, 0xffffffff):
            answer = box.ask_for('POST', 'containers', {
                'rootfs': box.root, 'command': ['sleep', '1000'], 'memoryLimit': mib,
                'networkMode': 'none'})
            number = by_call(guest, image=box.root, command='sleep 1000', memory=mib)
            if mib and answer.status == 403:
                check('cannot be enforced' in answer.json()['error']['message'], answer.body)
                equal(number, EACCES, 'by a system call')
                continue
            equal(answer.status, 201, answer.body)
            check(number > 0, 'by a system call: %d' % number)
            for each in (answer.json()['id'], number):
                equal(box.look(each)['config']['memoryLimit'], mib, 'what was asked for')
                box.want('POST', 'container/%d/start' % each)
                stats = box.want('GET', 'container/%d/stats' % each)
                # no machine has as much: the kernel may say that there is none
                check(stats['memory']['limit'] in (0, mib << 20), stats['memory'])
        for mib in (-1, 1 << 41, 1 << 63, 1 << 64, 1.5, '64', True):
            box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', {
                'rootfs': box.root, 'command': 'true', 'memoryLimit': mib})
        for text in ('-1', '18446744073709551616', '99999999999t', '1e9', ''):
            by_cli(box, 'run', '-m', text, '--rootfs', box.root, 'true', status=125)


@test
def a_name_is_given_once_whoever_asks():
    with Box() as box:
        guest = caller(box)
        box.create('sleep 1000', name='taken')
        number = by_call(guest, name='mine', image=box.root, command='sleep 1000')
        check(number > 0, 'by a system call: %d' % number)
        for name in ('taken', 'mine'):
            message = box.refused(409, 'EXISTS', 'POST', 'containers', {
                'rootfs': box.root, 'command': 'true', 'name': name})
            check(name in message, message)
            equal(by_call(guest, name=name, image=box.root, command='true'), EEXIST, 'by a call')
            r = by_cli(box, 'create', '--name', name, '--rootfs', box.root, 'true', status=5)
            check(name in r.stderr, r.stderr)
        by_cli(box, 'rename', 'mine', 'taken', status=5)
        box.refused(409, 'EXISTS', 'POST', 'container/mine/update', {'name': 'taken'})
        # two at once: one of them
        asked = [subprocess.Popen([CTL, 'container', 'create', '--name', 'race', '--rootfs',
                                   box.root, 'true'], env=box.env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) for _ in range(4)]
        equal(sorted(p.wait() for p in asked), [0, 5, 5, 5], 'four at once')
        equal(bundles(box), 3, 'bundles')


@test
def one_that_ignores_sigterm_is_killed_when_its_time_is_over():
    with Box() as box:
        for by in ('HTTP', 'cloudosctl'):
            c = box.begin(DEAF, stopTimeout=1000)
            box.says(c, 'up')
            began = time.monotonic()
            if by == 'HTTP':
                box.want('POST', 'container/%d/stop' % c['id'], {'timeout': 1})
            else:
                by_cli(box, 'stop', '-t', '1', c['name'], status=0)
            took = time.monotonic() - began
            check(1 <= took < 20 * SLOW, 'it took %.1f s by %s' % (took, by))
            c = box.look(c['id'])
            equal((c['state'], c['exitCode'], c['signal']), ('exited', 137, 9), 'its end')


@test
def who_may_not_gets_no_privileged_container():
    if not ROOT:
        raise Skip('only root can be somebody else')
    reason = cli.why_not(cli.NOBODY)
    if reason:
        raise Skip('no containers of a user here: ' + reason)
    d = cli.Domain(cli.NOBODY)
    try:
        d.busybox()
        for words in (('--privileged',), ('--privileged', '--userns', 'host')):
            r = d.run('container', 'run', '--rm', *words, 'busybox', 'true', status=125)
            check('only a daemon of root' in r.stderr, r.stderr)
        equal(json.loads(d.out('container', 'ps', '-a', '-o', 'json')), [], 'containers')
        config = json.dumps({'image': 'busybox', 'command': 'true', 'privileged': 1})
        r = subprocess.run(d.command('cloudos-exec', '/usr/bin/python3', '-B', '-c', CREATES), env=d.env,
                           cwd=d.work, input=config + '\n', capture_output=True, text=True,
                           timeout=cli.LIMIT, check=False)
        equal(r.stdout, 'result %d\n' % EACCES, 'by a system call')
    finally:
        d.close()


# ---- images ----

def hostile(box):
    """(what, file or folder, what is said of it)"""
    good = tar(folder('etc'), entry('etc/passwd', b'root\n'))

    def made(name, *entries):
        return docker(os.path.join(box.dir, name.replace(' ', '-') + '.tar'), good, tar(*entries))
    victim = os.path.join(box.dir, 'victim')
    yield 'dots', made('dots', entry('../../../../../../../../..' + victim, b'hit')), '".." in it'
    yield 'an absolute hard link', made('hard', hard('a', victim), entry('a', b'hit')), 'victim'
    yield 'a hard link up', made('up', hard('a', '../../../../../../../..' + victim)), '".." in it'
    yield 'a file through a link', made('through', link('up', box.dir), entry('up/victim', b'hit')), ''
    layout = Layout(good)
    name = layout.manifest['layers'][0]['digest']
    layout.blobs[name] = layout.blobs[name][:-1] + b'!'
    yield 'a layer that lies', layout.write(box.dir + '/lies'), 'is not what it is said to be'
    layout = Layout(good)
    layout.manifest['layers'] = [layout.blob(gzip.compress(tar(entry('evil'))), LAYER + '+gzip')]
    yield 'another layer', layout.archive(box.dir + '/other.tar'), 'is not what the image says'
    with open(made('cut', entry('big', os.urandom(50000))), 'rb') as f:
        data = f.read()
    with open(box.dir + '/cut.tar', 'wb') as f:
        f.write(data[:30000])
    yield 'a cut archive', box.dir + '/cut.tar', ''


@test
def an_image_that_lies_or_leads_out_is_refused_and_leaves_nothing():
    with Box() as box:
        victim = os.path.join(box.dir, 'victim')
        with open(victim, 'w') as f:
            f.write('safe')
        for what, path, says in hostile(box):
            answer = box.ask_for('POST', 'images/import', {'path': path})
            check(answer.status in (400, 404) and answer.error() and
                  says in answer.json()['error']['message'], '%s: %d %s' % (what, answer.status, answer.body))
            r = box.ctl('image', 'import', path, status=None)
            check(r.returncode in (1, 4) and says in r.stderr, '%s: %s' % (what, r.stderr))
        with open(victim) as f:
            equal(f.read(), 'safe', 'what is outside')
        equal(box.want('GET', 'images')['images'], [], 'images')
        box.want('POST', 'images/prune', {})  # good layers of bad images may wait for another
        for name in ('layers', 'blobs/sha256', 'tmp'):
            equal(os.listdir(os.path.join(box.dir, 'state/images', name)), [], name)


@test
def devices_and_setuid_files_of_an_image_are_worth_nothing():
    with Box() as box:
        with open(box.root + '/bin/busybox', 'rb') as f:
            busybox = f.read()
        node = {'type': tarfile.BLKTYPE, 'devmajor': 254, 'devminor': 0, 'mode': 0o666}
        path = docker(box.dir + '/a.tar', tar(
            folder('bin'), folder('dev'), folder('proc'), folder('etc'), folder('tmp', mode=0o1777),
            entry('bin/busybox', busybox, mode=0o755), link('bin/sh', 'busybox'), link('bin/id', 'busybox'),
            entry('bin/su', busybox, mode=0o4755), entry('etc/disk', **node),
            entry('etc/mem', type=tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666)), tags=['dev'])
        box.want('POST', 'images/import', {'path': path})
        out = box.output('echo /etc/*; cp /bin/su /tmp/id; chmod 4755 /tmp/id; /tmp/id -u', rootfs=None,
                         calls=False, image='dev', **({'user': '1000'} if ROOT else {}))
        equal(out, '/etc/hostname /etc/hosts /etc/resolv.conf\n%d\n' % (1000 if ROOT else 0),
              'what is there, and who a setuid program is')


@test
def ten_gigabytes_of_nothing_are_an_image_without_weight():
    with Box() as box:
        os.mkdir(box.dir + '/etc')
        with open(box.dir + '/etc/big', 'wb') as f:
            f.truncate(10 << 30)
        subprocess.run(['tar', '-C', box.dir, '--sparse', '-cf', box.dir + '/a.tar', 'etc'], check=True)
        box.want('POST', 'images/import', {'path': box.dir + '/a.tar', 'name': 'sparse'})
        image, = box.want('GET', 'images')['images']
        check(image['size'] < 1 << 20, image)
        used = subprocess.run(['du', '-sk', box.dir + '/state/images'], check=True, capture_output=True)
        check(int(used.stdout.split()[0]) < 4096, used.stdout)


@test
def an_image_whose_dev_proc_or_sys_is_a_link_begins_no_container():
    with Box() as box:
        guest = caller(box)
        target = os.path.join(box.dir, 'target')
        os.mkdir(target)
        os.chmod(target, 0o777)
        with open(box.root + '/bin/busybox', 'rb') as f:
            busybox = f.read()
        for name in ('dev', 'proc', 'sys'):
            path = docker('%s/%s.tar' % (box.dir, name), tar(
                folder('bin'), entry('bin/busybox', busybox, mode=0o755), link('bin/sh', 'busybox'),
                link(name, target)), tags=['bad-' + name])
            box.want('POST', 'images/import', {'path': path})
            message = box.refused(403, 'FORBIDDEN', 'POST', 'containers', {
                'image': 'bad-' + name, 'command': ['sh', '-c', 'true'], 'networkMode': 'none'})
            check('/' + name in message, message)
            equal(by_call(guest, image='bad-' + name, command='sh -c true'), EACCES, 'by a call')
            r = by_cli(box, 'run', '--rm', '--net', 'none', 'bad-' + name, 'sh', '-c', 'true', status=125)
            check('/' + name in r.stderr, r.stderr)
            equal(os.listdir(target), [], 'what was made outside')
        equal(bundles(box), 0, 'bundles')


if __name__ == '__main__':
    run(at_once=4)
