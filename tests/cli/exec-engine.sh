#!/bin/sh
# SPDX-License-Identifier: MIT
# Which engine is taken where: beside outer filters, inside another cloudos-exec of the
# same domain and of another one.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
outer=$build/outer-filter
tracer='s/^TracerPid:[[:space:]]*//p'

# ---- under somebody's filter ----
# by ENGINE CMD...: that is the engine which cloudos-exec takes for the command
by() {
	want=$1
	shift
	"$@" "$ctl" ps -o json >"$out" 2>"$err" || fail "$* cloudosctl ps failed"
	is "['$want']" "[s['engine'] for s in j]" "$out"
}
# under WHAT ENGINE: that engine is chosen, and calls are answered
under() {
	expect 0 untraceable "$outer" "$1" "$x" "$guest" call
	has "$out" 'domain '
	until_true nobody
	by "$2" untraceable "$outer" "$1" "$x"
	expect 0 "$outer" "$1" "$x" "$guest" spawn
	has "$out" 'domain '
	expect 125 "$outer" "$1" "$x" --engine=notify true
	says 'engine notify cannot work here: '
	has "$err" 'try --engine=trap or --engine=ptrace'
	expect 0 untraceable "$outer" "$1" "$x" --engine=ptrace "$guest" call
	has "$out" 'domain '
}
nobody() {
	[ "$("$ctl" ps -o json | tr -d '[:space:]')" = '[]' ]
}
"$x" true || fail "there is no daemon to begin with"
by notify "$x"
under private trap
under unknown trap
under forbidden trap
under notify trap
under seccomp ptrace # which forbids trap's filter as well
expect 0 untraceable "$outer" private "$outer" addresses "$x" sed -n "$tracer" /proc/self/status
[ "$(cat "$out")" != 0 ] || fail "neither notify nor trap, and not under ptrace"

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
	inside "$1"
	CLOUDOS_DIR=$work/other "$ctl" daemon stop >/dev/null 2>&1
}

# Another domain: served by its own daemon, through trap or ptrace.
inside() {
	if [ "$1" = trap ]; then
		for wanted in auto notify trap ptrace; do
			expect 125 "$x" --engine=trap env CLOUDOS_DIR="$work/other" \
				"$x" --engine="$wanted" "$guest" call
			says "cannot run $guest: this is inside a program that another cloudos-exec runs"
		done
		expect 125 "$x" --engine=trap "$x" --personality=linux true
		says 'start it outside of that one'
		return
	fi
	mine=$("$x" "$guest" call)
	for wanted in auto trap; do
		expect 0 untraceable "$x" --engine="$1" env CLOUDOS_DIR="$work/other" \
			"$x" --engine="$wanted" "$guest" call
		has "$out" 'domain '
		[ "$(cat "$out")" != "$mine" ] || fail "the inner domain's calls go to the outer one"
	done
	expect 5 untraceable "$x" --engine="$1" env CLOUDOS_DIR="$work/other" "$x" sh -c 'exit 5'
}
engines nested

# the identity in itself: nothing is left to do, and no daemon is needed for the inner one
expect 3 "$x" --personality=linux env CLOUDOS_DIR="$work/third" "$x" --personality=linux sh -c 'exit 3'
[ ! -e "$work/third" ] || fail "a daemon was started for the identity in itself"
expect 125 "$x" --personality=linux "$x" true
says 'cannot run /usr/bin/true: this is inside a program that another cloudos-exec runs'

exit 0
