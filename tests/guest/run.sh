#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every guest program under one engine: run.sh ENGINE [NAME...].  One private daemon
# for all of them, under a CLOUDOS_DIR of its own; CO_ENGINE, when set, is the only engine
# that counts.  KEEP=1 leaves the folder behind; GUEST_CONFIG is the daemon's configuration.
#
# A program is guest-PERSONALITY-NAME in the build folder.  It prints "ok - SENTENCE" or
# "not ok - SENTENCE" and ends with 0, or 77 for "cannot be tried here".
engine=${1:?usage: run.sh ENGINE [NAME...]}
shift
builddir=${builddir:-.}
exec_=$builddir/cloudos-exec
ctl=$builddir/cloudosctl
limit=${GUEST_TIMEOUT:-60}

if [ -n "$CO_ENGINE" ] && [ "$CO_ENGINE" != "$engine" ]; then
	echo "SKIP: CO_ENGINE=$CO_ENGINE asks for another engine than $engine"
	exit 77
fi
for program in "$exec_" "$ctl"; do
	if ! [ -x "$program" ]; then
		echo "run.sh: $program is not there; run make first"
		exit 99
	fi
done

# The leak checker of instrumented guests wants to be a tracer, and they have one already.
if [ "$engine" = ptrace ]; then
	export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
fi

CLOUDOS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/guest-$engine.XXXXXX") || exit 99
CLOUDOSCTL=$(cd "$builddir" && pwd)/cloudosctl
export CLOUDOS_DIR CLOUDOSCTL
if [ -n "$GUEST_CONFIG" ]; then
	mkdir "$CLOUDOS_DIR/config" && printf '%s\n' "$GUEST_CONFIG" \
		>"$CLOUDOS_DIR/config/cloudosd.yaml" || exit 99
fi
finish() {
	"$ctl" daemon stop >/dev/null 2>&1
	if [ -n "$KEEP" ]; then
		echo "kept: $CLOUDOS_DIR"
	else
		rm -rf "$CLOUDOS_DIR"
	fi
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

if [ $# -gt 0 ]; then
	programs=
	for name; do programs="$programs $builddir/guest-cloudos-$name"; done
else
	programs=
	for program in "$builddir"/guest-*-*; do
		# Beside them lie their logs, which cannot be run.
		if [ -f "$program" ] && [ -x "$program" ]; then
			programs="$programs $program"
		fi
	done
fi
[ -n "$programs" ] || { echo "run.sh: no guest program in $builddir; run make check"; exit 99; }

passed=0 failed=0 skipped=0

# The engine that was asked for is the one that is there: seen from inside.
inside=$("$exec_" --engine="$engine" sed -n 's/^\(Seccomp\|TracerPid\):[[:space:]]*/\1=/p' \
	/proc/self/status 2>"$CLOUDOS_DIR/out" | sort | tr '\n' ' ')
# The trap engine's own code lies in its guest; nothing else of ours lies in any.
if "$exec_" --engine="$engine" grep -q '^7000fffff000-' /proc/self/maps 2>/dev/null; then
	inside="${inside}Trap=1 "
fi
case $engine:$inside in
notify:"Seccomp=2 TracerPid=0 " | trap:"Seccomp=2 TracerPid=0 Trap=1 " | ptrace:"Seccomp="[02]" TracerPid="[1-9]*) ;;
*)
	echo "FAIL: --engine=$engine is not the engine of its guest ($inside)"
	sed 's/^/    /' "$CLOUDOS_DIR/out"
	failed=1 ;;
esac

for program in $programs; do
	name=${program##*/guest-}
	began=$(date +%s)
	timeout -k 5 "$limit" "$exec_" --engine="$engine" "$program" >"$CLOUDOS_DIR/out" 2>&1
	status=$?
	took=$(($(date +%s) - began))
	checks=$(grep -c '^ok - ' "$CLOUDOS_DIR/out")
	case $status in
	0)
		# A program that ended before its last line has not tested anything.
		if grep -q '^1\.\.[1-9]' "$CLOUDOS_DIR/out"; then
			echo "PASS: $name ($engine): $checks checks, $took s"
			passed=$((passed + 1))
			continue
		fi
		status='0 without its plan' ;;
	77)
		echo "SKIP: $name ($engine): $(tail -n 1 "$CLOUDOS_DIR/out")"
		skipped=$((skipped + 1))
		continue ;;
	124 | 137) status="$status, after $limit s" ;;
	esac
	echo "FAIL: $name ($engine): exit status $status"
	grep -v '^ok - ' "$CLOUDOS_DIR/out" | sed 's/^/    /'
	failed=$((failed + 1))
done

if ! "$ctl" daemon status >/dev/null 2>&1; then
	echo "FAIL: the daemon did not live through it"
	sed 's/^/    /' "$CLOUDOS_DIR/state/cloudosd.log" 2>/dev/null | tail -n 20
	failed=$((failed + 1))
fi
echo "$engine: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 77
