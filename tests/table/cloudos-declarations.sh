#!/bin/sh
# SPDX-License-Identifier: MIT
# The specification's C, as it stands in docs/spec/cloudos.md, against the public headers:
# the compiler compares every struct (fields, their types and places), enumeration value,
# error code and prototype.  A header that differs does not compile.
set -u
root=${srcdir:-.}
work=$(mktemp -d "${TMPDIR:-/tmp}/declarations.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

awk '
function fail(text) {
	print "#error \"" text "\""
	exit
}
# one member: "char name[256]" or "int (*stop)(int container_id, int timeout)"
function member(tag, text,    name, type) {
	if (match(text, /\(\*[a-z_]+\)/)) {
		name = substr(text, RSTART + 2, RLENGTH - 3)
		type = substr(text, 1, RSTART - 1) "(*)" substr(text, RSTART + RLENGTH)
	} else {
		dimension = match(text, /\[[0-9]*\]$/) ? substr(text, RSTART) : ""
		type = substr(text, 1, length(text) - length(dimension))
		match(type, /[a-z_]+$/)
		name = substr(type, RSTART)
		type = substr(type, 1, RSTART - 1) dimension
	}
	printf "_Static_assert(__builtin_types_compatible_p(" \
		"__typeof__(((%s_t *) 0)->%s), %s), \"type of %s.%s\");\n", \
		tag, name, type, tag, name
	printf "_Static_assert(offsetof(%s_t, %s) == offsetof(struct seed_%s, %s), " \
		"\"place of %s.%s\");\n", tag, name, tag, name, tag, name
	members++
}
function structure(text,    tag, body, n, parts, i) {
	match(text, /struct [a-z_]+/)
	tag = substr(text, RSTART + 7, RLENGTH - 7)
	body = substr(text, index(text, "{") + 1)
	sub(/}.*/, "", body)
	printf "struct seed_%s {%s};\n", tag, body
	n = split(body, parts, ";")
	for (i = 1; i < n; i++) {
		sub(/^ +/, "", parts[i])
		member(tag, parts[i])
	}
	printf "_Static_assert(sizeof(%s_t) == sizeof(struct seed_%s), \"size of %s\");\n", \
		tag, tag, tag
	printf "_Static_assert(__builtin_types_compatible_p(%s_t, struct %s), \"%s\");\n", \
		tag, tag, tag
	structs++
}
function enumeration(text,    body, n, parts, i, pair) {
	body = substr(text, index(text, "{") + 1)
	name = body
	sub(/.*} */, "", name)
	sub(/}.*/, "", body)
	n = split(body, parts, ",")
	for (i = 1; i <= n; i++) {
		split(parts[i], pair, "=")
		printf "_Static_assert((%s) == (%s), \"value of %s\");\n", pair[1], pair[2], \
			pair[1]
		values++
	}
	sub(/;.*/, "", name)
	printf "_Static_assert(sizeof(%s) == sizeof(int), \"%s\");\n", name, name
}
/^```c/ { code = 1; next }
/^```/ { code = 0; next }
!code { next }
{ sub(/\/\/.*/, "") }
/^#define/ {
	printf "_Static_assert(%s == %s, \"value of %s\");\n", $2, $3, $2
	defines++
	next
}
/[^ ]/ {
	gsub(/[ \t]+/, " ")
	text = text $0
	open = gsub(/{/, "{", text) - gsub(/}/, "}", text)
	if (text !~ /; *$/ || open != 0)
		next
	if (text ~ /^typedef struct/)
		structure(text)
	else if (text ~ /^typedef enum/)
		enumeration(text)
	else
		prototypes[++functions] = text
	text = ""
}
END {
	# The bare names are macros, so they come last.  Each has to be there already, and
	# the specification says it again.
	print "#include <cloudos/seed-names.h>"
	for (i = 1; i <= functions; i++) {
		match(prototypes[i], /[a-z0-9_]+\(/)
		name = substr(prototypes[i], RSTART, RLENGTH - 1)
		printf "extern __typeof__(cloudos_%s) %s;\n", name, name
		print prototypes[i]
	}
	if (structs != 19 || members != 110 || values != 8 || defines != 20 || functions != 57)
		printf "#error \"read %d structs, %d members, %d values, %d codes, %d functions\"\n", \
			structs, members, values, defines, functions
}' "$root/docs/spec/cloudos.md" > "$work/seed.c" || exit 1

cat > "$work/check.c" <<'EOF'
#include <cloudos/cloudos.h>
#include <dirent.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "seed.c"
EOF
if ! ${CC:-gcc} -std=gnu17 -Wall -Werror -I"$root/include" -fsyntax-only "$work/check.c" \
	2> "$work/messages"; then
	grep -E 'error|note: previous' "$work/messages" | head -n 40
	echo "include/cloudos/ differs from docs/spec/cloudos.md in what is said above"
	exit 1
fi
echo "declarations: $(grep -c '' "$work/seed.c") lines derived from the specification compile"
