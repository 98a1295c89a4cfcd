# SPDX-License-Identifier: MIT
"""Programs of Anos in numbers, and beside others that mean ill: many of them at once, channels
made and destroyed without end, peers that write over all that they may write, stolen
messages, names made to be mistaken.

CO_GUESTS, CO_OPENS and CO_HOSTILE (seconds) say how much of it; `make check-reach`."""
import contextlib
import fcntl
import mmap
import os
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import (LIMIT, SLOW, Domain, check, descriptors, equal, resident_kb,  # noqa: E402
                     run, test, until)
from machine import ASK, line, machine  # noqa: E402
from peers import (FUTURE_WRITE, GROW, PAGE, SEAL, SERVER_SEGMENT, SHRINK, Peer,  # noqa: E402
                   memory)

GUESTS = int(os.environ.get('CO_GUESTS', '40'))
CALLS = int(os.environ.get('CO_CALLS', '100'))
OPENS = int(os.environ.get('CO_OPENS', '2000'))
SECONDS = int(os.environ.get('CO_HOSTILE', '2'))


def ends_well(process, want, limit=LIMIT):
    out, err = process.communicate(timeout=limit)
    equal((process.returncode, err.decode()), (0, ''), 'status and errors (%s)' % out.decode())
    check('NOT OK' not in out.decode() and want in out.decode(), out.decode())


def prints(arguments, *want):
    with Domain() as d, machine(d, program='boot:/crowd.elf ' + arguments, first=None) as m:
        out = m.output()
        check('NOT OK' not in out and all('ok: %s\n' % w in out for w in want), out)


@contextlib.contextmanager
def named(domain, name):
    """The name stands for a channel meanwhile."""
    peer = Peer(domain)
    peer.done('name_register', cookie=peer.port(), name=name)
    yield
    peer.close()


def daemon_of(domain):
    return domain.status()['pid']


@test
def guests_talk_all_at_once():
    with Domain() as d:
        began = time.monotonic()
        with machine(d, program='boot:/crowd.elf hub %d %d' % (GUESTS, CALLS),
                     first=None) as m:
            ends_well(m.process, 'ok: every message has come', LIMIT + GUESTS)
        print('  %d guests, %d messages each: %.1f s' % (GUESTS, CALLS,
                                                         time.monotonic() - began))
        check('is lost' not in d.log(), d.log())


@test
def channels_made_and_destroyed_leave_nothing_behind():
    with Domain() as d, machine(d, program='boot:/crowd.elf opens 1000 %d' % OPENS,
                                first=b'before\n') as m:
        daemon = daemon_of(d)

        def sizes():
            with open('/proc/%d/maps' % m.pid) as f:
                maps = len(f.readlines())
            return [descriptors(daemon), descriptors(m.pid), descriptors(m.process.pid),
                    maps], [resident_kb(p) for p in (daemon, m.pid, m.process.pid)]
        before = sizes()
        began = time.monotonic()
        with named(d, 'crowd::go'):
            equal(m.process.stdout.readline(), b'behind\n', 'the next line')
            took = time.monotonic() - began
            peer = 3  # descriptors that the daemon has for `named`
            counts, kb = sizes()
        print('  %d channels in %.1f s; descriptors %s, then %s; KiB %s, then %s'
              % (OPENS, took, before[0], counts, before[1], kb))
        counts[0] -= peer
        # one channel or two may be open at either moment: two descriptors each and two maps
        for name, was, now in zip(('descriptors of the daemon', 'of the program', 'of SYSTEM',
                                   'mappings of the program'), before[0], counts):
            check(now <= was + 4, '%s: %d, then %d' % (name, was, now))
        for name, was, now in zip(('the daemon', 'the program', 'SYSTEM'), before[1], kb):
            check(SLOW > 1 or now < was + 512, 'memory of %s: %d KiB, then %d'
                  % (name, was, now))
        ends_well(m.process, '')


@test
def who_writes_what_it_likes_harms_no_program_and_no_daemon():
    with Domain() as d, machine(d, program='boot:/crowd.elf serve', first=b'serves\n') as m:
        daemon = daemon_of(d)
        with machine(d, program='boot:/crowd.elf pester', first=b'pesters\n') as honest, \
                m.ask('crowd::serve') as ask:
            before, rounds = resident_kb(daemon), 0
            hostile = [subprocess.Popen([ASK, str(m.session), 'crowd::serve', 'scribble',
                                         '1000', str(SECONDS)], env=d.env,
                                        stdout=subprocess.PIPE, text=True) for _ in range(2)]
            while rounds < 20 or any(p.poll() is None for p in hostile):
                page = bytes([rounds % 251]) * 20
                value, back = ask(rounds + 1, page)
                equal((value, back[:20]), (3 * (rounds + 1),
                                           page[:7] + bytes([page[7] + 1]) + page[8:]),
                      'the answer to an honest question')
                rounds += 1
            print('  %d s, %d honest questions of a host program beside' % (SECONDS, rounds))
            for p in hostile:
                out = p.communicate(timeout=LIMIT)[0]
                equal(p.returncode, 0, 'what the hostile one did (%s)' % out)
            with named(d, 'crowd::go'):
                ends_well(honest.process, 'ok: every answer is right')
        check(m.process.poll() is None, 'the server is there')
        equal(daemon_of(d), daemon, 'the daemon')
        check(SLOW > 1 or resident_kb(daemon) < before + 2048, 'memory of the daemon')


def scribble_as_receiver(domain, seconds):
    """A receiver that answers with whatever comes to its mind; its channel is crowd::hostile."""
    peer = Peer(domain)
    peer.done('name_register', cookie=peer.port(), name='crowd::hostile')
    end = time.monotonic() + LIMIT
    segments = []
    peer.socket.settimeout(0.001)
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            offer, fds = peer.note('ipc_attach')
            for fd in fds:
                os.close(fd)
            fd = memory(SERVER_SEGMENT, seals=0)
            segments.append(mmap.mmap(fd, SERVER_SEGMENT))
            fcntl.fcntl(fd, 1033, SEAL | SHRINK | GROW | FUTURE_WRITE)
            peer.tell('ipc_accept', [fd], connection=offer['connection'])
            os.close(fd)
            if len(segments) == 1:  # so long from the first victim on
                end = time.monotonic() + seconds
        for segment in segments:
            noise = os.urandom(4096)
            segment[:4096] = noise
            for at in range(4096, 8192, 64):  # replies: small sequence numbers, all kinds
                struct.pack_into('<I', segment, at, noise[at // 64 % 64])
                segment[at + 4:at + 64] = os.urandom(60)
            segment[8192:] = os.urandom(SERVER_SEGMENT - 8192)
        peer.bells.map[:] = os.urandom(PAGE)
    peer.close()
    return len(segments)


@test
def a_receiver_that_writes_what_it_likes_harms_only_the_page_it_was_sent():
    with Domain() as d, machine(d, program='boot:/crowd.elf serve', first=b'serves\n'):
        daemon = daemon_of(d)
        attached = []
        hostile = threading.Thread(target=lambda: attached.append(
            scribble_as_receiver(d, SECONDS)))
        with machine(d, program='boot:/crowd.elf pester', first=b'pesters\n') as honest:
            hostile.start()
            victim = machine(d, program='boot:/crowd.elf suffer', first=b'suffers\n')
            hostile.join(SECONDS + LIMIT)
            equal(attached and attached[0] > 0, True, 'somebody has fallen for it')
            with named(d, 'crowd::go'):
                with victim:
                    ends_well(victim.process,
                              'nothing but the page of the message has changed')
                ends_well(honest.process, 'ok: every answer is right')
        equal(daemon_of(d), daemon, 'the daemon')


@test
def only_who_has_received_a_message_answers_it_and_once():
    prints('thief', 'another process answers', 'and once more', 'who waits has heard nothing',
           'that is the answer', 'nobody answers twice')


@test
def names_are_not_mistaken_for_each_other():
    prints('names', 'names with the hash of SYSTEM::VFS are registered', 'and it alone',
           'a name of 64 KiB is its first 255 bytes',
           'of 10 000 names some are registered', 'these are found, and no others',
           'another is not')


@test
def a_name_with_a_nul_ends_the_connection_that_says_it():
    with Domain() as d:
        d.start()
        good = Peer(d)
        cookie = good.port()
        for request in ('name_register', 'name_find', 'name_remove'):
            bad = Peer(d)
            values = {'cookie': cookie} if request == 'name_register' else {}
            bad.begin(request, name='SYSTEM::VFS\0x', **values)
            try:
                bad.reply(bad.tag)
                raise AssertionError('it is answered')
            except (EOFError, ConnectionResetError):
                pass
            good.done('name_register', cookie=cookie, name=request)
            equal(good.done('name_find', name=request)['cookie'], cookie, 'a name')


@test
def a_program_that_cannot_be_loaded_disturbs_nobody():
    with open(os.path.join(os.path.dirname(ASK), 'anos-park.elf'), 'rb') as f:
        park = bytearray(f.read())
    phoff, = struct.unpack_from('<Q', park, 32)
    bad = {}
    for name, address in (('loader', 0x700100000000), ('stack', 0x43fff000), ('wraps', 2**64 - 4096),
                          ('first', None)):
        made = bytearray(park)
        head = made[phoff:phoff + 56]
        if address is None:  # the first segment twice
            address, = struct.unpack_from('<Q', head, 16)
        struct.pack_into('<Q', head, 16, address)
        count, = struct.unpack_from('<H', made, 56)
        made[phoff:phoff + 56 * count] = made[phoff:phoff + 56] + head
        struct.pack_into('<H', made, 56, 2)
        bad[name] = bytes(made[:phoff + 112] + made[phoff + 56 * max(count, 2):])
    with Domain() as d, machine(d, program='boot:/crowd.elf serve', first=b'serves\n') as m, \
            m.ask('SYSTEM::PROCESS') as process, m.ask('crowd::serve') as ask:
        for name, data in bad.items():
            m.put(name + '.elf', data)
            path = b'boot:/%s.elf\0' % name.encode()
            page = struct.pack('<QHH', 0x100000, 1, 0) + path
            value, _ = process(1, page, len(page) + 4)
            check(0 < value < 2 ** 31, '%s: no process %d' % (name, value))
            sentence = line_of(m.process.stderr)
            check(b'cannot run boot:/%s.elf' % name.encode() in sentence or
                  name.encode() in sentence, 'the sentence: %r' % sentence)
            print('  ' + sentence.decode().strip())
            until('its end', lambda: not os.path.exists('/proc/%d' % value))
            equal(ask(5, b'x' * 20)[0], 15, 'an answer of the server')


def line_of(stream):
    class Process:
        stdout = stream
    return line(Process)


run()
