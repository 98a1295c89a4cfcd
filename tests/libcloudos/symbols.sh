#!/bin/sh
# SPDX-License-Identifier: MIT
# What libcloudos exports: cloudos_* and nothing else, everything that the headers declare,
# everything that the specification names; and what it needs: libc and nothing else.
srcdir=${srcdir:-.}
builddir=${builddir:-.}
shared=$builddir/.libs/libcloudos.so
archive=$builddir/.libs/libcloudos.a
status=0

failed() {
	echo "FAILED: $*"
	status=1
}

exported=$(nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
global=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }')
[ -n "$exported" ] || failed "nm finds no symbol in $shared"
for symbol in $exported; do
	case $symbol in
	cloudos__*) failed "$symbol is the library's own and is exported" ;;
	cloudos_*) ;;
	*) failed "$symbol is exported" ;;
	esac
done
for symbol in $global; do
	case $symbol in
	cloudos_*) ;;
	*) failed "the archive defines $symbol, which a program may want for itself" ;;
	esac
done

# The other way round: declared and listed in the specification.
declared=$(cat "$srcdir"/include/cloudos/*.h |
	sed -n 's/^CLOUDOS_API .*[ *]\(cloudos_[a-z0-9_]*\)(.*/\1/p')
wanted=$(sed -n 's/^\(long\|int\|void\*\) \([a-z0-9_]*\)(.*/\2/p' "$srcdir/docs/spec/cloudos.md")
count=0
for symbol in $declared; do
	echo "$exported" | grep -qx "$symbol" || failed "$symbol is declared and not exported"
	count=$((count + 1))
done
[ $count -ge 130 ] || failed "only $count declarations were found"
count=0
for name in $wanted; do
	echo "$exported" | grep -qx "cloudos_$name" || failed "the specification's $name is missing"
	grep -qx "#define $name *cloudos_$name" "$srcdir/include/cloudos/seed-names.h" ||
		failed "<cloudos/seed-names.h> lacks $name"
	grep -qw "$name" "$srcdir/tests/libcloudos/seed-names.c" ||
		failed "tests/libcloudos/seed-names.c does not use $name"
	count=$((count + 1))
done
[ $count -ge 50 ] || failed "only $count functions were found in the specification"

needed=$(readelf -d "$shared" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so\|^ld-linux')
[ -z "$needed" ] || failed "libcloudos.so needs $needed"
readelf -lW "$shared" | grep -q 'GNU_STACK.*RWE' && failed "libcloudos.so has an executable stack"
[ $status = 0 ] && echo "$(echo "$exported" | wc -l) symbols, all of them cloudos_*"
exit $status
