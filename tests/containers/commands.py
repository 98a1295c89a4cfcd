# SPDX-License-Identifier: MIT
"""What people do with cloudosctl container, right and wrong, and what they read then.  The cases
run as those of cli.py: the real programs, as root and as a user without rights.
"""
import json
import os
import signal
import subprocess
import sys

import cli
from cli import LIMIT, check, equal, executes


def much_goes_in_and_comes_out_at_once(d):
    d.busybox()
    data = bytes(range(256)) * 40000
    r = subprocess.run(d.command('cloudosctl', 'container', 'run', '--rm', '-i', 'busybox', 'cat'),
                       env=d.env, input=data, capture_output=True, timeout=LIMIT)
    equal((r.returncode, r.stdout == data, r.stderr), (0, True, b''), '10 MB through cat')


def a_signal_does_not_wait_behind_input_that_nobody_reads(d):
    d.busybox()
    p = subprocess.Popen(d.command('cloudosctl', 'container', 'run', '--rm', '-i', '--name', 'deaf',
                                   'busybox', 'sh', '-c', 'echo up; exec sleep 1000'),
                         env=d.env, stdin=open('/dev/zero', 'rb'), stdout=subprocess.PIPE)
    equal(p.stdout.readline(), b'up\n', 'its output')
    p.send_signal(signal.SIGTERM)
    equal(p.wait(LIMIT), 143, 'its end')


def a_program_whose_output_nobody_reads_gets_a_broken_pipe(d):
    d.busybox()
    p = subprocess.Popen(d.command('cloudosctl', 'container', 'run', '--rm', 'busybox', 'yes'),
                         env=d.env, stdout=subprocess.PIPE)
    equal(p.stdout.readline(), b'y\n', 'its output')
    p.stdout.close()
    equal(p.wait(LIMIT), 128 + signal.SIGPIPE, 'its end')


def what_cannot_be_done_is_said_of_each_in_its_order(d):
    d.busybox()
    d.run('container', 'run', '-d', '--name', 'one', 'busybox', 'sleep', '1000')
    r = subprocess.run(d.command('cloudosctl', 'container', 'pause', 'no1', 'one', 'no2'), env=d.env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    equal((r.returncode, r.stdout), (4, 'cloudosctl: there is no container no1\none\n'
                                     'cloudosctl: there is no container no2\n'), 'pause of three')
    r = d.run('container', 'exec', 'one', 'ls', status=125)
    check('is paused; `cloudosctl container unpause one`' in r.stderr, r.stderr)
    r = d.run('container', 'rm', 'one', 'no', status=5)
    check('by force (-f)\n' in r.stderr and r.stderr.endswith('no container no\n'), r.stderr)


def what_ended_prints_anew_when_it_is_started(d):
    d.busybox()
    d.run('container', 'create', '--name', 'again', 'busybox', 'sh', '-c', 'echo here; exit 3')
    d.run('container', 'start', 'again')
    d.run('container', 'wait', 'again')
    for _ in range(5):
        equal(d.out('container', 'start', '-a', 'again', status=3), 'here\n', 'start -a')


def a_daemon_is_started_by_whoever_asks_about_containers(d):
    d.busybox()
    d.run('container', 'create', '--name', 'kept', 'busybox', 'true')
    d.run('daemon', 'stop')
    check('kept' in d.out('container', 'ps', '-a'), 'ps -a without a daemon')


@cli.executes
@executes
def exec_says_125_when_it_could_not_try(d):
    d.busybox()
    d.run('container', 'run', '-d', '--name', 'on', 'busybox', 'sleep', '1000')
    r = d.run('container', 'exec', '-w', '/no/such', 'on', 'true', status=125)
    check('/no/such is not there' in r.stderr, r.stderr)
    d.run('container', 'exec', 'on', 'test', '-e', '/no', status=1)
    d.run('container', 'exec', '-u', 'stranger', 'on', 'true', status=125)
    d.run('container', 'exec', 'on', 'nosuch', status=127)
    d.run('container', 'exec', 'on', '/etc', status=126)


def what_programs_read_is_json_with_names(d):
    d.busybox()
    for name in ('a', 'b'):
        d.run('container', 'run', '-d', '--name', name, 'busybox', 'sleep', '1000')
    lines = d.out('container', 'stats', '--no-stream', '-o', 'json').splitlines()
    equal([json.loads(l)['name'] for l in lines], ['a', 'b'], 'stats')
    d.run('container', 'stats', '--no-stream', 'a', 'nosuch', status=4)
    lines = d.out('container', 'inspect', '-o', 'json', 'a', 'b').splitlines()
    equal([json.loads(l)['name'] for l in lines], ['a', 'b'], 'inspect of two')
    check('\n  "name": "a",\n' in d.out('container', 'inspect', 'a'), 'inspect for people')
    for words in (('container', 'ps'), ('container', 'top', 'a'), ('container', 'diff', 'a'),
                  ('image', 'ls'), ('image', 'inspect', 'busybox'), ('container', 'stop', '-t0', 'a'),
                  ('container', 'rename', 'a', 'c'), ('container', 'rm', 'c'), ('image', 'prune'),
                  ('image', 'tag', 'busybox', 'bb'), ('container', 'commit', 'b', 'made')):
        json.loads(d.out(*words, '-o', 'json'))
    d.run('container', 'rm', '-f', 'b')
    d.run('container', 'create', '--name', 'd', 'busybox', 'true')
    equal(d.out('container', 'prune'), 'd\n1 container removed\n', 'prune')


@cli.executes
@executes
def copies_are_called_as_by_cp(d):
    d.busybox()
    d.run('container', 'run', '-d', '--name', 'c', 'busybox', 'sleep', '1000')
    os.mkdir(d.work + '/from')
    with open(d.work + '/from/file', 'w') as f:
        f.write('x')
    os.chmod(d.work + '/from', 0o755)
    os.chmod(d.work + '/from/file', 0o644)
    d.run('container', 'cp', 'from/.', 'c:/new')
    equal(d.out('container', 'exec', 'c', 'ls', '/new'), 'file\n', 'in, what is in a folder')
    d.run('container', 'cp', 'c:/new/.', 'out')
    equal(os.listdir(d.work + '/out'), ['file'], 'out, what is in a folder')
    check('file' in d.out('container', 'cp', 'c:/new/.', '-'), 'to standard output')
    check(not os.path.exists(d.work + '/-'), 'a folder called -')
    r = d.run('container', 'cp', 'c:/nosuch', 'out', status=4)
    check('tar' not in r.stderr, r.stderr)


@cli.executes
@executes
def files_of_volumes_are_copied_too(d):
    d.busybox()
    d.run('container', 'run', '-d', '--name', 'c', '-v', 'data:/data', '--user', '0', 'busybox', 'sh', '-c',
          'mkdir /data/sub; echo here >/data/sub/f; exec sleep 1000')
    cli.until('the file is there', lambda: d.run('container', 'exec', 'c', 'cat', '/data/sub/f',
                                                 status=None).stdout)
    d.run('container', 'cp', 'c:/data/sub/f', 'f')
    with open(d.work + '/f') as f:
        equal(f.read(), 'here\n', 'out of a volume')
    d.run('container', 'cp', 'f', 'c:/data/sub/g')
    equal(d.out('container', 'exec', 'c', 'cat', '/data/sub/g'), 'here\n', 'into a volume')


def users_are_told_what_only_root_may(d):
    d.busybox()
    status = 125 if d.words or os.geteuid() else 0
    r = d.run('container', 'run', '--rm', '--userns', 'host', 'busybox', 'true', status=status)
    check(not status or 'only a daemon of root' in r.stderr, r.stderr)
    if status:
        r = d.run('container', 'run', '--rm', '--net', 'bridge', 'busybox', 'true', status=125)
        check('only a daemon of root' in r.stderr, r.stderr)


def images_come_from_standard_input_under_the_name_asked_for(d):
    d.busybox()
    os.mkdir(d.work + '/layout')
    if d.words:
        os.chown(d.work + '/layout', cli.NOBODY, cli.NOBODY)
    d.run('image', 'export', 'busybox', 'layout')
    check(os.path.exists(d.work + '/layout/oci-layout'), 'an empty folder becomes a layout')
    d.run('image', 'export', 'busybox', 'layout', status=5)
    d.run('image', 'export', 'busybox', 'b.tar')
    with open(d.work + '/b.tar', 'rb') as f:
        equal(d.out('image', 'import', '--name', 'mine', '-', stdin=f), 'mine:latest\n', 'import -')


CASES = (a_daemon_is_started_by_whoever_asks_about_containers,
         exec_says_125_when_it_could_not_try, what_programs_read_is_json_with_names,
         copies_are_called_as_by_cp, files_of_volumes_are_copied_too, users_are_told_what_only_root_may, images_come_from_standard_input_under_the_name_asked_for,
         what_cannot_be_done_is_said_of_each_in_its_order, what_ended_prints_anew_when_it_is_started,
         much_goes_in_and_comes_out_at_once, a_signal_does_not_wait_behind_input_that_nobody_reads,
         a_program_whose_output_nobody_reads_gets_a_broken_pipe)


if __name__ == '__main__':
    cli.CASES = CASES
    sys.exit(cli.main())
