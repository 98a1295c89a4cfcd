#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl asks the gateway: what it sends, and what it makes of every answer, also of
# those that no gateway should give.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

mkdir -p "$CLOUDOS_DIR/run" "$work/replies"
chmod 700 "$CLOUDOS_DIR/run"
requests=$work/requests

expect 3 "$ctl" state get a
has "$err" "no daemon is running"

mkfifo "$work/ready"
python3 "${srcdir:-.}/tests/cli/fake_gateway.py" "$CLOUDOS_DIR/run/http.sock" \
	"$work/replies" "$requests" "$work/ready" &
fake_pid=$!
cat "$work/ready" >/dev/null

# reply STATUS BODY [PATH]: the answer to come, with its length
reply() {
	rm -f "$work"/replies/*
	printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
		"$1" "$(printf %s "$2" | wc -c)" "$2" >"$work/replies/${3:-_v1_sys_state}"
	: >"$requests"
}

# raw BYTES: the answer with its head, for printf
raw() {
	rm -f "$work"/replies/*
	# shellcheck disable=SC2059 # it is a format
	printf "$1" >"$work/replies/_v1_sys_state"
}

# ---- what is asked ----

entry='{"key":"a b","value":1e400,"version":5,"updatedAt":"2026-11-20T12:00:00.000Z"}'
reply "200 OK" "$entry"
expect 0 "$ctl" state get 'a b&c=%/ü' --service 'core 1'
has "$requests" 'GET /v1/sys/state?key=a%20b%26c%3D%25%2F%C3%BC&service=core%201 HTTP/1.1'
has "$out" "1e400"
has "$out" "version:           5"
has "$out" "expires:           -"
expect 0 "$ctl" state get a -o json
[ "$(cat "$out")" = "$entry" ] || fail "the reply was not printed as it came"

expect 0 "$ctl" state set a '{"n": 9007199254740993}' --if-version 4 --ttl 60
has "$requests" '{"key":"a","value":{"n": 9007199254740993},"expectedVersion":4,"ttl":60}'
expect 0 "$ctl" state set a --text 'say "hi"' --create
has "$requests" '{"key":"a","value":"say \"hi\"","expectedVersion":0}'
printf '[1,\n2]' | "$ctl" state set a - >"$out" 2>"$err" || fail "standard input"
has "$requests" '2]}'
: >"$requests"
expect 2 "$ctl" state set a hello
has "$err" 'VALUE is JSON, but at byte 1 of "hello"'
expect 2 "$ctl" state set a 1 --create --if-version 3
expect 2 "$ctl" state set a 1 --ttl -1
[ -s "$requests" ] && fail "a wrong command line was sent"

reply "200 OK" '{"key":"a","deleted":true,"version":7}'
expect 0 "$ctl" state delete a --if-version 7
has "$requests" 'DELETE /v1/sys/state?key=a HTTP/1.1'
has "$requests" 'If-Match: "7"'

reply "200 OK" '{"state":[{"key":"a\u001b[31m","value":"x","version":1,"updatedAt":"t"},{"key":"b","value":[1, 2],"version":12,"updatedAt":"t"}]}'
expect 0 "$ctl" state list pre --limit 2 --after q
has "$requests" '?prefix=pre&limit=2&after=q HTTP/1.1'
has "$out" 'a\x1b[31m        1  t        x'
has "$out" 'b               12  t        [1, 2]'

reply "200 OK" '{"results":[{"op":"put","key":"a","version":2}]}' _v1_sys_state_tx
expect 0 "$ctl" state tx '[{"op":"put","key":"a","value":1}]'
has "$requests" '{"ops":[{"op":"put","key":"a","value":1}]}'
has "$out" 'put  a          2'

# ---- refusals ----

refusal() {
	reply "$1 Some Words" '{"error":{"code":"X","message":"because of '"$1"'"}}'
	expect "$2" "$ctl" state get a
	has "$err" "because of $1"
}
refusal 400 1
refusal 401 5
refusal 403 5
refusal 404 4
refusal 409 5
refusal 412 5
refusal 500 1
refusal 503 5
refusal 507 1
reply "500 Oops" '{}'
expect 1 "$ctl" state get a
has "$err" "HTTP status 500"

# ---- chunks, slowly; and no length at all ----

raw 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n9\r\n"key":"ab\r\n2\r\n"}\r\n0\r\n\r\n'
mv "$work/replies/_v1_sys_state" "$work/replies/_v1_sys_state.slow"
expect 0 "$ctl" state get a -o json
[ "$(cat "$out")" = '{"key":"ab"}' ] || fail "the chunks were not put together"
raw 'HTTP/1.1 200 OK\r\n\r\n{"key":"x"}'
expect 0 "$ctl" state get a -o json
[ "$(cat "$out")" = '{"key":"x"}' ] || fail "a body to the end of the connection"

# ---- what is no answer ----

wrong() {
	raw "$1"
	expect 1 "$ctl" state get a
	has "$err" "$2"
}
not_http="the daemon's answer is no HTTP"
wrong '' "closed the connection"
wrong 'HTTP/1.1 200' "closed the connection"
wrong 'SSH-2.0-x\r\n\r\n' "$not_http"
wrong 'HTTP/1.1 2x0 OK\r\n\r\n' "$not_http"
wrong 'HTTP/1.1 200 OK\n\n' "$not_http"
wrong 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n' "$not_http"
wrong 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}' "$not_http"
wrong 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}' "closed the connection"
wrong 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]' "no JSON"
wrong 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}' "$not_http"
wrong 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n' "$not_http"
wrong 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n' "$not_http"

# ---- events ----

# events BYTES [SUFFIX]: a stream with them, and a failure when the stream is asked for again
events() {
	rm -f "$work"/replies/*
	: >"$requests"
	# shellcheck disable=SC2059 # it is a format
	printf "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n$1" \
		>"$work/replies/_v1_sys_events${2-}"
	body='{"error":{"code":"SHUTDOWN","message":"over now"}}'
	printf 'HTTP/1.1 500 X\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
		${#body} "$body" >"$work/replies/_v1_sys_events.then"
	expect 1 "$ctl" event tail -o json
}
events 'retry: 2000\n: ok\n\nid: 1\ndata: {"a":\ndata: 1}\n\ndata:{"id":"7-b"}\r\n\r\n: beat\n\nid: 3\ndata: {"c":3}'
has "$err" "over now"
has "$requests" "Last-Event-ID: 7-b"
[ "$(cat "$out")" = '{"a":
1}
{"id":"7-b"}' ] || fail "the events are others"
events 'data: {"a":1}\n\n' .slow
[ "$(cat "$out")" = '{"a":1}' ] || fail "the event came otherwise byte by byte"
events 'data: {"a":\n\n'
has "$err" "an event is no JSON"
