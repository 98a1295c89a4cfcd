# SPDX-License-Identifier: MIT
"""Calls of CloudOS by programs in containers, answered as those of any other program."""
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boxes import ROOT, Boxed, bundle, folder_of_bundles, refusal, socket_of  # noqa: E402
from harness import (BUILD, GUEST, LIMIT, SRC, TESTS, Domain, Skip, check, equal, run, stop,  # noqa: E402
                     test, until)

SANITIZED = os.environ.get('CO_SANITIZERS') not in (None, '', 'no')
TALK = ('/usr/bin/python3', '-B', os.path.join(SRC, 'tests/interop/talk.py'))


def boxed(domain, folder, words=(GUEST,), **more):
    ours = {'socket': socket_of(domain), 'name': 'shop'}
    return Boxed(domain, bundle(folder, words, ours, **more))


def answered(guest):
    """Calls that come before the session wait for it; none is refused."""
    equal(guest.result('register early'), 0, 'the first call')


@test
def a_program_in_a_container_finds_a_service_outside_and_talks_to_it_and_it_to_it():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        out = domain.guest('notify', program=TALK)
        inside = boxed(domain, folder, TALK)
        equal(out.ask('register out.side'), '0', 'register outside')
        equal(inside.ask('register in.side'), '0', 'register inside')
        there = int(inside.ask('discover out.side'))
        check(there > 0, 'the service outside is not found: %d' % there)
        here = int(out.ask('discover in.side'))
        check(here > 0, 'the service inside is not found: %d' % here)
        equal(inside.ask('send %d 7 1 hello' % there), '0', 'send from inside')
        kind, ident, sender, size, text = out.line_of('receive')
        equal((kind, ident, size, text), ('1', '7', '5', 'hello'), 'the message outside')
        equal(int(sender), here, 'its sender, as the kernel calls it outside')
        equal(out.ask('reply %s 7 2 you too' % sender), '0', 'reply')
        kind, ident, sender, size, text = inside.line_of('receive')
        equal((kind, ident, text), ('2', '7', 'you too'), 'the answer inside')
        equal(int(sender), there, 'its sender, as it is called inside')
        equal(out.ask('send %d 8 3 *5000' % here), '0', 'send from outside')
        equal(inside.line_of('receive')[3], '5000', 'size')
        equal(out.finish()[0], 0, 'exit status outside')
        equal(inside.finish()[0], 0, 'exit status inside')
        until('the end of the sessions', lambda: domain.status()['sessions'] == 0)


EACCES = '2005'  # as CloudOS counts its errors


def errors_of_box(domain, folder):
    """What the program of that bundle printed."""
    return subprocess.run([os.path.join(BUILD, 'cloudos-ctr'), '--root', folder + '/ctr', 'run',
                           '--bundle', folder, 'box'], env=domain.env, capture_output=True,
                          text=True, timeout=LIMIT).stdout.split()


# Asks for a container of an image that there is not, and for a privileged one; prints the errors.
CREATES = ('/usr/bin/python3', '-B', '-c', """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for privileged in 0, 1:
    config = bytearray(2608)
    config[256:263] = b'nowhere'
    config[2568] = privileged
    config = (ctypes.c_char * 2608).from_buffer(config)
    print(0 if libc.syscall(20004, ctypes.byref(config)) >= 0 else ctypes.get_errno())
""")


@test
def only_programs_outside_of_containers_can_make_containers():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()

        def errors(*before):
            return subprocess.run([*before, *CREATES], env=domain.env, capture_output=True,
                                  text=True, timeout=LIMIT).stdout.split()

        outside = errors(os.path.join(BUILD, 'cloudos-exec'), '--')
        equal(len(outside), 2, 'answers outside')
        inside = errors(os.path.join(BUILD, 'cloudos-exec'), '--confine', '--')
        equal(inside, [EACCES] * 2, 'what a confined program is told')
        check(outside[0] not in (EACCES, '0'), 'outside it is the image that is not there')
        bundle(folder, CREATES, {'socket': socket_of(domain), 'name': 'shop'})
        inside = errors_of_box(domain, folder)
        equal(inside, [EACCES] * 2, 'what a program in a container is told')


@test
def a_container_is_a_session_of_its_name_with_all_its_processes():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        guest = boxed(domain, folder, ('sh', '-c', '%s; %s "register grandchild"' % (GUEST, GUEST)))
        answered(guest)
        listing = domain.ctl('ps').stdout
        check('shop' in listing and 'notify' in listing, listing)
        rows = [r for r in domain.ask('session_list') if r['form_'] == 'row']
        equal([(r['name'], r['personality'], r['engine']) for r in rows],
              [('shop', 'cloudos', 'notify')], 'sessions')
        check(rows[0]['command'].startswith('sh -c'), rows[0]['command'])
        check(rows[0]['pid'] != guest.pid, 'the session is of init, not of the program')
        guest.process.stdin.close()
        equal(guest.line(), 'register 0', 'a grandchild')
        equal(guest.process.wait(LIMIT), 0, 'exit status')


@test
def what_it_calls_its_own_pid_is_its_own():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        guest = boxed(domain, folder)
        own = int(guest.ask('pid').split()[1])
        check(own < 100, 'pid %d is none of a name space of its own' % own)
        equal(guest.result('to %d 5' % own), 0, 'a message to itself, by its own number')
        equal(guest.ask('receive'), 'receive 0 5', 'the message')
        check(guest.result('to 1000000 6') < -2000, 'a message to nobody')
        equal(guest.finish()[0], 0, 'exit status')


@test
def shared_memory_is_one_with_that_outside():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        guest, out = boxed(domain, folder), domain.guest('notify')
        equal(guest.result('shmcreate inner'), 0, 'create inside')
        equal(out.ask('shmread inner'), 'shmread 0 7', 'read outside')
        equal(out.result('shmcreate outer'), 0, 'create outside')
        equal(guest.ask('shmread outer'), 'shmread 0 7', 'read inside')
        equal(guest.finish()[0], 0, 'exit status')
        equal(out.finish()[0], 0, 'exit status')


@test
def a_call_that_waits_is_answered_after_kill_9_of_the_daemon():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        guest = boxed(domain, folder, TALK)
        equal(guest.ask('register in.side'), '0', 'register')
        for round_ in range(3):
            guest.tell('receive')
            until('the call that waits', lambda: domain.status()['calls_pending'] == 1)
            domain.kill_daemon()
            out = domain.guest('notify', program=TALK)
            here = int(out.ask('discover in.side'))
            equal(out.ask('send %d %d 3 after' % (here, round_)), '0', 'send')
            equal(guest.line().split()[4], 'after', 'what came')
            equal(out.finish()[0], 0, 'exit status outside')
        equal(domain.status()['restarts'], 3, 'restarts')
        equal(guest.finish()[0], 0, 'exit status')
        until('the end of the session', lambda: domain.status()['sessions'] == 0)


@test
def a_container_outlives_daemon_and_keeper_and_the_next_daemon_serves_it():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        guest = boxed(domain, folder)
        answered(guest)
        status = domain.status()
        stop(status['keeper_pid'])
        os.kill(status['pid'], signal.SIGKILL)
        os.kill(status['keeper_pid'], signal.SIGKILL)
        until('their end', lambda: not domain.processes(('cloudosd', 'cloudos-keeper')))
        guest.tell('register later')
        check(not select.select([guest.process.stdout], [], [], 0.2)[0], 'it is answered by nobody')
        domain.start()
        equal(guest.line(), 'register 0', 'the call that waited')
        rows = [r for r in domain.ask('session_list') if r['form_'] == 'row']
        equal([r['name'] for r in rows], ['shop'], 'sessions')
        equal(guest.finish()[0], 0, 'exit status')


@test
def a_container_starts_before_its_daemon_and_its_calls_wait_for_it():
    with Domain() as domain, folder_of_bundles() as folder:
        guest = boxed(domain, folder)
        guest.tell('register first')
        check(not select.select([guest.process.stdout], [], [], 0.2)[0], 'it is answered by nobody')
        domain.start()
        equal(guest.line(), 'register 0', 'the call that waited')
        equal(guest.finish()[0], 0, 'exit status')


@test
def a_program_executed_in_a_container_is_served_too():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        first = boxed(domain, folder)
        answered(first)
        second = Boxed(domain, folder, str(first.pid))
        equal(second.ask('register more'), 'register 0', 'a call of the second')
        equal(len([r for r in domain.ask('session_list') if r['form_'] == 'row']), 2, 'sessions')
        equal(second.finish()[0], 0, 'exit status of the second')
        equal(first.result('register still'), 0, 'a call of the first')
        equal(first.finish()[0], 0, 'exit status of the first')


@test
def a_profile_that_refuses_all_it_does_not_name_refuses_no_private_call():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        profile = {'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 95,
                   'architectures': ['SCMP_ARCH_X86_64'],
                   'syscalls': [{'action': 'SCMP_ACT_ALLOW', 'names': '''
                       read write close fstat mmap mprotect munmap brk rt_sigaction rt_sigprocmask
                       pread64 access execve arch_prctl openat newfstatat set_tid_address
                       set_robust_list rseq prlimit64 getrandom exit_group futex ioctl
                       '''.split()}]}
        guest = boxed(domain, folder, seccomp=profile)
        answered(guest)
        equal(guest.ask('user 0'), 'user -95', 'a call that it does not name')
        equal(guest.finish()[0], 0, 'exit status')


def rpc(domain, method, params):
    c = http.client.HTTPConnection('localhost', timeout=LIMIT)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(os.path.join(domain.dir, 'run/http.sock'))
    c.request('POST', '/v1/sys/rpc', json.dumps({'method': method, 'params': params}),
              {'Content-Type': 'application/json'})
    answer = c.getresponse()
    return answer.status, json.loads(answer.read())


ECHO = os.path.join(BUILD, 'anos-echo.elf')


@test
def a_program_of_anos_in_a_container_answers_rpc():
    if not os.path.exists(ECHO):
        raise Skip('there are no programs of Anos')
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        server = boxed(domain, folder, (ECHO,))
        equal(server.line(), 'echo: registered', 'the server of Anos')
        equal(rpc(domain, 'echo', {'id': 7}), (200, {'result': {'id': 7}}), 'the answer')
        equal(server.line(), 'echo: asked: {"id": 7}', 'what the server sees')
        rows = [r for r in domain.ask('session_list') if r['form_'] == 'row']
        equal(sorted((r['personality'], r['engine']) for r in rows),
              [('anos', 'trap'), ('cloudos', 'notify')], 'sessions')
        domain.kill_daemon()
        until('the name', lambda: rpc(domain, 'echo', {'id': 8}) == (200, {'result': {'id': 8}}))
        server.kill()
        until('the end of its name', lambda: rpc(domain, 'echo', 1)[0] == 404)
        until('the end of the sessions', lambda: domain.status()['sessions'] == 0)


@test
def the_daemons_own_containers_call_and_run_programs_of_anos():
    busybox = '/bin/busybox'
    if not os.path.exists(busybox) or not os.path.exists(ECHO):
        raise Skip('there is no busybox (apt install busybox-static), or no program of Anos')
    if SANITIZED:
        raise Skip('with sanitizers cloudos-exec needs libraries that the container has not')
    with Domain() as domain:
        domain.start()
        domain.ctl('image', 'create-busybox')
        made = domain.ctl('container', 'run', '-d', '--name', 'echo', '--volume', BUILD + ':/b:ro',
                          'busybox', '/b/anos-echo.elf', status=None)
        if made.returncode:
            raise Skip('no container can be made here: %s' % made.stderr.strip())
        until('the answer', lambda: rpc(domain, 'echo', 5) == (200, {'result': 5}))
        rows = [r for r in domain.ask('session_list') if r['form_'] == 'row']
        equal(sorted((r['name'], r['engine']) for r in rows),
              [('anos-echo.elf', 'trap'), ('echo', 'notify')], 'sessions')
        domain.kill_daemon()
        until('the answer', lambda: rpc(domain, 'echo', 6) == (200, {'result': 6}))
        domain.ctl('container', 'rm', '-f', 'echo')
        until('the end of its name', lambda: rpc(domain, 'echo', 7)[0] == 404)
        domain.ctl('daemon', 'stop')
        until('the end of all processes', lambda: not domain.processes())


@test
def what_a_container_can_reach_of_the_daemon_begins_programs_and_nothing_else():
    with Domain() as domain, folder_of_bundles() as folder:
        domain.start()
        out = domain.guest('trap')
        equal(out.result('register out'), 0, 'a call of a program outside')
        session = [r['id'] for r in domain.ask('session_list') if r['form_'] == 'row'][0]
        probe = """
import os, sys
sys.path.insert(0, %r)
os.environ['srcdir'] = %r
import harness
class D: dir = '/run/cloudos'
for name, values in (('stop', {'force': 1}), ('session_list', {}), ('store_status', {}),
                     ('service_list', {'all': 1}), ('trace', {'session': %d}),
                     ('reload', {}), ('session_kill', {'session': %d, 'signal': 9})):
    try:
        print(name, harness.Client(D).ask(name, **values)[-1]['status'])
    except (OSError, EOFError):
        print(name, 'dropped')
c = harness.Client(D, hello=False)
print('join', c.ask('join', session=%d, personality=0, version=1)[-1]['status'])
""" % (os.path.join(SRC, 'tests/fault'), SRC, session, session, session)
        inside = boxed(domain, folder, ('/usr/bin/python3', '-B', '-c', probe))
        for name in ('stop', 'session_list', 'store_status', 'service_list', 'trace', 'reload',
                     'session_kill'):
            equal(inside.line(), name + ' dropped', 'what a container gets')
        equal(inside.line(), 'join -5', 'the session of a program outside')
        equal(out.result('register more'), 0, 'the program outside')
        equal(out.finish()[0], 0, 'exit status')
        inside.finish()


@test
def an_agent_and_calls_at_once_are_refused_with_a_sentence():
    with Domain() as domain, folder_of_bundles() as folder:
        profile = {'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '/nowhere',
                   'syscalls': [{'names': ['mkdir'], 'action': 'SCMP_ACT_NOTIFY'}]}
        bundle(folder, (GUEST,), {'socket': socket_of(domain)}, seccomp=profile)
        done = subprocess.run([os.path.join(BUILD, 'calls-run'), folder, 'box'],
                              capture_output=True, text=True, timeout=LIMIT, env=domain.env)
        equal(done.returncode, 125, 'exit status')
        check('one listener' in done.stderr, done.stderr)


def without_privilege():
    """All of it again, as a user who is nobody."""
    if not ROOT:
        return
    with_tmp = dict(os.environ, TMPDIR='/var/tmp')
    done = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                           sys.executable, '-B', os.path.abspath(__file__)],
                          env=with_tmp, timeout=10 * LIMIT)
    equal(done.returncode, 0, 'the tests of a user without privileges')


def readable_by_all():
    path = GUEST
    while path != '/':
        if not os.stat(path).st_mode & 1:
            return False
        path = os.path.dirname(path)
    return True


def line_of(self, command):
    return self.ask(command).split(' ', 4)


sys.modules['harness'].Guest.line_of = line_of
why = refusal()
if why:
    print('SKIP: %s' % why)
    sys.exit(77)
if ROOT and readable_by_all():
    TESTS.insert(0, without_privilege)  # beside the others
run(at_once=4)
