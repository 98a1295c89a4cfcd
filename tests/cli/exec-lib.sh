# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# What the tests of cloudos-exec share beyond ctl-lib.sh; sourced.  Gives $x (the launcher),
# $guest (exec-guest), a domain of the test's own whose daemon is stopped at the end, and:
#
#	says TEXT           fails unless the last command's errors are one sentence with TEXT
#	start CMD...        runs a command in the background; $started; output in $work/started
#	ready               waits until it has printed "ready PID"; $pid
#	ended STATUS        waits for it, which must end so
#	gone PID            waits until the process is no more
#	only KEY VALUE      waits until one session is listed, and that says so about it (others
#	                    have ended a moment ago); with words behind, that lists them
#	configure LINE      writes the configuration of the domain, before its daemon begins
#	untraceable CMD...  runs it without the leak check of the address sanitizer, which traces
#	engines CMD...      runs the command under each engine, as `CMD... ENGINE`
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

x=$build/cloudos-exec
guest=$build/exec-guest
started=
[ -x "$guest" ] || fail "$guest is missing: run make check"
unset CO_ENGINE

end_exec() {
	status=$?
	trap - EXIT
	[ -z "$started" ] || kill -9 "$started" 2>/dev/null
	"$ctl" daemon stop --force >/dev/null 2>&1
	rm -rf "$work"
	exit $status
}
trap end_exec EXIT

says() {
	has "$err" "$1"
	[ "$(wc -l <"$err")" = 1 ] || fail "more than one line of errors"
}

start() {
	: >"$work/started"
	"$@" >"$work/started" 2>"$work/started.err" </dev/null &
	started=$!
}

is_ready() {
	grep -q '^ready' "$work/started"
}

ready() {
	until_true is_ready
	pid=$(sed -n 's/^ready //p' "$work/started")
}

ended() {
	wait "$started"
	got=$?
	started=
	[ "$got" = "$1" ] || {
		cat "$work/started" "$work/started.err" >&2
		fail "it ended with $got, expected $1"
	}
}

is_gone() {
	case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) in
	'' | Z*) return 0 ;;
	esac
	return 1
}

gone() {
	until_true is_gone "$1"
}

is_only() {
	key=$1 value=$2
	shift 2
	"$@" "$ctl" ps -o json >"$out" 2>"$err" </dev/null && python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(len(j) != 1 or str(j[0][sys.argv[2]]) != sys.argv[3])' "$out" "$key" "$value"
}

only() {
	until_true is_only "$@"
}

untraceable() {
	ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" "$@"
}

configure() {
	mkdir -p "$CLOUDOS_DIR/config"
	echo "$1" >"$CLOUDOS_DIR/config/cloudosd.yaml"
}

engines() {
	"$@" notify
	"$@" trap
	"$@" ptrace
}
