# SPDX-License-Identifier: MIT
"""A daemon that makes site tables: asked as guests ask, with honest and hostile files,
and ended on the way."""
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import (BUILD, CTL, LIMIT, Client, Domain, Skip, alive, check, encode,  # noqa: E402
                     equal, run, test, until)

CENSUS = os.path.join(BUILD, 'site-census')
WANTED = struct.pack('<IIQ', 0x0300001e, 16, 0)  # include/co/sites.h
HEADER = '<QIIQQQQIIB7x'
DEBUG = {'CO_LOG': 'info,site=debug'}


def domain(fault=None):
    d = Domain(fault, **DEBUG)
    d.start()
    return d


def c_library():
    with open('/proc/self/maps') as f:
        for line in f:
            if 'libc.so.6' in line:
                return os.path.realpath(line.split(maxsplit=5)[5].strip())
    raise Skip('the C library is not libc.so.6')


def table_of(d, path_or_fd):
    st = os.stat(path_or_fd)
    name = '-'.join('%x' % n for n in (st.st_dev, st.st_ino, st.st_size, st.st_ctime_ns))
    return os.path.join(d.dir, 'run/sites', name)


def want(d, path_or_fd, message=WANTED):
    """As the trap engine does: one datagram without hello, and away."""
    own = isinstance(path_or_fd, str)
    fd = os.open(path_or_fd, os.O_RDONLY) if own else path_or_fd
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as s:
        s.connect(os.path.join(d.dir, 'run/control.sock'))
        socket.send_fds(s, [message], [fd] if fd is not None else [])
    if own:
        os.close(fd)


def exported(d, path_or_fd):
    path = table_of(d, path_or_fd)
    until('a table for %s' % path_or_fd, lambda: os.path.exists(path))
    return path


def rows_of(path):
    """What a guest reads: header and rows, as `site-census` prints them."""
    with open(path, 'rb') as f:
        data = f.read()
    mark, version, count, *_ = struct.unpack_from(HEADER, data)
    equal((mark, version), (0x73657469732d6f63, 1), 'mark and version')
    equal(len(data), 64 + 32 * count, 'size of a table with %d rows' % count)
    out = []
    for i in range(count):
        offset, number, length, kind, flags, field, raw = struct.unpack_from(
            '<IIBBBB16s', data, 64 + 32 * i)
        out.append('%x %d %d %d %d %d %s' % (offset, kind, length, flags, field, number,
                                             raw[:length].hex()))
    return out


def logged(d, text):
    return d.log().count(text)


def program(folder, source='int main(void) { return 0; }', *more):
    with open(folder + '/p.c', 'w') as f:
        f.write(source)
    r = subprocess.run(['gcc', '-o', folder + '/p', folder + '/p.c', *more],
                       capture_output=True, text=True)
    equal(r.returncode, 0, 'gcc (%s)' % r.stderr)
    return folder + '/p'


CALLS = ''.join('__asm__("mov $%d,%%eax\\n syscall\\n");' % n for n in range(20, 25))
SOURCE = 'int main(void) { if (__builtin_expect(getpid() == 0, 0)) { %s } return 0; }' % CALLS
SOURCE = '#include <unistd.h>\n' + SOURCE


@test
def a_table_says_what_the_scanner_found():
    with domain() as d:
        libc = c_library()
        want(d, libc)
        path = exported(d, libc)
        census = subprocess.run([CENSUS, libc], capture_output=True, text=True, check=True)
        equal(rows_of(path), census.stdout.splitlines(), 'rows')
        st = os.stat(path)
        equal(stat.S_IMODE(st.st_mode), 0o444, 'mode')
        with open(path, 'rb') as f:
            head = struct.unpack_from(HEADER, f.read(64))
        here = os.stat(libc)
        equal(head[3:7], (here.st_dev, here.st_ino, here.st_size, here.st_ctime_ns),
              'the file that the table says it is for')
        check(head[7] < head[8] <= here.st_size and head[9] == 64, 'where its code lies')


@test
def a_table_that_is_there_is_not_made_again():
    with domain() as d:
        libc = c_library()
        want(d, libc)
        before = os.stat(exported(d, libc))
        until('the scan', lambda: logged(d, 'is scanned'))
        want(d, libc)
        until('a hit', lambda: logged(d, 'is exported already') == 1)
        equal(logged(d, 'is scanned'), 1, 'scans')
        equal(os.stat(table_of(d, libc)).st_ino, before.st_ino, 'the table')


@test
def a_table_comes_back_from_the_store_also_for_a_copy_and_after_a_restart():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        first = program(folder, SOURCE)
        want(d, first)
        rows = rows_of(exported(d, first))
        check(len(rows) == 5, 'rows: %r' % rows)
        os.unlink(table_of(d, first))
        copy = folder + '/copy'
        with open(first, 'rb') as f, open(copy, 'wb') as g:
            g.write(f.read())
        want(d, copy)
        equal(rows_of(exported(d, copy)), rows, 'rows of the copy')
        until('the log', lambda: logged(d, 'exported from the store') == 1)
        d.kill_daemon()
        until('a daemon', lambda: d.status())
        want(d, first)
        equal(rows_of(exported(d, first)), rows, 'rows after a restart')
        until('the log', lambda: logged(d, 'exported from the store') == 2)
        equal(logged(d, 'is scanned'), 1, 'scans')


@test
def a_build_id_does_not_make_a_file_another():
    # both say that they are the same build, and only one of them tells the truth
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        same = '-Wl,--build-id=0x0102030405060708'
        os.mkdir(folder + '/1')
        os.mkdir(folder + '/2')
        first = program(folder + '/1', SOURCE, same)
        second = program(folder + '/2', SOURCE.replace('mov $20', 'mov $99'), same)
        want(d, first)
        want(d, second)
        one, two = rows_of(exported(d, first)), rows_of(exported(d, second))
        check(len(one) == len(two) == 5 and one != two, '%r and %r' % (one, two))
        until('the log', lambda: logged(d, 'is scanned') == 2)


@test
def a_changed_file_has_another_name():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        path = program(folder, SOURCE)
        want(d, path)
        before = exported(d, path)
        with open(path, 'r+b') as f:
            f.seek(0, 2)
            f.write(b'x')
        check(table_of(d, path) != before, 'the name stayed')
        want(d, path)
        exported(d, path)


@test
def who_has_said_hello_may_ask_on_the_same_connection():
    with domain() as d:
        client = Client(d)
        fd = os.open(c_library(), os.O_RDONLY)
        client.send(encode('site_wanted', form='note', tag=0), [fd])
        os.close(fd)
        exported(d, c_library())
        check(client.ask('status')[-1]['pid'] > 0, 'the connection is of no use any more')


def unusable(folder):
    """[(what, descriptor)]: none of them ever has a table."""
    r, w = os.pipe()
    os.mkfifo(folder + '/fifo')
    path = program(folder)
    os.symlink(path, folder + '/link')
    yield 'a pipe', r
    yield 'the other end', w
    yield 'a fifo', os.open(folder + '/fifo', os.O_RDWR)
    yield 'a folder', os.open(folder, os.O_RDONLY)
    yield 'a path', os.open(path, os.O_PATH)
    yield 'a link', os.open(folder + '/link', os.O_PATH | os.O_NOFOLLOW)
    yield 'one for writing', os.open(path, os.O_WRONLY)
    yield 'nothing', os.open('/dev/null', os.O_RDONLY)
    yield 'zeroes without end', os.open('/dev/zero', os.O_RDONLY)
    yield 'an empty file', os.open(folder + '/empty', os.O_RDWR | os.O_CREAT)
    yield 'a socket', socket.socket(socket.AF_UNIX).detach()
    yield 'a file of proc', os.open('/proc/self/maps', os.O_RDONLY)
    yield 'memory of a process', os.open('/proc/self/mem', os.O_RDONLY)


@test
def what_is_no_file_with_contents_gets_no_table():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        count = 0
        for what, fd in unusable(folder):
            want(d, fd)
            os.close(fd)
            count += 1
            until('an answer about ' + what,
                  lambda: logged(d, 'no site table for a file') == count)
        want(d, None)  # no descriptor at all
        want(d, 0, WANTED[:8])  # and none of our messages
        equal(d.status()['restarts'], 0, 'restarts')
        equal(os.listdir(d.dir + '/run/sites'), [], 'tables')


def elf(phnum=1, phoff=64, offset=0, vaddr=0x400000, size=0x1000, kind=1, flags=5, machine=62,
        shoff=0, shnum=0, body=b'\xb8\1\0\0\0\x0f\x05' * 64):
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1' + bytes(9), 2, machine, 1, vaddr,
                       phoff, shoff, 0, 64, 56, phnum, 64, shnum, 0)
    one = struct.pack('<IIQQQQQQ', kind, flags, offset, vaddr, vaddr, size, size, 4096)
    return head + one * min(phnum, 65535) + body


def hostile():
    huge = (1 << 64) - 1
    yield 'no headers', elf(phnum=0)
    yield 'headers beyond the end', elf(phoff=1 << 40)
    yield 'headers that wrap', elf(phoff=huge - 30)
    yield '65535 headers', elf(phnum=65535)
    yield '65534 segments of code', elf(phnum=65534, size=64)
    yield 'a segment beyond the end', elf(size=1 << 30)
    yield 'a segment as large as there is', elf(size=huge)
    yield 'a segment that wraps in the file', elf(offset=huge - 10, size=100)
    yield 'a segment that wraps in memory', elf(vaddr=huge - 10, size=100)
    yield 'segments on one another', elf(phnum=3, size=64)
    yield 'sections beyond the end', elf(shoff=huge - 100, shnum=65535, size=500)
    yield 'another machine', elf(machine=183)
    yield 'text', b'#!/bin/sh\nexit 0\n'
    yield 'a header cut off', elf()[:50]
    yield 'only system calls', elf(size=1 << 20, body=b'\x0f\x05' * (1 << 20))
    yield 'only jumps', elf(size=1 << 20, body=b'\xeb\xfe\x0f\x05' * (1 << 19))


@test
def hostile_files_harm_nobody():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        for i, (what, data) in enumerate(hostile()):
            path = '%s/%d' % (folder, i)
            with open(path, 'wb') as f:
                f.write(data)
            want(d, path)
            try:
                exported(d, path)  # mostly empty: nobody asks again
            except AssertionError as e:
                raise AssertionError('%s: %s' % (what, e)) from e
        want(d, c_library())
        check(len(rows_of(exported(d, c_library()))) > 400, 'the C library')
        equal(d.status()['restarts'], 0, 'restarts')


@test
def a_file_that_shrinks_and_changes_while_it_is_read_harms_nobody():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        path = folder + '/p'
        data = elf(size=8 << 20, body=b'\xb8\1\0\0\0\x0f\x05\x90' * (1 << 20))
        for _ in range(20):
            with open(path, 'wb') as f:
                f.write(data)
            want(d, path)
            os.truncate(path, 4096)
        want(d, c_library())
        check(len(rows_of(exported(d, c_library()))) > 400, 'the C library')
        equal(d.status()['restarts'], 0, 'restarts')


@test
def a_flood_of_wishes_is_bounded():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        for i in range(300):
            path = '%s/%d' % (folder, i)
            with open(path, 'wb') as f:
                f.write(elf(size=200000, body=bytes([i % 250]) * 200000))
            try:
                want(d, path)
            except BlockingIOError:
                pass  # the daemon's backlog is full: that is the bound
        check(d.status()['threads'] < 64, 'threads')
        until('the queue to be empty or the table', lambda: (
            want_again(d, c_library()), os.path.exists(table_of(d, c_library())))[1])
        check(len(rows_of(exported(d, c_library()))) > 400, 'the C library')


def dies_at(place):
    """A daemon that is killed there leaves nothing half-done; the next one makes it."""
    with domain(place + ':kill:1') as d:
        libc = c_library()
        first = d.status()['pid']
        want(d, libc)
        until('the end of the daemon', lambda: not alive(first))
        until('another', lambda: d.status()['restarts'] == 1)
        check(not os.path.exists(table_of(d, libc)), 'a table of a dead daemon')
        until('the table', lambda: (want_again(d, libc), os.path.exists(table_of(d, libc)))[1])
        check(len(rows_of(table_of(d, libc))) > 400, 'rows')
        # asked for more than once, it may be being written once more
        until('no half-written table', lambda: not [
            n for n in os.listdir(d.dir + '/run/sites') if n.startswith('.')])


def want_again(d, path):
    try:
        want(d, path)
    except OSError:
        pass  # between two daemons, or there are too many wishes


@test
def a_daemon_killed_when_it_has_scanned_leaves_nothing_behind():
    dies_at('site.scanned')


@test
def a_daemon_killed_while_it_writes_a_table_leaves_nothing_behind():
    dies_at('site.exporting')


@test
def a_daemon_stops_in_the_middle_of_a_scan():
    with domain() as d, tempfile.TemporaryDirectory() as folder:
        path = folder + '/large'
        with open(path, 'wb') as f:  # no beginnings and no system calls but the last: slow
            f.write(elf(size=200 << 20, body=bytes.fromhex('90') * (200 << 20) + b'\x0f\x05'))
        want(d, path)
        pid = d.status()['pid']
        d.ctl('daemon', 'stop')
        until('the end of the daemon', lambda: not alive(pid))
        equal(logged(d, 'is scanned'), 0, 'scans that were finished')


def without_zydis(*command, env=None):
    """Runs a command where libZydis is no library."""
    library = '/usr/lib/x86_64-linux-gnu/libZydis.so.4.0'
    hide = ['unshare', '-rm', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"', library]
    if subprocess.run([*hide, 'true'], capture_output=True).returncode:
        raise Skip('no mount name spaces here')
    return subprocess.run([*hide, *command], env=env, capture_output=True, text=True,
                          timeout=LIMIT)


@test
def without_zydis_a_daemon_works_and_says_so_once():
    with Domain(**DEBUG) as d:
        r = without_zydis(CTL, 'daemon', 'start', env=d.env)
        equal(r.returncode, 0, 'daemon start (%s)' % r.stderr)
        says = 'there will be no site tables: libZydis.so.4.0 is missing: apt install'
        want(d, c_library())
        until('a sentence', lambda: logged(d, says) == 1)
        want(d, c_library())
        until('another answer', lambda: logged(d, 'there is no decoder') == 1)
        equal(logged(d, says), 1, 'sentences')
        equal(os.listdir(d.dir + '/run/sites'), [], 'tables')
        r = without_zydis(CTL, 'doctor', env=d.env)
        line = [x for x in r.stdout.splitlines() if 'trap site tables' in x]
        check(line and line[0].startswith('limited'), r.stdout)
        check('apt install libzydis4.0' in r.stdout, r.stdout)


@test
def an_ephemeral_domain_leaves_no_table_behind():
    exec_ = os.path.join(BUILD, 'cloudos-exec')
    with tempfile.TemporaryDirectory() as folder:
        r = subprocess.run([exec_, '--ephemeral', '--engine=trap', '--personality=linux',
                            '/bin/true'], env=dict(os.environ, TMPDIR=folder),
                           capture_output=True, text=True, timeout=LIMIT)
        if r.returncode:
            raise Skip('engine trap does not work here: ' + r.stderr)
        until('an empty folder', lambda: not os.listdir(folder))


@test
def the_launcher_asks_ahead_for_what_will_be_mapped():
    with domain() as d:
        r = subprocess.run([os.path.join(BUILD, 'cloudos-exec'), '--engine=trap',
                            '--personality=linux', '/bin/true'], env=d.env,
                           capture_output=True, text=True, timeout=LIMIT)
        if r.returncode:
            raise Skip('engine trap does not work here: ' + r.stderr)
        for path in (os.path.realpath('/bin/true'), c_library()):
            exported(d, path)


if __name__ == '__main__':
    run()
