# SPDX-License-Identifier: MIT
"""What people do with cloudosctl container, right and wrong, and what they read then.  The cases
run as those of cli.py: the real programs, as root and as a user without rights.
"""
import signal
import subprocess
import sys

import cli
from cli import LIMIT, check, equal


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


CASES = (what_cannot_be_done_is_said_of_each_in_its_order, what_ended_prints_anew_when_it_is_started,
         much_goes_in_and_comes_out_at_once, a_signal_does_not_wait_behind_input_that_nobody_reads,
         a_program_whose_output_nobody_reads_gets_a_broken_pipe)


if __name__ == '__main__':
    cli.CASES = CASES
    sys.exit(cli.main())
