#!/bin/sh
# SPDX-License-Identifier: MIT
# 32-bit programs under the trap engine do what they do natively: i386_guest.c, static and
# dynamic, as it is, without patching and patched at once.  i386.sh [CASE...]
srcdir=${srcdir:-.} builddir=${builddir:-.}
exec_=$builddir/cloudos-exec
ctl=$builddir/cloudosctl
limit=${GUEST_TIMEOUT:-300}

skip() {
	echo "SKIP: $1"
	[ -n "$CO_STRICT" ] && exit 1
	exit 77
}

if [ -n "$CO_ENGINE" ] && [ "$CO_ENGINE" != trap ]; then
	echo "SKIP: CO_ENGINE=$CO_ENGINE asks for another engine than trap"
	exit 77
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/trap-i386.XXXXXX") || exit 99
CLOUDOS_DIR=$folder/domain
export CLOUDOS_DIR
mkdir -m 700 "$CLOUDOS_DIR" || exit 99
trap '"$ctl" daemon stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

build() {
	# no CFLAGS: sanitizers and the like are for host code
	${CC:-cc} -m32 -msse2 -O1 -D_GNU_SOURCE "$@" -pthread
}
build_both() {
	build "$srcdir/tests/trap/i386_guest.c" -o "$folder/dynamic" &&
		build -static "$srcdir/tests/trap/i386_guest.c" -o "$folder/static"
}
build_both 2>"$folder/why" ||
	skip "the compiler makes no 32-bit programs; install gcc-multilib ($(
		tail -n 1 "$folder/why"))"
"$folder/dynamic" >"$folder/list" ||
	skip "this kernel runs no 32-bit programs, so there is nothing to compare with"
cases=${*:-$(cat "$folder/list")}

failed=0
count=0
# compare NAME WORD...: the words of cloudos-exec before the program
compare() {
	name=$1
	shift
	timeout "$limit" "$exec_" --engine=trap --personality=linux "$@" \
		"$folder/$form" "$case_" >"$folder/out" 2>"$folder/err"
	echo "status $?" >>"$folder/out"
	count=$((count + 1))
	if cmp -s "$folder/native" "$folder/out" && ! [ -s "$folder/err" ]; then
		echo "ok - $case_, $form, $name: as natively"
		return
	fi
	echo "not ok - $case_, $form, $name: as natively"
	diff "$folder/native" "$folder/out" | head -n 20
	head -n 5 "$folder/err"
	failed=$((failed + 1))
}

for case_ in $cases; do
	for form in dynamic static; do
		"$folder/$form" "$case_" >"$folder/native"
		echo "status $?" >>"$folder/native"
		if grep -q NO "$folder/native"; then
			echo "not ok - $case_, $form: the test is true natively"
			grep NO "$folder/native"
			failed=$((failed + 1))
		fi
		compare "as it is"
		compare "not patched" --no-patch
	done
done
echo "$count comparisons, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
