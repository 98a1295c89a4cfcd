# SPDX-License-Identifier: MIT
"""cloudos-image with images made by somebody who means harm, and killed at every step."""
import gzip
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from images_made import (LAYER, LIMIT, OCI, ROOT, Layout, Skip, Store, archive, check, config, digest,
                         docker, entry, equal, folder, hard, link, tar)
from harness import run, test

GOOD = tar(folder('etc'), entry('etc/passwd', b'root\n'))
WALLS = ['user', 'mount', 'none'] if ROOT else ['user', 'none']


def each_wall():
    for wall in WALLS:
        yield {'CO_IMAGE_WALLS': wall}


@test
def nothing_is_written_outside_of_the_layer():
    with Store() as s:
        outside = s.file('outside')
        os.mkdir(outside)
        with open(outside + '/victim', 'w') as f:
            f.write('safe')
        bad = {
            'dots': [entry('../../../../../../outside/a', b'x')],
            'dots inside': [folder('a'), entry('a/../../../../../../../../outside/b', b'x')],
            'a hard link up': [hard('a', '../../../../../../outside/victim')],
            'a hard link to nothing': [hard('a', 'nothing')],
            'a hard link to the host': [hard('a', outside + '/victim')],
            'a hard link through a link': [link('up', outside), hard('a', 'up/victim')],
            'a hard link to a folder': [folder('d'), hard('a', 'd')],
            'a whiteout up': [entry('.wh...')],
            'a whiteout of nothing': [entry('.wh.')],
            'a file as the root': [entry('.', b'x')],
            'a link into nowhere': [link('up', '/nowhere/' + outside), entry('up/victim', b'x')],
            'a file as a folder': [entry('a', b'x'), entry('a/b', b'x')],
            'itself in a circle': [link('a', 'b'), link('b', 'a'), entry('a/x', b'x')],
        }
        for env in each_wall():
            for what, entries in bad.items():
                path = docker(s.file('bad.tar'), GOOD, tar(*entries))
                code, lines, err = s.ask('import', path, env=env)
                check(code in (1, 4) and lines[-1]['event'] == 'failed', '%s: %r' % (what, lines))
                check(lines[-1]['status'] in ('INVALID', 'NOT_FOUND', 'NOT_DIR', 'LOOP'),
                      '%s: %r' % (what, lines[-1]))
            fine = {  # taken, but inside
                'absolute': [entry('/outside/abs', b'x')],
                'a link out': [link('up', outside), folder('outside'), entry('dir/x', b'y')],
                'a folder through a link': [folder('real'), link('up', '/real'), entry('up/x', b'x')],
                'a link in place of a folder': [folder('d'), entry('d/x', b'x'), link('d', outside),
                                                entry('e/y', b'y')],
                'a file, then a link, then a file': [
                    entry('f', b'1'), link('f', outside + '/victim'), entry('f', b'2')],
                'a link at the end': [link('v', outside + '/victim'), entry('v', b'hit')],
            }
            for what, entries in fine.items():
                s.do('import', docker(s.file('fine.tar'), tar(*entries), tags=['fine']), env=env)
                fs = s.fs('fine')
                if what == 'a folder through a link':
                    check(os.path.exists(fs + '/real/x'), what)
                if what == 'a file, then a link, then a file':
                    check(stat.S_ISREG(os.lstat(fs + '/f').st_mode), what)
                s.do('rm', 'fine')
            with open(outside + '/victim') as f:
                equal((f.read(), os.listdir(outside)), ('safe', ['victim']), 'what is outside')


@test
def devices_are_left_out_and_setuid_goes_with_its_owner():
    made = tar(entry('dev/null', type=tarfile.CHRTYPE, devmajor=1, devminor=3),
               entry('dev/sda', type=tarfile.BLKTYPE, devmajor=8), entry('pipe', type=tarfile.FIFOTYPE),
               entry('hide', type=tarfile.CHRTYPE), entry('bin/su', b'#!', mode=0o4755, uid=0),
               entry('bin/game', b'#!', mode=0o2755, uid=1000, gid=60),
               entry('caps', b'x', pax_headers={
                   'SCHILY.xattr.security.capability':
                       b'\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0'.decode('latin-1'),
                   'SCHILY.xattr.user.mine': 'yes', 'SCHILY.xattr.user.overlay.opaque': 'y',
                   'SCHILY.xattr.trusted.overlay.redirect': '/etc',
                   'SCHILY.xattr.security.selinux': 'label'}))
    for user in (None, 65534) if ROOT else (None,):
        with Store(user) as s:
            path = docker(s.file('a.tar'), made)
            os.chmod(path, 0o644)
            code, lines, err = s.ask('import', path)
            equal(code, 0, (lines, err))
            fs = s.fs('made:1')
            equal(sorted(os.listdir(fs)), ['bin', 'caps', 'dev', 'pipe'], 'what is there')
            equal(os.listdir(fs + '/dev'), [], 'devices')
            check(any('4 device' in x.get('message', '') or '3 device' in x.get('message', '')
                      for x in lines), 'nobody said that devices were left out')
            kept = ROOT and not user
            equal(stat.S_IMODE(os.stat(fs + '/bin/su').st_mode), 0o4755 if kept else 0o755, 'su')
            owner = os.stat(fs + '/bin/game')
            equal((owner.st_uid, owner.st_gid) if kept else (1000, 60), (1000, 60), 'the owner')
            names = [n for n in os.listxattr(fs + '/caps') if n != 'security.selinux']
            equal(sorted(names), ['security.capability', 'user.mine'] if kept else ['user.mine'],
                  'extended attributes')
            equal(s.images()[0]['squashed'], not kept, 'whether owners are kept')
            facts = s.do('inspect', 'made:1')['unpacked'][0]
            equal((facts['devicesLeftOut'], facts['setuid']), (3, 2), 'what was counted')
            if kept:
                s.do('rm', 'made:1')
                s.do('import', path, '--drop-setuid')
                equal(stat.S_IMODE(os.stat(s.fs('made:1') + '/bin/su').st_mode), 0o755, 'su')


@test
def what_lies_about_its_digest_or_size_is_refused():
    with Store() as s:
        def lie(change, says):
            layout = Layout(GOOD)
            change(layout)
            n = len(os.listdir(s.dir))
            return s.refuse('CORRUPT', 'import', layout.write(s.file('oci%d' % n)), says=says)

        def other_bytes(layout):
            name = layout.manifest['layers'][0]['digest']
            layout.blobs[name] = layout.blobs[name][:-1] + b'!'
        lie(other_bytes, 'is not what it is said to be')

        def other_size(layout):
            layout.manifest['layers'][0]['size'] += 1
        lie(other_size, 'is said to have')

        def other_layer(layout):  # the configuration speaks of another one
            layout.manifest['layers'] = [layout.blob(gzip.compress(tar(entry('evil'))), LAYER + '+gzip')]
        lie(other_layer, 'is not what the image says')

        def other_config(layout):
            layout.finish()
            name = next(n for n, d in layout.blobs.items() if b'diff_ids' in d)
            layout.blobs[name] = layout.blobs[name].replace(b'/bin/sh', b'/bin/no')
        lie(other_config, 'is not what it is said to be')
        equal(s.images(), [], 'images')
        # a layer that is there already does not vouch for another blob
        s.do('import', docker(s.file('good.tar'), GOOD))
        layout = Layout(GOOD)
        layout.manifest['layers'] = [layout.blob(gzip.compress(tar(entry('evil'))), LAYER + '+gzip')]
        s.refuse('CORRUPT', 'import', layout.write(s.file('liar')), says='is not what the image says')
        # names of docker's files are digests, too
        conf = config([GOOD])
        name = '0' * 64 + '.json'
        manifest = [{'Config': name, 'RepoTags': ['x:1'], 'Layers': ['l.tar']}]
        archive(s.file('name.tar'), [(name, conf), ('l.tar', GOOD),
                                     ('manifest.json', json.dumps(manifest).encode())])
        s.refuse('CORRUPT', 'import', s.file('name.tar'), says='is not what its name says')
        archive(s.file('more.tar'), [('c.json', conf), ('l.tar', GOOD), ('manifest.json', json.dumps(
            [{'Config': 'c.json', 'RepoTags': None, 'Layers': ['l.tar', 'l.tar']}]).encode())])
        s.refuse('INVALID', 'import', s.file('more.tar'), says='2 layers')


@test
def an_archive_that_was_cut_is_refused_wherever():
    with Store() as s:
        whole = docker(s.file('a.tar'), tar(entry('big', os.urandom(100000))))
        with open(whole, 'rb') as f:
            data = f.read()
        for size in (0, 1, 100, 511, 512, 700, 5000, 60000, len(data) // 2, len(data) - 10240):
            with open(s.file('cut'), 'wb') as f:
                f.write(data[:size])
            code, lines, _ = s.ask('import', s.file('cut'))
            check(code == 1 and lines[-1]['status'] in ('CORRUPT', 'INVALID', 'NOT_FOUND'),
                  'cut at %d: %r' % (size, lines))
        packed = gzip.compress(data)
        for size in (3, 10, 20, 5000, len(packed) - 1):
            with open(s.file('cut'), 'wb') as f:
                f.write(packed[:size])
            code, lines, _ = s.ask('import', s.file('cut'))
            check(code == 1, 'cut at %d: %r' % (size, lines))
        # a root file system that has lost its end, between two files
        rootfs = tar(folder('etc'), entry('etc/a', b'1'), entry('etc/b', b'2'))
        with open(s.file('cut'), 'wb') as f:
            f.write(rootfs[:512 * 3])
        s.refuse('CORRUPT', 'import', s.file('cut'), '--name', 'x', says='it was cut')
        equal(s.images(), [], 'images')


@test
def other_things_than_images_are_named():
    with Store() as s:
        def oci(change, status, says):
            layout = Layout(GOOD)
            change(layout)
            n = len(os.listdir(s.dir))
            s.refuse(status, 'import', layout.write(s.file('oci%d' % n)), says=says)
        oci(lambda o: o.manifest['config'].update(mediaType='application/vnd.cncf.helm.config.v1+json'),
            'UNSUPPORTED', 'helm')
        oci(lambda o: o.manifest['layers'][0].update(mediaType='application/x-secret+encrypted'),
            'UNSUPPORTED', 'x-secret')
        oci(lambda o: o.manifest.update(mediaType='application/json'), 'UNSUPPORTED', 'no image')
        oci(lambda o: o.manifest['layers'][0].update(digest='sha512:' + '0' * 128), 'INVALID', 'digest')
        oci(lambda o: o.manifest['layers'][0].update(digest='sha256:../../../../etc/passwd'), 'INVALID',
            'digest')
        oci(lambda o: o.manifest['layers'][0].update(size=-1), 'INVALID', 'size')
        oci(lambda o: o.manifest.update(layers={}), 'INVALID', 'layers')
        oci(lambda o: o.manifest.update(layers=o.manifest['layers'] * 128), 'TOO_BIG', '128')
        oci(lambda o: o.entries.append(o.blob(b'[]', OCI + 'index.v1+json')), 'INVALID', 'manifests')
        # a file of random bytes, text, a folder that is nothing
        for data in (os.urandom(5000), b'hello\n' * 100, b'\0' * 20480, b''):
            with open(s.file('file'), 'wb') as f:
                f.write(data)
            code, lines, _ = s.ask('import', s.file('file'))
            check(code == 1 and lines[-1]['status'] in ('CORRUPT', 'INVALID'), lines)
        s.refuse('INVALID', 'import', '/dev/null', says='neither a file nor a folder')
        os.makedirs(s.file('linked/blobs'))
        for name in ('oci-layout', 'index.json'):
            os.symlink('/etc/passwd', s.file('linked/' + name))
        s.do('import', s.file('linked'), '--name', 'x')  # a root file system with odd links
        equal(os.readlink(s.fs('x') + '/index.json'), '/etc/passwd', 'a link')


@test
def bombs_are_bounded():
    with Store() as s:
        # JSON: deep, long, many
        for text in (b'[' * 100000, b'{"a":' * 70 + b'1' + b'}' * 70, b'"' + b'x' * 5000000 + b'"',
                     b'[' + b'{},' * 2000000 + b'{}]', b'{"Config":' * 30):
            path = archive(s.file('json.tar'), [('manifest.json', text)])
            code, lines, _ = s.ask('import', path)
            check(code == 1 and lines[-1]['status'] in ('INVALID', 'TOO_BIG'), lines[-1])
        index = b'{"manifests":[%s]}' % b','.join([b'{"mediaType":"x","digest":"sha256:' + b'0' * 64 +
                                                   b'","size":1}'] * 2000)
        path = archive(s.file('json.tar'), [('oci-layout', b'{}'), ('index.json', index)])
        s.refuse('TOO_BIG', 'import', path, says='2000')
        # indexes within indexes
        layout = Layout(GOOD)
        layout.finish()
        inner = layout.entries
        for _ in range(8):
            inner = [layout.blob(json.dumps({'manifests': inner}).encode(), OCI + 'index.v1+json')]
        layout.entries = inner
        s.refuse('INVALID', 'import', layout.write(s.file('deep')), says='indexes within indexes')
        # a quarter of a gigabyte of zeros in a quarter of a megabyte
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        info = tarfile.TarInfo('etc/zeros')
        info.size = 256 << 20
        head = info.tobuf(tarfile.GNU_FORMAT)
        bomb = pack.compress(head)
        for _ in range(16):
            bomb += pack.compress(bytes(16 << 20))
        bomb += pack.compress(bytes(1024)) + pack.flush()
        with open(s.file('bomb.tar.gz'), 'wb') as f:
            f.write(bomb)
        s.refuse('TOO_BIG', '--max-bytes', str(64 << 20), 'import', s.file('bomb.tar.gz'), says='64 MiB')
        # entries, depth, names
        many = tar(*(folder('d') for _ in range(3000)))
        s.refuse('TOO_BIG', '--max-entries', '2000', 'import', docker(s.file('many.tar'), many),
                 says='2000 entries')
        s.refuse('INVALID', 'import', docker(s.file('deep.tar'), tar(folder('d/' * 200))), says='deep')
        s.refuse('INVALID', 'import', docker(s.file('long.tar'), tar(folder('d' * 300))), says='255')
        s.refuse('INVALID', 'import', docker(s.file('uid.tar'), tar(entry('a', uid=1 << 33))),
                 says='cannot be')
        archive(s.file('files.tar'), [('oci-layout', b'{}')] + [('x%d' % i, b'') for i in range(17000)])
        s.refuse('TOO_BIG', 'import', s.file('files.tar'), says='16384 files')
        equal(s.images(), [], 'images')


@test
def ten_gigabytes_of_nothing_take_no_room():
    with Store() as s:
        os.mkdir(s.file('etc'))
        with open(s.file('etc/big'), 'wb') as f:
            f.truncate(10 << 30)
            f.seek(5 << 30)
            f.write(b'middle')
        subprocess.run(['tar', '-C', s.dir, '--sparse', '-cf', s.file('a.tar'), 'etc'], check=True)
        s.do('import', s.file('a.tar'), '--name', 'sparse')
        st = os.stat(s.fs('sparse') + '/etc/big')
        equal(st.st_size, 10 << 30, 'its size')
        check(st.st_blocks * 512 < 1 << 20, 'it takes %d bytes' % (st.st_blocks * 512))
        check(s.images()[0]['size'] < 1 << 20, 'the image is said to be large')
        # one that says it has more than any file may have
        info = tarfile.TarInfo('etc/huge')
        info.size = 1 << 40
        with open(s.file('huge.tar'), 'wb') as f:
            f.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
        s.refuse('TOO_BIG', 'import', s.file('huge.tar'), '--name', 'x', says='MiB')


@test
def strange_names_are_kept_or_refused_and_never_mixed_up():
    with Store() as s:
        made = tar(folder('etc'), entry('etc/new\nline', b'1'), entry('etc/\udcff\udcfe', b'2'),
                   entry('etc/' + 'n' * 255, b'3'), entry('etc/' + 'd' * 100 + '/' + 'e' * 200, b'4'),
                   entry('etc/\u00e4\u20ac', b'5'), entry('etc/"quote\\', b'6'),
                   form=tarfile.GNU_FORMAT)
        s.do('import', docker(s.file('a.tar'), made))
        equal(sorted(os.listdir(os.fsencode(s.fs('made:1') + '/etc'))),
              sorted([b'new\nline', b'\xff\xfe', b'n' * 255, b'd' * 100, '\u00e4\u20ac'.encode(),
                      b'"quote\\']), 'names')
        code, lines, _ = s.ask('export', 'made:1', s.file('back.tar'), '--format', 'rootfs')
        equal(code, 0, lines)
        # a PAX header with a name that is no UTF-8, and one with a NUL in it
        for name in (b'\xff\xfe', b'et\0c/x'):
            record = b' path=etc/' + name + b'\n'
            size = len(record) + 2
            record = str(size).encode() + record
            head = tarfile.TarInfo('x')
            head.type = tarfile.XHDTYPE
            head.size = len(record)
            data = head.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % 512)
            data += tarfile.TarInfo('plain').tobuf(tarfile.USTAR_FORMAT) + bytes(1024)
            code, lines, err = s.ask('import', docker(s.file('b.tar'), data, tags=['odd']))
            if code == 0:  # cut at the NUL, as other programs do
                names = os.listdir(os.fsencode(s.fs('odd') + '/etc'))
                check(all(n and b'\0' not in n for n in names), names)
                s.do('rm', 'odd')
            else:
                check(lines[-1]['status'] in ('INVALID', 'CORRUPT'), lines[-1])


@test
def duplicates_and_archives_in_archives_are_ordinary():
    with Store() as s:
        made = tar(entry('a', b'1'), entry('a', b'22'), folder('d', mode=0o700), folder('d', mode=0o711),
                   entry('d/x'), entry('x'), folder('x'), entry('x/y'), folder('z'), entry('z/y'),
                   entry('z', b'file'), link('l', 'a'), entry('l', b'file'))
        path = docker(s.file('a.tar'), made)
        s.do('import', path)
        fs = s.fs('made:1')
        with open(fs + '/a') as f:
            equal(f.read(), '22', 'the last one')
        equal(stat.S_IMODE(os.stat(fs + '/d').st_mode), 0o711, 'the last mode')
        check(os.path.isdir(fs + '/x') and os.path.isfile(fs + '/z'), 'kinds')
        check(not os.path.islink(fs + '/l'), 'a link was followed')
        # the archive as a file in its own layer; and twice under one name in an archive
        with open(path, 'rb') as f:
            again = tar(entry('etc/a.tar', f.read()))
        s.do('import', docker(s.file('b.tar'), again, tags=['b']))
        conf = config([made])
        manifest = json.dumps([{'Config': 'c.json', 'RepoTags': ['c:1'], 'Layers': ['l.tar']}]).encode()
        archive(s.file('c.tar'), [('manifest.json', b'[]'), ('c.json', b'{}'), ('l.tar', b'x'),
                                  ('c.json', conf), ('l.tar', made), ('manifest.json', manifest)])
        s.do('import', s.file('c.tar'))
        # docker's links between layers, and one that goes round and round
        info = entry('two/layer.tar', type=tarfile.SYMTYPE, linkname='../one/layer.tar')
        conf = config([made, made])
        manifest = json.dumps([{'Config': 'c.json', 'RepoTags': ['d:1'],
                                'Layers': ['one/layer.tar', 'two/layer.tar']}]).encode()
        archive(s.file('d.tar'), [('c.json', conf), ('one/layer.tar', made), ('two/layer.tar', info),
                                  ('manifest.json', manifest)])
        s.do('import', s.file('d.tar'))
        archive(s.file('e.tar'), [
            ('c.json', conf), ('one', entry('one/layer.tar', type=tarfile.SYMTYPE, linkname='../two/layer.tar')),
            ('two', info), ('manifest.json', manifest)])
        s.refuse('NOT_FOUND', 'import', s.file('e.tar'), says='layer.tar')
        archive(s.file('f.tar'), [
            ('c.json', conf), ('one', entry('one/layer.tar', type=tarfile.SYMTYPE, linkname='/etc/passwd')),
            ('two', info), ('manifest.json', manifest)])
        s.refuse('NOT_FOUND', 'import', s.file('f.tar'))


@test
def killed_at_any_step_the_store_is_whole():
    points = ['image.spooled', 'image.blob', 'image.unpacked', 'image.layer', 'image.saving',
              'image.saved']
    top = tar(entry('etc/more', b'more'))
    for point in points:
        for nth in (1, 2):
            with Store() as s:
                s.do('import', docker(s.file('old.tar'), GOOD, tags=['old:1']))
                path = docker(s.file('a.tar'), GOOD, top)
                code, lines, _ = s.ask('import', path, env={'CO_FAULT': '%s:kill:%d' % (point, nth)})
                if code == 0:
                    continue  # it does not come there so often
                equal(code, -signal.SIGKILL, point)
                s.check_whole()
                names = sorted(n for i in s.images() for n in i['names'])
                check('old:1' in names, 'the image that was there is gone')
                check(('made:1' in names) == (point == 'image.saved'), (point, names))
                s.do('import', path)
                equal(os.listdir(s.path + '/tmp'), [], 'half done')
                s.do('verify')
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), GOOD, top))
        code, _, _ = s.ask('rm', 'made:1', env={'CO_FAULT': 'image.sweeping:kill:1'})
        equal(code, -signal.SIGKILL, 'rm')
        equal(s.images(), [], 'images')
        s.do('prune')
        equal((os.listdir(s.path + '/layers'), os.listdir(s.path + '/blobs/sha256'),
               os.listdir(s.path + '/tmp')), ([], [], []), 'what is left')


@test
def killed_at_any_moment_nothing_is_left_running():
    with Store() as s:
        path = docker(s.file('a.tar'), tar(*(entry('f%d' % i, os.urandom(4096)) for i in range(1000))))
        for delay in range(1, 8):
            p = s.start('import', path)
            try:
                p.communicate(timeout=delay * 0.02)
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()  # ends when nobody holds its output: no process of it is left
        s.check_whole()
        s.do('import', path)
        equal(len(os.listdir(s.fs('made:1'))), 1000, 'files')


@test
def two_at_once_wait_for_each_other():
    with Store() as s:
        paths = [docker(s.file('%d.tar' % i), tar(entry('n', b'%d' % i)), tags=['t:%d' % i])
                 for i in range(6)]
        all_ = [s.start('import', p) for p in paths]
        for p in all_:
            out, err = p.communicate(timeout=LIMIT)
            equal(p.returncode, 0, (out, err))
        equal(sorted(n for i in s.images() for n in i['names']), ['t:%d' % i for i in range(6)], 'names')


@test
def a_damaged_index_is_named_and_nothing_is_lost():
    with Store() as s:
        s.do('import', docker(s.file('a.tar'), GOOD))
        with open(s.path + '/index.json') as f:
            good = f.read()
        for bad in ('{', '[]', '{"images":[{}]}', '{"images":[{"id":"../../etc"}]}',
                    good.replace('"chain":"', '"chain":"../'), good.replace('sha256:', 'md5:')):
            with open(s.path + '/index.json', 'w') as f:
                f.write(bad)
            s.refuse('CORRUPT', 'ls', says='damaged')
            s.refuse('CORRUPT', 'prune')
        with open(s.path + '/index.json', 'w') as f:
            f.write(good)
        s.do('verify')
        blob = s.path + '/blobs/sha256/' + s.images()[0]['id'][7:]
        os.chmod(blob, 0o600)
        with open(blob, 'r+b') as f:
            f.write(b'#')
        code, lines, _ = s.ask('verify')
        equal((code, lines[-1]['status']), (1, 'CORRUPT'), 'verify')
        s.do('rm', 'made:1')


@test
def a_full_disk_is_told_and_costs_nothing_that_was_there():
    if not ROOT:
        raise Skip('only root can mount a small file system')
    with Store() as s:
        os.mkdir(s.path)
        small, big = (docker(s.file(n), tar(entry('f', os.urandom(size))), tags=[n])
                      for n, size in (('small', 100000), ('big', 6 << 20)))
        script = ('mount -t tmpfs -o size=4m none "$0" || exit 77; P=$1; shift\n'
                  '"$P" --store "$0" import "$1" && "$P" --store "$0" import "$2"\n'
                  '"$P" --store "$0" verify; ls -A "$0/tmp"; "$P" --store "$0" prune; ls -A "$0/tmp"')
        argv = s.argv()
        p = subprocess.run(['unshare', '-m', 'sh', '-c', script, s.path, argv[0], small, big],
                           capture_output=True, text=True)
        if p.returncode == 77 or 'unshare failed' in p.stderr:
            raise Skip('a file system cannot be mounted: ' + p.stderr.strip())
        said = [json.loads(x) for x in p.stdout.splitlines() if x.startswith('{')]
        ends = [x for x in said if x['event'] in ('done', 'failed')]
        equal([x['event'] for x in ends], ['done', 'failed', 'done', 'done'], p.stdout + p.stderr)
        equal(ends[1]['status'], 'NO_SPACE', ends[1]['message'])
        check(not p.stdout.endswith('tmp\n') and p.stdout.splitlines()[-1].startswith('{'),
              'something is left: ' + p.stdout)
        os.rmdir(s.path)  # the small file system is gone with its name space


@test
def users_without_rights_can_have_images():
    if not ROOT:
        raise Skip('only root can become somebody else')
    with Store(65534) as s:
        made = tar(folder('etc', mode=0o555, uid=5), entry('etc/x', b'x', uid=7, mode=0),
                   folder('closed', mode=0), entry('closed/y', b'y'))
        path = docker(s.file('a.tar'), made, tar(entry('etc/.wh.x'), entry('closed/.wh..wh..opq')))
        os.chmod(path, 0o644)
        for env in each_wall():
            if env['CO_IMAGE_WALLS'] == 'mount':
                continue
            s.do('import', path, env=env)
            st = os.stat(s.fs('made:1', 0) + '/closed')
            equal((st.st_uid, stat.S_IMODE(st.st_mode)), (65534, 0), 'owner and mode')
            s.do('rm', 'made:1', env=env)
            equal(os.listdir(s.path + '/layers'), [], 'layers that are left')
        s.do('import', path)
        s.do('export', 'made:1', s.file('out'), '--format', 'oci')
        s.do('export', 'made:1', s.file('out.tar'), '--format', 'rootfs')
        with tarfile.open(s.file('out.tar')) as t:
            equal(sorted(t.getnames()), ['closed', 'etc'], 'names')
        s.do('create-busybox')


if __name__ == '__main__':
    run(at_once=4)
