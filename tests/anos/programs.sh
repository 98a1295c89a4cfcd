#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs of Anos print what they have to print, character by character, and end as they
# have to: with their calls patched at once, patched when they have trapped a few times, not
# patched, and caught by syscall user dispatch.
# programs.sh [NAME...]
. "${srcdir:-.}/tests/cli/exec-lib.sh"

case ${CO_ENGINE:-trap} in
trap) ;;
*) skip "CO_ENGINE=$CO_ENGINE asks for another engine than trap" ;;
esac
limit=${GUEST_TIMEOUT:-120}
here=${srcdir:-.}/tests/anos
ran=0

# try MODE NAME STATUS WORDS...: the file NAME.expected is the output, with errors; numbers
# in hexadecimal of more than four digits stand there as ADDRESS
try() {
	mode=$1 name=$2 status=$3
	shift 3
	timeout "$limit" "$x" "$@" >"$out" 2>&1 </dev/null
	got=$?
	sed 's/0x[0-9a-f]\{5,\}/ADDRESS/g' "$out" >"$work/seen"
	diff -u "$here/$name.expected" "$work/seen" >"$err" || {
		cat "$err"
		fail "$name, $mode: other output (- expected, + seen)"
	}
	[ "$got" = "$status" ] || fail "$name, $mode: it ended with $got, expected $status"
	ran=$((ran + 1))
}

# program NAME STATUS ARGUMENTS...: in each mode
program() {
	name=$1 status=$2
	shift 2
	case " $only " in
	"  " | *" $name "*) ;;
	*) return ;;
	esac
	set -- "./anos-$name.elf" "$@"
	CO_TRAP=eager try 'patched at once' "$name" "$status" "$@"
	try patched "$name" "$status" "$@"
	try 'not patched' "$name" "$status" --no-patch "$@"
	[ -n "$no_dispatch" ] || try sud "$name" "$status" --trap=sud "$@"
}

only=$*
cd "$build" || exit 99
no_dispatch=
"$x" --trap=sud ./anos-hello.elf >"$out" 2>"$err" </dev/null || {
	has "$err" "syscall user dispatch"
	no_dispatch=1
	echo "SKIP: --trap=sud: $(cat "$err"): it needs Linux 5.11"
}

program hello 0 'two words' ''

echo "$ran runs"
[ "$ran" -gt 0 ] || fail "there is no program \"$only\""
