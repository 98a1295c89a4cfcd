#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs of Anos print what they have to print, character by character, and end as they
# have to: with their calls patched at once, patched when they have trapped a few times and
# not patched, caught by syscall user dispatch and by a filter.
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
	{ # shells and timeout say what they think of signals, and nobody asks
		# shellcheck disable=SC2016 # its own words
		timeout "$limit" sh -c 'exec "$@" 2>&1' sh "$x" "$@" </dev/null
		echo $? >"$work/status"
	} 2>/dev/null | cat >"$out" # until the last process of the program has ended
	got=$(cat "$work/status")
	sed 's/0x[0-9a-f]\{5,\}/ADDRESS/g' "$out" >"$work/seen"
	case $name in
	fault-*) sed -n "/^== $name\$/,/^\$/{/^==/d;/^\$/d;p;}" "$here/fault.expected" ;;
	*) cat "$here/$name.expected" ;;
	esac >"$work/expected"
	diff -u "$work/expected" "$work/seen" >"$err" || {
		cat "$err"
		fail "$name, $mode: other output (- expected, + seen)"
	}
	[ "$got" = "$status" ] || fail "$name, $mode: it ended with $got, expected $status"
	ran=$((ran + 1))
}

# modes NAME STATUS WORDS...: in each mode
modes() {
	name=$1 status=$2
	shift 2
	case " $only " in
	"  " | *" $name "*) ;;
	*) return ;;
	esac
	if [ -z "$no_dispatch" ]; then
		CO_TRAP=eager try 'patched at once' "$name" "$status" "$@"
		try patched "$name" "$status" "$@"
		try 'not patched' "$name" "$status" --no-patch "$@"
	fi
	[ "$name" != token ] || set -- "$@" filter
	CO_TRAP=eager try 'filter, patched at once' "$name" "$status" --trap=seccomp "$@"
	try 'filter, patched' "$name" "$status" --trap=seccomp "$@"
	[ -n "$past_filters" ] ||
		try 'filter, not patched' "$name" "$status" --trap=seccomp --no-patch "$@"
}

# program NAME ARGUMENTS...: ends with 0; family, the same, when its last process has ended
program() {
	name=$1
	shift
	modes "$name" 0 "./anos-$name.elf" "$@"
}
family() {
	modes "$1" 0 "./anos-$1.elf"
}

# fault KIND STATUS
fault() {
	modes "fault-$1" "$2" ./anos-fault.elf "$1"
}

only=$*
cd "$build" || exit 99
no_dispatch=
"$x" --trap=sud ./anos-hello.elf >"$out" 2>"$err" </dev/null || {
	has "$err" "syscall user dispatch"
	no_dispatch=1
	echo "SKIP: --trap=sud: $(cat "$err"): it needs Linux 5.11"
}

# a number that this kernel takes past any filter, and that may be in rax by chance
past_filters=
python3 -c 'import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(libc.syscall(336) != -1 or ctypes.get_errno() != errno.ENXIO)' && {
	past_filters=1
	echo "SKIP: --trap=seccomp --no-patch: this kernel takes uprobe (336) past any filter"
}

program hello 'two words' ''
program memory-example
program threads-example
family spawn
program stack 'two words' ''
program calls
program token
program memory
program threads
family process
program channels
program return
program one
for kind in read write jump execute privileged linux number stack gone own cover; do
	fault $kind 139
done
fault divide 136
fault illegal 132
fault breakpoint 133

echo "$ran runs"
[ "$ran" -gt 0 ] || fail "there is no program \"$only\""
