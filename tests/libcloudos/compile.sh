#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers and libcloudos with every compiler, language and C library that CloudOS
# programs use: each header alone, and a program that is linked and run.
srcdir=${srcdir:-.}
builddir=${builddir:-.}
include=$srcdir/include
libs=$builddir/.libs
# shellcheck disable=SC2086 # $warn is a list of words
warn='-Wall -Wextra -Wshadow -Werror'
status=0
missing=

work=$(mktemp -d "${TMPDIR:-/tmp}/libcloudos.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

failed() {
	echo "FAILED: $*"
	status=1
}

have() {
	command -v "$1" >/dev/null 2>&1 && return 0
	case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac
	return 1
}

# headers LANGUAGE COMPILER FLAGS...: each of them alone, twice
headers() {
	language=$1
	shift
	for header in "$include"/cloudos/*.h; do
		name=cloudos/${header##*/}
		printf '#include <%s>\n#include <%s>\n' "$name" "$name" >"$work/alone.c"
		# shellcheck disable=SC2086 # several words
		"$@" $warn -I"$include" -x "$language" -fsyntax-only "$work/alone.c" ||
			failed "<$name> alone with: $*"
	done
	echo "headers: $*"
}

# program NAME COMMAND...: compile the program with it, run it
program() {
	name=$1
	shift
	# shellcheck disable=SC2086 # several words
	if ! "$@" $warn -I"$include" -o "$work/$name"; then
		failed "linking with: $*"
	elif ! LD_LIBRARY_PATH=$libs "$work/$name" >"$work/out"; then
		failed "$name, built with: $*: $(cat "$work/out")"
	else
		echo "program: $name ($(cat "$work/out"))"
	fi
}

seed=$srcdir/tests/libcloudos/seed-names.c
plus=$srcdir/tests/libcloudos/plus.cc

for cc in gcc clang; do
	have $cc || continue
	for std in c11 c17 gnu17; do
		headers c $cc -std=$std -Wstrict-prototypes -Wmissing-prototypes -Wconversion
	done
	program $cc-shared $cc -std=gnu17 "$seed" -L"$libs" -lcloudos
	program $cc-static $cc -std=gnu17 "$seed" "$libs/libcloudos.a"
	program $cc-all-static $cc -std=gnu17 -static "$seed" "$libs/libcloudos.a"
	program $cc-no-plt $cc -std=gnu17 -fno-plt -O2 -fPIE -pie "$seed" -L"$libs" -lcloudos
done
for cxx in g++ clang++; do
	have $cxx || continue
	headers c++ $cxx -std=c++17
	program $cxx-seed $cxx -std=c++17 -x c++ "$seed" -x none -L"$libs" -lcloudos
	program $cxx-shared $cxx -std=c++17 "$plus" -L"$libs" -lcloudos
	program $cxx-static $cxx -std=c++17 "$plus" "$libs/libcloudos.a"
done
if have musl-gcc; then
	headers c musl-gcc -std=c11
	program musl-static musl-gcc -static -std=gnu17 "$seed" "$libs/libcloudos.a"
	program musl-optimised musl-gcc -static -O2 -std=c11 -D_GNU_SOURCE "$seed" \
		"$libs/libcloudos.a"
fi

if have pkg-config; then
	flags=$(PKG_CONFIG_PATH=$builddir/libcloudos pkg-config --cflags --libs cloudos) ||
		failed "pkg-config does not read libcloudos/cloudos.pc"
	case $flags in
	*-lcloudos*) echo "pkg-config: $flags" ;;
	*) failed "pkg-config --libs cloudos says \"$flags\"" ;;
	esac
fi

# What a header must refuse.
printf '#include <cloudos/cloudos.h>\n' >"$work/refused.c"
if ${CC:-cc} -m32 -fsyntax-only -I"$include" "$work/refused.c" 2>/dev/null; then
	failed "a program of 32 bits compiles"
fi

[ $status = 0 ] || exit 1
if [ -n "$missing" ]; then
	echo "not tried, because they are not installed:$missing"
	echo "(Debian: apt install gcc g++ clang musl-tools pkg-config)"
	[ "$CO_STRICT" = 1 ] && exit 1
	exit 77
fi
exit 0
