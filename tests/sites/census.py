# SPDX-License-Identifier: MIT
"""The scanner against objdump: every system call of real files, and what is before it.

objdump decodes forward from symbols and sections on its own; the two agree on each site,
on the bytes of the instruction before it and on the numbers that are loaded.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rpartition('/')[0] + '/../fault')
from harness import BUILD, Skip, check, equal, run, test  # noqa: E402

CENSUS = os.path.join(BUILD, 'site-census')
SITES = {'syscall': 1, 'int $0x80': 2, 'int $0x69': 3, 'sysenter': 4}
STAYS = re.compile(r'(call|j[a-z]+|ret|ud[012]|hlt|syscall|sysenter|int|loop|endbr|xbegin|\(bad\)|notrack|bnd)')
NUMBER, RIP, TARGET, MEMORY, STACK, LINEAR, KEEP = [1 << i for i in range(7)]


class Row:
    def __init__(self, line):
        parts = line.split()
        self.offset = int(parts[0], 16)
        self.kind, self.length, self.flags, self.field, self.number = map(int, parts[1:6])
        self.bytes = parts[6]


def census(path):
    r = subprocess.run([CENSUS, path], capture_output=True, text=True)
    equal(r.returncode, 0, 'the census of %s (%s)' % (path, r.stderr.strip()))
    return [Row(line) for line in r.stdout.splitlines()]


def segments(path):
    """[(offset, vaddr, size)] of what is loaded as code."""
    out = []
    with open(path, 'rb') as f:
        head = f.read(64)
        wide = head[4] == 2
        at, = struct.unpack_from('<Q' if wide else '<I', head, 32 if wide else 28)
        size, n = struct.unpack_from('<HH', head, 54 if wide else 42)
        for i in range(n):
            f.seek(at + i * size)
            p = f.read(size)
            if wide:
                kind, flags, offset, vaddr, _, length = struct.unpack_from('<IIQQQQ', p)
            else:
                kind, offset, vaddr, _, length, _, flags = struct.unpack_from('<7I', p)
            if kind == 1 and flags & 1:
                out.append((offset, vaddr, length))
    return out


def disassembled(path):
    """{offset in the file: (kind, bytes before it, text before it)} as objdump has it."""
    if not shutil.which('objdump'):
        raise Skip('objdump is missing: apt install binutils')
    code, out, before = segments(path), {}, None
    objdump = subprocess.Popen(['objdump', '-dw', path], stdout=subprocess.PIPE, text=True,
                               errors='replace')
    for line in objdump.stdout:
        parts = line.rstrip('\n').split('\t')
        if len(parts) < 3 or not parts[0].endswith(':'):
            continue
        at, raw = int(parts[0][:-1], 16), parts[1].replace(' ', '')
        text = ' '.join(parts[2].split())
        if text in SITES and len(raw) == 4:
            where = [o + at - v for o, v, n in code if v <= at < v + n]
            if where and before and before[0] + len(before[1]) // 2 == at:
                out[where[0]] = SITES[text], before[1], before[2]
            elif where:
                out[where[0]] = SITES[text], '', ''
        before = at, raw, text
    equal(objdump.wait(), 0, 'objdump of ' + path)
    return out


def loaded(text):
    found = re.fullmatch(r'movq? +\$0x([0-9a-f]+),%[er]ax', text)
    if found:
        return int(found.group(1), 16)
    return 0 if text in ('xor %eax,%eax', 'sub %eax,%eax') else None


def agree(path, least, all_have_rows=False):
    rows = {row.offset: row for row in census(path)}
    there = disassembled(path)
    movable = {at for at, (_, raw, text) in there.items() if raw and not STAYS.match(text)}
    check(len(there) >= least, '%s has %d system calls' % (path, len(there)))
    equal(sorted(rows), sorted(movable), 'sites with a row in ' + path)
    if all_have_rows:
        equal(len(rows), len(there), 'rows for the system calls of ' + path)
    for at, row in rows.items():
        kind, raw, text = there[at]
        where = '%s+%#x behind "%s"' % (path, at, text)
        equal((row.kind, row.bytes, row.length), (kind, raw, len(raw) // 2), where)
        equal(row.number if row.flags & NUMBER else None, loaded(text), 'number at ' + where)
        equal(bool(row.flags & RIP), '(%rip)' in text, 'rip at ' + where)
        if row.flags & RIP:
            distance = int.from_bytes(bytes.fromhex(raw[2 * row.field:2 * row.field + 8]),
                                      'little', signed=True)
            shown = int(re.search(r'(-?0x[0-9a-f]+)\(%rip\)', text).group(1), 16)
            equal(distance, shown, 'displacement at ' + where)
        if '(' not in text and ':' not in text and not text.startswith('p'):
            check(not row.flags & MEMORY, 'memory at ' + where)
    print('# %s: %d system calls, %d rows' % (path, len(there), len(rows)))
    return rows, there


def mapped(name):
    """The file of that name in this process."""
    with open('/proc/self/maps') as f:
        for line in f:
            if name in line:
                return os.path.realpath(line.split(maxsplit=5)[5].strip())
    raise Skip('%s is not loaded here' % name)


@test
def every_system_call_of_the_c_library_has_a_row():
    rows, _ = agree(mapped('libc.so.6'), 400, all_have_rows=True)
    check(sum(1 for r in rows.values() if r.length >= 5) > 300, 'long predecessors')
    check(not any(r.flags & LINEAR for r in rows.values()
                  if r.flags & NUMBER and r.number == 1), 'write is not decoded from its function')
    keep = [r for r in rows.values() if r.flags & KEEP]
    check(keep and all(r.number == 15 for r in keep), 'sigreturn is not kept')


@test
def every_system_call_of_the_dynamic_linker_has_a_row():
    agree(mapped('ld-linux'), 30, all_have_rows=True)


@test
def a_static_program_of_glibc_is_decoded_by_its_unwind_table():
    busybox = shutil.which('busybox')
    if not busybox:
        raise Skip('busybox is missing: apt install busybox-static')
    agree(busybox, 100 if b'libc.so.6' not in open(busybox, 'rb').read() else 0)


@test
def musl_is_decoded_without_an_unwind_table():
    musl = '/usr/lib/x86_64-linux-musl/libc.so'
    if not os.path.exists(musl):
        raise Skip('musl is missing: apt install musl-tools')
    rows, _ = agree(musl, 300, all_have_rows=True)
    check(any(r.flags & LINEAR for r in rows.values()), 'nothing was decoded linearly')
    check(any(r.flags & TARGET for r in rows.values()), 'no jump leads to a system call')


def compiled(folder, source, *command):
    with open(folder + '/p.c', 'w') as f:
        f.write(source)
    r = subprocess.run([*command, '-o', folder + '/p', folder + '/p.c'],
                       capture_output=True, text=True)
    if r.returncode:
        raise Skip('%s does not compile here: %s' % (command[0], r.stderr.strip()[:200]))
    return folder + '/p'


@test
def a_static_musl_program_without_symbols_has_its_rows():
    if not shutil.which('musl-gcc'):
        raise Skip('musl-gcc is missing: apt install musl-tools')
    with tempfile.TemporaryDirectory() as folder:
        agree(compiled(folder, '#include <stdio.h>\nint main(void) { return puts("x"); }',
                       'musl-gcc', '-static', '-s'), 20)


@test
def a_go_program_has_its_rows():
    go = shutil.which('gofmt')
    if not go:
        raise Skip('Go is missing: apt install golang-go')
    agree(os.path.realpath(go), 10)


SMALL32 = r"""
__asm__(".globl _start\n_start: mov $20,%eax\n int $0x80\n mov %edx,%edi\n int $0x80\n"
        " mov $119,%eax\n int $0x80\n call 1f\n1: int $0x80\n mov $4,%eax\n sysenter\n");
"""


@test
def i386_code_is_decoded_as_such():
    with tempfile.TemporaryDirectory() as folder:
        path = compiled(folder, SMALL32, 'gcc', '-m32', '-nostdlib', '-static')
        rows, there = agree(path, 5)
        equal((len(there), len(rows)), (5, 4), 'system calls, and rows: not behind a call')
        equal([r.kind for r in rows.values()], [2, 2, 2, 4], 'kinds')
        equal([r.flags & KEEP for r in rows.values()], [0, 0, KEEP, 0], 'sigreturn')


TRICKS = r"""
__asm__(".globl _start\n_start: .cfi_startproc\n mov $1,%eax\n syscall\n"
        " jmp 2f\n 1: .byte 0xb8\n 2: .byte 1,0,0,0\n syscall\n"   /* into the middle */
        " mov one(%rip),%eax\n syscall\n"                           /* relative to rip */
        " endbr64\n syscall\n"                                      /* an arrival */
        " jmp 3f\n mov $5,%eax\n 3: syscall\n"                      /* to the site: fine */
        " rex.w syscall\n"
        " popf\n syscall\n int $0x69\n"
        " mov $7,%eax\n int $0x69\n mov $9,%eax\n int $0x80\n"
        " .cfi_endproc\n .data\n one: .long 1\n");
"""


@test
def what_must_not_be_moved_has_no_row():
    with tempfile.TemporaryDirectory() as folder:
        rows = census(compiled(folder, TRICKS, 'gcc', '-nostdlib', '-static', '-O0'))
        equal([(r.kind, r.number, r.flags) for r in rows],
              [(1, 1, NUMBER), (1, 0, RIP | MEMORY), (1, 5, NUMBER | TARGET),
               (3, 7, NUMBER), (2, 9, NUMBER)], 'kind, number and flags of the rows')


DATA = r"""
__asm__(".globl _start\n_start: mov $1,%eax\n syscall\n ret\n .byte 0x06,0x06,0x06\n"
        " mov $2,%eax\n syscall\n .fill 40,1,0x90\n mov $3,%eax\n syscall\n");
"""


@test
def behind_what_is_no_instruction_nothing_counts_for_a_while():
    with tempfile.TemporaryDirectory() as folder:
        rows = census(compiled(folder, DATA, 'gcc', '-nostdlib', '-static',
                               '-fno-asynchronous-unwind-tables'))
        equal([r.number for r in rows], [1, 3], 'numbers of the rows')


if __name__ == '__main__':
    run()
