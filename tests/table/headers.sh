#!/bin/sh
# SPDX-License-Identifier: MIT
# Each shared header compiles alone and twice: hosted, without libc as guest code sees it,
# and as C++; with gcc and with clang.  Public headers compile hosted and as C++.  A guest
# pointer in host code cannot be used as one of ours.
set -u
root=${srcdir:-.}
warn='-Wall -Wextra -Wshadow -Wconversion -Werror'
work=$(mktemp -d "${TMPDIR:-/tmp}/headers.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
tried=0

# op-begin.h, op-rows.h and op-end.h are parts of another file, not headers of their own
shared=$(cd "$root/include" && find co -name '*.h' ! -name 'op-*' | sort)
public=$(cd "$root/include" && test -d cloudos && find cloudos -name '*.h' | sort)

# compiles NAME TEXT COMPILER FLAGS...
compiles() {
	name=$1
	printf '%b\n' "$2" > "$work/source"
	shift 2
	tried=$((tried + 1))
	# shellcheck disable=SC2086 # a list of flags
	if ! "$@" $warn -I"$root/include" -fsyntax-only "$work/source" 2> "$work/messages"; then
		echo "$name does not compile alone: $*"
		head -n 20 "$work/messages"
		failed=1
	fi
}

# refused WHAT TEXT COMPILER
refused() {
	printf '%b\n' "#include <co/guest.h>\n$2" > "$work/source"
	tried=$((tried + 1))
	if "$3" -std=gnu17 -x c -Werror -I"$root/include" -fsyntax-only "$work/source" \
		2> "$work/messages"; then
		echo "$3 accepts $1 (include/co/guest.h)"
		failed=1
	fi
}

with() {
	cc=$1
	cxx=$2
	own=$("$cc" -print-file-name=include)
	for header in $shared; do
		text="#include <$header>\n#include <$header>"
		compiles "$header" "$text" "$cc" -std=gnu17 -x c
		compiles "$header" "$text" "$cc" -std=gnu17 -x c -ffreestanding -nostdinc \
			-isystem "$own"
		# the wire is spoken by C only
		test "$header" = co/wire.h ||
			compiles "$header" "$text" "$cxx" -std=c++17 -x c++
	done
	for header in $public; do
		text="#include <$header>\n#include <$header>"
		compiles "$header" "$text" "$cc" -std=c99 -D_DEFAULT_SOURCE -x c
		compiles "$header" "$text" "$cxx" -std=c++17 -x c++
	done
	compiles co/guest.h '#include <co/guest.h>\nstruct co_guest_ptr p = { 0x1000 };' \
		"$cc" -std=gnu17 -x c
	refused 'a dereferenced guest pointer' 'int f(struct co_guest_ptr p) { return *p; }' "$cc"
	refused 'arithmetic on a guest pointer' \
		'struct co_guest_ptr f(struct co_guest_ptr p) { return p + 1; }' "$cc"
	refused 'a guest pointer where one of ours belongs' \
		'const void *f(struct co_guest_ptr p) { return p; }' "$cc"
	refused 'one of our pointers where a guest pointer belongs' \
		'struct co_guest_ptr f(void *p) { return p; }' "$cc"
}

test -n "$shared" || { echo "no headers in $root/include/co"; exit 1; }
with gcc g++
if command -v clang > /dev/null && command -v clang++ > /dev/null; then
	with clang clang++
else
	echo "clang is missing: apt install clang   (headers were compiled with gcc only)"
	test "$failed" = 0 || exit 1
	test "${CO_STRICT:-0}" = 1 && exit 1
	exit 77
fi
test "$failed" = 0 && echo "headers: $tried compilations as they should be"
exit "$failed"
