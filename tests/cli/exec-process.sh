#!/bin/sh
# SPDX-License-Identifier: MIT
# Kinds of programs and of processes: every way to start one, static ones, 32-bit ones,
# many at once, under a debugger; and descriptors, open or closed.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

# Compiles $1 from the standard input with the compiler and flags that follow.
make_from() {
	to=$1
	shift
	cat >"$work/source.c"
	"$@" -o "$to" "$work/source.c" >/dev/null 2>&1
}
source='#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { long r = syscall(21902); printf("domain %ld\n", r); return r <= 0; }'
cc=${CC:-cc}
static='' musl='' small=''
# shellcheck disable=SC2086 # words
if printf '%s\n' "$source" | make_from "$work/static" $cc -static; then static=$work/static; fi
if command -v musl-gcc >/dev/null && printf '%s\n' "$source" | make_from "$work/musl" musl-gcc -static
then musl=$work/musl; fi
# i386: mov $1, %eax; mov $42, %ebx; int $0x80 -- exit(42)
python3 - "$work/small" <<'END' || exit 99
import struct, sys
code = b"\xb8\x01\x00\x00\x00\xbb\x2a\x00\x00\x00\xcd\x80"
base = 0x8048000
head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack(
    "<HHIIIIIHHHHHH", 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
segment = struct.pack("<IIIIIIII", 1, 0, base, base, 84 + len(code), 84 + len(code), 5, 4096)
open(sys.argv[1], "wb").write(head + segment + code)
END
chmod +x "$work/small"
"$work/small" 2>/dev/null
[ $? = 42 ] && small=$work/small
domain=$("$x" "$guest" call)

each() {
	engine=--engine=$1
	answered() {
		expect 0 "$x" "$engine" "$@"
		[ "$(cat "$out")" = "$domain" ] || fail "not answered: $*"
	}
	answered "$guest" call
	answered "$guest" vfork
	answered "$guest" spawn
	answered "$guest" thread
	[ -z "$static" ] || answered "$static"
	[ -z "$static" ] || answered sh -c "$static"
	[ -z "$musl" ] || answered "$musl"
	answered sh -c "sh -c '$guest call'"
	if command -v busybox >/dev/null; then
		expect 4 "$x" "$engine" busybox sh -c 'busybox echo here; exit 4'
		has "$out" here
		answered busybox sh -c "$guest call"
	fi
	[ -z "$small" ] || expect 42 "$x" "$engine" "$small" # Linux calls of 32 bits work as ever
	[ -z "$small" ] || expect 42 "$x" "$engine" sh -c "$small"
	expect 0 "$x" "$engine" "$guest" storm 200
	has "$out" '200 answered'

	# ---- descriptors ----
	# the program's are the caller's, and no more
	native=$("$guest" others 7</dev/null 9>/dev/null)
	under=$("$x" "$engine" "$guest" others 7</dev/null 9>/dev/null)
	case $native in *'7 9 '*) ;; *) fail "this test does not see descriptors: $native" ;; esac
	[ "$native" = "$under" ] || fail "descriptors: natively $native, now $under"
	for closed in '0<&-' '1>&-' '2>&-' '0<&- 1>&-' '0<&- 1>&- 2>&-'; do
		rm -f "$work/open" "$work/natively"
		eval "\"\$guest\" open \"\$work/natively\" $closed" || fail "natively, $closed"
		eval "\"\$x\" \"\$engine\" \"\$guest\" open \"\$work/open\" $closed" ||
			fail "with $closed"
		[ "$(cut -d' ' -f1 "$work/open")" = "$(cut -d' ' -f1 "$work/natively")" ] ||
			fail "descriptors with $closed: $(cat "$work/open")"
		[ "$(cut -d' ' -f2 "$work/open")" = 1 ] || fail "not answered with $closed"
	done
	# a message for people never lands elsewhere, and a trace that cannot be is none
	rm -f "$work/open"
	"$x" "$engine" --trace "$guest" open "$work/open" 2>&- || fail "--trace without stderr"
	has "$work/open" ' 1'
	eval '"$x" "$engine" no-such-program 0<&- 1>&- 2>&-'
	[ $? = 127 ] || fail "no-such-program without descriptors"
	# a pipe that the program closes ends, though the program goes on
	rm -f "$work/go" "$work/pipe"
	mkfifo "$work/pipe"
	"$x" "$engine" "$guest" close "$work/go" >"$work/pipe" 2>"$err" &
	started=$!
	timeout 60 cat "$work/pipe" || fail "the pipe does not end"
	touch "$work/go"
	ended 0
}
engines each

# ---- debuggers ----
if command -v strace >/dev/null; then
	expect 0 "$x" strace -f -o "$work/strace" sh -c "$guest call; true"
	has "$out" "$domain"
	has "$work/strace" 'syscall_0x558e(' # 21902, made by the shell's child
	start "$x" "$guest" count
	ready
	strace -p "$pid" -o "$work/strace" 2>"$work/attached" &
	tracer=$!
	until_true grep -q attached "$work/attached"
	kill -USR1 "$pid"
	until_true grep -q SIGUSR1 "$work/strace"
	kill "$tracer"
	wait "$tracer"
	kill -9 "$pid"
	ended 137
else
	[ "${CO_STRICT:-0}" = 1 ] && fail "strace is missing: apt install strace"
	echo "SKIP of a part: strace is missing: apt install strace"
fi
if command -v gdb >/dev/null; then
	expect 0 "$x" gdb -q -batch -ex 'catch syscall 21902' -ex run -ex bt -ex continue -ex continue \
		--args "$guest" call
	has "$out" "$domain"
else
	[ "${CO_STRICT:-0}" = 1 ] && fail "gdb is missing: apt install gdb"
	echo "SKIP of a part: gdb is missing: apt install gdb"
fi
[ -n "$static" ] || echo "SKIP of a part: no static C library"
[ -n "$musl" ] || echo "SKIP of a part: musl-gcc is missing: apt install musl-tools"
[ -n "$small" ] || echo "SKIP of a part: this kernel runs no 32-bit programs"
exit 0
