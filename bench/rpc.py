# SPDX-License-Identifier: MIT
"""The rows http.rpc*: a call through the gateway to an attached process, and back.

The base is the same request to sys.echo, which the daemon answers itself: what the way to
the process and back costs is the difference.
"""
import os

from common import row


def sides(bench, clients):
    socket = os.path.join(bench.env["CLOUDOS_DIR"], "run/http.sock")
    return [[bench.program("bench-http-rpc"), method, str(clients), "0.5", socket]
            for method in ("bench.echo", "sys.echo")]


def one_client(bench):
    (ours, p99), (base, _) = bench.in_turn_all(sides(bench, 1), ["median_us", "p99_us"])
    return [row("http.rpc", ours, base, "us",
                f"one client, attached process, p99 {p99:.0f} us; base sys.echo")]


def many_clients(bench):
    ours, base = bench.in_turn(sides(bench, 32), "calls")
    return [row("http.rpc.32", ours, base, "/s",
                "calls a second of 32 clients, attached process; base sys.echo")]


FAMILIES = [("http.rpc", one_client), ("http.rpc.32", many_clients)]
