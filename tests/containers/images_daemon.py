# SPDX-License-Identifier: MIT
"""Images by the daemon: endpoints, progress, events, who uses them, and what a kill leaves.

Endpoints: GET /v1/sys/images, GET /v1/sys/image, DELETE /v1/sys/image, POST /v1/sys/images/import,
POST /v1/sys/images/busybox, POST /v1/sys/images/commit (refusals; what it makes is in cli.py),
POST /v1/sys/images/prune, POST /v1/sys/image/tag, POST /v1/sys/image/export.
"""
import contextlib
import fcntl
import glob
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'http'))
from images_made import check, docker, entry, equal, folder, tar
from harness import run, test, until
from talk import Gateway

GOOD = tar(folder('etc'), entry('etc/passwd', b'root\n'))


def post(g, what, /, **body):
    answer = g.get('/v1/sys/' + what, method='POST', body=body)
    equal(answer.status, 200, '%s: %r' % (what, answer.body))
    return answer.json()


def names(g):
    return sorted(n for i in g.get('/v1/sys/images').json()['images'] for n in i['names'])


def working(g):
    """Every cloudos-image for that folder; its environment does not name it."""
    out = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            with open(path, 'rb') as f:
                words = f.read().split(b'\0')
            if words[0].endswith(b'cloudos-image') and any(g.dir.encode() in w for w in words):
                out.append(int(path.split('/')[2]))
    return out


@contextlib.contextmanager
def held(g):
    """cloudos-image waits as long as this lasts."""
    with open(os.path.join(g.dir, 'state/images/lock'), 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@test
def images_come_go_and_stay_over_a_restart():
    with Gateway() as g:
        equal(names(g), [], 'images at first')
        path = docker(g.dir + '/a.tar', GOOD)
        done = post(g, 'images/import', path=path)
        equal(done['images'][0]['names'], ['made:1'], 'names')
        equal(g.get('/v1/sys/image?name=made:1').json()['names'], ['made:1'], 'looking at one')
        post(g, 'images/import', path=path, name='other')
        post(g, 'image/tag', name='made:1', tag='made:2')
        equal(names(g), ['made:1', 'made:2', 'other:latest'], 'names')
        out = g.dir + '/out.tar'
        equal(post(g, 'image/export', name='other', path=out, format='oci-archive')['path'], out, 'path')
        post(g, 'images/import', path=out, name='back')
        g.ctl('daemon', 'stop')
        g.__class__.start(g)
        with open(os.path.join(g.dir, 'run/http.json')) as f:
            g.address = ('127.0.0.1', int(json.load(f)['tcp'].rpartition(':')[2]))
        equal(names(g), ['back:latest', 'made:1', 'made:2', 'other:latest'], 'names after a restart')
        for name in names(g):
            equal(g.get('/v1/sys/image?name=' + name, method='DELETE').status, 200, name)
        equal(names(g), [], 'images')
        equal(os.listdir(g.dir + '/state/images/layers'), [], 'layers')


@test
def what_cannot_be_is_an_error_with_words():
    with Gateway() as g:
        with open(g.dir + '/text', 'w') as f:
            f.write('no archive')
        os.mkfifo(g.dir + '/pipe')
        for status, path, body in (
                (400, 'images/import', {'path': g.dir + '/text'}),
                (400, 'images/import', {'path': g.dir + '/pipe'}),
                (404, 'images/import', {'path': g.dir + '/nothing'}),
                (400, 'images/import', {'path': 'relative'}),
                (400, 'images/import', {'path': '/x', 'name': 'Not A Name'}),
                (400, 'images/import', {}),
                (404, 'image/tag', {'name': 'no', 'tag': 'x'}),
                (404, 'image/export', {'name': 'no', 'path': '/x'}),
                (400, 'images/commit', {'image': 'no', 'upper': '/x', 'name': 'y', 'config': []})):
            answer = g.get('/v1/sys/' + path, method='POST', body=body)
            equal(answer.status, status, answer.body)
            check(answer.error(), 'no code')
        equal(g.get('/v1/sys/image?name=no').status, 404, 'looking')
        equal(g.get('/v1/sys/image?name=no', method='DELETE').status, 404, 'removing')


@test
def progress_is_told_and_events_are_kept():
    with Gateway() as g:
        path = docker(g.dir + '/a.tar', GOOD)
        with g.connect() as c:
            body = json.dumps({'path': path}).encode()
            c.send(b'POST /v1/sys/images/import HTTP/1.1\r\nHost: localhost\r\n'
                   b'Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            head = c.until(b'\r\n\r\n')
            check(b' 200 ' in head and b'text/event-stream' in head, head)
            said = c.until(b'"event":"done"')
            check(b'"event":"progress"' in said, said)
        post(g, 'image/tag', name='made:1', tag='x')
        g.get('/v1/sys/image?name=x', method='DELETE')
        with g.connect() as c:
            c.send(b'GET /v1/sys/events?event=image:*&since=2020-01-01T00:00:00Z HTTP/1.1\r\n'
                   b'Host: localhost\r\n\r\n')
            for event in (b'image:imported', b'image:tagged', b'image:removed'):
                c.until(event)


@test
def a_client_that_goes_takes_nothing_with_it():
    with Gateway() as g:
        post(g, 'images/busybox')
        path = docker(g.dir + '/a.tar', GOOD)
        with held(g):
            for accept in (b'', b'Accept: text/event-stream\r\n'):
                with g.connect() as c:
                    body = json.dumps({'path': path}).encode()
                    c.send(b'POST /v1/sys/images/import HTTP/1.1\r\nHost: localhost\r\n' + accept +
                           b'Content-Length: %d\r\n\r\n' % len(body) + body)
                    until('its beginning', lambda: working(g))
            equal(names(g), ['busybox:latest'], 'images: looking waits for nobody')
        until('the image', lambda: 'made:1' in names(g))


@test
def a_killed_daemon_leaves_the_old_images_and_no_process():
    with Gateway() as g:
        post(g, 'images/busybox')
        path = docker(g.dir + '/a.tar', GOOD)
        with held(g), g.connect() as c:
            body = json.dumps({'path': path}).encode()
            c.send(b'POST /v1/sys/images/import HTTP/1.1\r\nHost: localhost\r\n'
                   b'Content-Length: %d\r\n\r\n' % len(body) + body)
            image, = until('its beginning', lambda: working(g))
            daemon = g.processes({'cloudosd'})[0]
            os.kill(daemon, signal.SIGKILL)
            until('the end of cloudos-image', lambda: image not in working(g))
        until('another daemon', lambda: g.processes({'cloudosd'}) not in ([], [daemon]))

        def again():
            with contextlib.suppress(OSError, EOFError):
                with open(os.path.join(g.dir, 'run/http.json')) as f:
                    g.address = ('127.0.0.1', int(json.load(f)['tcp'].rpartition(':')[2]))
                return names(g)
        equal(until('an answer', again), ['busybox:latest'], 'images')
        post(g, 'images/import', path=path)
        equal(names(g), ['busybox:latest', 'made:1'], 'images')
        equal(os.listdir(g.dir + '/state/images/tmp'), [], 'half done')


@test
def an_image_that_a_container_uses_stays():
    with Gateway() as g:
        post(g, 'images/busybox')
        made = g.get('/v1/sys/containers', method='POST',
                     body={'name': 'one', 'image': 'busybox', 'command': ['true']})
        equal(made.status, 201, made.body)
        answer = g.get('/v1/sys/image?name=busybox', method='DELETE')
        equal((answer.status, answer.error()), (409, 'BUSY'), answer.body)
        post(g, 'images/prune')
        equal(names(g), ['busybox:latest'], 'images')
        equal(g.get('/v1/sys/container/one?force=true', method='DELETE').status, 200, 'the container')
        equal(g.get('/v1/sys/image?name=busybox', method='DELETE').status, 200, 'the image')
        equal(names(g), [], 'images')


if __name__ == '__main__':
    run(at_once=4)
