# SPDX-License-Identifier: MIT
"""The monitor of a container: its life, its log, attached clients, its end."""
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading

from monitored import (LIMIT, SLOW, Box, Refused, Skip, alive, check, equal, run, test,
                       until)

BOX = None


def box():
    global BOX
    if BOX is None:
        BOX = Box()
    return BOX


def refused(code, function):
    try:
        function()
    except Refused as why:
        equal(why.code, code, 'the code of: %s' % why)
        return str(why)
    raise AssertionError('was not refused')


# ---- life ----

@test
def a_container_is_created_started_and_its_end_recorded():
    c = box().container('echo hi; echo bad >&2; exit 3')
    status = c.creator.ask('status')
    equal((status['state'], status['pid'], status['started']), ('created', c.pid, 0), 'status')
    check(status['created'] > 1.6e12, 'when it was created')
    equal(c.log(), [], 'nothing is printed before the start')
    c.start()
    c.creator.event('started')
    end = c.exit()
    equal((end['exitCode'], end['signal'], end['oomKilled'], end['error']),
          (3, 0, False, ''), 'its end')
    check(end['finished'] >= end['started'] >= status['created'], 'times')
    equal(sorted(c.log()), [('stderr', 'F', 'bad'), ('stdout', 'F', 'hi')], 'the log')
    c.creator.read_all()
    check(not os.path.exists(c.folder), 'its folder is gone')


@test
def a_signal_is_told_as_such():
    c = box().container(['sleep', '1000'], init=False).start()
    equal(c.creator.ask('status')['state'], 'running', 'state')
    c.creator.ask('signal', signal=9)
    end = c.exit()
    equal((end['exitCode'], end['signal']), (137, 9), 'its end')


@test
def the_init_inside_passes_signals_on():
    c = box().container('trap "echo got; exit 7" TERM; echo ready; while :; do sleep 0.05; done',
                        init=True).start()
    other = c.connect()
    until('ready', lambda: 'ready' in c.printed())
    other.ask('signal', signal=15)
    equal(c.exit()['exitCode'], 7, 'its end')
    equal(c.printed(), ['ready', 'got'], 'the log')


@test
def a_program_that_is_not_there_is_told_at_the_start():
    c = box().container(['/bin/none-such'])
    why = refused('NOT_FOUND', c.start)
    check('none-such' in why, why)
    end = c.exit()
    equal(end['exitCode'], 127, 'its end')
    check('none-such' in end['error'], end['error'])
    c = box().container(['/etc'])
    refused('IS_DIR', c.start)
    equal(c.exit()['exitCode'], 126, 'its end')


@test
def a_broken_configuration_is_told_and_nothing_is_left():
    c = box().prepare('true')
    with open(os.path.join(c.bundle, 'config.json'), 'w') as f:
        f.write('{"ociVersion":"1.0.2","process":7}')
    c.launch()
    why = refused('INVALID', c.created)
    check('process' in why, why)
    check(not os.path.exists(c.folder), 'its folder is gone')


@test
def without_a_commit_it_never_was():
    for step in ('created', 'started', 'at once'):
        c = box().prepare(['sleep', '1000'])
        c.launch()
        if step != 'at once':
            c.created()
        if step == 'started':
            c.start()
        c.creator.close()
        until('its folder is gone', lambda: not os.path.exists(c.folder))
        if c.pid:
            check(not alive(c.pid), 'its process is gone')
        check(not os.path.exists(os.path.join(c.bundle, 'exit.json')), 'no record')
        c.creator = None


@test
def it_lives_on_when_its_creator_has_gone():
    c = box().container('read line; echo "got $line"', '--stdin')
    c.creator.close()
    c.creator = c.connect()
    c.creator.ask('watch')
    c.start()
    c.creator.ask('attach', stdin=True)
    c.creator.input(b'something\n')
    equal(c.exit()['exitCode'], 0, 'its end')
    equal(c.printed(), ['got something'], 'the log')


@test
def a_name_is_given_once():
    c = box().container(['sleep', '1000']).start()
    again = box().prepare('true')
    again.name, again.folder = c.name, c.folder
    again.launch()
    refused('EXISTS', again.created)
    equal(c.creator.ask('status')['state'], 'running', 'the first one')
    c.kill()
    c.exit()
    again.launch()
    again.created().commit().start().exit()


@test
def wait_answers_at_the_end_and_status_in_between():
    c = box().container(['cat'], '--stdin').start()
    waiter = c.connect()
    tag = waiter.send('wait')
    equal(waiter.ask('status')['state'], 'running', 'while it waits')
    refused('BUSY', lambda: waiter.ask('wait'))
    waiter.ask('attach', stdin=True)
    waiter.input(b'')
    equal(waiter.reply(tag)['exit'], c.exit(), 'what wait answers')
    waiter.read_all()
    check(not [e for e in waiter.events], 'no events without watch')


# ---- requests ----

@test
def nonsense_is_refused_or_ends_the_connection():
    c = box().container(['sleep', '1000']).start()
    refused('UNSUPPORTED', lambda: c.creator.ask('dance'))
    refused('INVALID', lambda: c.creator.ask('signal'))
    refused('INVALID', lambda: c.creator.ask('signal', signal=65))
    refused('INVALID', lambda: c.creator.ask('signal', signal='TERM'))
    refused('INVALID', lambda: c.creator.ask('exec'))
    refused('INVALID', lambda: c.creator.ask('exec', args=[]))
    refused('INVALID', lambda: c.creator.ask('exec', args=[7]))
    refused('INVALID', lambda: c.creator.ask('update'))
    refused('CONFLICT', lambda: c.creator.ask('start'))
    refused('CONFLICT', lambda: c.creator.ask('resume'))
    refused('NOT_TTY', lambda: c.creator.ask('resize', rows=1, columns=1))
    for packet in (b'\xff', b'[]', b'{', b'{"op":' + b'[' * 10000, b'x' * 65536):
        bad = c.connect()
        bad.sock.sendall(packet)
        bad.read_all()
    many = [c.connect() for _ in range(40)]
    last = many[-1]
    last.read_all()
    equal(c.creator.ask('status')['state'], 'running', 'afterwards')
    for one in many:
        one.close()
    until('room again', lambda: c.creator.ask('status')['clients'] == 1)
    c.kill()
    equal(c.exit()['signal'], 9, 'its end')


@test
def a_process_more_is_run_and_its_end_and_output_told():
    c = box().container(['sleep', '1000'], init=True).start()
    a = c.creator.ask('exec', args=['sh', '-c', 'echo out; echo err >&2; exit 4'])
    equal((a['exitCode'], a['signal'], a['timedOut']), (4, 0, False), 'its end')
    equal(sorted(a['output'].split()), ['err', 'out'], 'its output')
    refused('NOT_FOUND', lambda: c.creator.ask('exec', args=['/bin/none-such']))
    a = c.creator.ask('exec', args=['sh', '-c', 'seq 1 100000'])
    equal(len(a['output']), 4096, 'what is kept of a long output')
    check(a['output'].endswith('\n100000\n'), 'its end is kept')
    # one that does not end is cut off with all that it started
    a = c.creator.ask('exec', args=['sh', '-c', 'sleep 999 & sleep 998; true'], timeoutMs=100)
    check(a['timedOut'], 'timed out')
    look = 'cat /proc/[0-9]*/cmdline | grep -ac "sleep.99[89]"'
    until('nothing is left of it', lambda: c.creator.ask(
        'exec', args=['sh', '-c', look])['output'].strip() == '0')
    # eight at a time, and whoever leaves takes his along
    other = c.connect()
    until('too many', lambda: other.send('exec', args=['sleep', '997']) and busy(c))
    other.close()
    until('room again', lambda: not busy(c))
    c.kill()
    c.exit()


def busy(c):
    try:
        c.creator.ask('exec', args=['true'])
        return False
    except Refused as why:
        equal(why.code, 'BUSY', 'the refusal')
        return True


@test
def usage_is_measured():
    c = box().container('while :; do :; done').start()
    usage = until('time is used', lambda: used(c.creator.ask('usage')))
    check('network' in usage, usage)
    c.kill()
    c.exit()


def used(usage):
    return usage if usage['cpu']['total'] > 0 else None


@test
def a_paused_container_stands_still_and_can_be_killed():
    c = box().container('while :; do echo x; sleep 0.01; done').start()
    until('it prints', lambda: c.log())
    try:
        c.creator.ask('pause')
    except Refused as why:
        c.kill()
        raise Skip('no freezer: %s' % why) from why
    c.creator.event('paused')
    equal(c.creator.ask('status')['state'], 'paused', 'state')
    refused('CONFLICT', lambda: c.creator.ask('pause'))
    refused('CONFLICT', lambda: c.creator.ask('exec', args=['true']))
    until('nothing is printed any more', lambda: stands(c, 'log'))
    lines = len(c.log())
    c.creator.ask('resume')
    c.creator.event('unpaused')
    until('it prints again', lambda: len(c.log()) > lines)
    c.creator.ask('pause')
    c.creator.ask('signal', signal=9, all=True)
    equal(c.exit()['signal'], 9, 'its end')


@test
def a_limit_is_changed_and_told():
    c = box().container(['sleep', '1000']).start()
    try:
        c.creator.ask('update', resources={'pids': {'limit': 17}})
    except Refused as why:
        c.kill()
        raise Skip('no limits: %s' % why) from why
    c.creator.event('updated')
    equal(c.creator.ask('usage')['pids']['limit'], 17, 'the limit')
    refused('INVALID', lambda: c.creator.ask('update', resources={'pids': 7}))
    c.kill()
    c.exit()


@test
def want_of_memory_is_told():
    c = box().prepare(['sh', '-c', 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'],
                      linux={'resources': {'memory': {'limit': 16 << 20, 'swap': 16 << 20}}})
    c.launch()
    try:
        c.created()
    except Refused as why:
        raise Skip('no limit of memory: %s' % why) from why
    c.commit().start()
    check(c.creator.event('oom')['kills'] >= 1, 'the event')
    end = c.exit()
    check(end['oomKilled'], 'the record says so: %s' % end)


# ---- the log ----

@test
def the_log_has_time_stream_and_flag():
    c = box().container('printf "one\\ntwo"; printf three >&2').start()
    c.exit()
    with open(os.path.join(c.bundle, 'log')) as f:
        for line in f:
            check(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err) F \w+\n',
                               line), 'a line of the log: %r' % line)
    equal(sorted(c.log()), [('stderr', 'F', 'three'), ('stdout', 'F', 'one'),
                            ('stdout', 'F', 'two')], 'the lines')


@test
def a_prompt_is_in_the_log_before_its_line_ends():
    c = box().container('printf "name? "; read x; echo "hello $x"', '--stdin').start()
    until('the prompt', lambda: c.log() == [('stdout', 'P', 'name? ')])
    c.creator.ask('attach', stdin=True)
    c.creator.input(b'you\n')
    c.exit()
    equal(c.log()[1:], [('stdout', 'F', 'hello you')], 'the rest')


@test
def the_log_is_turned_over():
    c = box().container('seq 1 5000', '--log-size', '20000', '--log-files', '3').start()
    c.exit()
    names = sorted(n for n in os.listdir(c.bundle) if n.startswith('log'))
    equal(names, ['log', 'log.1', 'log.2'], 'the files')
    check(all(os.path.getsize(os.path.join(c.bundle, n)) <= 20000 for n in names), 'sizes')
    numbers = [int(text) for n in reversed(names) for _, _, text in c.log(n)]
    equal(numbers, list(range(numbers[0], 5001)), 'the end of the output, without a gap')
    check(len(numbers) > 850, 'as much as there is room for')


@test
def a_moved_log_is_opened_anew():
    c = box().container('echo one; read x; echo two', '--stdin').start()
    until('the first line', lambda: c.log())
    os.rename(os.path.join(c.bundle, 'log'), os.path.join(c.bundle, 'kept'))
    c.creator.ask('reopen')
    c.creator.ask('attach', stdin=True)
    c.creator.input(b'\n')
    c.exit()
    equal((c.log('kept'), c.log()), ([('stdout', 'F', 'one')], [('stdout', 'F', 'two')]), 'logs')


# ---- attached clients ----

@test
def all_who_are_attached_see_everything():
    c = box().container('cat; echo end >&2', '--stdin')
    clients = [c.connect() for _ in range(3)]
    for client in clients:
        client.ask('attach', stdin=True, once=False)
    c.start()
    clients[0].input(b'from one\n')
    clients[1].read_until(b'from one\n')
    clients[1].input(b'from two\n')
    clients[2].ask('detach')
    clients[0].read_until(b'from two\n')
    clients[0].input(b'')
    c.exit()
    for client in clients:
        client.read_all()
    for client in clients[:2]:
        equal((client.out, client.err), (b'from one\nfrom two\n', b'end\n'), 'what it saw')
    equal(clients[2].err, b'', 'who detached')


@test
def input_ends_with_the_client_that_brought_it():
    c = box().container('cat; echo end', '--stdin').start()
    client = c.connect()
    client.ask('attach', stdin=True, once=True)
    client.input(b'x\n')
    client.read_until(b'x\n')
    client.close()
    equal(c.exit()['exitCode'], 0, 'its end')
    equal(c.printed(), ['x', 'end'], 'the log')


@test
def one_who_does_not_read_loses_output_and_the_log_goes_on():
    c = box().container('dd if=/dev/zero bs=1000 count=20000 2>/dev/null | '
                        'busybox tr "\\000" "x"; echo; echo end; cat', '--stdin')
    lazy = c.connect()
    lazy.ask('attach')
    c.start()
    until('all is logged', lambda: c.creator.ask('status')['log']['bytes'] == 20000005)
    equal(c.creator.ask('status')['log']['lost'], 0, 'lost in the log')
    lazy.ask('attach', stdin=True)  # takes in what there is
    check(0 < len(lazy.out) < 1000000, 'what the kernel kept: %d' % len(lazy.out))
    lazy.input(b'more\n')
    lazy.read_until(b'more\n')
    lost = lazy.event('lost')
    equal(lost['bytes'] + len(lazy.out), 20000005 + 5, 'every byte came or is counted')
    lazy.input(b'')
    c.exit()


@test
def one_whom_the_program_waits_for_gets_every_byte():
    c = box().container('seq 1 300000; echo end >&2')
    slow = c.connect()
    slow.ask('attach', wait=True)
    c.start()
    # it is held up: nobody reads
    until('it stands', lambda: stands(c, 'log'))
    equal(c.creator.ask('status')['state'], 'running', 'state')
    slow.read_all()
    equal(slow.out, b''.join(b'%d\n' % n for n in range(1, 300001)), 'the output')
    equal(slow.err, b'end\n', 'the error output')
    equal(c.exit()['exitCode'], 0, 'its end')


def stands(c, what):
    before = c.creator.ask('status')[what]
    threading.Event().wait(0.05)
    return before['bytes'] > 0 and c.creator.ask('status')[what] == before


@test
def much_input_arrives_whole_while_others_are_served():
    c = box().container('sleep 0.2; wc -c', '--stdin')
    client = c.connect()
    client.ask('attach', stdin=True)
    c.start()
    total = 0
    sender = threading.Thread(target=lambda: [client.input(b'y' * 60000) for _ in range(100)])
    sender.start()
    equal(c.creator.ask('status')['state'], 'running', 'others are answered')
    sender.join(LIMIT)
    check(not sender.is_alive(), 'all was taken')
    client.input(b'')
    c.exit()
    equal(c.printed(), ['6000000'], 'what arrived')


@test
def a_terminal_is_one_and_can_be_resized():
    c = box().prepare('tty; stty size; read x; stty size; exit 5', terminal=True,
                      mounts=DEVICES)
    c.launch('--stdin')
    c.created().commit()
    client = c.connect()
    client.ask('attach', stdin=True)
    client.ask('resize', rows=33, columns=111)
    c.start()
    client.read_until(b'33 111')
    client.ask('resize', rows=44, columns=122)
    client.input(b'\n')
    client.read_until(b'44 122')
    equal(c.exit()['exitCode'], 5, 'its end')
    check(any('/dev/' in text for text in c.printed()), 'a terminal: %s' % c.printed())


DEVICES = [
    {'destination': '/proc', 'type': 'proc', 'source': 'proc'},
    {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',
     'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},
    {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',
     'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620']},
]


# ---- containers that another runtime makes ----

@test
def another_runtime_makes_the_container():
    if os.geteuid() != 0:
        raise Skip('not root')
    tried = 0
    for runtime in ('crun', 'runc'):
        path = shutil.which(runtime)
        if not path:
            print('  %s is missing: apt install %s' % (runtime, runtime))
            continue
        tried += 1
        c = box().prepare('echo here; cat; exit 4', mounts=DEVICES)
        c.launch('--runtime', path, '--stdin')
        c.created().commit()
        equal(c.creator.ask('status')['state'], 'created', 'state')
        c.creator.ask('attach', stdin=True)
        c.start()
        c.creator.input(b'typed\n')
        c.creator.read_until(b'typed')
        a = c.creator.ask('exec', args=['sh', '-c', 'echo more; exit 2'])
        equal((a['exitCode'], a['output']), (2, 'more\n'), 'a process more')
        c.creator.input(b'')
        equal(c.exit()['exitCode'], 4, 'its end under ' + runtime)
        equal(c.printed(), ['here', 'typed'], 'the log')
        c.creator.read_all()
        check(not os.path.exists(c.folder), 'its folder')
        # it does not die with its monitor; who looks next ends it
        c = box().prepare(['sleep', '1000'], mounts=DEVICES)
        c.launch('--runtime', path)
        c.created().commit().start()
        os.kill(c.monitor_pid(), signal.SIGKILL)
        c.creator.read_all()
        equal(box().reap(), 1, 'reaped')
        until('it is gone', lambda: not alive(c.pid))
        check(not os.path.exists(c.folder), 'its folder: %s' % os.path.exists(c.folder))
    if not tried:
        raise Skip('no other runtime is there')


@test
def another_runtime_gets_nothing_of_the_hosts():
    """crun gives standard input to the container's root, were it the host's /dev/null."""
    path = shutil.which('crun')
    if not path or os.geteuid() != 0:
        raise Skip('apt install crun, and be root')
    first = os.stat('/dev/null')
    maps = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
    c = box().prepare(['cat'], mounts=DEVICES, linux={
        'namespaces': [{'type': kind} for kind in ('user', 'pid', 'mount', 'ipc', 'uts')],
        'uidMappings': maps, 'gidMappings': maps})
    with tempfile.TemporaryDirectory(dir='/var/tmp') as reached:  # by uid 100000
        os.chmod(reached, 0o755)
        for name in ('bin', 'proc', 'dev'):
            os.makedirs(os.path.join(reached, 'rootfs', name))
        shutil.copy(os.path.join(box().rootfs, 'bin/busybox'), reached + '/rootfs/bin/cat')
        with open(os.path.join(c.bundle, 'config.json')) as f:
            config = json.load(f)
        config['root']['path'] = reached + '/rootfs'
        with open(os.path.join(c.bundle, 'config.json'), 'w') as f:
            json.dump(config, f)
        c.launch('--runtime', path)
        c.created().commit().start()
        equal(c.exit()['exitCode'], 0, 'its end at the end of input')
    now = os.stat('/dev/null')
    os.chown('/dev/null', first.st_uid, first.st_gid)
    equal((now.st_uid, now.st_gid), (first.st_uid, first.st_gid), 'the owner of /dev/null')


@test
def another_runtime_is_led_out_by_no_image():
    path = shutil.which('crun') or shutil.which('runc')
    if not path or os.geteuid() != 0:
        raise Skip('apt install crun, and be root')
    c = box().prepare('true', mounts=DEVICES)
    evil = os.path.join(c.bundle, 'evil')
    for name in ('bin', 'proc', 'sys'):
        os.makedirs(os.path.join(evil, name))
    shutil.copy(os.path.join(box().rootfs, 'bin/busybox'), os.path.join(evil, 'bin/true'))
    outside = os.path.join(c.bundle, 'outside')
    os.mkdir(outside)
    os.symlink(outside, os.path.join(evil, 'dev'))
    with open(os.path.join(c.bundle, 'config.json')) as f:
        config = json.load(f)
    config['root']['path'] = evil
    with open(os.path.join(c.bundle, 'config.json'), 'w') as f:
        json.dump(config, f)
    c.launch('--runtime', path)
    try:
        c.created()
    except Refused as why:
        check('/dev' in str(why), str(why))
    else:
        raise AssertionError('was not refused')
    equal(os.listdir(outside), [], 'what was made outside of the root')


def shares_network(other, start):
    """A bundle of one in the network of that one, which is said to have begun at `start`."""
    pid = other.pid
    kinds = [{'type': kind} for kind in ('pid', 'mount', 'ipc', 'uts')]
    return other.box.prepare(
        ['sleep', '1000'], linux={'namespaces': kinds + [
            {'type': 'network', 'path': '/proc/%d/ns/net' % pid}]},
        cloudos={'joined': {'pid': pid, 'start': start}})


def began(pid):
    with open('/proc/%d/stat' % pid) as f:
        return int(f.read().rpartition(')')[2].split()[19])


@test
def a_network_is_shared_with_the_process_that_was_meant_and_not_who_has_its_number_now():
    if os.geteuid() != 0:
        raise Skip('not root')
    crun = shutil.which('crun')
    box = Box()
    try:
        a = box.container(['sleep', '1000']).start()
        for options in [(), ('--runtime', crun)] if crun else [()]:
            b = shares_network(a, began(a.pid))
            b.launch(*options)
            try:
                b.created().commit()
            except Refused as why:
                if options:  # that runtime may not work here at all
                    print('  not with %s: %s' % (options[1], why))
                    continue
                raise
            equal(os.readlink('/proc/%d/ns/net' % b.pid), os.readlink('/proc/%d/ns/net' % a.pid),
                  'the network of both')
            b.kill()
            b.exit()
            c = shares_network(a, began(a.pid) - 1)
            c.launch(*options)
            try:
                c.created()
                check(False, 'it joined a process that was not meant')
            except Refused as why:
                equal(why.code, 'GONE', str(why))
            until('nothing of it is left', lambda: not os.path.exists(c.folder))
    finally:
        box.close()


@test
def a_runtime_that_is_not_there_is_told():
    c = box().prepare('true')
    c.launch('--runtime', '/bin/none-such')
    check('none-such' in refused('NOT_FOUND', c.created), 'its name')


@test
def layers_are_put_together_for_another_runtime():
    path = shutil.which('crun') or shutil.which('runc')
    if not path or os.geteuid() != 0:
        raise Skip('apt install crun, and be root')
    c = box().prepare('echo written > /new; cat /new', mounts=DEVICES)
    for name in ('rootfs', 'upper', 'work'):
        os.mkdir(os.path.join(c.bundle, name))
    with open(os.path.join(c.bundle, 'config.json')) as f:
        config = json.load(f)
    config['root']['path'] = 'rootfs'
    config['cloudos'].update(layers=[box().rootfs], upper=os.path.join(c.bundle, 'upper'),
                             work=os.path.join(c.bundle, 'work'))
    with open(os.path.join(c.bundle, 'config.json'), 'w') as f:
        json.dump(config, f)
    c.launch('--runtime', path)
    c.created().commit().start()
    equal(c.exit()['exitCode'], 0, 'its end')
    equal(c.printed(), ['written'], 'the log')
    equal(os.listdir(os.path.join(c.bundle, 'upper')), ['new'], 'the upper layer')
    equal(os.listdir(os.path.join(c.bundle, 'rootfs')), [], 'seen from elsewhere')


# ---- deaths ----

@test
def with_its_monitor_the_container_dies_and_reap_tells():
    for init in (False, True):
        box().reap()  # of tests before
        c = box().container('sleep 1000 & sleep 1000', init=init).start()
        group = c.cgroup()
        inside = until('both', lambda: pids(group))
        os.kill(c.monitor_pid(), signal.SIGKILL)
        until('all are gone', lambda: not any(alive(p) for p in inside))
        c.creator.read_all()
        equal(box().reap(), 1, 'how many were reaped')
        check(not os.path.exists(c.folder), 'its folder')
        check(not group or not os.path.exists(group), 'its group')
        with open(os.path.join(c.bundle, 'exit.json')) as f:
            check('monitor was killed' in f.read(), 'the record')
        equal(box().reap(), 0, 'how many there were then')


def pids(group):
    if group is None:
        raise Skip('no cgroup can be made')
    with open(os.path.join(group, 'cgroup.procs')) as f:
        found = [int(line) for line in f]
    return found if len(found) >= 2 else None


@test
def reap_leaves_alone_what_lives():
    c = box().container(['sleep', '1000']).start()
    equal(box().reap(), 0, 'how many were reaped')
    equal(box().reap(c.name, 'none-such'), 0, 'how many of those')
    equal(c.creator.ask('status')['state'], 'running', 'state')
    os.kill(c.monitor_pid(), signal.SIGTERM)
    equal(c.exit()['signal'], 9, 'a monitor that is asked to end takes it along')
    c = box().container(['sleep', '1000']).start()
    monitor = c.monitor_pid()
    equal(box().reap('--force', c.name), 1, 'by force')
    check(not alive(monitor) and not alive(c.pid), 'both are gone')
    check(not os.path.exists(c.folder), 'its folder')
    c = box().container(['sleep', '1000']).start()
    monitor = c.monitor_pid()
    os.kill(monitor, signal.SIGSTOP)  # one that cannot listen
    equal(box().reap('--force', c.name), 1, 'by force')
    check(not alive(monitor), 'it is gone, too')
    until('its container as well', lambda: not alive(c.pid))


@test
def an_idle_monitor_is_small():
    many = [box().container(['sleep', '1000']).start() for _ in range(8)]
    kilobytes = []
    for c in many:
        monitor = c.monitor_pid()
        equal(len(os.listdir('/proc/%d/task' % monitor)), 1, 'threads')
        with open('/proc/%d/smaps_rollup' % monitor) as f:
            kilobytes.append(int(re.search(r'Pss:\s+(\d+)', f.read()).group(1)))
    print('  %s KB' % kilobytes)
    # sanitizers have much of their own; a user's own program is copied for each
    check(SLOW > 1 or os.geteuid() != 0 or max(kilobytes) < 450, 'KB: %s' % kilobytes)
    for c in many:
        c.kill()
        c.exit()


@test
def a_user_who_is_not_root_can_do_it():
    if os.geteuid() != 0:
        raise Skip('not root, so that the other tests have shown it')
    other = Box(prefix=['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
                owner=65534)
    try:
        c = other.prepare('id -u; exit 6')
        c.launch()
        try:
            c.created()
        except Refused as why:
            raise Skip('no user name space: %s' % why) from why
        c.commit().start()
        equal(c.exit()['exitCode'], 6, 'its end')
        equal(c.printed(), ['0'], 'who it is inside')
        c = other.container(['sleep', '1000']).start()
        os.kill(c.monitor_pid(), signal.SIGKILL)
        until('it is gone', lambda: not alive(c.pid))
        equal(other.reap(), 1, 'reaped')
    finally:
        other.close()


if __name__ == '__main__':
    status = run()
    if BOX:
        BOX.close()
    sys.exit(status)
