#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs other people's tests and real work natively and under the trap engine, and compares.

usage: compare.py [--short] [--jobs=N] [--engine=trap] [--personality=linux] [-o table|json]
                  [WORDS]...

In the build folder, after make.  WORDS choose checks by a part of their name.  Each check
runs natively, then under the engine with patching and with --no-patch; what came out is a
list of items, and an item that differs must have a line in expected-differences.list.  A
difference is looked at again, three times and alone, on both sides: what also comes out
natively is no difference, and what comes out only sometimes under the engine is told as
unsteady and fails.  The report goes to transparency.json and transparency.html in the build
folder.  Ends with 1 if a difference is not expected, with 77 if nothing could run.
"""
import argparse
import collections
import concurrent.futures
import ctypes
import fnmatch
import html
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
VARIANTS = ("patched", "no-patch")
REPEATS = 3
BUSY = 5  # how much longer than its limit a check may take where others work, too
QUEUED = 10000  # signals
STRICT = bool(os.environ.get("CO_STRICT"))

# Where it runs nothing else may be seen: no user's settings, one clock, one language.
KEPT = ("PATH", "CO_STRICT", "LD_LIBRARY_PATH")

Check = collections.namedtuple("Check", "group name limit short data")


def say(text):
    print(text, flush=True)


# ---- the supervisor: one run, its time limit, and nothing left of it ----

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def descendants(pid):
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                children = [int(child) for child in file.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def sweep():
    """Ends whatever the run has left behind; as subreaper we are its parent by now."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def supervise(limit, out, argv):
    """A process of its own per run: `exit N`, `signal N` or `time limit` goes to out."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # one who was started in the background ignores it, and so would the guest
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # what fills the queue of signals, which is its user's, leaves room for who runs beside it
    most = resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]
    some = min(most // 4, QUEUED) if most != resource.RLIM_INFINITY else QUEUED
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (some, some))
    try:
        child = subprocess.Popen(argv, start_new_session=True)
        status = child.wait(limit)
        told = f"exit {status}" if status >= 0 else f"signal {-status}"
    except subprocess.TimeoutExpired:
        told = "time limit"
    finally:
        sweep()
    with open(out, "w", encoding="ascii") as file:
        file.write(told)


# ---- what runs ----

class Suite:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.build = os.getcwd()
        self.count = 0
        self.lock = threading.Lock()
        self.domain = os.path.join(work, "cloudos")

    def program(self, name):
        return os.path.join(self.build, name)

    def prefix(self, variant):
        if variant == "native":
            return []
        return [self.program("cloudos-exec"), f"--engine={self.options.engine}",
                f"--personality={self.options.personality}",
                *(["--no-patch"] if variant == "no-patch" and
                  self.options.engine == "trap" else []), "--"]

    def environment(self, folder):
        env = {key: os.environ[key] for key in KEPT if key in os.environ}
        env.update(LC_ALL="C", TZ="UTC", HOME=folder, TMPDIR=folder, TERM="dumb",
                   CLOUDOS_DIR=self.domain, PYTHONDONTWRITEBYTECODE="1",
                   GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_DATE="2001-02-03T04:05:06Z",
                   GIT_COMMITTER_DATE="2001-02-03T04:05:06Z")
        env["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return env

    def run(self, check, variant):
        """{item: outcome} and the end of what it printed."""
        items, said = self.run_once(check, variant)
        if items.get("did something") == "no":  # it had no time to: it gets more
            longer = check._replace(data=(check.data[0], ["-t", "20"]))
            items, said = self.run_once(longer, variant)
        return items, said

    def run_once(self, check, variant):
        """One run in an empty folder."""
        with self.lock:
            self.count += 1
            top = os.path.join(self.work, f"run{self.count}")
        # the same length and look for every run, so that nothing depends on the path
        folder = os.path.join(top, "dir")
        try:
            os.makedirs(folder)
            return self.run_in(check, variant, top, folder)
        except OSError as error:  # the disk was full for a moment, for instance
            # natively another sentence than under the engine: never taken for the same
            return {"status": f"could not run ({variant}): {error.strerror}"}, ""
        finally:
            shutil.rmtree(top, ignore_errors=True)

    def run_in(self, check, variant, top, folder):
        group = GROUPS[check.group]
        argv, inside, env = group.command(self, check, top, folder)
        env = {**self.environment(folder), **env}
        env["GUEST"] = " ".join(self.prefix(variant))
        if inside:
            argv = self.prefix(variant) + argv
        out, err = os.path.join(top, "stdout"), os.path.join(top, "stderr")
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            subprocess.run([PYTHON, os.path.abspath(__file__), "--supervise",
                            str(check.limit * BUSY), os.path.join(top, "status"), *argv],
                           stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                           cwd=folder, env=env, check=False)
        ended = text_of(os.path.join(top, "status")) or f"the supervisor failed ({variant})"
        items = group.items(check, top, ended)
        return items, (text_of(out)[-3000:] + text_of(err)[-3000:])


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except OSError:
        return ""


def rows_of(name):
    """Lines of a list: words, without comments."""
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return [line.split() for line in file if line.strip() and line[0] != "#"]


class Cpython:
    """Modules of CPython's own suite; an item is a test."""
    package = "libpython3.11-testsuite"

    @staticmethod
    def missing(_):
        return subprocess.run([PYTHON, "-c", "import test.test_os"], check=False,
                              stderr=subprocess.DEVNULL).returncode != 0

    @staticmethod
    def checks(_):
        return [Check("cpython", words[0], int(words[1]), "short" in words, None)
                for words in rows_of("cpython.list")]

    @staticmethod
    def command(_, check, top, __):
        argv = [PYTHON, os.path.join(HERE, "unittest_lines.py"),
                os.path.join(top, "lines"), check.name]
        return argv, True, {}

    @staticmethod
    def items(_, top, ended):
        items = {"status": ended}
        for line in text_of(os.path.join(top, "lines")).splitlines():
            name, _, outcome = line.rpartition("\t")
            items[name] = outcome
        return items


class Stress:
    """One stressor of stress-ng with its own verification; items are status and verdict."""
    package = "stress-ng"

    @staticmethod
    def missing(_):
        return shutil.which("stress-ng") is None

    @staticmethod
    def checks(_):
        found = []
        for words in rows_of("stress.list"):
            ops = [word[4:] for word in words if word.startswith("ops=")]
            how = [f"--{words[0]}-ops", ops[0], "-t", "60"] if ops else ["-t", "1"]
            most = [f"--fsize={word[6:]}" for word in words if word.startswith("fsize=")]
            found.append(Check("stress", words[0], int(words[1]), "short" in words,
                               (most, how)))
        return found

    @staticmethod
    def command(_, check, top, folder):
        most, how = check.data
        argv = [shutil.which("stress-ng"), f"--{check.name}", "1", "--verify", "--metrics",
                *how, "--temp-path", folder, "--yaml", os.path.join(top, "yaml")]
        if most:
            argv = [shutil.which("prlimit"), *most, *argv]
        return argv, True, {}

    @staticmethod
    def items(_, top, ended):
        found = re.search(r"bogo-ops: (\d+)", text_of(os.path.join(top, "yaml")))
        said = text_of(os.path.join(top, "stdout")) + text_of(os.path.join(top, "stderr"))
        return {"status": ended,
                "failures": "yes" if re.search(r"\bfail: ", said) else "none",
                "did something": "yes" if found and int(found.group(1)) else "no"}


class Work:
    """Real programs at work, from work.list; items are what they print and how they end."""
    package = None

    @staticmethod
    def missing(_):
        return False

    @staticmethod
    def checks(_):
        return [Check("work", case["name"], int(case.get("limit", 120)),
                      "short" in case, case) for case in cases("work.list")]

    @staticmethod
    def command(suite, check, top, _):
        script = os.path.join(top, "script")
        with open(script, "w", encoding="utf-8") as file:
            file.write(check.data["body"])
        env = {"CACHE": os.path.join(suite.build, "transparency-cache"),
               "BUILD": suite.build}
        argv = [*check.data.get("with", "sh").split(), script]
        return argv, "outside" not in check.data, env

    @staticmethod
    def items(_, top, ended):
        items = {"status": ended}
        for stream in ("stdout", "stderr"):
            text = text_of(os.path.join(top, stream)).replace(top, "TOP")
            for n, line in enumerate(text.splitlines()):
                key = f"{stream} {n + 1}"
                items[key] = line
        return items


class Behaviour:
    """Small programs of ours, a case per behaviour; an item is a case."""
    package = None

    @staticmethod
    def missing(_):
        return False

    @staticmethod
    def checks(suite):
        found = []
        for words in rows_of("behaviour.list"):
            listed = subprocess.run([suite.program(words[0]), "list"], check=True,
                                    stdout=subprocess.PIPE, text=True).stdout
            assert listed.strip(), f"{words[0]} has no cases"
            found.append(Check("behaviour", words[0], int(words[1]), "short" in words,
                               listed.splitlines()))
        return found

    @staticmethod
    def command(suite, check, _, __):
        return [suite.program(check.name)], True, {}

    @staticmethod
    def items(check, top, ended):
        # the cases say themselves which of them does not hold
        ended = "to its end" if ended in ("exit 0", "exit 1") else ended
        items = {"status": ended, **{name: "not run" for name in check.data}}
        for line in text_of(os.path.join(top, "stdout")).splitlines():
            outcome, _, name = line.partition(": ")
            if name.partition(": ")[0] in items:
                items[name.partition(": ")[0]] = outcome
        return items


GROUPS = {"behaviour": Behaviour, "work": Work, "cpython": Cpython, "stress": Stress}


def cases(name):
    """The cases of a list in the form of cases.list, as dictionaries."""
    found, head = [], False
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        for line in file:
            key = re.match(r"(needs|wants|with|limit|outside|short): *(.*)", line)
            if line.startswith("== "):
                found.append({"name": line[3:].strip(), "body": ""})
                head = True
            elif found and head and key:
                found[-1][key.group(1)] = key.group(2).strip()
            elif found:
                head = False
                found[-1]["body"] += line
    return found


# ---- what may differ ----

class Expected:
    """Lines of expected-differences.list: CHECK | ITEM | VARIANT | reason."""

    def __init__(self):
        self.lines = []
        with open(os.path.join(HERE, "expected-differences.list"),
                  encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or line.startswith("#"):
                    continue
                fields = [field.strip() for field in line.split("|", 3)]
                if len(fields) != 4 or fields[2] not in (*VARIANTS, "both") \
                        or not fields[3]:
                    sys.exit(f"expected-differences.list:{number}: CHECK | ITEM | "
                             "patched, no-patch or both | reason")
                self.lines.append((number, *fields))
        self.used = set()

    def reason(self, check, item, variant):
        for number, name, pattern, where, reason in self.lines:
            if (fnmatch.fnmatchcase(label(check), name) and
                    fnmatch.fnmatchcase(item, pattern) and where in ("both", variant)):
                self.used.add(number)
                return reason
        return None

    def stale(self, checks):
        """Lines whose checks all ran without that difference."""
        names = [label(check) for check in checks]
        return [line for line in self.lines if line[0] not in self.used and
                any(fnmatch.fnmatchcase(name, line[1]) for name in names)]


def label(check):
    return f"{check.group}/{check.name}"


# ---- the comparison ----

def differences(native, other):
    return [item for item in {**native, **other} if native.get(item) != other.get(item)]


class Verdict:
    """What became of one check: its runs, and what differs."""

    def __init__(self, check):
        self.check = check
        self.seconds = {}
        self.items = 0
        self.unstable = []   # items that differ between native runs
        self.different = []  # (variant, item, native, other, reason or None, steady)
        self.said = {}       # what a differing run printed

    @property
    def bad(self):
        return [d for d in self.different if d[4] is None]


def compare(suite, check, expected):
    verdict = Verdict(check)
    runs = {}
    for variant in ("native", *VARIANTS):
        start = time.monotonic()
        runs[variant], verdict.said[variant] = suite.run(check, variant)
        verdict.seconds[variant] = time.monotonic() - start
    verdict.items = len(runs["native"])
    verdict.runs = runs
    return verdict


def look_again(suite, verdict, expected):
    """Sorts the differences of the first runs into expected, accidental and real ones."""
    check, runs = verdict.check, verdict.runs
    seen = {variant: {item: {outcome} for item, outcome in items.items()}
            for variant, items in runs.items()}
    doubtful = [(variant, item) for variant in VARIANTS
                for item in differences(runs["native"], runs[variant])
                if expected.reason(check, item, variant) is None]
    again = ["native", *{variant for variant, _ in doubtful}] if doubtful else []
    for _ in range(REPEATS if doubtful else 0):
        for variant in again:
            items, said = suite.run(check, variant)
            if variant != "native" and differences(runs["native"], items):
                verdict.said[variant] = said
            for item in {**items, **seen[variant]}:
                seen[variant].setdefault(item, {None}).add(items.get(item))
    for variant in VARIANTS:
        for item in differences(runs["native"], runs[variant]):
            natives = seen["native"].get(item, {None})
            others = seen[variant].get(item, {None})
            reason = expected.reason(check, item, variant)
            if reason is None and others <= natives:
                verdict.unstable.append(item)
                continue
            verdict.different.append((variant, item, runs["native"].get(item),
                                      runs[variant].get(item), reason,
                                      not others & natives))


def tell(verdict):
    check = verdict.check
    word = "DIFFER" if verdict.bad else "EXPECTED" if verdict.different else "SAME"
    times = " ".join(f"{seconds:.1f}" for seconds in verdict.seconds.values())
    say(f"{word}: {label(check)}: {verdict.items} items, {times} s"
        + (f", {len(verdict.unstable)} unsteady natively" if verdict.unstable else ""))
    for variant, item, native, other, reason, steady in verdict.different:
        say(f"    {variant}: {item}: {native} natively, {other}"
            + ("" if steady else ", sometimes") + (f" (expected: {reason})" if reason else ""))
    for variant in {d[0] for d in verdict.bad}:
        for line in verdict.said[variant].splitlines()[-12:]:
            say(f"      {variant}| {line}")


# ---- the report ----

def as_json(suite, verdicts, stale, skipped):
    return {"engine": suite.options.engine, "personality": suite.options.personality,
            "checks": [{"group": v.check.group, "name": v.check.name, "items": v.items,
                        "seconds": {k: round(s, 2) for k, s in v.seconds.items()},
                        "unsteady_natively": sorted(set(v.unstable)),
                        "differences": [dict(zip(("variant", "item", "native", "other",
                                                  "expected", "steady"), d))
                                        for d in v.different]} for v in verdicts],
            "no_longer_different": [" | ".join(line[1:]) for line in stale],
            "skipped": skipped}


def as_html(report):
    """A square per check and variant: same, expected to differ, different."""
    rows = []
    for check in report["checks"]:
        cells = []
        for variant in VARIANTS:
            found = [d for d in check["differences"] if d["variant"] == variant]
            kind = ("bad" if any(d["expected"] is None for d in found)
                    else "known" if found else "same")
            told = "; ".join(f"{d['item']}: {d['native']} / {d['other']}"
                             f"{' - ' + d['expected'] if d['expected'] else ''}"
                             for d in found)
            cells.append(f'<td class="{kind}" title="{html.escape(told)}">'
                         f"{len(found) or ''}</td>")
        seconds = check["seconds"]
        rows.append(f"<tr><td>{html.escape(check['group'])}</td>"
                    f"<td>{html.escape(check['name'])}</td><td>{check['items']}</td>"
                    + "".join(cells) + f"<td>{seconds['native']:.1f}</td>"
                    + "".join(f"<td>{seconds[v]:.1f}</td>" for v in VARIANTS) + "</tr>")
    return ("<!DOCTYPE html><meta charset=utf-8><title>Transparency</title><style>"
            "body{font:14px sans-serif}td,th{padding:1px 8px;text-align:left}"
            ".same{background:#9d9}.known{background:#fd8}.bad{background:#f77}</style>"
            f"<h1>Native against {html.escape(report['engine'])}</h1>"
            "<p>Green: the same. Yellow: differs as expected. Red: differs. "
            "Point at a square for what.</p><table><tr><th>group<th>check<th>items"
            + "".join(f"<th>{v}" for v in VARIANTS) + "<th>native s"
            + "".join(f"<th>{v} s" for v in VARIANTS) + "</tr>"
            + "\n".join(rows) + "</table>\n")


def summary(report):
    groups = collections.defaultdict(lambda: [0, 0, 0, 0, 0])
    for check in report["checks"]:
        counts = groups[check["group"]]
        counts[0] += 1
        counts[1] += check["items"]
        expected = [d for d in check["differences"] if d["expected"] is not None]
        counts[2] += not check["differences"]
        counts[3] += len(expected)
        counts[4] += len(check["differences"]) - len(expected)
    say(f"{'group':<10} {'checks':>7} {'items':>7} {'the same':>9} "
        f"{'expected':>9} {'different':>10}")
    for group, counts in groups.items():
        say(f"{group:<10} {counts[0]:>7} {counts[1]:>7} {counts[2]:>9} "
            f"{counts[3]:>9} {counts[4]:>10}")


# ---- main ----

def prove(suite):
    """A grandchild under each variant sees the engine; natively it does not."""
    argv = ["/bin/sh", "-c", "sh -c 'cat /proc/self/status /proc/self/maps'; true"]
    env = suite.environment(suite.work)
    for variant in ("native", *VARIANTS):
        done = subprocess.run(suite.prefix(variant) + argv, env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        filtered = re.search(r"^Seccomp:\s*2$", done.stdout, re.MULTILINE)
        loaded = "cloudos-loader" in done.stdout
        if suite.options.engine == "trap" and variant != "native":
            if not (filtered and loaded):
                sys.exit(f"{variant}: the trap engine is not in a grandchild: filter "
                         f"{bool(filtered)}, loader {loaded}: {done.stderr.strip()}")
        elif loaded:
            sys.exit(f"{variant}: the loader is in a process where it must not be")
        if done.returncode != 0:
            sys.exit(f"{variant}: status {done.returncode}: {done.stderr.strip()}")


def choose(suite):
    """The checks to run, and what is left out and why."""
    chosen, skipped = [], []
    for name, group in GROUPS.items():
        if group.missing(suite):
            skipped.append((name, f"apt install {group.package}", True))
            continue
        for check in group.checks(suite):
            if suite.options.short and not check.short:
                continue
            if suite.options.words and not any(word in label(check)
                                               for word in suite.options.words):
                continue
            data = check.data if isinstance(check.data, dict) else {}
            needs, wants = ([word for word in data.get(key, "").split()
                             if shutil.which(word) is None] for key in ("needs", "wants"))
            if needs or wants:
                skipped.append((label(check), "missing: " + " ".join(needs + wants),
                                bool(needs)))
            else:
                chosen.append(check)
    return chosen, skipped


def run_all(suite, chosen, expected):
    """Everything in parallel first; then alone, one by one, what seems to differ."""
    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(suite.options.jobs) as pool:
        for verdict in pool.map(lambda check: compare(suite, check, expected), chosen):
            verdicts.append(verdict)
            if not any(differences(verdict.runs["native"], verdict.runs[v])
                       for v in VARIANTS):
                tell(verdict)
    for verdict in verdicts:
        if any(differences(verdict.runs["native"], verdict.runs[v]) for v in VARIANTS):
            look_again(suite, verdict, expected)
            tell(verdict)
    return verdicts


def options_of(argv):
    parser = argparse.ArgumentParser(
        description="Compares native runs with runs under the trap engine.")
    parser.add_argument("--short", action="store_true", help="the checks marked short")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--engine", default="trap")
    parser.add_argument("--personality", default="linux")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("words", nargs="*")
    return parser.parse_args(argv)


def measure(suite):
    expected = Expected()
    chosen, skipped = choose(suite)
    for name, why, _ in skipped:
        say(f"SKIP: {name}: {why}")
    if not chosen:
        say("SKIP: transparency: nothing to run")
        return 1 if STRICT else 77
    prove(suite)
    verdicts = run_all(suite, chosen, expected)
    stale = expected.stale(chosen)
    report = as_json(suite, verdicts, stale, [f"{name}: {why}" for name, why, _ in skipped])
    for name, text in (("transparency.json", json.dumps(report, indent=1) + "\n"),
                       ("transparency.html", as_html(report))):
        with open(os.path.join(suite.build, name), "w", encoding="utf-8") as file:
            file.write(text)
    for line in stale:
        say(f"NO LONGER DIFFERS: expected-differences.list:{line[0]}: {line[1]} | {line[2]}")
    summary(report)
    bad = [v for v in verdicts if v.bad]
    for name, why, must in skipped:
        if STRICT and must:
            say(f"FAIL: CO_STRICT: {name}: {why}")
            bad.append(name)
    if suite.options.output == "json":
        sys.stdout = sys.__stdout__
        print(json.dumps(report, indent=1))
    return 1 if bad else 0


def main():
    if sys.argv[1:2] == ["--supervise"]:
        supervise(float(sys.argv[2]), sys.argv[3], sys.argv[4:])
        return
    options = options_of(sys.argv[1:])
    if options.output == "json":
        sys.stdout = sys.stderr  # progress; the report is what is asked for
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="transparency.") as work:
        os.chmod(work, 0o755)
        suite = Suite(options, work)
        ctl = suite.program("cloudosctl")
        env = suite.environment(work)
        try:
            subprocess.run([ctl, "daemon", "start"], env=env, check=True,
                           stdout=subprocess.DEVNULL)
            status = measure(suite)
        finally:
            subprocess.run([ctl, "daemon", "stop"], env=env, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sys.exit(status)


main()
