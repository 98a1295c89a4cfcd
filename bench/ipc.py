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


def on_cpus(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def guests(bench, cpus, size, options=()):
    """Ticks of one call between two Anos programs, each on its CPU."""
    def start(cpu, *argv):
        return subprocess.Popen(
            [bench.program("cloudos-exec"), *options, *argv], env=bench.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=on_cpus({cpu}))

    server = start(cpus[0], bench.program("bench-anos-pong.elf"))
    client = start(cpus[1], bench.program("bench-anos-ping.elf"), str(size), str(CALLS))
    try:
        out, err = client.communicate(timeout=PATIENCE)
        server.communicate(timeout=PATIENCE)
        return float(json.loads(out)["ticks"])
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise BenchError(f"bench-anos-ping: {error}; it said: {(out + err).strip()}") \
            from error
    finally:
        for process in (client, server):
            if process.poll() is None:
                process.kill()
                process.communicate()


def bare(bench, kind, where, size):
    return bench.numbers([bench.program("bench-ipc"), kind, where, str(size), MS],
                         ["wall_ns"])[0]


def ticks_per_ns(bench):
    return bench.numbers([bench.program("bench-ipc"), "ticks"], ["per_ns"])[0]


def round_trips(bench, where, base, words):
    cpus = (0, 1) if where == "two" else (0, 0)
    per_ns = ticks_per_ns(bench)
    rows, medians = [], {}
    for size in SIZES:
        got = {"ours": [], "base": [], "seqpacket": []}
        for _ in range(ROUNDS):
            got["ours"].append(guests(bench, cpus, size) / per_ns)
            got["base"].append(bare(bench, base, where, size))
            if bench.peers:
                got["seqpacket"].append(bare(bench, "seqpacket", where, size))
        ours, least = statistics.median(got["ours"]), statistics.median(got["base"])
        medians[size] = ours
        peers = {"seqpacket": statistics.median(got["seqpacket"]) / least} \
            if got["seqpacket"] else {}
        rows.append(row(f"ipc.{where}{size}", ours, least, "ns",
                        f"Anos to Anos, {words}, {size} bytes", peers))
    return rows, medians


def two(bench):
    if len(os.sched_getaffinity(0)) < 2:
        return [row("ipc.two0", None, None, "ns", "this machine has one CPU")]
    rows, medians = round_trips(bench, "two", "shm", "two CPUs, base bare shared memory")
    return rows + [row("ipc.page", medians[4096], medians[0], "ns",
                       "4096 bytes, base 0 bytes; "
                       f"{medians[4096] - medians[0]:+.0f} ns")]


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


FAMILIES = [("ipc.two", two), ("ipc.same", same), ("ipc.ring", ring), ("ipc.idle", idle)]
