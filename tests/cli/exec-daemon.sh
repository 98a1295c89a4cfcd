#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon that cloudos-exec starts: the one that stays, and the one of --ephemeral, which
# leaves neither a file nor a process, however the program ends.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
export TMPDIR="$work/tmp"
mkdir "$TMPDIR"

# ---- started when there is none ----
expect 0 "$x" "$guest" call
domain=$(cat "$out")
expect 0 "$ctl" daemon status
expect 0 "$x" "$guest" call
[ "$(cat "$out")" = "$domain" ] || fail "a second daemon was started"
# many at once start one
for i in 1 2 3 4 5 6; do
	CLOUDOS_DIR="$work/race" "$x" "$guest" call >"$work/race.$i" 2>&1 &
done
wait
[ "$(cat "$work"/race.? | sort -u | wc -l)" = 1 ] || fail "several daemons: $(cat "$work"/race.?)"
has "$work/race.1" 'domain '
CLOUDOS_DIR="$work/race" "$ctl" daemon stop >/dev/null 2>&1

# ---- --name ----
start "$x" --name=web "$guest" offer exec.named
ready
only name web
is "$pid" 'j[0]["pid"]' "$out"
is "$started" 'j[0]["launcher_pid"]' "$out"
expect 0 "$ctl" service ls -o json
is exec.named 'j[0]["name"]' "$out"
expect 0 "$ctl" kill web
ended 143
only name cloudosctl "$x" # by default the last part of the path

# ---- a program of ours is missing ----
mkdir "$work/alone" "$work/empty"
cp "$x" "$work/alone"
for libexec in '' "$work/empty"; do
	CLOUDOS_LIBEXECDIR=$libexec CLOUDOS_DIR=$work/none \
		expect 125 "$work/alone/cloudos-exec" true
	says 'the program cloudos-keeper is not installed'
done
cp "$build/cloudos-keeper" "$work/alone"
CLOUDOS_DIR=$work/none expect 125 "$work/alone/cloudos-exec" true
has "$err" 'the program cloudosd is not installed'
# where the running daemon is reached nothing has to be installed
expect 0 "$work/alone/cloudos-exec" true

# ---- --ephemeral ----
# No process of an ephemeral daemon is left, and no file.
processes() {
	grep -lazF "CLOUDOS_DIR=$TMPDIR/cloudos-ephemeral" /proc/[0-9]*/environ 2>/dev/null |
		grep -v /proc/self/
}
nothing_left() {
	[ -z "$(ls -A "$TMPDIR")" ] && [ -z "$(processes)" ]
}
all_gone() {
	until_true nothing_left
}
each() {
	engine=--engine=$1
	expect 0 "$x" "$engine" --ephemeral "$guest" call
	[ "$(cat "$out")" != "$domain" ] || fail "not a daemon of its own"
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -AR "$TMPDIR")"
	all_gone
	expect 3 "$x" "$engine" --ephemeral sh -c 'exit 3'
	all_gone
	expect 137 sh -c '"$@"; exit $?' sh "$x" "$engine" --ephemeral "$guest" die 9
	all_gone
	expect 126 "$x" "$engine" --ephemeral "$work/lost" # fails behind the attach
	all_gone

	# the launcher is killed: the program lives on and is served, and then all goes
	start "$x" "$engine" --ephemeral "$guest" count
	ready
	[ -n "$(processes)" ] || fail "this test does not see the daemon"
	kill -9 "$started"
	ended 137
	kill -0 "$pid" || fail "the program died with its launcher"
	kill -9 "$pid"
	all_gone

	# children that are left behind keep it, and then it goes with them
	rm -f "$work/go" "$work/left"
	# shellcheck disable=SC2016
	expect 0 "$x" "$engine" --ephemeral sh -c \
		'(until [ -e "$1" ]; do sleep 0.02; done; "$0" call >"$2.new" 2>&1
		mv "$2.new" "$2") >/dev/null 2>&1 </dev/null & ' \
		"$guest" "$work/go" "$work/left"
	[ -n "$(processes)" ] || fail "the daemon went before the last of the program"
	touch "$work/go"
	until_true test -e "$work/left"
	has "$work/left" 'domain '
	all_gone
}
printf '#!/no/such/interpreter\n' >"$work/lost" && chmod +x "$work/lost"
engines each

# refused before or behind the start of the daemon
expect 125 "$x" --ephemeral --engine=warp true
all_gone
expect 125 untraceable "$build/outer-filter" ptrace "$x" --ephemeral --engine=ptrace true
all_gone
TMPDIR=/no/such/folder expect 125 "$x" --ephemeral true
says 'cannot make a folder /no/such/folder/cloudos-ephemeral-'
exit 0
