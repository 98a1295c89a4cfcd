#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl personality: the tables in all forms; the committed documents are current.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

expect 0 "$ctl" personality ls -o json
is "['cloudos', 'blackroad', 'clankeros', 'playsys', 'anos', 'linux']" "[p['name'] for p in j]" "$out"
cp "$out" "$work/all"
for name in cloudos blackroad clankeros playsys anos; do
	expect 0 "$ctl" personality show $name -o json
	is "name,key,plane,support,arguments,heading,note" "','.join(j[0])" "$out"
	is "True" "all(r['support'] in ('full', 'partial', 'absent') for r in j)" "$out"
	is "True" "all(r['note'] or r['support'] == 'full' for r in j)" "$out"
	is "True" "all(a['name'] and a['kind'] for r in j for a in r['arguments'])" "$out"
	rows=$(python3 -c "import json, sys; print(len(json.load(open(sys.argv[1]))))" "$out")
	is "$rows" "[p['interfaces'] for p in j if p['name'] == '$name'][0]" "$work/all"
	expect 0 "$ctl" personality show $name
	tail -n 1 "$out" | grep -qE "^$rows interfaces: [0-9]+ full, [0-9]+ partial, [0-9]+ absent$" ||
		fail "no summary of $name"
	[ "$(wc -l <"$out")" = $((rows + 2)) ] || fail "not one line for each row of $name"
	expect 0 "$ctl" personality show $name -o markdown
	cmp -s "$out" "${srcdir:-.}/docs/personality/$name.md" ||
		fail "docs/personality/$name.md is not current: make update-documents"
done
expect 0 "$ctl" personality show cloudos
has "$out" "service_register"

# the identity has no rows, and says so in every form
expect 0 "$ctl" personality show linux -o json
is "[]" j "$out"
expect 0 "$ctl" personality show linux
has "$out" '0 interfaces: 0 full, 0 partial, 0 absent'
expect 0 "$ctl" personality show linux -o markdown
cmp -s "$out" "${srcdir:-.}/docs/personality/linux.md" ||
	fail "docs/personality/linux.md is not current: make update-documents"
