#!/bin/sh
# SPDX-License-Identifier: MIT
# Every co_fault("name") of host code is a row of lib/fault.def.
set -eu
: "${srcdir:=.}"

rows=$(sed -n 's/^FAULT("\([a-z.]*\)".*/\1/p' "$srcdir/lib/fault.def")
used=$(grep -rhoE --include='*.c' 'co_fault\("[^"]*"\)' \
	"$srcdir/lib" "$srcdir/store" "$srcdir/cloudosd" "$srcdir/personality" "$srcdir/cli" |
	sed 's/.*"\(.*\)".*/\1/' | sort -u)
failed=0
for name in $used; do
	if ! printf '%s\n' "$rows" | grep -qxF "$name"; then
		echo "FAIL: co_fault(\"$name\") has no row in lib/fault.def"
		failed=1
	fi
done
if [ -z "$rows" ]; then
	echo "FAIL: lib/fault.def has no rows"
	failed=1
fi
exit $failed
