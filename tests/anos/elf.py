#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Anos programs that are not as they should be: what is refused, with which sentence.

elf.py CLOUDOS-EXEC FOLDER: makes the files in FOLDER, runs each, prints what is not as
expected; 1 if there was anything.
"""
import ctypes
import mmap
import os
import struct
import subprocess
import sys

PAGE = 4096
BASE = 0x2000000
LOAD, EXECUTABLE, X86_64 = 1, 2, 62
FIXED = 0x10

# movb $'p' ... : prints one character by int 0x69 with the second token of the initial
# stack (kputchar), then ends with the sixteenth (kill_current_task)
CODE = bytes.fromhex(
    "488b5c2408"          # mov 8(%rsp), %rbx        the capabilities
    "4c8b4b18"            # mov 24(%rbx), %r9        kputchar
    "bf70000000"          # mov $'p', %edi
    "cd69"                # int $0x69
    "4c8b4b18"            # mov 24(%rbx), %r9
    "bf0a000000"          # mov $'\n', %edi
    "cd69"                # int $0x69
    "4c8b8bf8000000"      # mov 248(%rbx), %r9       kill_current_task
    "cd69")               # int $0x69


class Image:
    """A program of one segment; what a test changes stands alone."""

    def __init__(self):
        self.ident = b"\x7fELF\x02\x01\x01" + bytes(9)
        self.type, self.machine, self.entry = EXECUTABLE, X86_64, BASE
        self.phoff, self.phentsize, self.phnum = 64, 56, None
        self.segments = [[LOAD, PAGE, BASE, len(CODE), len(CODE)]]
        self.tail = b""

    def bytes(self):
        count = len(self.segments) if self.phnum is None else self.phnum
        head = self.ident + struct.pack("<HHIQQQIHHHHHH", self.type, self.machine, 1,
                                        self.entry, self.phoff, 0, 0, 64,
                                        self.phentsize, count, 0, 0, 0)
        for kind, offset, address, in_file, in_memory in self.segments:
            head += struct.pack("<IIQQQQQQ", kind, 7, offset, address, address,
                                in_file, in_memory, PAGE)
        return head.ljust(PAGE, b"\0") + CODE + self.tail


failed = 0


def run(name, data, status, text):
    """text is what has to be printed, or part of the sentence when status is not 0."""
    global failed
    path = os.path.join(sys.argv[2], name.replace(" ", "-").replace("/", "-"))
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o755)
    done = subprocess.run([sys.argv[1], "--personality=anos", path],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, check=False)
    good = done.returncode == status
    if status == 0:
        good = good and done.stdout == text and done.stderr == ""
    else:
        lines = done.stderr.splitlines()
        good = good and done.stdout == "" and len(lines) == 1 and text in lines[0]
    print(("ok: " if good else "NOT OK: ") + name)
    if not good:
        failed = 1
        print(f"  ended with {done.returncode}, expected {status}; expected: {text!r}")
        print("  " + (done.stdout + done.stderr)[:500])


def image(**changes):
    made = Image()
    for key, value in changes.items():
        setattr(made, key, value)
    return made.bytes()


def segment(offset=PAGE, address=BASE, in_file=len(CODE), in_memory=len(CODE), kind=LOAD):
    return [kind, offset, address, in_file, in_memory]


run("a small program", image(), 0, "p\n")
run("a type that is none", image(type=77), 0, "p\n")
run("a machine that is none", image(machine=0xbeef), 0, "p\n")
run("other headers between", image(segments=[segment(kind=4, offset=1, address=3),
                                             segment(), segment(kind=0x6474e551)]), 0, "p\n")
run("memory behind the file", image(segments=[segment(in_memory=0x200000)]), 0, "p\n")
run("memory only, above", image(segments=[segment(),
                                          segment(0, 0x44000000, 0, 0x100000)]), 0, "p\n")
# what follows the segment's bytes in the file is seen behind them in memory
run("the last page is filled from the file",
    image(segments=[segment(in_file=1)]), 0, "p\n")

SENTENCES = [
    ("empty", b"", "it is no 64-bit ELF file"),
    ("cut off", image()[:40], "it is no 64-bit ELF file"),
    ("cut off behind its header", image()[:64], "the file ends within its own headers"),
    ("no ELF", b"#!/bin/sh\n" + bytes(100), "it is no 64-bit ELF file"),
    ("32 bits", image(ident=b"\x7fELF\x01\x01\x01" + bytes(9)), "it is no 64-bit ELF file"),
    ("headers behind the end", image(phoff=1 << 40), "the file ends within its own headers"),
    ("headers that wrap", image(phoff=(1 << 64) - 8), "the file ends within its own headers"),
    ("65535 headers", image(phnum=65535), "the file ends within its own headers"),
    ("no headers", image(phnum=0), "it has no segment to load"),
    ("only others", image(segments=[segment(kind=6)]), "it has no segment to load"),
    ("nothing in it", image(segments=[segment(in_file=0, in_memory=0)]),
     "it has no segment to load"),
    ("an unaligned address", image(segments=[segment(address=BASE + 64)]),
     "a segment does not begin on a page boundary"),
    ("an unaligned offset", image(segments=[segment(offset=64)]),
     "a segment does not begin on a page boundary"),
    ("more in the file than in memory", image(segments=[segment(in_file=32, in_memory=16)]),
     "a segment is larger in the file than in memory"),
    ("a segment that ends behind the file", image(segments=[segment(in_file=9999,
                                                                    in_memory=9999)]),
     "the file ends within a segment"),
    ("a segment behind the file", image(segments=[segment(offset=1 << 30)]),
     "the file ends within a segment"),
    ("an offset that wraps", image(segments=[segment(offset=(1 << 64) - PAGE)]),
     "the file ends within a segment"),
    ("a size that wraps", image(segments=[segment(in_memory=(1 << 64) - BASE)]),
     "a segment does not fit into memory"),
    ("an address in the kernel", image(segments=[segment(address=0xffffffff80000000)]),
     "a segment does not fit into memory"),
    ("all of a program's memory", image(segments=[segment(in_memory=(1 << 47) - BASE)]),
     "a segment would cover cloudos itself"),
    ("over the loader", image(segments=[segment(), segment(address=0x700100000000)]),
     "a segment would cover cloudos itself"),
    ("over Linux's stack", image(segments=[segment(), segment(address=0x7ffffffde000)]),
     "a segment would cover cloudos itself"),
    ("the same place twice", image(segments=[segment(), segment()]), "two segments overlap"),
    ("one within another", image(segments=[segment(in_memory=0x10000),
                                           segment(address=BASE + 0x4000)]),
     "two segments overlap"),
    ("one around another", image(segments=[segment(address=BASE + 0x4000),
                                           segment(in_memory=0x10000)]),
     "two segments overlap"),
    ("65 segments", image(phoff=64, segments=[segment(address=BASE + i * PAGE)
                                              for i in range(65)]),
     "it has more than 64 segments"),
    ("over the initial stack", image(segments=[segment(), segment(address=0x43fff000)]),
     "a segment lies where the initial stack does"),
    ("an entry in no segment", image(entry=BASE + 0x10000), "its entry point lies in none"),
    ("an entry at 0", image(entry=0), "its entry point lies in none"),
    ("more memory than there can be", image(segments=[segment(), segment(
        0, 0x100000000, 0, 0x6ff000000000)]), None),
]
for what, data, sentence in SENTENCES:
    if sentence is None:  # reserved only when it is touched: it runs
        run(what, data, 0, "p\n")
    else:
        run(what, data, 126, sentence)

# what Linux gives this user at the first page it gives a program of Anos, too
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
first = libc.mmap(None, PAGE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED,
                  -1, 0)
low = image(segments=[segment(), segment(address=0)])
if first is None:  # NULL is where it was wanted
    run("at the first page", low, 0, "p\n")
else:
    run("at the first page", low, 126, "a segment lies too low in memory for Linux")

folder = os.path.join(sys.argv[2], "folder")
os.mkdir(folder)
done = subprocess.run([sys.argv[1], "--personality=anos", folder], capture_output=True,
                      text=True, check=False)
print("ok: a folder" if done.returncode == 126 and "it is a directory" in done.stderr
      else "NOT OK: a folder")
sys.exit(failed)
