#!/bin/sh
# SPDX-License-Identifier: MIT
# Signals to the launcher reach the program once; and what happens when either is killed.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
configure 'health: {timeout: 60}' # for who waits

seen() { # how often the program got signal $1
	grep -c "^got $1" "$work/started"
}
got() {
	[ "$(seen "$1")" -ge 1 ]
}

each() {
	engine=--engine=$1

	# ---- forwarded, once ----
	start "$x" "$engine" "$guest" count
	ready
	for name in TERM:15 HUP:01 USR1:10 USR2:12; do
		kill -"${name%:*}" "$started"
		until_true got "${name#*:}"
	done
	# a last one in line, behind everything that could have come twice
	kill -USR1 "$pid"
	twice() { [ "$(seen 10)" = 2 ]; }
	until_true twice
	for number in 15 01 12; do
		[ "$(seen "$number")" = 1 ] || fail "signal $number came $(seen "$number") times"
	done
	# those of the terminal are not its business, and do not end it
	kill -INT "$started" && kill -QUIT "$started"
	kill -USR2 "$started"
	thrice() { [ "$(seen 12)" = 2 ]; }
	until_true thrice
	kill -9 "$pid"
	ended 137

	# ---- SIGTERM by default, and a program that does not want it ----
	start "$x" "$engine" "$guest" offer exec.signal
	ready
	kill "$started"
	ended 143
	gone "$pid"
	start "$x" "$engine" "$guest" deaf
	ready
	kill "$started"
	kill -HUP "$started"
	ended 129 # the one it does not ignore
	gone "$pid"

	# ---- the launcher is killed: the program lives on, and is served ----
	start "$x" "$engine" "$guest" wait
	ready
	kill -9 "$started"
	ended 137
	kill -0 "$pid" || fail "the program died with its launcher"
	expect 0 "$x" sh -c 'true'
	expect 0 "$ctl" service ls -o json
	is exec.wait 'j[0]["name"]' "$out"
	only pid "$pid"
	expect 0 "$ctl" kill exec-guest
	gone "$pid"
	none() { [ "$("$ctl" ps -o json | tr -d '[:space:]')" = '[]' ]; }
	until_true none

	# ---- the same for one that calls all the time ----
	rm -f "$work/result"
	# shellcheck disable=SC2016
	start "$x" "$engine" sh -c 'echo ready $$
		until [ -e "$1/go" ]; do sleep 0.02; done
		"$0" call >"$1/result.new" 2>&1; mv "$1/result.new" "$1/result"' "$guest" "$work"
	ready
	kill -9 "$started"
	ended 137
	touch "$work/go"
	until_true test -e "$work/result"
	has "$work/result" 'domain '
	rm "$work/go"
	gone "$pid"

	# ---- a parent that ignores SIGCHLD or blocks what is forwarded ----
	python3 - "$x" "$engine" "$guest" <<'END' || fail "states of signals"
import signal, subprocess, sys
x, engine, guest = sys.argv[1:]
def state():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
show = ["sed", "-n", "s/^Sig\\(Blk\\|Ign\\):\\s*/\\1 /p", "/proc/self/status"]
def run(argv):
    done = subprocess.run(argv, preexec_fn=state, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode} {done.stderr}")
    return done.stdout
native, under = run(show), run([x, engine] + show)
if native != under or "Blk" not in native:
    sys.exit(f"natively {native}, under cloudos-exec {under}")
END
	expect 5 python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$x" "$engine" sh -c 'exit 5'
}
engines each

# Under ptrace the tracer takes what it traces along: a call that nobody can answer must
# not hang.
start "$x" --engine=ptrace "$guest" deaf
ready
tracer=$(sed -n 's/^TracerPid:[[:space:]]*//p' "/proc/$pid/status")
kill -9 "$tracer"
ended 137
gone "$pid"
exit 0
