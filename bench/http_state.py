# SPDX-License-Identifier: MIT
"""The rows http.put* and http.list: state over the gateway.

A put is answered when it is on the disk, so a client cannot be faster than the fsync of that
disk: beside http.put1 and http.put32 stands bare SQLite with the same statements and batches
in the same run; http.*_memory, on a tmpfs where fsync costs nothing, is the program itself.
"""
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

from common import BenchError, row

ROUNDS = 15
ROUND_MS = 400
KEYS = 100000


@contextlib.contextmanager
def daemon(bench, folder):
    os.makedirs(os.path.join(folder, "config"), mode=0o700)
    with open(os.path.join(folder, "config/cloudosd.yaml"), "w", encoding="ascii") as f:
        f.write("http:\n  port: 0\n")
    env = dict(os.environ, CLOUDOS_DIR=folder)
    ctl = os.path.join(bench.build, "cloudosctl")
    started = subprocess.run([ctl, "daemon", "start"], env=env, capture_output=True,
                             text=True, check=False)
    if started.returncode:
        raise BenchError(started.stderr.strip())
    try:
        yield os.path.join(folder, "run/http.sock")
    finally:
        subprocess.run([ctl, "daemon", "stop", "--force"], env=env, capture_output=True,
                       check=False)


def run(bench, *words):
    out = subprocess.run([os.path.join(bench.build, "bench-http-put"), *map(str, words)],
                         capture_output=True, text=True, check=False)
    if out.returncode:
        raise BenchError(out.stderr.strip())
    return json.loads(out.stdout)


def puts(name, clients):
    def measure(bench):
        with tempfile.TemporaryDirectory(prefix="co-http-") as folder, \
                daemon(bench, folder) as path:
            ours, base = [], []
            for _ in range(ROUNDS):
                ours.append(run(bench, "put", path, clients, ROUND_MS))
                base.append(run(bench, "bare", folder, clients, ROUND_MS))
        # the disk is not the same from one second to the next: neighbours are compared
        middle = sorted(zip(ours, base), key=lambda r: r[0]["rate"] / r[1]["rate"])[ROUNDS // 2]
        middle, beside = middle
        return [row(name, middle["rate"], beside["rate"], "/s",
                    f"durable PUTs, {clients} at a time, p50 {middle['p50_us']:.0f} us, "
                    f"p99 {middle['p99_us']:.0f} us; base: bare SQLite, as many to a commit")]
    return measure


def puts_in_memory(name, clients):
    def measure(bench):
        if not os.access("/dev/shm", os.W_OK):
            raise BenchError("no /dev/shm")
        with tempfile.TemporaryDirectory(prefix="co-http-", dir="/dev/shm") as folder, \
                daemon(bench, folder) as path:
            ours = max((run(bench, "put", path, clients, ROUND_MS) for _ in range(ROUNDS)),
                       key=lambda r: r["rate"])
        return [row(name, ours["rate"], None, "/s",
                    f"the same on a tmpfs, best of {ROUNDS} rounds: p50 {ours['p50_us']:.0f} us, "
                    f"p99 {ours['p99_us']:.0f} us")]
    return measure


# ---- /health beside a long list and a slow disk ----

def ask(s, text):
    """One request; its body."""
    s.sendall(text.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    chunked = b"chunked" in head.lower()
    length = 0 if chunked else int(head.lower().split(b"content-length:")[1].split()[0])
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
        body += s.recv(1 << 20)
    return body


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(path)
    return s


def put_many(path):
    with connect(path) as s:
        for first in range(0, KEYS, 100):
            ops = json.dumps({"ops": [{"op": "put", "key": f"k{i:06}", "value": {"n": i}}
                                      for i in range(first, first + 100)]})
            ask(s, "POST /v1/sys/state/tx HTTP/1.1\r\nHost: localhost\r\n"
                   f"Content-Length: {len(ops)}\r\n\r\n{ops}")


def list_all(path, end, lists):
    with connect(path) as s:
        while time.monotonic() < end:
            ask(s, "GET /v1/sys/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
            lists.append(1)


def slow_disk(folder, end):
    """Somebody else's writes that have to reach the disk: what fsync waits behind."""
    with open(os.path.join(folder, "ballast"), "wb") as f:
        while time.monotonic() < end:
            f.seek(0)
            f.write(os.urandom(4 << 20))
            f.flush()
            os.fsync(f.fileno())


def health_beside(bench):
    times, lists = [], []
    with tempfile.TemporaryDirectory(prefix="co-http-") as folder, \
            daemon(bench, folder) as path:
        put_many(path)
        end = time.monotonic() + 8
        others = [threading.Thread(target=list_all, args=(path, end, lists)),
                  threading.Thread(target=slow_disk, args=(folder, end)),
                  threading.Thread(target=run, args=(bench, "put", path, 32, 8000))]
        for thread in others:
            thread.start()
        with connect(path) as s:
            while time.monotonic() < end:
                began = time.monotonic()
                ask(s, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                times.append(time.monotonic() - began)
                time.sleep(0.002)
        for thread in others:
            thread.join()
    times.sort()
    if not lists:
        raise BenchError("no list was complete")
    return [row("http.list", times[-1 - len(times) // 100] * 1e3, None, "ms",
                f"p99 of /health while {KEYS} keys are listed ({len(lists)} times), 32 clients "
                f"put, and others make fsync slow; p50 {times[len(times) // 2] * 1e3:.2f} ms, "
                f"worst {times[-1] * 1e3:.1f} ms")]


FAMILIES = [
    ("http.put1", puts("http.put1", 1)),
    ("http.put32", puts("http.put32", 32)),
    ("http.put1_memory", puts_in_memory("http.put1_memory", 1)),
    ("http.put32_memory", puts_in_memory("http.put32_memory", 32)),
    ("http.list", health_beside),
]
