# SPDX-License-Identifier: MIT
"""The rows http.*: the gateway beside nginx's static reply and Node's HTTP server.

Server and load (wrk) have a CPU each.  What is compared is the server's own CPU time for a
request: requests a second of a shared machine say more about its other users.
"""
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import threading
import time

from common import BenchError, row

SECONDS = 2
ROUNDS = 5
STREAMS = 9000
BODY = '{"status":"healthy"}'

NGINX = """
daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; default_type application/json;
    client_body_temp_path {work}/nginx-1; proxy_temp_path {work}/nginx-2;
    fastcgi_temp_path {work}/nginx-3; uwsgi_temp_path {work}/nginx-4;
    scgi_temp_path {work}/nginx-5;
    server {{ listen 127.0.0.1:{port}; location /health {{ return 200 '{body}'; }} }}
}}
"""
NODE = """
require('http').createServer((request, answer) => {{
    answer.writeHead(200, {{'Content-Type': 'application/json', 'Content-Length': {length}}});
    answer.end('{body}');
}}).listen({port}, '127.0.0.1');
"""
PIPELINE = """
init = function(args)
    local all = {{}}
    for i = 1, 16 do all[i] = wrk.format(nil, "/health") end
    data = table.concat(all)
end
request = function() return data end
"""
WRITES = """
local n = 0
request = function()
    n = n + 1
    return wrk.format("PUT", "/v1/sys/state", {{["Content-Type"] = "application/json"}},
                      '{{"key":"bench:' .. (n % 1000) .. '","value":' .. n .. '}}')
end
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpus():
    """One for the server and one for the load; the same where there is but one."""
    all_ = sorted(os.sched_getaffinity(0))
    return {all_[0]}, {all_[-1]}


def pin(pid, where):
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task), where)


def cpu_us(pids):
    """CPU time of the processes so far."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
    return total / 1000


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def wait_for(port):
    wait_at("127.0.0.1", port)


def wait_at(host, port):
    end = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((host, port), timeout=5):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise BenchError(f"nobody listens on {host} port {port}") from error
            time.sleep(0.02)


class Server:
    def __init__(self, url, pids):
        self.url, self.pids = url, pids


@contextlib.contextmanager
def program(argv, port):
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield Server(f"http://127.0.0.1:{port}", [process.pid, *children(process.pid)])
        finally:
            process.terminate()


def nginx(bench):
    path, port = shutil.which("nginx", path="/usr/sbin:/usr/bin"), free_port()
    if not path:
        return None
    config = os.path.join(bench.work, "nginx.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(NGINX.format(work=bench.work, port=port, body=BODY))
    return program([path, "-p", bench.work, "-c", config], port)


def node(bench):
    path, port = shutil.which("node"), free_port()
    if not path:
        return None
    script = os.path.join(bench.work, "server.js")
    with open(script, "w", encoding="ascii") as f:
        f.write(NODE.format(port=port, body=BODY, length=len(BODY)))
    return program([path, script], port)


@contextlib.contextmanager
def gateway(bench):
    """A daemon of its own, with room for STREAMS clients."""
    folder = os.path.join(bench.work, "http")
    env = dict(bench.env, CLOUDOS_DIR=folder)
    ctl = bench.program("cloudosctl")
    os.makedirs(os.path.join(folder, "config"), mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "config/cloudosd.yaml"), "w", encoding="ascii") as f:
        f.write(f"http:\n  port: 0\n  connections: {STREAMS + 1000}\n"
                f"  streams: {STREAMS + 100}\n")
    subprocess.run([ctl, "daemon", "start"], env=env, check=True, stdout=subprocess.DEVNULL)
    try:
        with open(os.path.join(folder, "run/http.json"), encoding="utf-8") as f:
            url = json.load(f)["url"]
        told = subprocess.run([ctl, "daemon", "status"], env=env, check=True,
                              capture_output=True, text=True).stdout
        yield Server(url, [int(re.search(r"^pid: *(\d+)", told, re.M).group(1))])
    finally:
        subprocess.run([ctl, "daemon", "stop"], env=env, check=False,
                       stdout=subprocess.DEVNULL)


def wrk(bench, server, connections, script=None, path="/health", seconds=SECONDS):
    """Requests a second and the server's CPU time for one, in us."""
    tool = shutil.which("wrk")
    if not tool:
        raise BenchError("wrk is missing: apt install wrk")
    argv = [tool, "-t1", f"-c{connections}", f"-d{seconds}s"]
    if script:
        name = os.path.join(bench.work, "load.lua")
        with open(name, "w", encoding="ascii") as f:
            f.write(script.format())
        argv += ["-s", name]
    for pid in server.pids:
        pin(pid, cpus()[0])
    before = cpu_us(server.pids)
    done = subprocess.run([*argv, server.url + path], capture_output=True, text=True,
                          check=False, timeout=120,
                          preexec_fn=lambda: os.sched_setaffinity(0, cpus()[1]))
    used = cpu_us(server.pids) - before
    count = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec: *([\d.]+)", done.stdout)
    if done.returncode or not count or not int(count.group(1)) or \
       re.search(r"Non-2xx|Socket errors", done.stdout):
        raise BenchError(f"wrk: {(done.stderr or done.stdout).strip()[-300:]}")
    return float(rate.group(1)), used / int(count.group(1))


def health(bench):
    with contextlib.ExitStack() as stack:
        sides = {"ours": stack.enter_context(gateway(bench))}
        for name, make in (("nginx", nginx), ("node", node)):
            start = make(bench)
            if start:
                sides[name] = stack.enter_context(start)
        got = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, server in sides.items():
                got[name].append(wrk(bench, server, 32)[1])
    medians = {name: statistics.median(costs) for name, costs in got.items()}
    base = medians.get("nginx")
    peers = {"node": medians["node"] / base if base and "node" in medians else None}
    note = "CPU time of the server, 32 connections, base nginx's static reply"
    if not base:
        note = "peer missing: apt install nginx-light"
    return [row("http.health", medians["ours"], base, "us", note, peers)]


def pipelined(bench):
    with gateway(bench) as server:
        got = [wrk(bench, server, 32, PIPELINE) for _ in range(ROUNDS)]
    rate = statistics.median(rate for rate, _ in got)
    cost = statistics.median(cost for _, cost in got)
    return [row("http.pipelined", rate, None, "/s",
                f"GET /health, 16 at a time, {cost:.2f} us of CPU time each")]


def rss(bench):
    with gateway(bench) as server:
        wrk(bench, server, 1, seconds=1)
        return [row("http.rss", resident_kib(server.pids[0]) / 1024, None, "MiB",
                    "resident, at rest, after some requests")]


def latency(server, seconds):
    """Each answer's time in ms, one request at a time on one connection."""
    host, _, port = server.url.rpartition("/")[2].rpartition(":")
    request = f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    out, end = [], time.monotonic() + seconds
    with socket.create_connection((host, int(port))) as s:
        while time.monotonic() < end:
            start = time.perf_counter()
            s.sendall(request)
            if BODY.encode() not in s.recv(65536):
                raise BenchError("/health is not healthy")
            out.append((time.perf_counter() - start) * 1000)
            time.sleep(0.002)
    return sorted(out)


def p99(bench):
    with gateway(bench) as server:
        rates = []
        load = threading.Thread(target=lambda: rates.append(
            wrk(bench, server, 256, WRITES, "/v1/sys/state", 6)))
        load.start()
        time.sleep(1)
        times = latency(server, 4)
        load.join()
    if not rates:
        raise BenchError("the writes have failed")
    return [row("http.p99", times[len(times) * 99 // 100], None, "ms",
                f"of /health while 256 clients write {rates[0][0]:.0f}/s; "
                f"half within {times[len(times) // 2]:.2f}, the worst {times[-1]:.1f}")]


def streams(bench):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < STREAMS + 100:
        return [row("http.streams", None, None, "MiB",
                    f"only {hard} descriptors are allowed here")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = []
    try:
        with gateway(bench) as server:
            host, _, port = server.url.rpartition("/")[2].rpartition(":")
            request = f"GET /v1/sys/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            for _ in range(STREAMS):
                clients.append(socket.create_connection((host, int(port))))
                clients[-1].sendall(request)
                if not clients[-1].recv(4096).startswith(b"HTTP/1.1 200"):
                    raise BenchError(f"stream {len(clients)} is refused")
            used = resident_kib(server.pids[0]) / 1024
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [row("http.streams", used, None, "MiB",
                f"resident with {STREAMS} idle clients of GET /v1/sys/events")]


def sse(bench):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        return [row("http.sse", None, None, "/s", f"only {hard} descriptors are allowed here")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    medians = {}
    try:
        with gateway(bench) as server:
            for pid in server.pids:
                pin(pid, cpus()[0])
            for at_once in (1, 16):
                got = []
                for _ in range(ROUNDS):
                    before = cpu_us(server.pids)
                    told = json.loads(bench.output([
                        bench.program("bench-sse"), server.url.rpartition(":")[2], "1000",
                        "160", str(at_once)]))
                    got.append((told["deliveries"] / told["seconds"],
                                (cpu_us(server.pids) - before) / told["deliveries"]))
                medians[at_once] = [statistics.median(column) for column in zip(*got)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [row("http.sse", medians[1][0], None, "/s",
                f"events delivered to 1000 followers, each emitted when all have the last; "
                f"{medians[1][1]:.2f} us of CPU time each; 16 at a time: "
                f"{medians[16][0]:.0f}/s, {medians[16][1]:.2f} us")]


LOGS = """
request = function()
    return wrk.format("POST", "/v1/sys/log", {{["Content-Type"] = "application/json"}},
                      '{{"level":"info","message":"Test log","meta":{{"userId":123}}}}')
end
"""


def log(bench):
    with gateway(bench) as server:
        got = [wrk(bench, server, 32, LOGS, "/v1/sys/log") for _ in range(ROUNDS)]
        one = [wrk(bench, server, 1, LOGS, "/v1/sys/log") for _ in range(ROUNDS)]
    return [row("http.log", statistics.median(rate for rate, _ in one), None, "/s",
                "POST /v1/sys/log, answered after the commit, 1 client; with 32: "
                f"{statistics.median(rate for rate, _ in got):.0f}/s, "
                f"{statistics.median(cost for _, cost in got):.1f} us of CPU time each")]


FAMILIES = [
    ("http.health", health),
    ("http.pipelined", pipelined),
    ("http.rss", rss),
    ("http.p99", p99),
    ("http.streams", streams),
    ("http.sse", sse),
    ("http.log", log),
]
