#!/bin/sh
# SPDX-License-Identifier: MIT
# Every function of lib/banned.h is refused by the compiler, by its name and with advice;
# code that only has fields of such names, and the headers of libraries, compile.
set -eu
: "${srcdir:=.}" "${CC:=cc}"

dir=$(mktemp -d "${TMPDIR:-/tmp}/banned.XXXXXX")
trap 'rm -rf "$dir"' EXIT
failed=0

compile() {
	$CC -std=gnu17 -D_GNU_SOURCE -O2 -include "$srcdir/lib/banned.h" -Werror \
		-c "$1" -o "$dir/out.o" >"$dir/log" 2>&1
}

cat >"$dir/good.c" <<'END'
#include <check.h>
#include <sqlite3.h>
#include <string.h>
#include <uv.h>
#include <yaml.h>
struct options { int system; int popen; };
int good(const struct options *o);
int good(const struct options *o)
{
	return o->system + o->popen + (int) strlen("strcpy");
}
END
if ! compile "$dir/good.c"; then
	echo "FAIL: code without banned functions does not compile:"
	cat "$dir/log"
	failed=1
fi

names=$(sed -n 's/^#define \([a-z]*\)(\.\.\.) .*/\1/p' "$srcdir/lib/banned.h")
count=0
for name in $names; do
	printf '#include <string.h>\nint bad(char *p);\nint bad(char *p)\n{\n\treturn (int) (long) %s(p, p);\n}\n' \
		"$name" >"$dir/bad.c"
	if compile "$dir/bad.c"; then
		echo "FAIL: $name compiles"
		failed=1
	elif ! grep -q "${name}_is_banned_use_" "$dir/log"; then
		echo "FAIL: the message for $name does not say that it is banned:"
		cat "$dir/log"
		failed=1
	fi
	count=$((count + 1))
done
if [ "$count" -lt 15 ]; then
	echo "FAIL: only $count functions found in lib/banned.h"
	failed=1
fi
exit $failed
