#!/bin/sh
# SPDX-License-Identifier: MIT
# Each case of trap-hostile, and of the same program linked statically to a low address, natively, then under the trap engine: patched at the first
# trap, never patched, by syscall user dispatch.  What must come of it is in hostile.c.
# Afterwards another guest and the daemon, who looked on all the time, are as they were.
#
# usage: hostile.sh [NAME...]      in the build folder
set -u
build=${builddir:-$(pwd)}
launcher=$build/cloudos-exec
ctl=$build/cloudosctl
limit=300
failed=0
tried=0

if [ -n "${CO_ENGINE:-}" ] && [ "$CO_ENGINE" != trap ]; then
	echo "SKIP: CO_ENGINE=$CO_ENGINE asks for another engine than trap"
	exit 77
fi
unset CO_ENGINE CO_TRAP
case ${CO_SANITIZERS:-} in
*address* | *thread*)
	echo "SKIP: sanitizers own the address space and the signals that are tried here"
	exit 77 ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/hostile.XXXXXX") || exit 99
export CLOUDOS_DIR="$work/cloudos"
bystander=
finish() {
	status=$?
	exec 7>&- 2>/dev/null
	[ -z "$bystander" ] || kill "$bystander" 2>/dev/null
	"$ctl" daemon stop >/dev/null 2>&1
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# under MECHANISM PROGRAM CASE
under() {
	CO_TRAP=$1 timeout -k 5 $limit "$launcher" --engine=trap --personality=linux "$2" "$3"
}

complain() {
	echo "FAIL: $*"
	failed=1
}

# ---- who looks on ----

"$ctl" daemon start >"$work/start" 2>&1 || {
	cat "$work/start"
	exit 1
}
daemon_before=$("$ctl" daemon status 2>&1)
mkfifo "$work/to" "$work/from"
"$launcher" --engine=trap --personality=linux cat <"$work/to" >"$work/from" 2>"$work/bystander" &
bystander=$!
exec 7>"$work/to" 8<"$work/from"
ask_bystander() {
	echo "$1" >&7
	read -r answer <&8 && [ "$answer" = "$1" ]
}
if ! ask_bystander before; then
	cat "$work/bystander"
	complain "no guest under the trap engine"
	exit 1
fi

mechanisms="eager no-patch"
if "$build/trap-hostile" can_dispatch >/dev/null; then
	mechanisms="$mechanisms sud"
else
	echo "SKIP: syscall user dispatch: this kernel has none (Linux 5.11, x86)"
fi

# ---- the cases ----

same() {
	[ "$status" = "$native" ] && cmp -s "$work/native" "$work/out"
}

sentence() {
	[ "$status" = 125 ] && grep -q '^cloudos: .* .*' "$work/err"
}

# judge NAME OUTCOME MECHANISM PROGRAM
judge() {
	tried=$((tried + 1))
	under "$3" "$4" "$1" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	if [ $status = 124 ] || [ $status = 137 ]; then
		complain "${4##*/} $1 ($3): not at its end after $limit seconds"
		return
	fi
	case $2 in
	same) same ;;
	sentence) same || sentence ;;
	lives) { [ $status = 0 ] && [ "$(tail -n 1 "$work/out")" = "the end" ]; } || sentence ;;
	any) true ;;
	patched) [ "$3" = no-patch ] || same ;;
	prints:*)
		echo "${2#prints:}" | tr '|' '\n' | cmp -s - "$work/out" && [ $status = 0 ] ;;
	*) false ;;
	esac && return
	complain "${4##*/} $1 ($3): status $status, natively $native"
	diff "$work/native" "$work/out" | sed 's/^/    /' | head -n 20
	sed 's/^/    /' "$work/err" | head -n 5
}

# natively NAME PROGRAM, which tells whether it can be tried at all
natively() {
	timeout -k 5 $limit "$2" "$1" >"$work/native" 2>/dev/null </dev/null
	native=$?
	[ $native != 3 ] || echo "SKIP: $1: $(tail -n 1 "$work/native")"
	[ $native != 3 ]
}

"$build/trap-hostile" --list >"$work/list" || exit 99
while read -r name outcome; do
	case " $* " in
	"  " | *" $name "*) ;;
	*) continue ;;
	esac
	for program in "$build/trap-hostile" "$build/trap-hostile-low"; do
		natively "$name" "$program" || continue
		for mechanism in $mechanisms; do
			judge "$name" "$outcome" "$mechanism" "$program"
		done
	done
done <"$work/list"

# ---- little memory: it runs, or says why not ----

# little KILOBYTES COMMAND...: its output is "lives", or somebody says what is missing
little() {
	tried=$((tried + 1))
	kilobytes=$1
	shift
	timeout $limit "$@" >"$work/out" 2>"$work/err"
	status=$?
	if [ $status = 0 ] && [ "$(cat "$work/out")" = lives ]; then
		return
	fi
	# the shell and the dynamic loader have their own sentences and status
	[ -s "$work/err" ] && [ $status -lt 128 ] && return
	complain "ulimit -v $kilobytes: status $status"
	sed 's/^/    /' "$work/err"
}

for kilobytes in 400000 40000 20000 8000 4000 2000 1000 300 100; do
	# shellcheck disable=SC2016 # the inner shell's
	little $kilobytes "$launcher" --engine=trap --personality=linux /bin/sh -c \
		'ulimit -v "$0" && exec /bin/echo lives' $kilobytes
	[ "$kilobytes" -lt 8000 ] && continue # below, the launcher itself does not start
	# shellcheck disable=SC2016
	little "$kilobytes" /bin/sh -c 'ulimit -v "$0" && exec "$@"' "$kilobytes" "$launcher" \
		--engine=trap --personality=linux /bin/echo lives
done

if [ "$(cat /proc/sys/vm/overcommit_memory)" != 2 ]; then
	echo "SKIP: no overcommitment: needs /proc/sys/vm/overcommit_memory to be 2, which is" \
		"the machine's to set"
fi

# ---- and nobody else was touched ----

ask_bystander after || complain "the other guest has not lived through it"
[ "$("$ctl" daemon status 2>&1 | grep -i pid)" = "$(echo "$daemon_before" | grep -i pid)" ] ||
	complain "the daemon is not the one that it was"
[ $tried -gt 0 ] || complain "nothing was tried"
[ $failed = 0 ] && echo "hostile: $tried runs as they should be"
exit $failed
