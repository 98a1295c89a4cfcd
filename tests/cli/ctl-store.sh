#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl store backup: complete or not there, and never over another file.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

fake normal
mkdir "$work/b"
expect 0 "$ctl" store backup "$work/b/one"
has "$out" "10 bytes are in $work/b/one"
[ "$(cat "$work/b/one")" = "the store" ] || fail "not what the daemon wrote"
[ "$(stat -c %a "$work/b/one")" = 600 ] || fail "the backup is open to others"
echo old >"$work/b/one"
expect 5 "$ctl" store backup "$work/b/one"
has "$err" "--force replaces it"
[ "$(cat "$work/b/one")" = old ] || fail "a refused backup changed the file"
expect 0 "$ctl" store backup --force "$work/b/one"
[ "$(cat "$work/b/one")" = "the store" ] || fail "--force did not replace it"
(cd "$work/b" && "$ctl" store backup two) >"$out" 2>"$err" || fail "not in the folder here"
[ "$(cat "$work/b/two")" = "the store" ] || fail "not what the daemon wrote"
ln -s nowhere "$work/b/link"
expect 5 "$ctl" store backup "$work/b/link"
expect 1 "$ctl" store backup "$work/b"
has "$err" "is a folder"
expect 4 "$ctl" store backup "$work/none/x"
has "$err" "$work/none"
expect 2 "$ctl" store backup ""
unfake

# a failure leaves nothing, and what was there stays
fake busy
expect 1 "$ctl" store backup "$work/b/three"
has "$err" "the disk is full"
expect 1 "$ctl" store backup -f "$work/b/one"
[ "$(cat "$work/b/one")" = "the store" ] || fail "a failed backup changed the file"
unfake
fake hangup
expect 1 "$ctl" store backup "$work/b/three"
left=$(find "$work/b" -mindepth 1 | sort | tr '\n' ' ')
[ "$left" = "$work/b/link $work/b/one $work/b/two " ] || fail "left behind: $left"
