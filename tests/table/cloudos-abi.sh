#!/bin/sh
# SPDX-License-Identifier: MIT
# Every struct, field, function pointer and enumerator that include/cloudos declares is in
# tests/table/cloudos-abi.txt: what is not there could change without anybody noticing.
srcdir=${srcdir:-.}
golden=$srcdir/tests/table/cloudos-abi.txt

# "struct TYPE", "field TYPE.MEMBER" and "enumerator NAME" for each declaration.
declared() {
	sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' "$@" | awk '
		/^#ifdef __cplusplus/ { plus = 1 }
		/^#(else|endif)/ { plus = 0 }
		/^#/ || plus { next }
		/^(typedef )?(struct|enum)( [a-z_]+)? \{$/ {
			kind = $0 ~ /struct/ ? "struct" : "enum"
			tag = $0 ~ /^typedef/ ? "" : "struct " $2
			n = 0; text = ""; next
		}
		kind != "" && /^\}/ {
			type = tag
			if (tag == "") { type = $2; sub(/;/, "", type) }
			if (kind == "struct") print "struct " type
			for (i = 1; i <= n; i++)
				print kind == "struct" ? "field " type "." names[i] : "enumerator " names[i]
			kind = ""; next
		}
		kind == "enum" { names[++n] = $1 }
		kind == "struct" {
			text = text " " $0
			if (text !~ /;/) next
			if (match(text, /\(\*[a-z_]+\)/)) name = substr(text, RSTART + 2, RLENGTH - 3)
			else { sub(/(\[.*\])?;.*/, "", text); name = text; sub(/.*[ *]/, "", name) }
			names[++n] = name; text = ""
		}'
}

status=0
count=0
list=$(for header in "$srcdir"/include/cloudos/*.h; do declared "$header"; done | tr ' ' '~')
for line in $list; do
	line=$(printf '%s' "$line" | tr '~' ' ')
	count=$((count + 1))
	if ! grep -qF "$line " "$golden"; then
		echo "cloudos-abi: include/cloudos declares \"$line\", which tests/table/cloudos-abi.def lacks; add it there and run cloudos-abi --write FILE on it"
		status=1
	fi
done
if [ "$count" -lt 200 ]; then
	echo "cloudos-abi: only $count declarations were found in include/cloudos; this test does not understand the headers any more"
	status=1
fi
[ $status = 0 ] && echo "$count declarations, all of them in the golden file"
exit $status
