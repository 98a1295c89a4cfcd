#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2015 # where B fails too, fail is what is meant
# cloudosctl log, event and metric against a running daemon.
set -u
cloudosctl=$(pwd)/cloudosctl
work=$(mktemp -d "${TMPDIR:-/tmp}/ctl-telemetry.XXXXXX") || exit 99
CLOUDOS_DIR=$work/domain
export CLOUDOS_DIR
trap 'kill ${followers-} 2>/dev/null; "$cloudosctl" daemon stop -f >/dev/null 2>&1; rm -rf "$work"' EXIT
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# until_has FILE TEXT
until_has() {
	tries=0
	until grep -q -e "$2" "$1"; do
		tries=$((tries + 1))
		if [ $tries -gt 1200 ]; then
			fail "$1 has no $2 after a minute: $(cat "$1")"
			return
		fi
		sleep 0.05
	done
}

mkdir -p "$CLOUDOS_DIR/config" && chmod -R 700 "$CLOUDOS_DIR" &&
	printf 'http:\n  port: 0\n' >"$CLOUDOS_DIR/config/cloudosd.yaml" || exit 99
"$cloudosctl" log write x 2>"$work/err"
[ $? = 3 ] || fail "without a daemon: exit status, $(cat "$work/err")"
"$cloudosctl" daemon start >/dev/null || exit 99

# a log is written and read, oldest first, filtered
"$cloudosctl" log write --service core 'first message' >/dev/null || fail "log write"
"$cloudosctl" log write --service core -l error --meta '{"n":9007199254740993}' second >"$work/out" ||
	fail "log write with meta"
grep -q '^id: *[0-9]*-' "$work/out" || fail "no id: $(cat "$work/out")"
"$cloudosctl" log tail --service core >"$work/out" || fail "log tail"
[ "$(sed -n '2,$s/  */ /gp' "$work/out" | cut -d' ' -f2,4-)" = "$(printf 'info first message -\nerror second {"n":9007199254740993}')" ] ||
	fail "log tail: $(cat "$work/out")"
"$cloudosctl" log tail --service core -l error -o json >"$work/out"
[ "$(grep -c . "$work/out")" = 1 ] && grep -q '"meta":{"n":9007199254740993}' "$work/out" ||
	fail "log tail -l error -o json: $(cat "$work/out")"
"$cloudosctl" log tail --service core -n 1 | grep -q first && fail "-n 1 shows two"
"$cloudosctl" log tail --service core --contains FIRST | grep -q first || fail "--contains"
"$cloudosctl" log tail | grep -q ' serves ' || fail "the daemon's own lines"
echo piped | "$cloudosctl" log write --service core - >/dev/null || fail "log write -"
"$cloudosctl" log tail --service core | grep -q piped || fail "a message from standard input"
"$cloudosctl" log write --service core -l loud x 2>"$work/err"
[ $? = 1 ] && grep -q 'levels are' "$work/err" || fail "a wrong level: $(cat "$work/err")"

# what comes is followed, behind what was there, without gap or duplicate
: >"$work/follow"
"$cloudosctl" log tail --service core -f >"$work/follow" 2>&1 &
followers=$!
until_has "$work/follow" piped
i=0
while [ $i -lt 20 ]; do
	"$cloudosctl" log write --service core "number $i." >/dev/null
	i=$((i + 1))
done
until_has "$work/follow" 'number 19\.'
[ "$(grep -o 'number [0-9]*\.' "$work/follow" | sort -u | grep -c .)" = 20 ] &&
	[ "$(grep -c number "$work/follow")" = 20 ] || fail "log tail -f: $(cat "$work/follow")"

# also across a daemon that was killed
pid=$("$cloudosctl" daemon status | sed -n 's/^pid: *//p')
kill -9 "$pid"
tries=0
until "$cloudosctl" log write --service core 'after the kill' >/dev/null 2>&1 || [ $((tries += 1)) -gt 600 ]; do
	sleep 0.1
done
until_has "$work/follow" 'after the kill'
[ "$(grep -c number "$work/follow")" = 20 ] || fail "log tail -f tells twice: $(cat "$work/follow")"

# events
: >"$work/events"
"$cloudosctl" event tail 'user:*' -o json >"$work/events" 2>&1 &
followers="$followers $!"
tries=0
until grep -q . "$work/events" || [ $((tries += 1)) -gt 1200 ]; do
	"$cloudosctl" event emit user:created '{"a": 1}' >"$work/out" || fail "event emit"
	"$cloudosctl" event emit other >/dev/null
	sleep 0.05
done
grep -q '"event":"user:created",.*"data":{"a": 1}}$' "$work/events" || fail "event tail: $(cat "$work/events")"
grep -q other "$work/events" && fail "event tail shows what was not asked for"
id=$(sed -n 's/^id: *//p' "$work/out")
"$cloudosctl" event emit -t after 'a text' >/dev/null || fail "event emit -t"
timeout 60 "$cloudosctl" event tail --after "$id" after 2>&1 | { read -r _; read -r line; echo "$line"; } >"$work/out"
grep -q 'after *cloudosd *a text' "$work/out" || fail "event tail --after: $(cat "$work/out")"
"$cloudosctl" event emit sys:mine 2>/dev/null && fail "event emit sys:"
"$cloudosctl" event emit x '{' 2>"$work/err"
[ $? = 2 ] || fail "event emit with what is no JSON: $(cat "$work/err")"

# metrics
"$cloudosctl" metric add cpu.usage 75 --unit percent --tags host=a,zone=b=c >/dev/null || fail "metric add"
"$cloudosctl" metric add cpu.usage 0.10 >/dev/null || fail "metric add"
"$cloudosctl" metric ls cpu.usage >"$work/out" || fail "metric ls"
grep -q 'cpu.usage *75 *percent *{"host":"a","zone":"b=c"}' "$work/out" || fail "metric ls: $(cat "$work/out")"
"$cloudosctl" metric ls cpu.usage --newest -n 1 -o json | grep -q '"value":0.10}\],"total":2' || fail "metric ls -o json"
"$cloudosctl" metric add x y 2>/dev/null && fail "a value that is none"
"$cloudosctl" metric add x 1 --tags =1 2>"$work/err"
[ $? = 2 ] || fail "wrong tags: $(cat "$work/err")"

exit $failed
