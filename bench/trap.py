# SPDX-License-Identifier: MIT
"""The rows trap.*: what the trap engine costs, and its peers beside it.

Ours and native take turns; a peer runs once and is told as times native, by wall clock,
because a tracer works in another process.  Everything that starts programs does so inside:
bench-launch itself is the guest, so that the start of cloudos-exec is not in the numbers.
qemu-user does not follow exec, so it is put before each program instead; what that program
starts runs natively.
"""
import os
import shutil
import struct
import textwrap

from common import row

PF_X, PT_LOAD = 1, 1
FILES = 20000  # of trap.find and trap.tar

PEERS = {  # name: program, words before the guest, whether it goes before bench-launch
    "proot": ("proot", [], True),
    "qemu": ("qemu-x86_64", [], False),
    "strace": ("strace", ["-f", "-o", "/dev/null"], True),
}


def under(bench, *argv, options=()):
    return bench.under(*argv, engine="trap", options=("--personality=linux", *options))


def peer_ratios(bench, base, key, inside, outside):
    """{peer: times native}; inside and outside make the two command lines of PEERS."""
    ratios = {}
    for name, (program, options, follows) in PEERS.items():
        path = shutil.which(program)
        if path is None:
            ratios[name] = None
        elif bench.peers:
            argv = inside([path, *options]) if follows else outside([path, *options])
            ratios[name] = bench.numbers(argv, [key])[0] / base
    return ratios


# ---- one call ----

def call_row(bench, name, kind, note, options=(), peers=False):
    call = [bench.program("bench-trap-call"), kind]
    loop = call + ["101", "200" if options else "2000"]
    (ours, _), (base, base_wall) = bench.in_turn_all(
        [under(bench, *loop, options=options), loop], ["cpu_ns", "wall_ns"])
    few = call + ["11", "100"]
    beside = peer_ratios(bench, base_wall, "wall_ns", lambda p: p + few,
                         lambda p: p + few) if peers else {}
    return [row(name, ours, base, "ns", f"{note}, CPU time; {ours - base:+.0f} ns", beside)]


def passthrough(bench):
    return call_row(bench, "trap.passthrough", "passthrough", "getppid", peers=True)


def dispatch(bench):
    return call_row(bench, "trap.dispatch", "dispatch", "prctl, which has a handler")


def answered(bench):
    return call_row(bench, "trap.answered", "answered",
                    "io_uring_setup, answered without the kernel")


def miss(bench):
    return call_row(bench, "trap.miss", "passthrough", "getppid, --no-patch",
                    options=("--no-patch",))


def i386(bench):
    path = os.path.join(bench.build, "bench-trap-i386")
    if not os.path.exists(path):
        return [row("trap.i386", None, None, "ns", "missing: a compiler with -m32")]
    rows = []
    for name, words, note in (("trap.i386", ["answered"], "io_uring_setup"),
                              ("trap.i386_passthrough", [], "getppid")):
        call = [path, *words]
        ours, base = bench.in_turn([under(bench, *call), call], "wall_ns")
        rows.append(row(name, ours, base, "ns", f"int $0x80, {note}, wall clock"))
    return rows


# ---- starts and size ----

def start(bench):
    dynamic = shutil.which("true", path="/usr/bin:/bin")
    rows = []
    for name, program in (("trap.start_static", bench.program("bench-true")),
                          ("trap.start_dynamic", dynamic)):
        loop = bench.launch(100, program)
        ours, base = bench.in_turn([under(bench, *loop), loop], "wall_ms")
        beside = peer_ratios(bench, base, "wall_ms", lambda p: p + loop,
                             lambda p: bench.launch(20, *p, program))
        rows.append(row(name, ours, base, "ms",
                        f"a guest starts a guest, wall clock; {ours - base:+.3f} ms",
                        beside))
    return rows


def image(bench):
    """Bytes of the loader that are mapped executable."""
    with open(bench.program("cloudos-loader"), "rb") as file:
        elf = file.read()
    phoff, = struct.unpack_from("<Q", elf, 32)
    phentsize, phnum = struct.unpack_from("<HH", elf, 54)
    text = 0
    for n in range(phnum):
        kind, flags, _, _, _, _, size, _ = struct.unpack_from("<IIQQQQQQ", elf,
                                                              phoff + n * phentsize)
        if kind == PT_LOAD and flags & PF_X:
            text += size
    return [row("trap.image", float(text), None, "B", "the loader's executable segments")]


# ---- real work ----

def work(bench, name, count, argv):
    """CPU time and wall clock of the same runs, a row each; peers by wall clock."""
    loop = bench.launch(count, *argv)
    (ours, ours_wall), (base, base_wall) = bench.in_turn_all(
        [under(bench, *loop), loop], ["cpu_ms", "wall_ms"])
    once = bench.launch(1, *argv)
    beside = peer_ratios(bench, base_wall, "wall_ms", lambda p: p + once,
                         lambda p: bench.launch(1, *p, *argv))
    return [row(name, ours, base, "ms", "CPU time"),
            row(name + ".wall", ours_wall, base_wall, "ms", "wall clock", beside)]


def needed(name, program, package):
    path = shutil.which(program, path="/usr/bin:/bin") or shutil.which(program)
    if path:
        return path, None
    return None, [row(name, None, None, "ms", f"missing: apt install {package}")]


def tree(bench):
    """A folder with FILES small files, made once."""
    top = os.path.join(bench.work, "tree")
    for n in range(FILES if not os.path.isdir(top) else 0):
        folder = os.path.join(top, str(n % 20), str(n // 20 % 20))
        if n < 400:
            os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, str(n)), "wb") as file:
            file.write(b"x" * (n % 3000))
    return top


def find(bench):
    program, absent = needed("trap.find", "find", "findutils")
    return absent or work(bench, "trap.find", 3,
                          [program, tree(bench), "-size", "+1k", "-name", "*1*"])


def tar(bench):
    program, absent = needed("trap.tar", "tar", "tar")
    return absent or work(bench, "trap.tar", 1,
                          [program, "cf", os.path.join(bench.work, "tree.tar"),
                           "-C", tree(bench), "."])


def gcc(bench):
    program, absent = needed("trap.gcc", "gcc", "gcc")
    if absent:
        return absent
    source = os.path.join(bench.work, "trap_work.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
        for n in range(6):
            file.write(textwrap.dedent(f"""\
                int g{n}(int a, char *s) {{
                    for (int i = 0; i < a; i++)
                        if (s[i] % {n + 2} == 1) a += (int) strtol(s + i, 0, {n % 6 + 2});
                    return a > {n} ? printf("%d %s", a, s) : (int) strlen(s) * {n};
                }}
                """))
    return work(bench, "trap.gcc", 3, [program, "-O2", "-c", "-o",
                                       os.path.join(bench.work, "trap_work.o"), source])


def python(bench):
    program, absent = needed("trap.python", "python3", "python3")
    return absent or work(bench, "trap.python", 20, [program, "-c", "pass"])


def sqlite(bench):
    program, absent = needed("trap.sqlite", "sqlite3", "sqlite3")
    if absent:
        return absent
    database = os.path.join(bench.work, "trap.db")
    script = os.path.join(bench.work, "trap.sql")
    with open(script, "w", encoding="utf-8") as file:
        file.write("pragma synchronous = off; drop table if exists t;\n"
                   "create table t (n integer primary key, s text);\n")
        for n in range(200):
            file.write("begin;\n" + "".join(
                f"insert into t values ({n * 200 + k}, 'row {n} {k}');\n"
                for k in range(200)) + "commit;\n")
    return work(bench, "trap.sqlite", 3, [program, database, f".read {script}"])


def dd(bench):
    program, absent = needed("trap.dd", "dd", "coreutils")
    return absent or work(bench, "trap.dd", 3,
                          [program, "if=/dev/zero", "of=/dev/null", "bs=1",
                           "count=300000", "status=none"])


def bash_spawn(bench):
    program, absent = needed("trap.bash_spawn", "bash", "bash")
    true = shutil.which("true", path="/bin:/usr/bin")
    return absent or work(bench, "trap.bash_spawn", 3,
                          [program, "-c", f"for ((i = 0; i < 200; i++)); do {true}; done"])


FAMILIES = [
    ("trap.passthrough", passthrough),
    ("trap.dispatch", dispatch),
    ("trap.answered", answered),
    ("trap.miss", miss),
    ("trap.i386", i386),
    ("trap.start", start),
    ("trap.image", image),
    ("trap.find", find),
    ("trap.tar", tar),
    ("trap.gcc", gcc),
    ("trap.python", python),
    ("trap.sqlite", sqlite),
    ("trap.dd", dd),
    ("trap.bash_spawn", bash_spawn),
]
