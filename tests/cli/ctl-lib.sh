# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# What the tests of cloudosctl share; sourced.  Gives $work (a folder that is removed at
# the end), $CLOUDOS_DIR below it, $ctl, and:
#
#	fake MODE             starts a fake daemon for $CLOUDOS_DIR, returns when it listens
#	unfake                ends it
#	expect STATUS CMD...  runs a command; its output is in $out and $err
#	has FILE TEXT         fails unless the file has the text
#	is_json FILE          fails unless it is valid JSON
#	is TEXT CODE FILE     runs python on the JSON of FILE as `j`; must print TEXT
set -u

work=$(mktemp -d "${TMPDIR:-/tmp}/cloudosctl.XXXXXX") || exit 99
out=$work/out
err=$work/err
export CLOUDOS_DIR="$work/domain"
unset NO_COLOR CLOUDOS_LIBEXECDIR
build=${builddir:-$PWD}
ctl=$build/cloudosctl
fake_pid=

end() {
	status=$?
	trap - EXIT
	unfake
	[ -f "$CLOUDOS_DIR/pid" ] && kill "$(cat "$CLOUDOS_DIR/pid")" 2>/dev/null
	rm -rf "$work"
	exit $status
}

fail() {
	echo "FAILED: $*" >&2
	[ -s "$out" ] && { echo "--- its output:" >&2; head -c 4000 "$out" >&2; }
	[ -s "$err" ] && { echo "--- its errors:" >&2; head -c 4000 "$err" >&2; }
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# As skip, for a package: where everything has to be installed that is a failure.
lacks() {
	[ "${CO_STRICT:-0}" = 1 ] && fail "$*"
	skip "$*"
}

fake() {
	mkfifo "$work/ready" || exit 99
	"$build/fake-daemon" "$1" 9 9>"$work/ready" </dev/null 8>&- &
	fake_pid=$!
	cat "$work/ready" >/dev/null # ends when the daemon listens, or is dead
	rm -f "$work/ready"
	kill -0 "$fake_pid" 2>/dev/null || fail "the fake daemon did not start"
}

unfake() {
	[ -n "$fake_pid" ] || return 0
	kill "$fake_pid" 2>/dev/null
	wait "$fake_pid" 2>/dev/null
	fake_pid=
}

expect() {
	wanted=$1
	shift
	"$@" >"$out" 2>"$err" </dev/null
	got=$?
	[ "$got" = "$wanted" ] || fail "$* ended with $got, expected $wanted"
}

has() {
	grep -qF -- "$2" "$1" || fail "no \"$2\" in the output"
}

hasnt() {
	if grep -qF -- "$2" "$1"; then fail "\"$2\" in the output"; fi
}

is_json() {
	python3 -m json.tool <"$1" >/dev/null 2>>"$err" || fail "that is no JSON"
}

is() {
	value=$(python3 -c "import json, sys; j = json.load(open(sys.argv[1])); print($2)" \
		"$3" 2>>"$err")
	[ "$value" = "$1" ] || fail "$2 is \"$value\", expected \"$1\""
}

# Until the command succeeds, a minute at most.
until_true() {
	deadline=$(($(date +%s) + 60))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$deadline" ] || fail "never true: $*"
		sleep 0.02
	done
}

trap end EXIT
trap 'exit 1' INT TERM HUP
command -v python3 >/dev/null || lacks "python3 is missing: apt install python3"
