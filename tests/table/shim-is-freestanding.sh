#!/bin/sh
# SPDX-License-Identifier: MIT
# Guest code needs nothing and touches nothing that belongs to the guest: joined, it has no
# undefined symbol, no vector or floating-point register, no thread-local storage, no
# section that is writable and executable, no trace of a sanitizer, and is small.  Tried on
# the library as it was built, and on the sources compiled again with gcc and with clang.
# One exception: pages are compared in xmm0 to xmm3 (ring/page.c), within a function that
# has put them aside (personality/anos/guest_guard.S).
# First the script proves that it would notice.
set -u
root=${srcdir:-.}
here=$(pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/freestanding.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
budget=65536
failed=0

# GUEST_FLAGS, GUEST_SOURCES, ANOS_SOURCES, SANITIZERS: how the build compiles guest code
# shellcheck source=/dev/null
. "$here/guest-flags" || exit 1

# What is wrong with the object $1, one line each.
faults() {
	nm -u "$1" | sed 's/^ *U /undefined symbol: /; s/^ *w /weak undefined symbol: /'
	nm "$1" | grep -E '__(asan|ubsan|tsan|msan|sanitizer|gcov|llvm_prof|stack_chk)' |
		sed 's/^.* /symbol of an instrumented build: /'
	objdump -d --no-show-raw-insn "$1" | awk '
		/^[0-9a-f]+ <.*>:$/ { lent = $2 ~ /^<(anos_guarded|changed)[.a-z0-9]*>:$/ }
		!lent || !/%xmm[0-3]($|[^0-9])/ || /%(xmm([4-9]|[1-3][0-9])|[yz]mm|mm)/' |
		grep -E '%([xyz]mm|mm[0-7]|st\b|k[0-7]\b)' |
		sed 's/^/vector register: /' | head -n 5
	# name, type, flags of each section; flags: W writable, A loaded, X code, T thread
	readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] //p' | awk '
		$7 ~ /W/ && $7 ~ /X/ { print "writable and executable: " $1 }
		$7 ~ /T/ { print "thread-local storage: " $1 }'
	text=$(readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] //p' |
		awk '$7 ~ /X/ { print $5 }' | { sum=0; while read -r hex; do
		sum=$((sum + 0x$hex)); done; echo $sum; })
	test "$text" -gt "$budget" && echo "too big: $text bytes of code, allowed are $budget"
	test "$text" -gt 0 || echo "no code at all"
}

# compile COMPILER FLAGS SOURCE OBJECT
compile() {
	# shellcheck disable=SC2086 # a list of flags
	"$1" $2 -Werror -nostdinc -isystem "$("$1" -print-file-name=include)" \
		-isystem "$here/uapi" -I"$root/include" -I"$root" -c "$3" -o "$4"
}

# must_find FAULT FLAGS TEXT: is it noticed in code that has it?
must_find() {
	printf '%b\n' "$3" > "$work/bad.c"
	if ! compile "$cc" "-O2 $2" "$work/bad.c" "$work/bad.o" 2> "$work/messages"; then
		cat "$work/messages"
		failed=1
	fi
	if ! faults "$work/bad.o" | grep -q "^$1"; then
		echo "$cc: not noticed: $1"
		failed=1
	fi
}

proof() {
	must_find 'undefined symbol: memcpy' '-fno-builtin' \
		'void *memcpy(void *, const void *, unsigned long);\nvoid f(char *a) { memcpy(a, a + 9, 9); }'
	must_find 'vector register' '' 'float f(float a) { return a * 2; }'
	must_find 'vector register' '' \
		'__asm__(".globl changed; changed: movups %xmm4, (%rdi); ret");\nint f(void) { return 1; }'
	must_find 'vector register' '' \
		'__asm__("changed: movups %xmm3, (%rdi); ret\\nother: movups %xmm3, (%rdi)");\nint f(void) { return 1; }'
	must_find 'thread-local storage' '' '_Thread_local int word;\nint *f(void) { return &word; }'
	must_find 'writable and executable' '' \
		'int f(void) { return 1; }\n__asm__(".section both, \\"awx\\", @progbits; .byte 1; .text");'
	must_find 'too big' '' 'int f(void) { return 1; }\n__asm__(".skip 70000");'
	must_find 'symbol of an instrumented build' '-fsanitize=undefined' \
		'int f(int a, int b) { return a / b; }'
	must_find 'symbol of an instrumented build' '-fstack-protector-all' \
		'void g(char *);\nvoid f(void) { char a[64]; g(a); }'
	must_find 'no code at all' '' 'int word;'
	printf '#include <string.h>\n' > "$work/bad.c"
	if compile "$cc" "$GUEST_FLAGS" "$work/bad.c" "$work/bad.o" 2> /dev/null; then
		echo "$cc: guest code can include string.h"
		failed=1
	fi
}

judge() {
	if faults "$2" > "$work/faults" && test -s "$work/faults"; then
		sed "s|^|$1: |" "$work/faults"
		failed=1
	else
		echo "$1: freestanding"
	fi
}

# join WHAT SOURCE...: compiled with $cc
join() {
	what=$1
	shift
	rm -f "$work/$cc"/*.o
	for source; do
		n=$((n + 1))
		compile "$cc" "$GUEST_FLAGS" "$root/$source" "$work/$cc/$n.o" || failed=1
	done
	ld -r -o "$work/$cc.o" "$work/$cc"/*.o || exit 1
	judge "$what" "$work/$cc.o"
}

# The sources again, with the flags of the build.
again() {
	cc=$1
	mkdir "$work/$cc"
	n=0
	proof
	# shellcheck disable=SC2086 # lists of files
	join "$cc" $GUEST_SOURCES
	# shellcheck disable=SC2086
	join "$cc, Anos" $ANOS_SOURCES
}

for library in libshim.a libshimanos.a; do
	ld -r --whole-archive -o "$work/built.o" $library || exit 1
	judge "$library as built (sanitizers of host code: ${SANITIZERS:-none})" "$work/built.o"
done
again gcc
if command -v clang > /dev/null; then
	again clang
else
	echo "clang is missing: apt install clang   (guest code was compiled with gcc only)"
	test "$failed" = 0 || exit 1
	test "${CO_STRICT:-0}" = 1 && exit 1
	exit 77
fi
exit "$failed"
