# SPDX-License-Identifier: MIT
"""The rows ipc.*: messages between two programs, and the least that could carry them.

Numbers are the medians of many batches within one run; sides take turns.
"""
import json
import os
import statistics
import subprocess
import time

from common import PATIENCE, BenchError, row

CALLS = 100000
MS = "200"
SIZES = (0, 64, 4096)
ROUNDS = 3
PEERS = ("seqpacket", "dbus", "zmq")
NOT_INSTALLED = 77
CHANNELS = (1, 2, 4, 8)
BLOCKED = 64
CREATED = 1000


def on_cpus(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def start(bench, cpus, *argv, options=()):
    """An Anos program with its launcher, on those CPUs."""
    return subprocess.Popen(
        [bench.program("cloudos-exec"), *options, bench.program(argv[0]), *argv[1:]],
        env=bench.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, preexec_fn=on_cpus(set(cpus)))


def printed(process, keys):
    """Its numbers, once it has ended."""
    out = err = ""
    try:
        out, err = process.communicate(timeout=PATIENCE)
        numbers = json.loads(out)
        if numbers.get("failed"):
            raise BenchError(f"{process.args}: {numbers['failed']} calls failed")
        return [float(numbers[key]) for key in keys]
    except (subprocess.TimeoutExpired, ValueError, KeyError, AttributeError) as error:
        raise BenchError(f"{process.args}: {error}; it said: {(out + err).strip()}") \
            from error


def end(*processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def guests(bench, cpus, size, options=(), calls=CALLS, keys=("ticks",)):
    """Numbers of calls between two Anos programs, each on its CPU."""
    server = start(bench, cpus[:1], "bench-anos-pong.elf", options=options)
    client = start(bench, cpus[1:], "bench-anos-ping.elf", str(size), str(calls),
                   options=options)
    try:
        return printed(client, keys)
    finally:
        try:
            server.communicate(timeout=PATIENCE if client.returncode == 0 else 1)
        except subprocess.TimeoutExpired:
            pass
        end(client, server)


def bare(bench, kind, where, size):
    return bench.numbers([bench.program("bench-ipc"), kind, where, str(size), MS],
                         ["wall_ns"])[0]


def peer(bench, kind, where, size):
    """The same of what others made; None: not installed."""
    argv = [bench.program("bench-ipc"), kind, where, str(size), MS]
    done = subprocess.run(argv, env=bench.env, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode == NOT_INSTALLED:
        return None
    try:
        return float(json.loads(done.stdout)["wall_ns"])
    except (ValueError, KeyError) as error:
        raise BenchError(f"{' '.join(argv)}: {done.stderr.strip()}") from error


def ticks_per_ns(bench):
    return bench.numbers([bench.program("bench-ipc"), "ticks"], ["per_ns"])[0]


def beside(times, where, size):
    """Ours against the fastest of the peers that are installed."""
    there = {name: times[name] for name in PEERS if times.get(name)}
    fastest = min(there, key=there.get)
    missing = [name for name in PEERS if name not in there]
    return row(f"ipc.{where}{size}.peer", times["ours"], there[fastest], "ns",
               f"{size} bytes, base {fastest}, the fastest of {', '.join(there)}"
               + (f"; not installed: {', '.join(missing)}" if missing else ""))


def round_trips(bench, where, base, words):
    cpus = (0, 1) if where == "two" else (0, 0)
    per_ns = ticks_per_ns(bench)
    rows, medians = [], {}
    for size in SIZES:
        got = {"ours": [], "base": []}
        for _ in range(ROUNDS):
            got["ours"].append(guests(bench, cpus, size)[0] / per_ns)
            got["base"].append(bare(bench, base, where, size))
            for name in PEERS if bench.peers else ():
                got.setdefault(name, []).append(peer(bench, name, where, size))
        times = {name: None if None in numbers else statistics.median(numbers)
                 for name, numbers in got.items()}
        medians[size] = times["ours"]
        peers = {name: times[name] and times[name] / times["base"]
                 for name in PEERS if name in times}
        rows.append(row(f"ipc.{where}{size}", times["ours"], times["base"], "ns",
                        f"Anos to Anos, {words}, {size} bytes", peers))
        if bench.peers:
            rows.append(beside(times, where, size))
    return rows, medians


def two(bench):
    if len(os.sched_getaffinity(0)) < 2:
        return [row("ipc.two0", None, None, "ns", "this machine has one CPU")]
    rows, medians = round_trips(bench, "two", "shm", "two CPUs, base bare shared memory")
    return rows + [row("ipc.page", medians[4096], medians[0], "ns",
                       "4096 bytes, base 0 bytes; "
                       f"{medians[4096] - medians[0]:+.0f} ns"),
                   row("ipc.calls", 1e9 / medians[0], None, "calls/s",
                       "Anos to Anos, one channel, two CPUs, 0 bytes")]


def same(bench):
    return round_trips(bench, "same", "futex", "one CPU, base a bare futex")[0]


def ring(bench):
    rows = []
    for size in (*SIZES, "4096f"):
        ours, base = bench.in_turn(
            [[bench.program("bench-ipc"), kind, "two", str(size), MS]
             for kind in ("ring", "shm")], "wall_ns")
        rows.append(row(f"ipc.ring{size}", ours, base, "ns",
                        "the ring between host processes, base bare shared memory"))
    return rows


def idle(bench):
    """CPU time of an Anos server that nobody talks to any more, in a second."""
    server = subprocess.Popen(
        [bench.program("cloudos-exec"), bench.program("bench-anos-pong.elf")],
        env=bench.env, stdin=subprocess.DEVNULL)

    def used():
        total = 0
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == server.pid or int(pid) == server.pid:
                total += int(fields[11]) + int(fields[12])
        return total * 1000 / os.sysconf("SC_CLK_TCK")

    try:
        time.sleep(1)
        before = used()
        time.sleep(3)
        return [row("ipc.idle", (used() - before) / 3, None, "ms",
                    "CPU time of a server that waits, in a second")]
    finally:
        server.terminate()
        server.wait()


def parts(bench):
    """Sending, receiving and replying, each alone: nobody is waited for."""
    if len(os.sched_getaffinity(0)) < 2:
        return [row("ipc.send0", None, None, "ns", "this machine has one CPU")]
    per_ns, rows = ticks_per_ns(bench), []
    for size in SIZES:
        got = {"send": [], "recv": [], "reply": []}
        for _ in range(ROUNDS):
            got["send"].append(bench.numbers(
                [bench.program("bench-ipc"), "ring", "two", str(size), MS],
                ["send_ticks"])[0])
            server = start(bench, {0}, "bench-anos-pong.elf", "parts")
            client = start(bench, {1}, "bench-anos-ping.elf", str(size), "8192")
            try:
                printed(client, ["ticks"])
                for name, number in zip(("recv", "reply"),
                                        printed(server, ["recv", "reply"])):
                    got[name].append(number)
            finally:
                end(client, server)
        notes = {"send": "ring_begin and ring_post of the ring between host processes",
                 "recv": "recv_message of a message that is there, in a guest",
                 "reply": "reply_message to a sender that waits awake, in a guest"}
        rows += [row(f"ipc.{name}{size}", statistics.median(got[name]) / per_ns, None,
                     "ns", f"{note}, {size} bytes, two CPUs")
                 for name, note in notes.items()]
    return rows


def scale(bench):
    """Calls a second over many channels, a service thread each, between two guests."""
    cpus = os.sched_getaffinity(0)
    per_ns, rows, one = ticks_per_ns(bench), [], None
    for channels in CHANNELS:
        rates = []
        for _ in range(ROUNDS):
            server = start(bench, cpus, "bench-anos-many.elf", "serve", str(channels))
            client = start(bench, cpus, "bench-anos-many.elf", "call", str(channels),
                           str(CALLS // channels))
            try:
                ticks = printed(client, ["ticks"])[0]
                rates.append(CALLS // channels * channels / (ticks / per_ns) * 1e9)
                server.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise BenchError(f"{server.args} does not end") from error
            finally:
                end(client, server)
        rate = statistics.median(rates)
        one = one or rate
        enough = 2 * channels <= len(cpus)
        rows.append(row(f"ipc.scale{channels}", rate, one * channels if enough else None,
                        "calls/s", f"{channels} channels, {2 * channels} threads on "
                        f"{len(cpus)} CPUs, wall clock of all"
                        + (f", base {channels} x one channel" if enough else
                           ": more than there is room for")))
    return rows


def names(bench):
    per_ns = ticks_per_ns(bench)
    ticks = [printed(start(bench, {0}, "bench-anos-many.elf", "find", "1000"),
                     ["ticks"])[0] for _ in range(ROUNDS)]
    return [row("ipc.find", statistics.median(ticks) / per_ns, None, "ns",
                "find_named_channel of a name that was found before, in a guest")]


def connection(bench):
    per_ns, got = ticks_per_ns(bench), []
    for _ in range(ROUNDS):
        cpus = os.sched_getaffinity(0)
        server = start(bench, cpus, "bench-anos-many.elf", "fresh", "50")
        client = start(bench, cpus, "bench-anos-many.elf", "open", "50")
        try:
            got.append([ticks / per_ns / 1000
                        for ticks in printed(client, ["first", "second"])])
        finally:
            end(client, server)
    # six wake-ups of three processes: whatever else runs comes in between
    first, second = (min(medians) for medians in zip(*got))
    return [row("ipc.open", first - second, None, "us",
                f"a fresh connection: what the first call takes ({first:.0f} us) more than "
                f"the second ({second:.0f} us), the receiver asleep; best of {ROUNDS} rounds")]


def child_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        children = file.read().split()
    if len(children) != 1:
        raise BenchError(f"cloudos-exec has {len(children)} children, not one")
    return children[0]


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def await_line(process, line):
    for got in process.stdout:
        if got == line + "\n":
            return
    raise BenchError(f"{process.args} has not said \"{line}\"")


def death(bench):
    """A server is killed: until the last of those who wait for it goes on."""
    per_ns, got = ticks_per_ns(bench), []
    for _ in range(ROUNDS):
        cpus = os.sched_getaffinity(0)
        server = start(bench, cpus, "bench-anos-many.elf", "hold", str(BLOCKED))
        client = start(bench, cpus, "bench-anos-many.elf", "blocked", str(BLOCKED))
        try:
            await_line(server, "held")
            time.sleep(0.1)  # most likely all of them sleep by now
            killed = bench.numbers([bench.program("bench-ipc"), "kill", child_of(server)],
                                   ["tick"])[0]
            got.append((printed(client, ["tick"])[0] - killed) / per_ns / 1e6)
        finally:
            end(client, server)
    return [row("ipc.death", statistics.median(got), None, "ms",
                f"kill -9 of a server: until the last of {BLOCKED} callers goes on")]


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise BenchError(f"/proc/{pid}/smaps_rollup has no Pss")


def memory(bench):
    idle, message = bench.numbers([bench.program("bench-ipc"), "memory"],
                                  ["idle", "message"])
    before = resident(bench.daemon())
    process = start(bench, os.sched_getaffinity(0), "bench-anos-many.elf", "create",
                    str(CREATED))
    try:
        await_line(process, '{"failed": 0}')
        channel = (resident(bench.daemon()) - before) / CREATED
    finally:
        end(process)
    return [row("ipc.memory.channel", channel, None, "bytes",
                f"of the daemon, for each of {CREATED} channels that nobody uses"),
            row("ipc.memory.connection", idle, None, "bytes",
                "of shared memory, once it has carried a call"),
            row("ipc.memory.message", message, None, "bytes",
                "of shared memory, for each page in flight; kept for the next")]


def no_patch(bench):
    """Calls that trap one by one: slower, and what the program sees is the same."""
    per_ns, got = ticks_per_ns(bench), []
    for options in (("--no-patch",), ()):
        ticks, total = guests(bench, (0, 1), 4096, options, 8192, ("ticks", "sum"))
        got.append((ticks / per_ns, total))
    if got[0][1] != got[1][1]:
        raise BenchError("the answers are others with --no-patch")
    return [row("ipc.no_patch", got[0][0], got[1][0], "ns",
                "Anos to Anos, two CPUs, --no-patch, base patched; identical answers")]


def messages(bench):
    """CloudOS's messages, through shared memory and by system call."""
    rows = []
    for size in SIZES:
        sides = [bench.under(bench.program("bench-message"), way, str(size))
                 for way in ("direct", "call")]
        ours, base = bench.in_turn(sides, "wall_ns")
        rows.append(row(f"ipc.message{size}", ours, base, "ns",
                        f"cloudos_ipc_send and _receive of {size} bytes, notify, "
                        "base by system call"))
    return rows


FAMILIES = [
    ("ipc.message", messages),
    ("ipc.two", two),
    ("ipc.same", same),
    ("ipc.parts", parts),
    ("ipc.scale", scale),
    ("ipc.memory", memory),
    ("ipc.find", names),
    ("ipc.open", connection),
    ("ipc.death", death),
    ("ipc.no_patch", no_patch),
    ("ipc.ring", ring),
    ("ipc.idle", idle),
]
