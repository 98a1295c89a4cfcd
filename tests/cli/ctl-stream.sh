#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl: trace, service watch and daemon logs -f end when they should, and quietly.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

fake normal

# Ends by itself, with 0 and without a word, when the reader has enough.
until_closed() {
	: >"$err"
	mkfifo "$work/pipe"
	"$@" >"$work/pipe" 2>"$err" &
	pid=$!
	head -n 3 <"$work/pipe" >"$out"
	wait $pid || fail "$* ended with $? when nobody read"
	rm "$work/pipe"
	[ -s "$err" ] && fail "$* complained when nobody read"
	[ "$(wc -l <"$out")" = 3 ] || fail "$* did not stream"
}

until_closed "$ctl" trace 1
has "$out" '[77] service_register({"web"}) = 0 <4.2us>'
until_closed "$ctl" trace web -o json
head -n 1 "$out" >"$work/line"
is "20500" "j['number']" "$work/line"
until_closed "$ctl" service watch
has "$out" "EVENT"
has "$out" "registered"
until_closed "$ctl" service watch web -o json
sed -n 2p "$out" >"$work/line"
is "registered" "j['event']" "$work/line"

# the end of the daemon is an error, not an end
: >"$out" # here: the one below is made when the shell comes to it
"$ctl" trace 1 >"$out" 2>"$err" &
pid=$!
until_true test -s "$out"
unfake
wait $pid && fail "the end of the daemon went unnoticed"
has "$err" "closed the connection"

# Ctrl-C
fake normal
: >"$out"
"$ctl" service watch >"$out" 2>"$err" &
pid=$!
until_true test -s "$out"
kill -TERM $pid
wait $pid
[ $? = 143 ] || fail "a signal did not end it"

# logs: the tail, what comes, what replaces it
log=$CLOUDOS_DIR/state/cloudosd.log
rm -f "$log"
expect 4 "$ctl" daemon logs
has "$err" "no daemon has run here"
seq 1 30000 | sed 's/^/line /' >"$log"
expect 0 "$ctl" daemon logs -n 2
[ "$(cat "$out")" = "line 29999
line 30000" ] || fail "not the last two lines"
expect 0 "$ctl" daemon logs
[ "$(wc -l <"$out")" = 50 ] || fail "not fifty lines"
expect 0 "$ctl" daemon logs -n 99999
cmp -s "$out" "$log" || fail "not the whole log"
expect 0 "$ctl" daemon logs -n 0
[ -s "$out" ] && fail "lines where none were asked for"
printf 'last\033[2J\n' >>"$log"
expect 0 "$ctl" daemon logs -n 1
has "$out" 'last\x1b[2J'
expect 0 "$ctl" daemon logs -n 1 -o json
is "True" "j['line'].startswith('last')" "$out"

mkfifo "$work/pipe"
"$ctl" daemon logs -f -n 1 >"$work/pipe" 2>"$err" &
pid=$!
exec 8<"$work/pipe"
next() {
	IFS= read -r line <&8
	[ "$line" = "$1" ] || fail "followed \"$line\", expected \"$1\""
}
next 'last\x1b[2J'
printf 'half a ' >>"$log"
printf 'line\n' >>"$log"
next "half a line"
: >"$log"
echo "after the cut" >>"$log"
next "after the cut"
mv "$log" "$log.1"
echo "in a new file" >"$log"
next "in a new file"
exec 8<&-
wait $pid || fail "logs -f ended with $? when nobody read"
[ -s "$err" ] && fail "logs -f complained when nobody read"

# a listing into a closed pipe is no failure either
"$ctl" limits 2>"$err" | :
[ -s "$err" ] && fail "a closed pipe was complained about"
exit 0
