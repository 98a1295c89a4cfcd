# SPDX-License-Identifier: MIT
"""What the benches share: the build folder and how programs run in it, rows and budgets."""
import json
import os
import statistics
import subprocess

PATIENCE = 300  # seconds for one program

# name: the conditions, all of which must hold, and the same in words
BUDGETS = {
    "notify.linux_call": ({"more": 40.0}, "<= 40 ns more"),
    "notify.private_call": ({"ratio<=": 1.3}, "<= 1.3"),
    "notify.compile": ({"ratio<=": 1.05}, "<= 1.05"),
    "notify.git_log": ({"ratio<=": 1.05}, "<= 1.05"),
    "exec.true": ({"more": 3.0}, "<= 3 ms more"),
    "store.put1": ({"ratio>=": 0.8}, ">= 0.8"),
    "store.put64": ({"ratio>=": 0.8}, ">= 0.8"),
    "trap.passthrough": ({"more": 60.0, "ratio<=": 1.5}, "<= 60 ns more, <= 1.5"),
    "trap.dispatch": ({"more": 90.0}, "<= 90 ns more"),
    "trap.answered": ({"most": 15.0}, "ours <= 15 ns"),
    "trap.miss": ({"most": 2000.0}, "ours <= 2 us"),
    "trap.i386": ({"most": 50.0}, "ours <= 50 ns"),
    "trap.start_static": ({"more": 0.3}, "<= 0.3 ms more"),
    "trap.start_dynamic": ({"more": 0.3}, "<= 0.3 ms more"),
    "trap.image": ({"most": 65536.0}, "<= 64 KiB"),
    "trap.find": ({"ratio<=": 1.10}, "<= 1.10"),
    "trap.tar": ({"ratio<=": 1.10}, "<= 1.10"),
    "trap.gcc": ({"ratio<=": 1.10}, "<= 1.10"),
    "trap.python": ({"ratio<=": 1.10}, "<= 1.10"),
    "trap.sqlite": ({"ratio<=": 1.10}, "<= 1.10"),
    "trap.dd": ({"ratio<=": 1.4}, "<= 1.4"),
    "ipc.two0": ({"most": 1000.0, "ratio<=": 8.0}, "<= 1 us, <= 8 x shm"),
    "ipc.two64": ({"most": 1000.0, "ratio<=": 8.0}, "<= 1 us, <= 8 x shm"),
    "ipc.two4096": ({"most": 1000.0, "ratio<=": 8.0}, "<= 1 us, <= 8 x shm"),
    "ipc.page": ({"more": 400.0}, "<= 400 ns more"),
    "ipc.same0": ({"ratio<=": 1.5}, "<= 1.5"),
    "ipc.same64": ({"ratio<=": 1.5}, "<= 1.5"),
    "ipc.same4096": ({"ratio<=": 1.5}, "<= 1.5"),
    "ipc.calls": ({"least": 1e6}, ">= 1 000 000/s"),
    **{f"ipc.{part}{size}": ({"most": 300.0}, "<= 300 ns")
       for part in ("send", "recv", "reply") for size in (0, 64, 4096)},
    **{f"ipc.scale{n}": ({"ratio>=": 0.8}, ">= 0.8") for n in (2, 4, 8)},
    **{f"ipc.{where}{size}.peer": ({"ratio<=": 1.0}, "faster")
       for where in ("two", "same") for size in (0, 64, 4096)},
    **{f"ipc.message{size}": ({"ratio<=": 0.5}, "<= 0.5")
       for size in (0, 64, 4096)},
    "ipc.find": ({"most": 200.0}, "<= 200 ns"),
    "ipc.open": ({"most": 100.0}, "<= 100 us"),
    "ipc.death": ({"most": 50.0}, "<= 50 ms"),
    "http.rpc": ({"most": 80.0}, "<= 80 us"),
    "http.rpc.32": ({"least": 20000.0}, ">= 20 000/s"),
    "ipc.idle": ({"most": 10.0}, "<= 10 ms a second"),
    "http.put1": ({"least": 5000.0}, ">= 5000/s"),
    "http.put32": ({"least": 50000.0}, ">= 50 000/s"),
    "http.put1_memory": ({"least": 5000.0}, ">= 5000/s"),
    "http.put32_memory": ({"least": 50000.0}, ">= 50 000/s"),
    "http.list": ({"most": 100.0}, "<= 100 ms"),
    "http.health": ({"ratio<=": 1.0}, "<= 1"),
    "http.pipelined": ({"least": 100000.0}, ">= 100 000/s"),
    "http.rss": ({"most": 12.0}, "<= 12 MiB"),
    "http.front": ({"ratio<=": 1.1}, "<= 1.1"),
    "http.p99": ({"most": 100.0}, "<= 100 ms"),
    "http.sse": ({"least": 100000.0}, ">= 100 000/s"),
    "http.streams": ({"most": 64.0}, "<= 64 MiB"),
    "ctr.cycle": ({"most": 6.0}, "<= 6 ms"),
    "ctr.cycle.peer": ({"ratio<=": 1.0}, "below crun"),
    "ctr.run": ({"ratio<=": 1.0}, "below crun"),
    "ctr.start": ({"most": 1.5}, "<= 1.5 ms"),
    "ctr.exec": ({"most": 3.0}, "<= 3 ms"),
    "ctr.rate": ({"least": 100.0}, ">= 100/s"),
    "ctr.density": ({"most": 1024.0}, "<= 1 GiB"),
    "ctr.parallel": ({"most": 60000.0}, "no failure"),
    "ctr.kill": ({"most": 5.0}, "<= 5 ms"),
    "ctr.kill_paused": ({"most": 5.0}, "<= 5 ms"),
    "ctr.log": ({"least": 50.0}, ">= 50 MB/s"),
    "trap.bash_spawn": ({"ratio<=": 1.25}, "<= 1.25"),
}

# what a condition measures of ours and base; ours alone needs no base
MEASURES = {
    "more": lambda ours, base, limit: None if base is None else ours - base <= limit,
    "ratio<=": lambda ours, base, limit: None if not base else ours / base <= limit,
    "ratio>=": lambda ours, base, limit: None if not base else ours / base >= limit,
    "most": lambda ours, base, limit: ours <= limit,
    "least": lambda ours, base, limit: ours >= limit,
}


class BenchError(Exception):
    pass


class Bench:
    """The build folder, a private daemon, and how programs are run in it."""

    def __init__(self, build, work, rounds, peers):
        self.build, self.work, self.rounds, self.peers = build, work, rounds, peers
        self.env = dict(os.environ, CLOUDOS_DIR=os.path.join(work, "cloudos"),
                        LC_ALL="C", HOME=work, GIT_CONFIG_NOSYSTEM="1")
        self.env.pop("CO_ENGINE", None)

    def program(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is missing")
        return path

    def output(self, argv):
        try:
            done = subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(str(error)) from error
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip()[-300:]
            raise BenchError(f"{' '.join(argv)}: status {done.returncode}: {last}")
        return done.stdout

    def numbers(self, argv, keys):
        try:
            printed = json.loads(self.output(argv))
            return [float(printed[key]) for key in keys]
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{' '.join(argv)} printed no {keys}") from error

    def in_turn(self, sides, key):
        """Medians of each side's number, the sides taking turns."""
        return [numbers[0] for numbers in self.in_turn_all(sides, [key])]

    def in_turn_all(self, sides, keys):
        """The same with several numbers of one run, a list for each side."""
        got = [[[] for _ in keys] for _ in sides]
        for _ in range(self.rounds):
            for side, argv in zip(got, sides):
                for numbers, number in zip(side, self.numbers(argv, keys)):
                    numbers.append(number)
        return [[statistics.median(numbers) for numbers in side] for side in got]

    def daemon(self):
        """The process of this run's daemon."""
        told = self.output([self.program("cloudosctl"), "daemon", "status"])
        for line in told.splitlines():
            key, _, value = line.partition(":")
            if key == "pid":
                return int(value)
        raise BenchError("cloudosctl daemon status tells no pid")

    def under(self, *argv, engine="notify", options=()):
        return [self.program("cloudos-exec"), f"--engine={engine}", *options, "--", *argv]

    def launch(self, count, *argv):
        return [self.program("bench-launch"), str(count), *argv]


def row(name, ours, base, unit, note, peers=None):
    """One line of the table; ratio and verdict follow from the numbers."""
    conditions, words = BUDGETS.get(name.removesuffix(".wall"), ({}, ""))
    verdicts = [] if ours is None else [MEASURES[kind](ours, base, limit)
                                        for kind, limit in conditions.items()]
    return {"name": name, "ours": ours, "base": base,
            "ratio": ours / base if ours is not None and base else None,
            "unit": unit, "budget": words,
            "ok": all(verdicts) if verdicts and None not in verdicts else None,
            "note": note, "peers": peers or {}}
