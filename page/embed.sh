#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the C table of the page's files, each compressed: embed.sh FILE...
# The same files give the same bytes.
set -eu
type_of() {
	case $1 in
	*.html) echo 'text/html; charset=utf-8';;
	*.css) echo 'text/css; charset=utf-8';;
	*.js) echo 'text/javascript; charset=utf-8';;
	*) echo "embed.sh: what is $1?" >&2; exit 1;;
	esac
}
work=$(mktemp "${TMPDIR:-/tmp}/embed.XXXXXX")
trap 'rm -f "$work"' EXIT

echo '/* Made by page/embed.sh from the files of page/; edit those. */'
echo '#include "personality/blackroad/page.h"'
n=0
rows=
for file; do
	name=${file##*/}
	type=$(type_of "$name")
	gzip -9 -n -c < "$file" > "$work"
	printf '\n/* %s */\nstatic const unsigned char file_%d[] = {\n' "$name" "$n"
	od -An -v -tu1 "$work" | sed 's/^ *//; s/  */,/g; s/$/,/'
	echo '};'
	tag=$(cksum < "$file" | tr ' ' '-')
	size=$(wc -c < "$file")
	rows="$rows	{ \"$name\", \"$type\", \"W/\\\"$tag\\\"\", file_$n, sizeof(file_$n), $((size)) },
"
	n=$((n + 1))
done
printf '\nconst struct page_file page_files[] = {\n%s\t{ 0 }\n};\n' "$rows"
