# SPDX-License-Identifier: MIT
"""The row http.front: what passing a request on costs, beside nginx's proxy_pass.

Both stand in front of the same program, an nginx that runs as the service core, and keep
connections to it.
"""
import contextlib
import os
import re
import shutil
import statistics
import subprocess

from common import BenchError, row
from http_gateway import BODY, NGINX, Server, cpus, children, free_port, gateway, pin, \
    program, wait_at, wrk

ROUNDS = 5

PROXY = """
daemon off; worker_processes 1; pid {work}/proxy.pid; error_log {work}/proxy.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {work}/proxy-1; proxy_temp_path {work}/proxy-2;
    fastcgi_temp_path {work}/proxy-3; uwsgi_temp_path {work}/proxy-4;
    scgi_temp_path {work}/proxy-5;
    upstream program {{ server {back}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://program; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
        }}
    }}
}}
"""


@contextlib.contextmanager
def service(bench, nginx):
    """nginx as the program of core; its front and back address."""
    folder = os.path.join(bench.work, "http")
    config = os.path.join(bench.work, "service.conf")
    with open(os.path.join(folder, "state/addresses"), encoding="utf-8") as f:
        text = f.read()
    block = re.search(r"^block (\d+)$", text, re.M).group(1)
    place = int(re.search(r"^(\d+) blackroad-os-core$", text, re.M).group(1))
    front, back = (f"127.77.{block}.{n}" for n in (place, place + 128))
    with open(config, "w", encoding="ascii") as f:
        f.write(NGINX.format(work=bench.work, port=8000, body=BODY)
                .replace("127.0.0.1:8000", "0.0.0.0:8000"))
    argv = [bench.program("cloudos-exec"), "--personality=blackroad", "--service=core", "--",
            nginx, "-p", bench.work, "-c", config]
    with subprocess.Popen(argv, env=dict(bench.env, CLOUDOS_DIR=folder),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_at(back, 8000)
            for pid in everybody(process.pid):
                pin(pid, cpus()[1])
            yield f"http://{front}:8000", f"{back}:8000"
        finally:
            process.terminate()


def everybody(pid):
    out = [pid]
    for child in children(pid):
        out += everybody(child)
    return out


def passing(bench):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if not nginx:
        return [row("http.front", None, None, "us", "peer missing: apt install nginx-light")]
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(gateway(bench))
        url, back = stack.enter_context(service(bench, nginx))
        port = free_port()
        config = os.path.join(bench.work, "proxy.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(PROXY.format(work=bench.work, port=port, back=back))
        sides = [Server(url, daemon.pids),
                 stack.enter_context(program([nginx, "-p", bench.work, "-c", config], port))]
        got = [[], []]
        for _ in range(ROUNDS):
            for costs, server in zip(got, sides):
                costs.append(wrk(bench, server, 32)[1])
    ours, base = (statistics.median(costs) for costs in got)
    if not base:
        raise BenchError("nginx has used no CPU time")
    return [row("http.front", ours, base, "us",
                "CPU time to pass on one request, 32 connections, base nginx's proxy_pass")]


FAMILIES = [("http.front", passing)]
