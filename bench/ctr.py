# SPDX-License-Identifier: MIT
"""The rows ctr.*: containers as the daemon has them, beside crun, runc and bubblewrap.

Ours is always the whole of it: a monitor that is started, a name space of users, an init, a
log, an exit record on the disk.  The peers run the same config.json in the foreground (`run`),
which is the least that they can do.  A container's start is some thirty changes from one
process to another: where it is allowed our figures are taken at a real-time priority, so
that other work on the machine does not come in between.  Peers cannot be (cgroup v1 takes no
such process), so rows with a base are measured without, in turn.
"""
import atexit
import json
import os
import shutil
import subprocess

from common import BenchError, row

SLEEPERS = 1000
PARALLEL = 200
LOG_MIB = 256
ARGS = {
    "true": ["/bench-true"],
    "echo": ["/bin/echo", "hi"],
    "sleep": ["/bin/sleep", "100000"],
    "many": ["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do "
                              "sleep 1000 & done; done; echo; wait"],
    "log": ["/bin/sh", "-c", f"yes {'x' * 79} | head -c {LOG_MIB << 20}"],
}
FOLDERS = {"sleep": SLEEPERS, "true": PARALLEL}


def config(rootfs, args):
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = ("pid", "mount", "ipc", "uts", "network", "cgroup", "user")
    return {
        "ociVersion": "1.0.2",
        "root": {"path": rootfs, "readonly": True},
        "process": {"args": args, "cwd": "/", "env": ["PATH=/bin"],
                    "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True,
                    "capabilities": {}},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}],
        "linux": {"namespaces": [{"type": kind} for kind in kinds],
                  "uidMappings": ids, "gidMappings": ids,
                  "maskedPaths": ["/proc/kcore", "/proc/keys"],
                  "readonlyPaths": ["/proc/sys"]},
        "cloudos": {"init": True, "idmap": True},
    }


class Boxes:
    """Bundles below the bench's folder, and how each tool runs one."""

    def __init__(self, bench):
        self.bench = bench
        self.ctr = bench.program("cloudos-ctr")
        if os.geteuid() != 0:
            raise BenchError("root is needed: containers of a root daemon are measured")
        os.chmod(bench.work, 0o711)  # a peer's container root looks for its files itself
        self.top = os.path.join(bench.work, "ctr")
        self.rootfs = os.path.join(self.top, "rootfs")
        self.run = os.path.join("/dev/shm" if os.path.isdir("/dev/shm") else bench.work,
                                f"cloudos-bench.{os.getpid()}")
        for end in ("", ".cli", ".crun", ".runc"):
            atexit.register(shutil.rmtree, self.run + end, ignore_errors=True)
        null = os.stat("/dev/null")  # crun gives standard input to the container's root
        atexit.register(os.chown, "/dev/null", null.st_uid, null.st_gid)
        self.urgent = ["chrt", "-r", "10"]
        try:
            if subprocess.run([*self.urgent, "true"], stderr=subprocess.DEVNULL,
                              check=False).returncode != 0:
                self.urgent = []
        except OSError:
            self.urgent = []
        if not os.path.isdir(self.top):
            self.make()

    def make(self):
        busybox = next((p for p in ("/bin/busybox", "/usr/bin/busybox")
                        if os.path.exists(p)), None)
        if not busybox:
            raise BenchError("missing: apt install busybox-static")
        for name in ("bin", "dev", "proc", "sys", "tmp"):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(busybox, os.path.join(self.rootfs, "bin/busybox"))
        for name in ("sh", "sleep", "echo", "yes", "head"):
            os.symlink("busybox", os.path.join(self.rootfs, "bin", name))
        shutil.copy(self.bench.program("bench-true"), self.rootfs)
        for kind, args in ARGS.items():
            for n in range(FOLDERS.get(kind, 1)):
                bundle = os.path.join(self.top, kind, str(n))
                os.makedirs(bundle)
                with open(os.path.join(bundle, "config.json"), "w", encoding="ascii") as file:
                    json.dump(config(self.rootfs, args), file)

    def ours(self, bundles, kind, count, urgent=True):
        return [*(self.urgent if urgent else []), self.bench.program("bench-ctr"), self.ctr, self.run,
                os.path.join(self.top, bundles), kind, str(count)]

    def one(self, bundles, kind, count, key, urgent=True):
        return self.bench.numbers(self.ours(bundles, kind, count, urgent), [key])[0]

    def peers(self, bundle="true"):
        """[(name, command or None, remark)]"""
        path = os.path.join(self.top, bundle, "0")
        found = []
        for name in ("crun", "runc"):
            tool = shutil.which(name)
            command = [tool, "--root", f"{self.run}.{name}", "run", "--bundle", path, "bench"]
            found.append((name, *self.works(name, tool, command)))
        bwrap = shutil.which("bwrap")
        command = [bwrap, "--unshare-all", "--ro-bind", self.rootfs, "/", "--proc", "/proc",
                   "--dev", "/dev", *ARGS[bundle]]
        found.append(("bwrap", *self.works("bubblewrap", bwrap, command)))
        return found

    @staticmethod
    def works(name, tool, command):
        if not tool:
            return None, f"missing: apt install {name}"
        for remark, how in (("", command), ("cgroup2 hidden", hidden(command))):
            try:
                done = subprocess.run(how, capture_output=True, text=True, timeout=30,
                                      stdin=subprocess.DEVNULL, check=False)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                return how, remark
            why = done.stderr.strip()[-120:]
        return None, f"refuses: {why}"


def hidden(command):
    """In a mount name space of its own without the second hierarchy (crun refuses boxes
    that have controllers on both)."""
    if not os.path.isdir("/sys/fs/cgroup/unified"):
        return command
    return ["unshare", "-m", "sh", "-c", 'umount -l /sys/fs/cgroup/unified && exec "$@"', "sh",
            *command]


def note_of(peers, numbers):
    words = []
    for name, command, remark in peers:
        if command is None:
            words.append(f"{name} {remark}")
        else:
            words.append(f"{name} {numbers[name]:.1f}" + (f" ({remark})" if remark else ""))
    return ", ".join(words)


def cycle(bench):
    boxes = Boxes(bench)
    peers = boxes.peers()
    runnable = [(name, bench.launch(10, *command)) for name, command, _ in peers if command]
    cli = bench.launch(20, boxes.ctr, "--root", f"{boxes.run}.cli", "run", "--bundle",
                       os.path.join(boxes.top, "true", "0"), "bench")
    ours, bare, theirs = [], [], {name: [] for name, _ in runnable}
    for _ in range(bench.rounds):
        ours.append(boxes.one("true", "cycle", 40, "ms", urgent=False))
        bare.append(bench.numbers(cli, ["wall_ms"])[0])
        for name, argv in runnable:
            theirs[name].append(bench.numbers(argv, ["wall_ms"])[0])
    numbers = {name: sorted(values)[len(values) // 2] for name, values in theirs.items()}
    middle = sorted(ours)[len(ours) // 2], sorted(bare)[len(bare) // 2]
    said = note_of(peers, numbers)
    return [row("ctr.cycle", median(bench, "true", "cycle", 40), None, "ms",
                "monitor, create, start, exit, record, remove"),
            row("ctr.cycle.peer", middle[0], numbers.get("crun"), "ms",
                f"the same, base crun run; ms of run: {said}"),
            row("ctr.run", middle[1], numbers.get("crun"), "ms",
                f"cloudos-ctr run, base crun run; {said}")]


def median(bench, bundles, kind, count, key="ms"):
    boxes = Boxes(bench)
    got = sorted(boxes.one(bundles, kind, count, key) for _ in range(bench.rounds))
    return got[len(got) // 2]


def start(bench):
    return [row("ctr.start", median(bench, "echo", "start", 30), None, "ms",
                "of a created one, to its first output as an attached client sees it")]


def podman(boxes):
    """podman run --rm of the same program, and why not."""
    tool = shutil.which("podman")
    top = f"{boxes.run}.podman"
    command = [tool, "--root", os.path.join(boxes.top, "podman"), "--runroot", top,
               "--cgroup-manager", "cgroupfs"]
    run = ["run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024",
           "--ulimit", "nproc=1024:1024", "--rootfs", boxes.rootfs, "/bench-true"]
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    for runtime in ("crun", "runc"):  # crun refuses boxes with both hierarchies of groups
        whole = [*command, "--runtime", runtime, *run]
        argv, why = Boxes.works("podman", tool, whole) if tool else (None, "is not installed")
        if argv == whole:
            return argv, f"podman with {runtime}"
    return None, f"podman {why or 'refuses'}"


def daemon(bench):
    """Through the daemon, as a user does it: until the container is removed again."""
    boxes = Boxes(bench)
    ctl = bench.program("cloudosctl")
    bench.output([ctl, "image", "create-busybox", "--name", "bench"])
    rows, nets = [], (("ctr.daemon", ["--net", "none"]), ("ctr.daemon.bridge", []))
    sides = [bench.launch(20, ctl, "container", "run", "--rm", *net, "bench", "true")
             for _, net in nets]
    peer, note = podman(boxes)
    if peer:
        sides.append(bench.launch(3, *peer))
    numbers = bench.in_turn(sides, "wall_ms")
    for (name, net), ours in zip(nets, numbers):
        rows.append(row(name, ours, numbers[2] if peer and net else None, "ms",
                        f"cloudosctl container run --rm {' '.join(net)}".strip() +
                        (f", base {note}" if peer and net else f"; {note}" if net else
                         ", the network of root's choice")))
    return rows


def execute(bench):
    return [row("ctr.exec", median(bench, "sleep", "exec", 50), None, "ms",
                "one process more, begun and ended")]


def rate(bench):
    return [row("ctr.rate", median(bench, "true", "cycle", 100, "rate"), None, "1/s",
                "containers in sequence, all of ctr.cycle")]


def density(bench):
    mib, each = bench.numbers(Boxes(bench).ours("sleep", "density", SLEEPERS),
                              ["mib", "kib_each"])
    return [row("ctr.density", mib, None, "MiB",
                f"of memory less for {SLEEPERS} that sleep, monitors and inits included; "
                f"{each:.0f} KiB each")]


def parallel(bench):
    ms = median(bench, "true", "parallel", PARALLEL)
    return [row("ctr.parallel", ms, None, "ms",
                f"{PARALLEL} at once, each ended with 0; one failure fails the row")]


def kill(bench):
    return [row("ctr.kill", median(bench, "many", "kill", 10), None, "ms",
                "52 processes, until the record is written and nothing is left"),
            row("ctr.kill_paused", median(bench, "many", "kill_paused", 10), None, "ms",
                "the same while paused")]


def log(bench):
    return [row("ctr.log", median(bench, "log", "log", LOG_MIB, "rate"), None, "MB/s",
                f"{LOG_MIB} MiB of 80-byte lines, turned over, from start to record")]


FAMILIES = [
    ("ctr.cycle", cycle),
    ("ctr.start", start),
    ("ctr.daemon", daemon),
    ("ctr.exec", execute),
    ("ctr.rate", rate),
    ("ctr.density", density),
    ("ctr.parallel", parallel),
    ("ctr.kill", kill),
    ("ctr.log", log),
]
