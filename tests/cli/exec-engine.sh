#!/bin/sh
# SPDX-License-Identifier: MIT
# Which engine is taken where: beside outer filters, inside another cloudos-exec of the
# same domain and of another one.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
outer=$build/outer-filter
tracer='s/^TracerPid:[[:space:]]*//p'

# ---- under somebody's filter ----
# under WHAT: the engine chosen by itself is ptrace, and calls are answered
under() {
	expect 0 untraceable "$outer" "$1" "$x" "$guest" call
	has "$out" 'domain '
	expect 0 "$outer" "$1" "$x" sed -n "$tracer" /proc/self/status
	[ "$(cat "$out")" != 0 ] || fail "not under ptrace beside the filter \"$1\""
	expect 0 "$outer" "$1" "$x" "$guest" spawn
	has "$out" 'domain '
	expect 125 "$outer" "$1" "$x" --engine=notify true
	says 'engine notify cannot work here: '
	has "$err" 'try --engine=trap or --engine=ptrace'
}
"$x" true || fail "there is no daemon to begin with"
under private
under unknown
under forbidden
under notify
under seccomp

# a filter that is in nobody's way: as without it
expect 0 "$outer" none "$x" sed -n "$tracer" /proc/self/status
has "$out" 0
expect 0 "$outer" none "$x" --engine=ptrace "$guest" call
has "$out" 'domain '
# neither engine can be had
expect 125 untraceable "$outer" ptrace "$x" --engine=ptrace true
says 'cannot trace the program: ptrace is not permitted here'
has "$err" 'cloudosctl doctor says why'

# ---- inside itself ----
nested() {
	start "$x" --engine="$1" "$x" "$guest" offer exec.nested
	ready
	only name cloudos-exec # of one domain: one session, and the inner launcher is out of the way
	[ "$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")" = "$started" ] ||
		fail "the inner launcher stays in between"
	kill "$started"
	ended 143
	expect 0 untraceable "$x" --engine="$1" "$x" --trace --name=inner "$guest" call
	has "$err" '--trace and --name are for the outermost cloudos-exec'
	expect 7 "$x" --engine="$1" "$x" sh -c 'exit 7'
	expect 127 untraceable "$x" --engine="$1" "$x" no-such-program

	# another domain: served by its own daemon, through ptrace
	mine=$("$x" "$guest" call)
	expect 0 untraceable "$x" --engine="$1" env CLOUDOS_DIR="$work/other" "$x" "$guest" call
	has "$out" 'domain '
	[ "$(cat "$out")" != "$mine" ] || fail "the inner domain's calls go to the outer one"
	expect 5 untraceable "$x" --engine="$1" env CLOUDOS_DIR="$work/other" "$x" sh -c 'exit 5'
	CLOUDOS_DIR=$work/other "$ctl" daemon stop >/dev/null 2>&1
}
engines nested

exit 0
