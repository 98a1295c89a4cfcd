# SPDX-License-Identifier: MIT
"""cloudos-image with good images: in, out, and what other programs make of them."""
import gzip
import json
import lzma
import os
import stat
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from images_made import (LAYER, ROOT, Layout, Store, check, config, digest, docker, entry, equal,
                         folder, hard, link, listing, need, tar)
from harness import run, test

BASE = tar(folder('etc', mode=0o750, uid=7 * ROOT, gid=8 * ROOT), entry('etc/passwd', b'root\n'), folder('bin', mode=0o755),
           entry('bin/sh', b'#!\n', mode=0o755), link('lib', 'usr/lib'), folder('usr'), folder('usr/lib'),
           hard('bin/ash', 'bin/sh'), folder('data'), entry('data/old', b'old'))
UPPER = tar(entry('etc/new', b'new'), entry('etc/.wh.passwd'), folder('data'),
            entry('data/.wh..wh..opq'), entry('data/fresh', b'fresh'))


def is_whiteout(path):
    st = os.lstat(path)
    return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


@test
def a_docker_archive_becomes_layers_for_an_overlay():
    with Store() as s:
        done = s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        image, = done['images']
        equal(image['names'], ['made:1'], 'names')
        equal(image['config']['Cmd'], ['/bin/sh'], 'its command')
        low, high = s.fs('made:1', 0), s.fs('made:1', 1)
        equal(os.readlink(low + '/lib'), 'usr/lib', 'a link')
        check(os.path.samefile(low + '/bin/sh', low + '/bin/ash'), 'no hard link')
        check(is_whiteout(high + '/etc/passwd'), 'no whiteout')
        equal(os.getxattr(high + '/data', 'user.overlay.opaque'), b'y', 'for overlays of users')
        if ROOT:
            equal(os.getxattr(high + '/data', 'trusted.overlay.opaque'), b'y', 'for those of root')
        check(not os.path.exists(high + '/data/.wh..wh..opq'), 'a mark is a file')
        # nothing is said about /etc: it is as below
        st = os.lstat(high + '/etc')
        equal((stat.S_IMODE(st.st_mode), st.st_uid if ROOT else 7, st.st_mtime), (0o750, 7, 1700000000),
              'a folder that was implied')
        equal(os.lstat(low + '/etc/passwd').st_mtime, 1700000000, 'a time')


@test
def whiteouts_in_the_lowest_layer_are_nothing():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), UPPER))
        equal(sorted(os.listdir(s.fs('made:1') + '/etc')), ['new'], 'what is there')


@test
def a_whiteout_leaves_what_its_own_layer_has():
    top = tar(folder('a'), entry('a/mine'), entry('.wh.a'), entry('b'), entry('.wh.b'),
              entry('.wh.c'), entry('c'), entry('.wh.d'), folder('d'))
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE, top))
        fs = s.fs('made:1')
        for name in 'ad':
            equal(os.getxattr('%s/%s' % (fs, name), 'user.overlay.opaque'), b'y', name)
        check(os.path.exists(fs + '/a/mine'), 'its own file is gone')
        for name in 'bc':
            check(stat.S_ISREG(os.lstat('%s/%s' % (fs, name)).st_mode), name)


@test
def the_same_twice_is_one_image_and_one_layer():
    with Store() as s:
        first = s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        when = os.stat(s.fs('made:1')).st_ctime_ns
        second = s.do('import', s.file('a.tar'))
        equal(second['images'][0]['id'], first['images'][0]['id'], 'the id')
        equal(os.stat(s.fs('made:1')).st_ctime_ns, when, 'when it was unpacked')
        s.do('import', docker(s.file('b.tar'), BASE, tags=['other:1']))
        equal(s.fs('other:1', 0), s.fs('made:1', 0), 'the layer that both have')
        equal(len(os.listdir(s.path + '/layers')), 2, 'layers')


@test
def all_forms_and_compressions_are_the_same_image():
    with Store() as s:
        layout = Layout(BASE, UPPER)
        forms = {layout.write(s.file('folder')), layout.archive(s.file('oci.tar'))}
        with open(s.file('oci.tar'), 'rb') as f:
            plain = f.read()
        for end, pack in (('gz', gzip.compress), ('xz', lzma.compress)):
            with open(s.file('oci.tar.' + end), 'wb') as f:
                f.write(pack(plain))
            forms.add(f.name)
        forms.add(Layout(BASE, UPPER, packed=bytes, media=LAYER).write(s.file('plain')))
        ids = {s.do('import', path, '--name', 'x')['images'][0]['id'] for path in forms}
        equal(len(ids), 1, 'ids')
        got = s.do('import', '-', '--name', 'x', data=plain)['images'][0]['id']
        equal({got}, ids, 'by standard input')
        s.do('verify')


@test
def of_several_platforms_this_one_is_taken():
    with Store() as s:
        layout = Layout(BASE, conf=config([BASE], architecture='arm64'))
        layout.more = {'platform': {'os': 'linux', 'architecture': 'arm64'}}
        layout.finish()
        layout.add(UPPER, platform={'os': 'linux', 'architecture': 'amd64'})
        s.do('import', layout.write(s.file('both')))
        equal(s.images()[0]['architecture'], 'amd64', 'the platform')
        code, lines, _ = s.ask('import', s.file('both'), '--name', 'x')
        check(any('linux/arm64' in n.get('message', '') for n in lines), 'the others are not named')
        s.do('import', s.file('both'), '--name', 'arm', '--platform', 'linux/arm64')
        alone = Layout(BASE, conf=config([BASE], architecture='arm64'))
        alone.more = {'platform': {'os': 'linux', 'architecture': 'arm64'}}
        s.refuse('UNSUPPORTED', 'import', alone.write(s.file('alone')), says='linux/arm64')


@test
def names_and_tags_come_and_go():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE, tags=['docker.io/library/made:1', 'b.c/d:e']))
        equal(s.images()[0]['names'], ['made:1', 'b.c/d:e'], 'names')
        s.do('tag', 'made:1', 'more')
        s.do('rm', 'b.c/d:e')
        equal(s.images()[0]['names'], ['made:1', 'more:latest'], 'names')
        ident = s.images()[0]['id']
        equal(s.do('inspect', ident[7:19])['image']['id'], ident, 'by a beginning of its id')
        s.refuse('NOT_FOUND', 'inspect', 'nothing', says='create-busybox')
        for bad in ('UPPER', 'a b', '', ':', 'a:' + 'x' * 200, '../a', 'a/', '-a', 'a\nb'):
            s.refuse('INVALID', 'tag', 'made:1', '--', bad)
        s.refuse('BUSY', '--in-use', ident, 'rm', ident, says='used by a container')
        s.do('rm', 'more', 'made:1')
        equal((os.listdir(s.path + '/layers'), os.listdir(s.path + '/blobs/sha256')), ([], []),
              'what is left')


@test
def prune_takes_what_has_no_name_and_nobody_uses():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE))
        old = s.images()[0]['id']
        s.do('import', docker(s.file('b.tar'), UPPER))
        equal(len(s.images()), 2, 'images; one has lost its name')
        s.do('--in-use', old, 'prune')
        equal(len(s.images()), 2, 'images; one is in use')
        equal(s.do('prune')['removed'], [old], 'what was removed')
        equal(len(os.listdir(s.path + '/layers')), 1, 'layers')


@test
def what_goes_out_comes_in_again_as_the_same():
    with Store() as s, Store() as other:
        s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        ident = s.images()[0]['id']
        for form in ('docker', 'oci', 'oci-archive'):
            path = s.file('out.' + form)
            s.do('export', 'made:1', path, '--format', form)
            image, = other.do('import', path, '--name', 'back')['images']
            equal(image['id'], ident, form)
        s.refuse('EXISTS', 'export', 'made:1', s.file('out.oci'), '--format', 'oci')
        s.do('export', 'made:1', s.file('rootfs.tar'), '--format', 'rootfs')
        with tarfile.open(s.file('rootfs.tar')) as t:
            names = t.getnames()
        check('etc/new' in names and 'data/fresh' in names, names)
        check('etc/passwd' not in names and 'data/old' not in names, 'hidden files are there')
        equal(sorted(n for n in os.listdir(s.dir) if '.part' in n), [], 'half files')


@test
def skopeo_and_umoci_read_what_we_write_and_we_what_they_write():
    need('skopeo', 'umoci')
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        s.do('export', 'made:1', s.file('oci'), '--format', 'oci')
        s.do('export', 'made:1', s.file('docker.tar'))

        def call(*words):
            p = subprocess.run(words, capture_output=True, text=True)
            check(p.returncode == 0, '%s: %s' % (words, p.stderr))
        ident = s.images()[0]['id']
        call('skopeo', 'copy', 'docker-archive:' + s.file('docker.tar'), 'oci:' + s.file('sk') + ':t')
        call('skopeo', 'copy', 'oci:%s:1' % s.file('oci'), 'docker-archive:' + s.file('sk.tar') +
             ':again:2')
        equal(s.do('import', s.file('sk.tar'))['images'][0]['id'], ident, 'through skopeo')
        image, = s.do('import', s.file('sk'))['images']
        equal([x['diff'] for x in image['layers']], [digest(BASE), digest(UPPER)], 'its layers')
        if ROOT:
            call('umoci', 'unpack', '--image', s.file('oci') + ':1', s.file('bundle'))
            s.do('export', 'made:1', s.file('rootfs.tar'), '--format', 'rootfs')
            os.mkdir(s.file('ours'))
            call('tar', '-xpf', s.file('rootfs.tar'), '-C', s.file('ours'))
            equal(listing(s.file('ours')), listing(s.file('bundle/rootfs')), 'the files')
            call('umoci', 'repack', '--image', s.file('oci') + ':3', s.file('bundle'))
            s.do('import', s.file('oci'), '--name', 'repacked')


@test
def a_root_file_system_is_an_image_as_archive_and_as_folder():
    with Store() as s:
        os.makedirs(s.file('root/etc/deep'))
        with open(s.file('root/etc/deep/file'), 'w') as f:
            f.write('text')
        os.link(s.file('root/etc/deep/file'), s.file('root/etc/same'))
        os.symlink('/etc', s.file('root/link'))
        os.mkfifo(s.file('root/pipe'))
        with open(s.file('root/holes'), 'wb') as f:
            f.seek(8 << 20)
            f.write(b'end')
        s.do('import', s.file('root'), '--name', 'folder')
        first = s.fs('folder')
        equal(listing(first), listing(s.file('root')), 'the files')
        check(os.path.samefile(first + '/etc/same', first + '/etc/deep/file'), 'no hard link')
        check(os.stat(first + '/holes').st_blocks < 1000, 'holes were filled')
        ident = s.images()[0]['id']
        equal(s.do('import', s.file('root'), '--name', 'x')['images'][0]['id'], ident, 'again')
        subprocess.run(['tar', '-C', s.file('root'), '-cf', s.file('r.tar'), '.'], check=True)
        for how in ('gzip', 'xz', 'cat'):
            with open(s.file('r.' + how), 'wb') as f:
                subprocess.run([how, '-c'] if how != 'cat' else ['cat'], check=True,
                               stdin=open(s.file('r.tar'), 'rb'), stdout=f)
            s.do('import', s.file('r.' + how), '--name', how)
            equal(listing(s.fs(how)), listing(s.file('root')), how)
        s.do('verify')


@test
def busybox_alone_is_an_image():
    with Store() as s:
        if not os.path.exists('/bin/busybox'):
            need('busybox')
        for path in ('/nowhere/busybox',):
            s.refuse('NOT_FOUND', 'create-busybox', '--busybox', path, says='busybox-static')
        s.refuse('UNSUPPORTED', 'create-busybox', '--busybox', '/bin/ls', says='dynamically linked')
        s.refuse('UNSUPPORTED', 'create-busybox', '--busybox', '/etc/passwd', says='no program')
        first = s.do('create-busybox')['images'][0]
        equal(first['names'], ['busybox:latest'], 'its name')
        equal(s.do('create-busybox')['images'][0]['id'], first['id'], 'once more')
        # elsewhere, alone in its folder
        os.makedirs(s.file('bin'))
        subprocess.run(['cp', '-p', '/bin/busybox', s.file('bin/busybox')], check=True)
        again = s.do('create-busybox', '--name', 'x', '--busybox', s.file('bin/busybox'))
        equal(again['images'][0]['id'], first['id'], 'from elsewhere')
        fs = s.fs('busybox')
        equal(os.readlink(fs + '/bin/sh'), '/bin/busybox', 'a link')
        equal(stat.S_IMODE(os.stat(fs + '/tmp').st_mode), 0o1777, '/tmp')
        with open(fs + '/etc/passwd') as f:
            check(f.read().startswith('root:x:0:0:'), 'no root')
        if ROOT:
            said = subprocess.run(['chroot', fs, '/bin/echo', 'hi'], capture_output=True, text=True)
            equal(said.stdout, 'hi\n', said.stderr)


@test
def what_a_container_has_changed_is_told_and_becomes_an_image():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        upper = s.file('upper')
        os.makedirs(upper + '/etc/sub')
        for name in ('etc/new', 'etc/more', 'etc/sub/x'):
            with open(os.path.join(upper, name), 'w') as f:
                f.write(name)
        os.mknod(upper + '/bin', stat.S_IFCHR, os.makedev(0, 0))
        os.mkdir(upper + '/data')
        os.setxattr(upper + '/data', 'user.overlay.opaque', b'y')
        code, lines, _ = s.ask('diff', 'made:1', upper)
        told = {(x['kind'], x['path']) for x in lines if x['event'] == 'change'}
        equal(told, {('C', '/etc'), ('C', '/etc/new'), ('A', '/etc/more'), ('A', '/etc/sub'),
                     ('A', '/etc/sub/x'), ('D', '/bin'), ('C', '/data')}, 'changes')
        done = s.do('commit', 'made:1', upper, 'next:1', '--config',
                    json.dumps({'Cmd': ['/bin/other'], 'Env': None, 'User': 'x'}))
        image, = done['images']
        equal((image['config'].get('Cmd'), image['config'].get('Env'), image['config'].get('User')),
              (['/bin/other'], None, 'x'), 'its configuration')
        fs = s.fs('next:1')
        check(is_whiteout(fs + '/bin'), 'nothing hides /bin')
        equal(os.getxattr(fs + '/data', 'user.overlay.opaque'), b'y', '/data')
        s.do('export', 'next:1', s.file('out.tar'), '--format', 'rootfs')
        with tarfile.open(s.file('out.tar')) as t:
            equal(sorted(t.getnames()), ['data', 'etc', 'etc/more', 'etc/new', 'etc/sub', 'etc/sub/x',
                                         'lib', 'usr', 'usr/lib'], 'what is in it')
        s.do('export', 'next:1', s.file('out.oci'), '--format', 'oci')
        with Store() as other:
            equal(other.do('import', s.file('out.oci'))['images'][0]['id'], image['id'], 'the id')


@test
def files_go_into_and_out_of_a_stopped_container():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), BASE, UPPER))
        upper, work = s.file('c/upper'), s.file('c/work')
        os.makedirs(upper)
        os.makedirs(work)
        made = tar(folder('in'), entry('in/a', b'text', mode=0o600), entry('file', b'x'))
        s.do('cp-in', 'made:1', upper, 'etc', '--work', work, data=made)
        with open(upper + '/etc/in/a') as f:
            equal(f.read(), 'text', 'the file')

        def out(path):
            p = subprocess.run(s.argv('cp-out', 'made:1', upper, path), capture_output=True)
            return p.returncode, p.stdout, p.stderr.decode()
        code, data, said = out('/etc')
        equal(code, 0, said)
        with open(s.file('got.tar'), 'wb') as f:
            f.write(data)
        with tarfile.open(s.file('got.tar')) as t:
            equal(sorted(t.getnames()), ['etc', 'etc/file', 'etc/in', 'etc/in/a', 'etc/new'], 'names')
        code, data, said = out('/etc/passwd')
        check(code == 4 and 'there is no' in said, (code, said))
        s.refuse('INVALID', 'cp-in', 'made:1', upper, '../..', '--work', work, data=made)
        s.refuse('INVALID', 'cp-in', 'made:1', upper, 'etc', data=made, says='--work')


if __name__ == '__main__':
    run(at_once=4)
