# SPDX-License-Identifier: MIT
"""The row http.job: jobs from their creation to their result, each of the three steps (queued,
running, completed) on the disk before the next.  On a tmpfs, where fsync costs nothing; client
and handler are Python, and share the machine with the daemon."""
import json
import os
import socket
import sys
import tempfile
import threading
import time

from common import BenchError, row
from http_state import daemon

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = 4000
AT_ONCE = 32


def handler(wire, path, done, ready):
    c = wire.Connection("unix:" + path)
    c.send(wire.HELLO, 0, b'{"maxConcurrency":1000}')
    c.send(wire.REGISTER, 1, b'{"jobs":["work"]}')
    ended = 0
    while ended < JOBS:
        kind, number, _ = c.receive()
        if kind == wire.REGISTERED:
            ready.set()
        elif kind == wire.CALL:
            c.send(wire.RESULT, number, b"true")
            ended += 1
        elif kind == wire.HEARTBEAT:
            c.send(wire.HEARTBEAT, number)
    done.set()
    c.receive()  # until the daemon ends


def quietly(function, *arguments):
    try:
        function(*arguments)
    except Exception:  # pylint: disable=broad-except
        pass  # the connection ends with the daemon


def post(path):
    body = b'{"name":"work","params":{"n":1}}'
    request = (b"POST /v1/sys/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
               % len(body) + body)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        left = JOBS
        while left:
            n = min(left, AT_ONCE)
            s.sendall(request * n)
            got = b""
            while got.count(b"HTTP/1.1 ") < n or not got.endswith(b"}"):
                data = s.recv(1 << 18)
                if not data:
                    raise BenchError("the daemon has closed the connection")
                got += data
            if got.count(b"HTTP/1.1 201") != n:
                raise BenchError(got.decode()[:300])
            left -= n


def jobs(bench):
    if not os.access("/dev/shm", os.W_OK):
        raise BenchError("no /dev/shm")
    sys.path.insert(0, os.path.join(HERE, "../examples/blackroad"))
    import cloudos_handlers as wire  # pylint: disable=import-outside-toplevel
    with tempfile.TemporaryDirectory(prefix="co-http-", dir="/dev/shm") as folder, \
            daemon(bench, folder) as path:
        done, ready = threading.Event(), threading.Event()
        threading.Thread(target=quietly, args=(handler, wire, path, done, ready),
                         daemon=True).start()
        if not ready.wait(60):
            raise BenchError("the handler does not attach")
        began = time.monotonic()
        post(path)
        if not done.wait(120):
            raise BenchError("not all jobs were run")
        took = time.monotonic() - began
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(b"GET /v1/sys/jobs?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = s.recv(1 << 16).partition(b"\r\n\r\n")
        if json.loads(body)["total"] != JOBS:
            raise BenchError(head.decode())
    return [row("http.job", JOBS / took, None, "/s",
                f"{JOBS} jobs created, run by an attached process and ended, {AT_ONCE} requests "
                "at a time, on a tmpfs; client and handler in Python")]


FAMILIES = [("http.job", jobs)]
