# SPDX-License-Identifier: MIT
"""Images made by hand, good and bad, and a store to put them into.  For images*.py."""
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fault'))
from harness import BUILD, LIMIT, SLOW, Skip, check, equal  # noqa: E402,F401

PROGRAM = os.path.join(BUILD, 'cloudos-image')
ROOT = os.geteuid() == 0
OCI = 'application/vnd.oci.image.'
LAYER = OCI + 'layer.v1.tar'


class Store:
    """A folder of images that is gone at the end; nothing half done may be left in it."""

    def __init__(self, user=None):
        self.dir = tempfile.mkdtemp(prefix='images.', dir='/var/tmp')
        self.path = os.path.join(self.dir, 'store')
        self.user = user
        if user:
            os.chown(self.dir, user, user)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check_whole()
        finally:
            subprocess.run(['chmod', '-R', 'u+rwX', self.dir], stderr=subprocess.DEVNULL)
            shutil.rmtree(self.dir)

    def file(self, name):
        return os.path.join(self.dir, name)

    def argv(self, *words):
        user = ['setpriv', '--reuid=%d' % self.user, '--regid=%d' % self.user,
                '--clear-groups'] if self.user else []
        return user + [PROGRAM, '--store', self.path, *words]

    def start(self, *words, env=(), **more):
        return subprocess.Popen(self.argv(*words), env=dict(os.environ, **dict(env)),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def ask(self, *words, env=(), data=None):
        """Exit code and all that it said."""
        p = self.start(*words, env=env, stdin=subprocess.PIPE)
        out, err = p.communicate(data, timeout=LIMIT)
        check('Sanitizer' not in err.decode('latin-1') and 'runtime error' not in err.decode('latin-1'),
              err.decode('latin-1'))
        lines = [json.loads(line) for line in out.decode().splitlines()]
        if lines and 'cannot be laid upon each other here' in lines[-1].get('message', ''):
            raise Skip(lines[-1]['message'])
        return p.returncode, lines, err.decode('latin-1')

    def do(self, *words, env=(), data=None):
        """What it ends with."""
        code, lines, err = self.ask(*words, env=env, data=data)
        check(code == 0 and lines and lines[-1]['event'] == 'done',
              '%s: %d %r %s' % (words, code, lines, err))
        return lines[-1]

    def refuse(self, status, *words, env=(), data=None, says=''):
        """It has to fail like that, with a sentence that has `says` in it."""
        code, lines, err = self.ask(*words, env=env, data=data)
        check(code != 0 and lines and lines[-1]['event'] == 'failed',
              '%s was not refused: %r %s' % (words, lines, err))
        equal(lines[-1]['status'], status, lines[-1]['message'])
        check(says in lines[-1]['message'], '"%s" has no "%s"' % (lines[-1]['message'], says))
        return lines[-1]['message']

    def images(self):
        return self.do('ls')['images']

    def fs(self, image, layer=-1):
        """The folder of a layer, the uppermost by default."""
        record = self.do('inspect', image)['image']
        return os.path.join(self.path, 'layers', record['layers'][layer]['chain'], 'fs')

    def check_whole(self):
        """Every blob is what its name says, every layer complete, nothing is half done."""
        if not os.path.exists(self.path):
            return
        for image in self.images() if os.path.exists(self.path + '/index.json') else []:
            for layer in image['layers']:
                check(os.path.exists('%s/layers/%s/layer.json' % (self.path, layer['chain'])),
                      'a layer is missing')
        blobs = os.path.join(self.path, 'blobs/sha256')
        for name in os.listdir(blobs):
            with open(os.path.join(blobs, name), 'rb') as f:
                equal(hashlib.sha256(f.read()).hexdigest(), name, 'a blob')
        for name in os.listdir(os.path.join(self.path, 'layers')):
            check(os.path.exists('%s/layers/%s/layer.json' % (self.path, name)),
                  'half a layer has a name')


# ---- layers ----

def entry(name, data=b'', **members):
    """A member of a tar archive: a file unless `type` says otherwise."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    info.mtime = 1700000000
    info.size = len(data)
    for key, value in members.items():
        setattr(info, key, value)
    if info.type == tarfile.DIRTYPE and 'mode' not in members:
        info.mode = 0o755
    return info, data


def folder(name, **members):
    return entry(name, type=tarfile.DIRTYPE, **members)


def link(name, target, **members):
    return entry(name, type=tarfile.SYMTYPE, linkname=target, **members)


def hard(name, target, **members):
    return entry(name, type=tarfile.LNKTYPE, linkname=target, **members)


def tar(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form, errors='surrogateescape') as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def config(layers, **more):
    c = {'architecture': 'amd64', 'os': 'linux', 'created': '2024-01-02T03:04:05Z',
         'config': {'Cmd': ['/bin/sh'], 'Env': ['A=b']},
         'rootfs': {'type': 'layers', 'diff_ids': [digest(layer) for layer in layers]}}
    c.update(more)
    return json.dumps(c).encode()


# ---- files with images ----

def archive(path, files):
    """Files (name, bytes or (TarInfo, bytes)) in an archive."""
    with open(path, 'wb') as f:
        f.write(tar(*(entry(n, d) if isinstance(d, bytes) else d for n, d in files)))
    return path


def docker(path, *layers, tags=('made:1',), conf=None, names=None):
    conf = conf or config(layers)
    names = names or ['%d/layer.tar' % i for i in range(len(layers))]
    name = digest(conf)[7:] + '.json'
    manifest = [{'Config': name, 'RepoTags': list(tags), 'Layers': names}]
    return archive(path, [(name, conf)] + list(zip(names, layers)) +
                   [('manifest.json', json.dumps(manifest).encode())])


class Layout:
    """An OCI layout as a folder; members may be made wrong before write()."""

    def __init__(self, *layers, packed=gzip.compress, media=LAYER + '+gzip', conf=None):
        self.blobs, self.entries = {}, []
        self.add(*layers, packed=packed, media=media, conf=conf)

    def blob(self, data, media, **more):
        self.blobs[digest(data)] = data
        return dict({'mediaType': media, 'digest': digest(data), 'size': len(data)}, **more)

    def add(self, *layers, packed=gzip.compress, media=LAYER + '+gzip', conf=None, **more):
        self.manifest = {
            'schemaVersion': 2, 'mediaType': OCI + 'manifest.v1+json',
            'config': self.blob(conf or config(layers), OCI + 'config.v1+json'),
            'layers': [self.blob(packed(layer), media) for layer in layers]}
        self.more = more
        self.manifest_blob = None

    def finish(self):
        if self.manifest is not None:
            self.entries.append(self.blob(json.dumps(self.manifest).encode(),
                                          OCI + 'manifest.v1+json', **self.more))
            self.manifest = None

    def files(self):
        self.finish()
        yield 'oci-layout', b'{"imageLayoutVersion":"1.0.0"}'
        yield 'index.json', json.dumps({'schemaVersion': 2, 'manifests': self.entries}).encode()
        for name, data in self.blobs.items():
            yield 'blobs/sha256/' + name[7:], data

    def write(self, path):
        os.makedirs(path + '/blobs/sha256')
        for name, data in self.files():
            with open(os.path.join(path, name), 'wb') as f:
                f.write(data)
        return path

    def archive(self, path):
        return archive(path, list(self.files()))


# ---- looking ----

def listing(top):
    """Everything below a folder: kind, mode, owner, size, what it says."""
    out = {}
    for here, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(here, name)
            st = os.lstat(path)
            what = stat.S_IFMT(st.st_mode)
            text = os.readlink(path) if what == stat.S_IFLNK else None
            if what == stat.S_IFREG:
                with open(path, 'rb') as f:
                    text = hashlib.sha256(f.read()).hexdigest()
            out[os.path.relpath(path, top)] = (what, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid,
                                               int(st.st_mtime), text)
    return out


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            if os.environ.get('CO_STRICT') == '1':
                raise AssertionError('%s is missing: ./bootstrap check' % program)
            raise Skip('%s is missing: apt install %s' % (program, program))
