#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl: listings, records and refusals, as tables and as JSON.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

fake normal

# ps: a heading, aligned columns, everything foreign escaped
expect 0 "$ctl" ps
has "$out" "COMMAND"
has "$out" "café日"
has "$out" 'bad\x1b[31m\n\xff\u202e'
has "$out" "1d1h"
hasnt "$out" "$(printf '\033')"
[ "$(wc -l <"$out")" = 3 ] || fail "not a heading and two lines"
python3 - "$out" <<'END' || fail "the columns do not stand below each other"
import sys, unicodedata
def at(line, what):
    head = line[:line.index(what)]
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in head)
head, one, two = open(sys.argv[1], encoding="utf-8").read().splitlines()
assert at(head, "PERSONALITY") == at(one, "cloudos") == at(two, "cloudos")
assert at(head, "COMMAND") == at(one, "prog") == at(two, "prog")
END
expect 0 "$ctl" ps -o json
is 2 "len(j)" "$out"
is 'id,name,pid,launcher_pid,personality,engine,calls,failed,age_ms,command,container' \
	"','.join(j[0])" "$out"
is "('café日', 2000000, 90061000)" \
	"(j[0]['name'], j[1]['calls'], j[1]['age_ms'])" "$out"
is 'prog "quoted" \ end' "j[0]['command']" "$out"
is "True" "j[1]['name'].startswith('bad\\x1b[31m\\n\\ufffd')" "$out"

# kill: by number and by name; what is not there is told by the daemon
expect 0 "$ctl" kill 1
has "$out" "sent SIGTERM to 1"
expect 0 "$ctl" kill -s sigusr1 web
expect 4 "$ctl" kill -s 9 12
has "$err" 'no program 12 "" (signal 9)'
expect 4 "$ctl" kill -s HUP 12web
has "$err" 'no program 0 "12web" (signal 1)'

# services
expect 0 "$ctl" service ls
[ "$(wc -l <"$out")" = 1 ] || fail "an empty list is not just its heading"
expect 0 "$ctl" service ls -o json
is "[]" "j" "$out"
expect 4 "$ctl" service show web
has "$err" 'no service "web"'
expect 4 "$ctl" service show web -o json
expect 0 "$ctl" service register web --pid 321 -p 8080 --endpoint http://127.0.0.1:8080 \
	--version 2.1 --ttl 30 --health-check tcp://127.0.0.1:8080 --metadata a=b
expect 0 "$ctl" service register db
expect 0 "$ctl" service ls -o json
is 2 "len(j)" "$out"
is "('web', '2.1', 321, 8080, 30)" \
	"tuple(j[0][k] for k in ('name', 'version', 'pid', 'port', 'ttl'))" "$out"
is "('http://127.0.0.1:8080', 'tcp://127.0.0.1:8080', 'a=b')" \
	"tuple(j[0][k] for k in ('endpoint', 'health_check', 'metadata'))" "$out"
is "$$" "j[1]['pid']" "$out" # the caller, not cloudosctl
expect 0 "$ctl" service ls db -o json
is 1 "len(j)" "$out"
expect 0 "$ctl" service show web
has "$out" "health check:"
has "$out" "tcp://127.0.0.1:8080"
expect 0 "$ctl" service show web -o json
is "web" "j[0]['name']" "$out"
expect 4 "$ctl" service deregister web
expect 0 "$ctl" service deregister web --pid 321
expect 4 "$ctl" service deregister web --pid 321
long=$(printf '%070000d' 0)
expect 1 "$ctl" service register "$long"
has "$err" "longer than"

# errors and logs
expect 0 "$ctl" errors -n 2 -o json
is 2 "len(j)" "$out"
is "1700000000123456789" "j[0]['at_ns']" "$out"
expect 0 env TZ=UTC "$ctl" errors
has "$out" "2023-11-14 22:13:20.123"
has "$out" "-2004"
expect 0 "$ctl" logs web
has "$out" "started"
expect 4 "$ctl" logs other

# records
expect 0 "$ctl" store status
has "$out" "18446744073709551615"
expect 0 "$ctl" store status -o json
is "18446744073709551615" "j['revision']" "$out"
expect 0 "$ctl" store compact
has "$out" "revision 77"
expect 0 "$ctl" store compact 5
has "$out" "revision 5"
expect 2 "$ctl" store compact x

# version knows both programs; --dir goes before the environment
expect 0 "$ctl" version -o json
is "9.9.9" "j[1]['release']" "$out"
expect 0 env CLOUDOS_DIR="$work/other" "$ctl" --dir "$CLOUDOS_DIR" daemon status
has "$out" "2m3s"

# daemons that do not keep to the protocol: a sentence, no crash, no endless wait
unfake
for mode in hangup garbage rows; do
	fake $mode
	expect 1 "$ctl" ps
	[ -s "$err" ] || fail "mode $mode left no sentence"
	expect 1 "$ctl" service show web
	expect 1 "$ctl" daemon status
	unfake
done
fake old
expect 5 "$ctl" ps
has "$err" "version 7 of the wire"
unfake
fake future
expect 5 "$ctl" ps
has "$err" "speaks version 9"
