# SPDX-License-Identifier: MIT
"""Volumes, as root and as a user without rights: made by name or for a VOLUME of an image, filled
with what the image has there, kept as long as somebody may want them.

Endpoints: GET /v1/sys/volumes, POST /v1/sys/volumes, POST /v1/sys/volumes/prune,
GET /v1/sys/volume/:name, DELETE /v1/sys/volume/:name, DELETE /v1/sys/container/:id.
"""
import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cli  # noqa: E402
from cli import check, equal, until  # noqa: E402
from images_made import config, docker, entry, folder, hard, link, tar  # noqa: E402


def image(d):
    """busybox with VOLUMEs: one that is full, one that is missing, and some that are refused."""
    d.busybox()
    for path in ('/bin/busybox', '/usr/bin/busybox'):
        if os.path.exists(path):
            break
    with open(path, 'rb') as f:
        program = f.read()
    layer = tar(folder('bin'), entry('bin/busybox', program, mode=0o755),
                *[hard('bin/' + n, 'bin/busybox', mode=0o755) for n in ('sh', 'cat', 'ls', 'stat', 'id', 'sleep',
                                                                   'true', 'mkdir', 'rm', 'touch', 'echo')],
                folder('proc'), folder('sys'), folder('dev'), folder('etc'), folder('tmp', mode=0o1777),
                folder('full', mode=0o2750, uid=7, gid=8), folder('full/sub', uid=7, gid=8, mode=0o700),
                entry('full/sub/file', b'from the image\n', uid=7, gid=8, mode=0o640),
                link('full/link', '/etc/passwd'), link('elsewhere', '/full'))
    conf = json.loads(config([layer]))
    conf['config'] = {'Cmd': ['/bin/true'], 'Volumes': {
        '/full/': {}, '/fresh/one': {}, '/proc': {}, '/dev/shm': {}, '/': {}, '../up': {}, '/full': {}}}
    docker(d.work + '/image.tar', layer, tags=('vol:1',), conf=json.dumps(conf).encode())
    os.chmod(d.work + '/image.tar', 0o644)
    d.run('image', 'import', 'image.tar')


def volumes(d):
    return {v['name']: v for v in json.loads(d.out('volume', 'ls', '-o', 'json'))}


def outside(d, name, path=''):
    return os.path.join(d.dir, 'state/volumes', name, path)


# ---- the cases ----

def volumes_are_made_looked_at_and_removed(d):
    equal(volumes(d), {}, 'at first')
    equal(d.out('volume', 'create', 'data'), 'data\n', 'create')
    check('there is a volume data already' in d.run('volume', 'create', 'data', status=5).stderr, 'twice')
    v = json.loads(d.out('volume', 'inspect', 'data'))
    equal((v['name'], v['anonymous'], v['usedBy'], v['path']),
          ('data', False, [], outside(d, 'data').rstrip('/')), 'inspect')
    check(os.path.isdir(v['path']), 'its folder')
    for name in ('anon-1-0', '../x', '12', '', 'a/b'):
        check('name' in d.run('volume', 'create', name, status=1).stderr, name)
    d.busybox()
    d.run('container', 'create', '--name', 'web', '-v', 'data:/data', '-v', 'other:/other', 'busybox', 'true')
    equal(volumes(d)['data']['usedBy'], ['web'], 'used by')
    check('web' in d.out('volume', 'ls'), 'the table')
    r = d.run('volume', 'rm', 'data', status=5)
    check('belongs to web' in r.stderr, r.stderr)
    d.run('container', 'rename', 'web', 'shop')
    equal(volumes(d)['data']['usedBy'], ['shop'], 'renamed')
    d.run('container', 'rm', 'shop')
    equal(sorted(volumes(d)), ['data', 'other'], 'after the container')
    equal(d.out('volume', 'prune'), '', 'prune leaves those with a name')
    equal(d.out('volume', 'rm', 'data'), 'data\n', 'rm')
    d.run('volume', 'rm', 'data', status=4)
    d.run('volume', 'rm', '-f', 'data')
    d.run('volume', 'inspect', 'data', status=4)
    equal(d.out('volume', 'prune', '-a'), 'other\n', 'prune -a')
    equal((volumes(d), os.listdir(outside(d, ''))), ({}, []), 'at the end')
    r = d.run('container', 'create', '-v', 'anon-9-0:/x', 'busybox', 'true', status=4)
    check('no volume anon-9-0' in r.stderr, r.stderr)


def a_new_volume_begins_as_what_the_image_has_there(d):
    image(d)
    show = 'ls -l /full/sub/file /full/link; cat /full/sub/file; stat -c %a /full /full/sub'
    run = ('container', 'run', '--rm', '-v', 'mine:/full', '--entrypoint', '', 'vol:1', 'sh', '-c')
    text = d.out(*run, show + '; echo changed >/full/sub/file; rm /full/link')
    check('from the image\n2750\n700\n' in text and '/full/link -> /etc/passwd' in text, text)
    if os.geteuid() == 0 and not d.words:
        st = os.stat(outside(d, 'mine', 'sub/file'))
        equal((st.st_uid, st.st_gid, st.st_mode & 0o777), (7, 8, 0o640), 'the owner on the disk')
    equal(d.out(*run, 'cat /full/sub/file; ls /full'), 'changed\nsub\n', 'only once')
    # read-only ones, those of the machine and those that have something are left alone
    d.run('container', 'run', '--rm', '-v', 'bare:/full:ro', 'vol:1', 'true')
    equal(os.listdir(outside(d, 'bare')), [], 'read-only')
    os.mkdir(d.work + '/host', 0o755)
    d.run('container', 'run', '--rm', '-v', d.work + '/host:/full', 'vol:1', 'true')
    equal(os.listdir(d.work + '/host'), [], 'a folder of the machine')
    # who was killed while it filled one is followed by one that begins anew
    d.run('volume', 'create', 'half')
    for name, text in (('.cloudos-filling', '1'), ('rubbish', 'x')):
        with open(outside(d, 'half', name), 'w') as f:
            f.write(text)
    subprocess.run(['chown', '-R', '--reference=' + d.dir, outside(d, 'half')], check=True)
    d.run('container', 'run', '--rm', '-v', 'half:/full', 'vol:1', 'true')
    equal(sorted(os.listdir(outside(d, 'half'))), ['link', 'sub'], 'filled anew')
    # a link of the image leads to where it leads inside
    d.run('container', 'run', '--rm', '-v', 'led:/elsewhere', 'vol:1', 'true')
    equal(sorted(os.listdir(outside(d, 'led'))), ['link', 'sub'], 'through a link')
    # several that begin at the same time
    made = [subprocess.Popen(d.command('cloudosctl', 'container', 'run', '--rm', '-v', 'shared:/full', 'vol:1',
                                       'cat', '/full/sub/file'), env=d.env, stdout=subprocess.PIPE, text=True,
                             cwd=d.work) for _ in range(4)]
    equal([p.communicate(timeout=cli.LIMIT)[0] for p in made], ['from the image\n'] * 4, 'four at once')
    equal(sorted(os.listdir(outside(d, 'shared'))), ['link', 'sub'], 'filled once')
    d.run('volume', 'prune', '-a')


def volumes_of_images_live_as_long_as_somebody_may_want_them(d):
    image(d)
    number = d.out('container', 'run', '-d', '--name', 'c', 'vol:1', 'sleep', '1000').strip()
    names = ['anon-%s-%d' % (number, i) for i in (0, 1)]
    equal(sorted(volumes(d)), names, 'for each VOLUME that can be one')
    of = {v['inside']: v for v in volumes(d).values()}
    equal(sorted(of), ['/fresh/one', '/full/'], 'their places')
    equal([v['usedBy'] for v in of.values()], [['c']] * 2, 'who has them')
    equal(sorted((v['name'], v['anonymous']) for v in d.look('c')['volumes']), [(n, True) for n in names],
          'container inspect')
    d.run('container', 'exec', 'c', 'touch', '/full/mark', '/fresh/one/mark')
    d.run('container', 'restart', '-t', '0', 'c')
    d.run('container', 'exec', 'c', 'cat', '/full/mark', '/fresh/one/mark', '/full/sub/file')
    d.run('volume', 'rm', names[0], status=5)
    equal(d.out('container', 'diff', 'c').count('mark'), 0, 'it is not in the container itself')
    d.run('container', 'rm', '-f', 'c')
    equal(sorted(volumes(d)), names, 'kept without -v')
    equal(volumes(d)[names[0]]['usedBy'], [], 'by nobody')
    # what was kept can be had again
    full = of['/full/']['name']
    d.run('container', 'run', '--rm', '-v', full + ':/full', 'vol:1', 'cat', '/full/mark')
    equal(sorted(d.out('volume', 'prune').split()), names, 'prune')
    equal(os.listdir(outside(d, '')), [], 'their folders')
    # with -v, and with --rm, they go; a place that something else takes needs none
    d.run('container', 'create', '--name', 'c', '--tmpfs', '/full', 'vol:1')
    equal(len(volumes(d)), 1, 'one is a tmpfs')
    d.run('container', 'rm', '-v', 'c')
    equal(volumes(d), {}, 'rm -v')
    d.run('container', 'run', '--rm', '-v', 'named:/full', 'vol:1', 'touch', '/fresh/one/x')
    equal(sorted(volumes(d)), ['named'], 'run --rm')
    d.run('container', 'create', '--name', 'a', 'vol:1')
    d.run('container', 'create', '--name', 'b', '-v', json.loads(
        d.out('container', 'inspect', 'a'))['volumes'][0]['name'] + ':/other', 'vol:1')
    d.run('container', 'rm', '-v', 'a')
    equal(len(volumes(d)), 4, 'one of a is b\'s by now, and stays')
    d.run('container', 'rm', '-v', 'b')
    d.run('volume', 'prune', '-a')
    equal(volumes(d), {}, 'at the end')


def folders_are_mounted_before_what_is_in_them(d):
    d.busybox()
    d.run('container', 'run', '--rm', '-v', 'deep:/a/b/c', '-v', 'top:/a', '--tmpfs', '/a/b', 'busybox', 'sh', '-c',
          'echo 1 >/a/b/c/in; echo 2 >/a/x; echo 3 >/a/b/y')
    equal((os.listdir(outside(d, 'deep')), sorted(os.listdir(outside(d, 'top')))), (['in'], ['b', 'x']), 'where')
    d.run('volume', 'rm', 'deep', 'top')


def volumes_outlive_daemons_and_records_outlive_nothing(d):
    image(d)
    number = d.out('container', 'run', '-d', '--name', 'c', '-v', 'kept:/kept', 'vol:1', 'sleep', '1000').strip()
    d.run('container', 'exec', 'c', 'touch', '/kept/x', '/full/x')
    d.run('container', 'rm', '-f', 'c')
    before = volumes(d)
    pid = json.loads(d.out('daemon', 'status', '-o', 'json'))['pid']
    # of an older daemon, or half removed by one that was killed
    for name in ('found', '.gone-half', 'anon-%s-7' % number):
        os.makedirs(outside(d, name, 'in'))
        subprocess.run(['chown', '-R', '--reference=' + d.dir, outside(d, name)], check=True)
    os.kill(int(pid), signal.SIGKILL)
    d.run('daemon', 'start', status=None)
    until('the next daemon', lambda: d.run('volume', 'ls', status=None).returncode == 0)
    after = volumes(d)
    equal({n: after[n] for n in before}, before, 'the same as before')
    equal(sorted(set(after) - set(before)), ['anon-%s-7' % number, 'found'], 'folders without a record')
    equal(os.path.exists(outside(d, '.gone-half')), False, 'what was half removed')
    equal(sorted(os.listdir(outside(d, 'kept'))), ['x'], 'what is in it')
    d.run('volume', 'prune')
    equal(sorted(volumes(d)), ['found', 'kept'], 'images\' are gone')
    d.run('volume', 'rm', 'found', 'kept')


def a_container_that_fails_leaves_no_volume(d):
    image(d)
    d.run('container', 'run', '--name', 'c', '--user', 'nosuchuser', 'vol:1', status=125)
    equal(volumes(d), {}, 'volumes')


def what_other_users_of_a_user_s_container_own_goes_too(d):
    if not d.words or not shutil.which('newuidmap'):
        return  # root may remove anything; without the package uidmap there are no other users
    d.run('daemon', 'stop', '--force')
    ids = os.path.join(d.base, 'ids')
    with open(ids, 'w') as f:
        f.write('%d:200000:65536\n' % cli.NOBODY)
    d.words = ['unshare', '-m', 'sh', '-c', 'mount --bind %s /etc/subuid && mount --bind %s /etc/subgid && '
               'exec "$@"' % (ids, ids), 'sh', *d.words]
    d.busybox()
    d.run('container', 'run', '--name', 'c', '-v', 'data:/data', 'busybox', 'sh', '-c',
          'for i in /home /data; do mkdir -p $i/x/y; touch $i/x/y/f; chown -R 1000:1000 $i/x; chmod 700 $i/x; done')
    check(os.stat(outside(d, 'data', 'x')).st_uid > 200000, 'who owns it')
    d.run('container', 'rm', 'c')
    d.run('volume', 'rm', 'data')
    equal(os.listdir(outside(d, '')), [], 'what is left')


cli.CASES = (volumes_are_made_looked_at_and_removed, a_new_volume_begins_as_what_the_image_has_there,
             volumes_of_images_live_as_long_as_somebody_may_want_them,
             folders_are_mounted_before_what_is_in_them,
             what_other_users_of_a_user_s_container_own_goes_too,
             volumes_outlive_daemons_and_records_outlive_nothing, a_container_that_fails_leaves_no_volume)

cli.EXECUTES = (volumes_of_images_live_as_long_as_somebody_may_want_them,
                volumes_outlive_daemons_and_records_outlive_nothing)

if __name__ == '__main__':
    sys.exit(cli.main())
