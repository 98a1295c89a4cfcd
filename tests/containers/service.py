#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Containers of the daemon, over HTTP: what is asked for comes about, and outlives the daemon.

Endpoints: GET /v1/sys/containers, POST /v1/sys/containers, POST /v1/sys/containers/prune,
GET /v1/sys/container/:id, DELETE /v1/sys/container/:id, POST /v1/sys/container/:id/start,
POST /v1/sys/container/:id/stop, POST /v1/sys/container/:id/restart,
POST /v1/sys/container/:id/pause, POST /v1/sys/container/:id/unpause,
POST /v1/sys/container/:id/kill, POST /v1/sys/container/:id/update,
POST /v1/sys/container/:id/wait, GET /v1/sys/container/:id/stats,
GET /v1/sys/container/:id/logs.
"""
import json
import os
import signal
import sys

from served import LIMIT, ROOT, WAITS, Box, Skip, at_the_same_time, check, equal, run, test, until


@test
def a_container_is_created_started_stopped_and_removed():
    with Box() as box:
        c = box.create(WAITS, name='one', labels={'a': 'b'})
        equal((c['state'], c['exitCode'], c['started']), ('created', None, None), 'created')
        equal(c['config']['labels'], {'a': 'b'}, 'what was asked for')
        c = box.want('POST', 'container/one/start')
        equal((c['state'], c['command'][:2]), ('running', ['sh', '-c']), 'started')
        check(os.path.exists('/proc/%d' % c['pid']), 'its process is there')
        box.says(c, 'up')
        equal([x['name'] for x in box.want('GET', 'containers')['containers']], ['one'], 'all')
        check(box.want('GET', 'container/one/stats')['pids']['used'] >= 1, 'what it uses')
        box.refused(409, 'BUSY', 'DELETE', 'container/one')
        c = box.want('POST', 'container/one/stop', {'timeout': 60})
        equal((c['state'], c['exitCode'], c['pid']), ('exited', 0, 0), 'stopped')
        equal(box.want('GET', 'containers')['containers'], [], 'those that run')
        box.want('DELETE', 'container/one')
        box.refused(404, 'NOT_FOUND', 'GET', 'container/one')
        check(not os.path.exists(c['bundle']), 'its files are gone')


@test
def the_last_lines_that_it_printed_are_told_also_after_its_end():
    with Box() as box:
        c = box.create('i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; echo "no\\t<b>" >&2; '
                       'head -c 400000 /dev/zero | tr "\\0" x; echo', name='talks')
        equal(box.want('GET', 'container/talks/logs'), {'lines': []}, 'before its start')
        box.want('POST', 'container/talks/start')
        box.want('POST', 'container/talks/wait')
        lines = box.want('GET', 'container/talks/logs?tail=1000')['lines']
        check(0 < sum(len(l['line']) for l in lines) <= 256 * 1024, 'an answer is bounded')
        equal({l['line'][:1] for l in lines}, {'x'}, 'the newest stay')
        check(lines[0]['partial'], 'a long line comes in parts')
        equal(len(box.want('GET', 'container/talks/logs?tail=2')['lines']), 2, 'tail')
        box.refused(400, 'INVALID_REQUEST', 'GET', 'container/talks/logs?tail=0')
        box.refused(400, 'INVALID_REQUEST', 'GET', 'container/talks/logs?tail=1001')
        box.refused(404, 'NOT_FOUND', 'GET', 'container/nosuch/logs')
        box.want('DELETE', 'container/%d' % c['id'])
        box.create('i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; echo "no <b>" >&2', name='few')
        box.want('POST', 'container/few/start')
        box.want('POST', 'container/few/wait')
        lines = box.want('GET', 'container/few/logs')['lines']
        equal([l['line'] for l in lines if l['stream'] == 'stdout'],
              ['line %d' % i for i in range(50)], 'all of few lines')
        equal([l['line'] for l in lines if l['stream'] == 'stderr'], ['no <b>'], 'its errors')


@test
def what_cannot_be_done_is_said():
    with Box() as box:
        one = box.create('exit 3', name='one')
        box.refused(409, 'EXISTS', 'POST', 'containers',
                    {'rootfs': box.root, 'command': 'true', 'name': 'one'})
        for config in ({}, {'rootfs': box.root, 'memory': 1}, {'rootfs': 'x', 'command': 'x'},
                       {'rootfs': box.root, 'command': 'x', 'user': 'nobody-knows'},
                       {'rootfs': box.root, 'command': 'x', 'capAdd': ['FLY']},
                       {'rootfs': box.root}):
            box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', config)
        box.refused(404, 'NOT_FOUND', 'POST', 'containers', {'image': 'none', 'command': 'x'})
        box.refused(404, 'NOT_FOUND', 'POST', 'containers',
                    {'rootfs': box.root, 'command': 'x', 'volumes': ['/not/there:/x']})
        message = box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', {
            'rootfs': box.root, 'command': 'x', 'tmpfs': ['/etc/passwd/x'], 'networkMode': 'none'})
        check('passwd' in message, 'the engine says what is wrong: %s' % message)
        equal(len(os.listdir(os.path.join(box.dir, 'state/containers'))), 1, 'bundles')
        for verb in ('pause', 'unpause', 'kill'):
            box.refused(409, 'BUSY', 'POST', 'container/one/' + verb)
        box.refused(409, 'BUSY', 'GET', 'container/one/stats')
        box.refused(400, 'INVALID_REQUEST', 'POST', 'container/one/kill', {'signal': 'SIGX'})
        box.refused(400, 'INVALID_REQUEST', 'POST', 'container/one/stop', {'timeout': -1})
        for verb in ('start', 'stop', 'restart', 'pause', 'unpause', 'kill', 'update', 'wait'):
            box.refused(404, 'NOT_FOUND', 'POST', 'container/none/' + verb, {})
        missing = box.create('x', entrypoint=['/bin/none'])
        box.refused(404, 'PROGRAM_NOT_FOUND', 'POST', 'container/%d/start' % missing['id'])
        equal(box.look(missing['id'])['exitCode'], 127, 'its exit code')
        folder = box.create('x', entrypoint=['/etc'])
        box.refused(403, 'PROGRAM_REFUSED', 'POST', 'container/%d/start' % folder['id'])
        equal(box.look(folder['id'])['exitCode'], 126, 'its exit code')
        box.want('POST', 'container/%d/start' % one['id'])
        equal(box.want('POST', 'container/one/wait')['exitCode'], 3, 'the end')


@test
def it_is_what_its_configuration_says():
    with Box() as box:
        out = box.output('hostname; cat /etc/hostname; echo "$A-$HOME-$PWD"; id; cat /tmp/x; '
                         'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; '
                         'grep box /etc/hosts; (echo x >/etc/x) 2>/tmp/t/e || echo locked',
                         name='box', env={'A': 'b'}, workingDir='/bin', tmpfs=['/tmp/t'],
                         volumes=['data:/tmp'], readOnly=True, capDrop=['ALL'],
                         capAdd=['CAP_KILL'], entrypoint=['sh', '-c', 'echo hi >/tmp/x; '
                                                          'exec "$@"', '-'])
        for line in ('box\nbox\n', 'b-/root-/bin', 'uid=0(root)', '\nhi\n', 'NoNewPrivs:\t1',
                     'CapEff:\t0000000000000020', 'Seccomp:\t2', '127.0.1.1', 'locked'):
            check(line in out, '%r is not in %r' % (line, out))
        equal(box.output('cat /tmp/x', volumes=['data:/tmp:ro']), 'hi\n', 'a named volume')
        check(os.path.exists(os.path.join(box.dir, 'state/volumes/data/x')), 'is a folder')


@test
def a_user_is_looked_up_in_the_files_of_the_image():
    with Box() as box:
        if not ROOT:
            raise Skip('one id is all that there may be here')
        out = box.output('id; echo $HOME', user='bob')
        check('uid=1000(bob) gid=1001(bob)' in out and '50(staff)' in out, out)
        check('/home/bob' in out, out)
        check('uid=7 gid=50(staff)' in box.output('id', user='7:staff'), 'a number')
        os.remove(os.path.join(box.root, 'etc/passwd'))
        os.symlink('/etc/passwd', os.path.join(box.root, 'etc/passwd'))
        message = box.refused(400, 'INVALID_REQUEST', 'POST', 'containers', {
            'rootfs': box.root, 'command': 'id', 'user': 'daemon'})
        check('daemon' in message, 'a link out of the image is not followed: %s' % message)


@test
def containers_of_root_have_users_of_their_own():
    with Box() as box:
        if not ROOT:
            raise Skip('only root has them')
        a, b = box.begin(WAITS), box.begin(WAITS)
        owners = {os.stat('/proc/%d' % c['pid']).st_uid for c in (a, b)}
        equal(len(owners), 2, 'the user ids of two containers: %r' % owners)
        check(all(uid >= 100000 for uid in owners), 'they are nobody else\'s: %r' % owners)
        out = box.output('cat /proc/self/uid_map', userns='host')
        check('4294967295' in out, 'without one: %r' % out)


@test
def containers_live_on_when_the_daemon_is_killed():
    with Box() as box:
        stays, ends = box.begin(WAITS, name='stays'), box.begin(
            'trap "exit 9" TERM; echo up; while :; do sleep 0.05; done', name='ends')
        waits = box.create(WAITS, name='waits')
        paused = box.begin(WAITS, name='paused')
        box.want('POST', 'container/paused/pause')
        for c in (stays, ends):
            box.says(c, 'up')
        os.kill(box.daemon(), signal.SIGSTOP)  # the end of one is seen by the next only
        os.kill(ends['pid'], signal.SIGTERM)
        until('its end', lambda: os.path.exists(os.path.join(ends['bundle'], 'exit.json')))
        box.kill_daemon()
        equal(box.becomes('stays', state='running')['pid'], stays['pid'], 'the same process')
        equal(box.becomes('ends', state='exited')['exitCode'], 9, 'how it ended meanwhile')
        equal(box.becomes('paused', state='paused')['pid'], paused['pid'], 'still paused')
        equal(box.look('waits')['pid'] or waits['pid'], waits['pid'], 'one that waits')
        equal(box.want('POST', 'container/waits/start')['state'], 'running', 'it is started')
        equal(box.want('POST', 'container/stays/stop', {})['exitCode'], 0, 'it is stopped')
        equal(box.create(WAITS)['id'], waits['id'] + 2, 'an id is never given twice')


@test
def containers_live_on_when_the_daemon_is_stopped():
    with Box() as box:
        c = box.begin(WAITS, name='stays')
        box.ctl('daemon', 'stop', '--force')
        check(os.path.exists('/proc/%d' % c['pid']), 'it runs without a daemon')
        box.start()
        equal(box.becomes('stays', state='running')['pid'], c['pid'], 'the same process')


@test
def a_container_whose_monitor_is_killed_is_begun_again_by_its_policy():
    with Box() as box:
        lost = box.begin(WAITS, name='lost')
        kept = box.begin(WAITS, name='kept', restart='always')
        for c in (lost, kept):
            with open(os.path.join(c['runFolder'], 'monitor.json')) as f:
                os.kill(json.load(f)['monitor'], signal.SIGKILL)
        c = box.becomes('lost', state='exited')
        check(c['error'], 'its end is explained')
        until('its process ends', lambda: not os.path.exists('/proc/%d' % lost['pid']))
        c = box.becomes('kept', state='running', restarts=1)
        check(c['pid'] != kept['pid'], 'it is another process')


@test
def what_ends_is_begun_again_as_its_policy_says():
    with Box() as box:
        c = box.begin('echo again; exit 1', name='a', restart='on-failure:2')
        c = box.becomes('a', state='exited', restarts=2)
        equal((c['exitCode'], box.log_of(c).count('again')), (1, 3), 'how often it ran')
        box.begin('exit 0', name='b', restart='on-failure')
        equal(box.becomes('b', state='exited')['restarts'], 0, 'success is no failure')
        box.begin(WAITS, name='c', restart='unless-stopped')
        box.want('POST', 'container/c/kill', {'signal': 'SIGUSR1'})
        box.becomes('c', state='running', restarts=1)
        box.want('POST', 'container/c/stop', {})
        equal(box.look('c')['state'], 'exited', 'what is stopped stays so')
        c = box.want('POST', 'container/c/restart', {})
        equal((c['state'], c['restarts']), ('running', 0), 'until it is started')


@test
def health_is_what_a_command_inside_says():
    with Box() as box:
        box.begin(WAITS, name='a', volumes=['flag:/flag'], health={
            'command': 'test ! -e /flag/bad', 'interval': 0.1, 'retries': 2})
        box.becomes('a', health='healthy')
        flag = os.path.join(box.dir, 'state/volumes/flag/bad')
        open(flag, 'w').close()
        box.becomes('a', health='unhealthy')
        os.remove(flag)
        box.becomes('a', health='healthy')


@test
def limits_are_enforced_and_can_be_changed():
    with Box() as box:
        answer = box.ask_for('POST', 'containers', {
            'rootfs': box.root, 'command': ['sh', '-c', WAITS], 'name': 'a', 'networkMode': 'none',
            'pidsLimit': 50, 'memoryLimit': 64})
        if answer.status == 403:
            check('cannot be enforced' in answer.json()['error']['message'], answer.body)
            c = box.create('exit 0', name='loose', memoryLimit=64, allowUnenforcedLimits=True)
            equal(c['unenforced'], ['memory'], 'what nobody enforces')
            raise Skip('limits cannot be enforced here: %s' % answer.body.decode())
        equal(answer.json().get('unenforced', []), [], 'what nobody enforces')
        equal(answer.status, 201, answer.body)
        box.want('POST', 'container/a/start')
        equal(box.want('GET', 'container/a/stats')['memory']['limit'], 64 << 20, 'the limit')
        c = box.want('POST', 'container/a/update', {'memoryLimit': 96, 'name': 'b'})
        equal((c['name'], c['config']['memoryLimit']), ('b', 96), 'changed')
        equal(box.want('GET', 'container/b/stats')['memory']['limit'], 96 << 20, 'the limit')
        box.refused(409, 'BUSY', 'POST', 'container/b/update', {'env': {'A': 'b'}})
        box.refused(400, 'INVALID_REQUEST', 'POST', 'container/b/update', {'rootfs': '/'})


@test
def networks_can_be_shared_and_prune_removes_what_has_ended():
    with Box() as box:
        a = box.begin(WAITS, name='a')
        b = box.begin(WAITS, name='b', networkMode='container:a')
        equal(os.readlink('/proc/%d/ns/net' % b['pid']), os.readlink('/proc/%d/ns/net' % a['pid']),
              'the network of both')
        with open(os.path.join(b['bundle'], 'config.json')) as f, \
                open('/proc/%d/stat' % a['pid']) as stat:
            equal(json.load(f)['cloudos']['joined'],
                  {'pid': a['pid'], 'start': int(stat.read().rpartition(')')[2].split()[19])},
                  'and nobody who has its number later')
        box.refused(404, 'NOT_FOUND', 'POST', 'containers', {
            'rootfs': box.root, 'command': 'x', 'networkMode': 'container:none'})
        box.want('POST', 'container/b/stop', {})
        equal(box.want('POST', 'containers/prune')['removed'], ['b'], 'what is pruned')
        equal(box.look('a')['state'], 'running', 'what runs stays')
        c = box.begin('exit 4', name='c', rm=True)
        until('that it removes itself', lambda: box.ask_for('GET', 'container/c').status == 404)
        check(not os.path.exists(c['bundle']), 'with its files')


# A program of CloudOS: reads a number of a call and its arguments, prints what it returns.
CALLER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
config = ctypes.create_string_buffer(2608)
config[0:1] = b'x'
root = sys.argv[1].encode()
config[256:256 + len(root)] = root
config[768:768 + 10] = b'sleep 1000'
config[2569:2569 + 4] = b'none'
for line in sys.stdin:
    words = [int(w) for w in line.split()]
    if words[0] == 20004:
        words.append(ctypes.addressof(config))
    r = libc.syscall(*[ctypes.c_long(w) for w in words])
    print('result', r if r >= 0 else -ctypes.get_errno(), flush=True)
"""
CREATE, START, STOP, DESTROY = 20004, 20005, 20006, 20010


def names_of(box):
    def ask():
        try:
            return [c['name'] for c in box.want('GET', 'containers?all=true')['containers']], True
        except (OSError, AssertionError, ValueError):
            return None
    return until('an answer', ask)[0]


def one_effect(point, visit):
    with Box('%s:kill:%d' % (point, visit), probe=False) as box:
        guest = box.guest('notify', program=(sys.executable, '-c', CALLER, box.root))
        number = guest.result('%d' % CREATE)
        check(number > 0, 'create returns %d' % number)
        equal(names_of(box), ['x'], 'what there is')
        equal(guest.result('%d %d' % (START, number)), 0, 'start')
        equal(box.becomes(number, state='running')['restarts'], 0, 'begun once')
        equal(guest.result('%d %d 0' % (STOP, number)), 0, 'stop')
        equal(box.becomes(number, state='exited')['exitCode'], 137, 'how it ended')
        equal(guest.result('%d %d' % (DESTROY, number)), 0, 'destroy')
        until('nothing', lambda: names_of(box) == [])
        equal(guest.result('%d %d' % (DESTROY, number)), -2003, 'a second time')
        equal(guest.finish()[0], 0, 'the guest')


@test
def a_call_has_one_effect_whenever_the_daemon_is_killed():
    with Box():
        pass  # containers can be made here
    points = ('notify.received', 'call.journalled', 'call.answering', 'call.answered')
    at_the_same_time(one_effect, [(p, visit) for p in points for visit in (1, 2, 3, 4)])


@test
def a_call_has_one_effect_whichever_transaction_the_daemon_dies_in():
    with Box():
        pass
    at_the_same_time(one_effect, [(point, visit) for point, visits in (
        ('store.commit', (2, 4, 6)), ('store.committed', (1, 2, 3, 5, 7))) for visit in visits])


@test
def everything_that_happens_is_an_event():
    with Box() as box:
        box.begin('exit 5', name='a')
        box.becomes('a', state='exited')
        box.want('DELETE', 'container/a')
        names = []
        with box.connect(unix=True) as stream:
            stream.send(b'GET /v1/sys/events?event=container:*&since=2020-01-01T00:00:00Z '
                        b'HTTP/1.1\r\nHost: localhost\r\n\r\n')
            stream.socket.settimeout(LIMIT)
            text = b''
            while 'container:removed' not in names:
                text += stream.socket.recv(65536)
                told = [json.loads(line[5:]) for line in text.decode().splitlines(True)
                        if line.startswith('data:') and line.endswith('\n')]
                names = [e['event'] for e in told if e['data']['name'] == 'a']
        equal(names, ['container:created', 'container:started', 'container:exited',
                      'container:removed'], 'events')


@test
def a_container_that_stops_its_health_check_half_way_is_still_obeyed_and_removed():
    with Box() as box:
        box.want('POST', 'containers', {
            'rootfs': box.root, 'command': ['sh', '-c', 'while :; do kill -STOP -1; done'],
            'name': 'stopper', 'networkMode': 'none',
            'health': {'command': 'true', 'interval': 0.1, 'timeout': 1, 'retries': 1}}, 201)
        box.want('POST', 'container/stopper/start')
        until('a check that does not work', lambda: box.want('GET', 'container/stopper')
              ['health'] == 'unhealthy')
        box.want('DELETE', 'container/stopper?force=true')


@test
def a_tree_deeper_than_any_path_is_removed_with_its_container():
    with Box() as box:
        made = box.want('POST', 'containers', {'rootfs': box.root, 'command': 'true',
                                               'networkMode': 'none'}, 201)
        here = os.open(os.path.join(made['bundle'], 'upper'), os.O_PATH)
        for _ in range(2500):
            os.mkdir('d', dir_fd=here)
            below = os.open('d', os.O_PATH, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        box.want('DELETE', 'container/%d' % made['id'])
        check(not os.path.exists(made['bundle']), 'the bundle is left')
        until('the end of its files', lambda: not os.listdir(os.path.join(box.dir, 'state/removed')))


if __name__ == '__main__':
    run(at_once=4)
