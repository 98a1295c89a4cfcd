# SPDX-License-Identifier: MIT
"""SYSTEM as cloudos-exec serves it to a session: each service asked over the engine for
messages, as a program of Anos asks, by a process of that session.

VFS_FIND_FS_DRIVER, VFS_REGISTER_DRIVER and VFS_UNREGISTER_DRIVER are tags 1 to 3 of
SYSTEM::VFS, PROCESS_SPAWN is tag 1 of SYSTEM::PROCESS, FS_QUERY_OBJECT_SIZE and
FS_LOAD_OBJECT_PAGE are tags 1 and 2 of the driver of boot:.  The programs make the calls
read_kernel_log (log.elf) and get_framebuffer_phys (screen.elf)."""
import contextlib
import json
import os
import re
import select
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import (BUILD, CTL, EXEC, LIMIT, Domain, alive, check, equal, run, test,  # noqa: E402
                     until)
from machine import ASK, line, machine, text  # noqa: E402
from peers import NAME_SESSION, Peer  # noqa: E402

FAILED = 2 ** 64


@test
def boot_is_found_and_read():
    with Domain() as d, machine(d) as m:
        data = os.urandom(10000)
        m.put('data', data)
        with m.ask('SYSTEM::VFS') as vfs:
            boot, _ = vfs(1, text('boot:/data'))
            check(boot not in (0, FAILED - 1), 'a channel')
            equal(vfs(1, text('disk9:/data'))[0], 0, 'a prefix that nobody has')
        with m.ask('=%d' % boot) as ask:
            equal(ask(1, text('boot:/data'))[0], 10000, 'its size')
            got = b''
            while len(got) < 10000:
                n, page = ask(2, struct.pack('<Q', len(got)) + text('boot:/data'))
                check(n > 0, 'a page')
                got += page[:n]
            check(got == data, 'the file, read page by page')
            equal(ask(2, struct.pack('<Q', 10000) + text('boot:/data'))[0], 0, 'past its end')
            equal(ask(1, text('boot:/../park.elf'))[0], 0, 'outside')


@test
def a_guest_registers_a_prefix_and_loses_it_with_its_life():
    with Domain() as d, machine(d) as m, m.ask('SYSTEM::VFS') as other:
        with m.ask('SYSTEM::VFS') as vfs:
            entry = struct.pack('<32sQ', b'mine:', 4711)
            equal(vfs(2, entry)[0], 1, 'registered')
            equal(vfs(2, entry)[0], 0, 'once more')
            equal(other(1, text('mine:/x'))[0], 4711, 'found by another')
            equal(other(3, text('mine:'))[0], 0, 'taken away by another')
            equal(vfs(3, text('mine:'))[0], 1, 'taken away')
            equal(other(1, text('mine:/x'))[0], 0, 'found')


@test
def a_process_is_started_with_its_arguments():
    with Domain() as d, machine(d, '--until-first') as m, m.ask('SYSTEM::PROCESS') as process:
        def spawn(*argv, stack=0x100000, caps=()):
            data = struct.pack('<QHH', stack, len(argv), len(caps))
            data += b''.join(struct.pack('<QQ', *c) for c in caps)
            return data + b''.join(text(a) for a in argv) + b'\0' * 4

        value, _ = process(1, spawn('boot:/park.elf', caps=[(1, 1)]))
        check(0 < value < 2 ** 31, 'a pid: %d' % value)
        until('process %d' % value, lambda: alive(value))
        with open('/proc/%d/stat' % value) as f:
            equal(int(f.read().rpartition(')')[2].split()[1]), m.process.pid, 'its parent')
        equal(process(1, spawn('boot:/none.elf'))[0], FAILED - 5, 'no such program')
        equal(process(1, spawn('boot:/park.elf', stack=1))[0], FAILED - 4, 'no stack')
        equal(process(1, b'x' * 15)[0], FAILED - 1, 'too short')
        equal(process(2, spawn('boot:/park.elf'))[0], FAILED - 999, 'another tag')
        os.kill(m.pid, 9)
        m.process.wait(LIMIT)
        until('the end of process %d' % value, lambda: not alive(value))


@test
def a_machine_runs_as_long_as_a_program_does():
    with Domain() as d, machine(d) as m, m.ask('SYSTEM::PROCESS') as process:
        data = struct.pack('<QHH', 0x100000, 1, 0) + text('boot:/park.elf') + b'\0' * 4
        others = [process(1, data)[0] for _ in range(3)]
        check(all(0 < pid < 2 ** 31 for pid in others), 'three more')
        os.kill(m.pid, 9)
        until('the end of the first', lambda: not alive(m.pid))
        os.kill(others[0], 9)
        until('the end of another', lambda: not alive(others[0]))
        check(m.process.poll() is None and alive(others[1]), 'the machine is on')
        m.process.terminate()
        equal(m.process.wait(LIMIT), -9, 'the status is that of the first')
        until('the end of all', lambda: not any(alive(pid) for pid in others))


@test
def without_system_there_is_no_machine():
    with Domain() as d, machine(d) as m:
        m.process.kill()
        until('the end of the program', lambda: not alive(m.pid))


@test
def the_kernel_log_is_read_by_who_waits():
    with Domain() as d, machine(d) as m, m.ask('cloudos::kernel') as log:
        with m.ask('cloudos::kernel') as reader, m.ask('cloudos::kernel') as gone:
            n, page = reader(2, b'\0', 4096)
            equal(page[:n], b'parked\n', 'what the program has printed')
            gone.begin(2, b'\0', 4096)
            gone.process.kill()
            gone.process.wait()
            reader.begin(2, b'\0', 7)

            def line_is_read():  # the first may go to who is not known to be gone yet
                equal(log(1, b'hello world', 11)[0], 1, 'a line')
                return reader.answered(0.1)

            until('an answer', line_is_read)
            n, page = reader.end()
            equal(page[:n], b'hello w', 'as much as was asked for')
            reader.begin(2, b'\0', 4096)  # who is gone may have had the rest
            until('an answer', line_is_read)
            n, page = reader.end()
            check(re.fullmatch(b'(orld)?(hello world)*', page[:n]) and n,
                  'what is left: %r' % page[:n])


@test
def a_disk_is_in_the_registry_and_is_read():
    with Domain() as d:
        image = os.path.join(d.dir, 'disk')
        with open(image, 'wb') as f:
            f.write(b''.join(bytes([i]) * 512 for i in range(20)))
        with machine(d, '--disk', image) as m, m.ask('DEVMAN') as devman:
            n, page = devman(0, struct.pack('<IIIIQ', 3, 1, 2, 0, 0))
            equal(n, 8 + 136, 'bytes')
            channel, = struct.unpack_from('<Q', page, 8 + 128)
            with m.ask('=%d' % channel) as disk:
                n, page = disk(0, struct.pack('<IIQII', 1, 0, 3, 8, 0))
                equal(n, 4096, 'bytes of 8 sectors')
                equal((page[0], page[4095]), (3, 10), 'the first and the last byte')
                equal(disk(0, struct.pack('<IIQII', 2, 0, 5, 1, 0) + b'Z' * 512)[0], 1,
                      'written')
        with open(image, 'rb') as f:
            equal(f.read()[5 * 512:6 * 512], b'Z' * 512, 'what is in the file')


@test
def a_devman_of_the_programs_takes_the_place_of_ours():
    with Domain() as d, machine(d) as m:
        with m.ask('DEVMAN') as ours:
            equal(ours(0, struct.pack('<IIIIQ', 3, 3, 0, 0, 0))[0], 0, 'devices')
            peer = Peer(d, m.session)
            native = peer.done('name_find', name='DEVMAN')['cookie']
            own = peer.port()
            for name, status in (('SYSTEM::VFS', 'taken'), ('DEVMAN', 0)):
                reply, _ = peer.request('name_register', cookie=own, flags=NAME_SESSION,
                                        name=name)
                equal(reply['status'] == 0, status == 0, 'registering %s' % name)
            check(native not in (0, own), 'a channel of ours before')
            equal(peer.done('name_find', name='DEVMAN')['cookie'], own, 'who is found now')
            equal(ours(0, struct.pack('<IIIIQ', 3, 3, 0, 0, 0))[0], 0, 'ours, still there')
            peer.close()


@test
def two_machines_do_not_meet():
    with Domain() as d, machine(d) as one, machine(d) as other:
        one.put('only-here', b'x')
        with one.ask('SYSTEM::VFS') as a, other.ask('SYSTEM::VFS') as b:
            equal(a(2, struct.pack('<32sQ', b'p:', 5))[0], 1, 'registered in one')
            equal(b(1, text('p:/'))[0], 0, 'found in the other')
            boot_a, boot_b = a(1, text('boot:/'))[0], b(1, text('boot:/'))[0]
            check(boot_a != boot_b, 'each has its own boot:')
        with one.ask('=%d' % boot_a) as a, other.ask('=%d' % boot_b) as b:
            equal(a(1, text('boot:/only-here'))[0], 1, 'in one')
            equal(b(1, text('boot:/only-here'))[0], 0, 'in the other')


@test
def connections_come_and_go():
    with Domain() as d, machine(d) as m:
        def counts():
            pid = m.process.pid
            with open('/proc/%d/maps' % pid) as f:
                return len(os.listdir('/proc/%d/fd' % pid)), f.read().count('cloudos-')

        before = None
        for i in range(30):
            with m.ask('SYSTEM::VFS') as vfs:
                check(vfs(1, text('boot:/'))[0] > 0, 'a channel')
            if i == 3:
                before = counts()
        until('as many descriptors and mappings as before',
              lambda: counts() <= (before[0] + 1, before[1] + 4))


@test
def who_scribbles_harms_only_himself():
    with Domain() as d:
        image = os.path.join(d.dir, 'disk')
        with open(image, 'wb') as f:
            f.write(b'd' * 512 * 64)
        with machine(d, '--disk', image) as m, m.ask('SYSTEM::VFS') as vfs, \
                m.ask('DEVMAN') as devman:
            boot = vfs(1, text('boot:/'))[0]
            _, page = devman(0, struct.pack('<IIIIQ', 3, 1, 2, 0, 0))
            disk, = struct.unpack_from('<Q', page, 8 + 128)
            names = ['SYSTEM::VFS', 'SYSTEM::PROCESS', 'DEVMAN', 'cloudos::kernel',
                     '=%d' % boot, '=%d' % disk]
            count = int(os.environ.get('CO_SCRIBBLE', '2000'))
            hostile = [subprocess.Popen([ASK, str(m.session), name, 'scribble', str(count)],
                                        env=d.env, stdout=subprocess.PIPE, text=True)
                       for name in names]
            m.put('honest', b'x' * 5000)
            with m.ask('=%d' % boot) as ask:
                rounds = 0
                while rounds < 20 or any(p.poll() is None for p in hostile):
                    equal(ask(1, text('boot:/honest'))[0], 5000, 'an honest question')
                    equal(vfs(1, text('boot:/'))[0], boot, 'another')
                    rounds += 1
            for p in hostile:
                out = p.communicate(timeout=2 * LIMIT)[0]
                equal(p.returncode, 0, 'what the hostile one did (%s)' % out)
            check(m.process.poll() is None, 'SYSTEM is there')
            equal(os.path.getsize(image), 512 * 64, 'the size of the disk')


@test
def system_outlives_a_daemon():
    with Domain() as d, machine(d) as m, m.ask('SYSTEM::VFS') as vfs:
        boot = vfs(1, text('boot:/'))[0]
        d.kill_daemon()
        equal(vfs(1, text('boot:/'))[0], boot, 'an answer without a daemon')

        def found():
            with contextlib.suppress(AssertionError), m.ask('SYSTEM::VFS') as other:
                return other(1, text('boot:/'))[0]

        equal(until('SYSTEM at the next daemon', found), boot, 'the same channel')

        def opened():  # its channels come back one after the other
            with contextlib.suppress(AssertionError), m.ask('=%d' % boot) as ask:
                return ask(1, text('boot:/park.elf'))[0]

        check(until('boot: at the next daemon', opened) > 0, 'a file')
        equal(vfs(1, text('boot:/'))[0], boot, 'on the old connection')


@test
def a_display_is_shot():
    with Domain() as d, machine(d, '--display', '40x30') as m:
        out = os.path.join(d.dir, 'shot.png')
        r = subprocess.run([CTL, 'surface', 'ls', '-o', 'json'], env=d.env,
                           capture_output=True, check=True)
        rows = json.loads(r.stdout)
        equal([(r['session'], r['width'], r['height']) for r in rows],
              [(m.session, 40, 30)], 'displays')
        for operand in ([], [str(m.session)], ['park.elf']):
            subprocess.run([CTL, 'surface', 'shot', '-o', out, *operand], env=d.env,
                           capture_output=True, check=True)
            with open(out, 'rb') as f:
                data = f.read()
            equal(data[:8], b'\x89PNG\r\n\x1a\n', 'how it begins')
            equal(struct.unpack('>II', data[16:24]), (40, 30), 'its size')
            os.remove(out)
        r = subprocess.run([CTL, 'surface', 'shot', '-o', out, 'nobody'], env=d.env,
                           capture_output=True, text=True)
        equal(r.returncode, 4, 'status for a session that is not there')


def runs(program, want, *options, put=None):
    with Domain() as d, machine(d, *options, program=program, first=None) as m:
        if put:
            m.put(*put)
        equal(m.output(), want, 'what %s prints' % program)


@test
def a_program_reads_files_by_way_of_the_vfs():
    with Domain() as d, machine(d) as m:
        data = ''.join('line %d\n' % i for i in range(2000))
        m.put('long', data.encode())
        with machine(d, program='boot:/cat.elf boot:/long boot:/none disk:/x', first=None,
                     root=m.root) as cat:
            equal(cat.output(), data + 'boot:/none: no such file\ndisk:/x: no such file\n',
                  'what it prints')


@test
def a_program_serves_files_to_one_that_it_starts():
    runs('boot:/files.elf mem:/greeting mem:/none',
         'A file that is only in memory.\nmem:/none: no such file\n')


@test
def what_a_process_is_not_given_it_cannot_do():
    runs('boot:/delegate.elf', """parent, create_channel: OK
child, printing
child, kprint: OK
child, create_channel: INCAPABLE
child, create_channel with a guessed token: INCAPABLE
child, create_channel with a delegated token: OK
parent, done
""")


@test
def a_program_reads_in_the_log_what_it_has_printed():
    runs('boot:/log.elf', 'one line for the log\nthe log says: one line for the log\n')


@test
def debug_calls_print_channels_statistics_and_messages():
    with Domain() as d, machine(d, program='boot:/debug.elf', first=None) as m:
        out = m.output()
        check('NOT OK' not in out and out.endswith('the end\n'), out)
        for what in ('child, list channels', 'child, channel statistics',
                     'child, trace messages', 'channels are listed', 'statistics are shown',
                     'messages are traced'):
            check('ok: %s\n' % what in out, '%s is missing: %s' % (what, out))
        for form in (r'^channel \d+ "debug::echo \?\?, debug::echo" of process \d+: receivers 1, '
                     r'connections 1, waiting 0, pending 0$',
                     r'^channel \d+ "SYSTEM::VFS \(session \d+\)" of process \d+: receivers 1,',
                     r'^channels \d+, connections \d+, processes 2, names \d+$',
                     r'^channel \d+ "debug::echo[^"]*": sent 3, answered 3, errors 0, bytes \d+ '
                     r'and back \d+, half within [1-9]\d* ns, 99 % within [1-9]\d* ns, '
                     r'deepest queue 1, memory [1-9]\d*$',
                     r'^all \d+ channels: sent \d+, answered \d+, errors 0, .*, kinds of tokens 29,',
                     r'trace: channel \d+ process \d+ received, from thread \d+, tag 77, '
                     r'size 5: hello',
                     r'trace: channel \d+ process \d+ replied, from thread \d+, value 6, '):
            check(re.search(form, out, re.M), 'nothing like %s in: %s' % (form, out))
        # on these, tokens and the log itself go by
        for name in ('cloudos::kernel', 'cloudos::debug'):
            id = re.search(r'^channel (\d+) "%s ' % name, out, re.M)[1]
            check('trace: channel %s ' % id not in out, 'messages on %s in: %s' % (name, out))


@test
def what_a_program_paints_is_in_the_picture():
    with Domain() as d, machine(d, '--display', '48x30', program='boot:/screen.elf stay',
                                first=b'painted\n'):
        out = os.path.join(d.dir, 'shot.png')
        subprocess.run([CTL, 'surface', 'shot', '-o', out], env=d.env, capture_output=True,
                       check=True)
        with open(out, 'rb') as f:
            width, height, rows = png(f.read())
        equal((width, height), (48, 30), 'the size')
        equal([rows[y][3 * x:3 * x + 3].hex() for x, y in
               ((0, 0), (7, 7), (8, 7), (47, 9), (0, 10), (47, 19), (0, 20), (47, 29))],
              ['ffffff', 'ffffff', 'c02020', 'c02020', '20c020', '20c020', '2020c0', '2020c0'],
              'pixels')


def png(data):
    """Width, height and lines of RGB, of an image without interlacing."""
    at, packed = 8, b''
    while at < len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        if kind == b'IHDR':
            width, height, depth, colour = struct.unpack_from('>IIBB', data, at + 8)
            equal((depth, colour), (8, 2), '8 bits of red, green and blue')
        if kind == b'IDAT':
            packed += data[at + 8:at + 8 + size]
        at += size + 12
    raw, rows, before = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        line = bytearray(raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)])
        method, line = line[0], line[1:]
        for i, value in enumerate(line):
            a, b = line[i - 3] if i > 2 else 0, before[i]
            c = before[i - 3] if i > 2 else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (value + (0, a, b, (a + b) // 2, paeth)[method]) & 255
        rows.append(bytes(line))
        before = line
    return width, height, rows


@test
def the_root_may_be_an_image():
    with Domain() as d:
        image = os.path.join(d.dir, 'image')
        files = {'park.elf': 'anos-park.elf', 'delegate.elf': 'anos-delegate.elf'}
        table, data = b'', b''
        begin = 4096
        for i, (name, source) in enumerate(files.items()):
            with open(os.path.join(BUILD, source), 'rb') as f:
                content = f.read()
            at = begin + len(data)
            table += struct.pack('<QQ16s', at - (32 + 32 * i), len(content), name.encode())
            data += content + bytes(-len(content) % 4096)
        with open(image, 'wb') as f:
            f.write(struct.pack('<IIQQQ', 0x0101CA75, 10, begin + len(data), 2, 0))
            f.write(table.ljust(begin - 32, b'\0') + data)
        with machine(d, root=image, program='boot:/delegate.elf', first=None) as m:
            check(m.output().endswith('parent, done\n'), 'both programs ran')


@test
def what_cannot_be_is_told():
    with Domain() as d:
        for arguments, status, sentence in (
                (['boot:/x.elf'], 125, 'where is boot:'),
                (['--root', d.dir, 'boot:/x.elf'], 127, 'cannot open boot:/x.elf'),
                (['--root', d.dir + '/none', 'boot:/x.elf'], 127, 'cannot open the root'),
                (['--root', EXEC, 'boot:/x.elf'], 125, 'neither a folder nor'),
                (['--root', d.dir, '/bin/true'], 125, 'are for programs of Anos'),
                (['--display', '0x5', 'boot:/x.elf'], 125, '--display is'),
                (['--disk', '/dev/null', '--root', d.dir, 'boot:/x.elf'], 125,
                 'no regular file')):
            r = subprocess.run([EXEC, *arguments], env=d.env, capture_output=True, text=True,
                               timeout=LIMIT)
            equal((r.returncode, r.stdout), (status, ''), ' '.join(arguments))
            check(sentence in r.stderr and r.stderr.count('\n') == 1, r.stderr)


@test
def messages_of_a_machine_are_counted_and_shown():
    with Domain() as d, machine(d) as m, m.ask('SYSTEM::VFS') as vfs:
        trace = subprocess.Popen([CTL, 'channel', 'trace', 'SYSTEM::VFS'], env=d.env,
                                 stdout=subprocess.PIPE, text=True)

        def lines():
            """Of the trace, which begins some time after it was asked for."""
            vfs(1, text('boot:/park.elf'))
            return select.select([trace.stdout], [], [], 0.05)[0]
        until('a message in the trace', lines)
        got = trace.stdout.readline()
        check('received connection' in got and 'tag 1 size' in got and '"boot:/park.elf' in got, got)
        trace.kill()
        trace.communicate()
        rows = json.loads(d.ctl('channel', 'ls', 'SYSTEM::VFS', '-o', 'json').stdout)
        equal((len(rows), rows[0]['pid'], rows[0]['session']), (1, m.process.pid, m.session),
              'the channel')
        asked = rows[0]['messages']
        vfs(1, text('boot:/park.elf'))
        row, = json.loads(d.ctl('channel', 'ls', 'SYSTEM::VFS', '-o', 'json').stdout)
        equal(row['messages'], asked + 1, 'messages')
        check(0 < row['took_p50_ns'] < 60 * 10 ** 9, 'latency: %s' % row)


@test
def messages_of_a_program_are_counted_and_shown():
    # the reader that it starts never reads, so that it stays
    with Domain() as d, machine(d, program='boot:/files.elf x', instead={'cat': 'park'}) as m, \
            m.ask('SYSTEM::VFS') as vfs:
        driver, _ = vfs(1, text('mem:/poem'))
        with m.ask('=%d' % driver) as files:
            def channel():
                rows = json.loads(d.ctl('channel', 'ls', '-o', 'json').stdout)
                return next(r for r in rows if r['pid'] == m.pid and r['messages'])
            equal(files(1, text('mem:/poem'))[0], 34, 'the size of a file')
            id = channel()['id']
            trace = subprocess.Popen([CTL, 'channel', 'trace', str(id), '-o', 'json'], env=d.env,
                                     stdout=subprocess.PIPE, text=True)

            def seen():
                files(1, text('mem:/poem'))
                return select.select([trace.stdout], [], [], 0.05)[0]
            until('a message in the trace', seen)
            row = json.loads(trace.stdout.readline())
            if row['event'] == 'replied':  # it began to watch in the middle of a message
                until('the next message', seen)
                row = json.loads(trace.stdout.readline())
            equal((row['pid'], row['tag'], row['event']), (m.pid, 1, 'received'), 'the message')
            check(row['data'].startswith('mem:/poem'), row['data'])
            trace.kill()
            trace.communicate()
            asked = channel()['messages']
            files(1, text('mem:/poem'))
            equal(channel()['messages'], asked + 1, 'messages')
        rows = json.loads(d.ctl('capability', 'ls', '-o', 'json').stdout)
        holders = {r['name']: r['holders'] for r in rows}
        check(holders['create_channel'] == 1 and holders['map_physical'] == 0,
              'holders: %s' % holders)


@test
def programs_go_on_with_the_next_daemon():
    with Domain() as d, machine(d, program='boot:/files.elf x', instead={'cat': 'park'}) as m:
        with m.ask('SYSTEM::VFS') as vfs:
            driver, _ = vfs(1, text('mem:/poem'))
        with m.ask('=%d' % driver) as files:
            equal(files(1, text('mem:/poem'))[0], 34, 'the size of a file')
            d.kill_daemon()
            equal(files(1, text('mem:/poem'))[0], 34, 'without a daemon')
            d.status()
            equal(files(1, text('mem:/poem'))[0], 34, 'with the next one')

        # the program has announced its channel again, and its name
        def channels():
            rows = json.loads(d.ctl('channel', 'ls', '-o', 'json').stdout)
            return [r for r in rows if r['pid'] == m.pid]
        until('its channels', lambda: len(channels()) == 2)
        until('its name', lambda: any('files::done' == r['name'] for r in channels()))

        def asked():
            with contextlib.suppress(AssertionError), m.ask('=%d' % driver) as files:
                return files(1, text('mem:/poem'))[0]
        equal(until('an answer', asked), 34, 'a new connection')


run()
