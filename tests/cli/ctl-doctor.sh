#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl doctor: finds what is there, and what a filter around it takes away.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # that needs ptrace itself

state() {
	wanted=$1
	is "$wanted" "[f['state'] for f in j if f['feature'] == '$2'][0]" "$out"
}

# plain: the form
"$ctl" doctor -o json >"$out" 2>"$err" || [ $? = 1 ] || fail "doctor ended otherwise"
is_json "$out"
is "feature,state,meaning,detail,advice" "','.join(j[0])" "$out"
is "True" "all(f['state'] == 'ok' or f['advice'] for f in j)" "$out"
is "True" "all(f['detail'] for f in j)" "$out"
state limited daemon
"$ctl" doctor >"$out" 2>"$err"
grep -q "engine notify" "$out" || fail "no line about notify"
cp "$out" "$work/plain"

# a filter in front that refuses one thing at a time
grep -q '^ok *engine ptrace' "$work/plain" && ptrace=1 || ptrace=0
if ! "$build/outer-filter" none true; then
	skip "seccomp filters cannot be installed here: run outside of the container"
fi
without() { # WHAT STATUS
	"$build/outer-filter" "$1" "$ctl" doctor -o json >"$out" 2>"$err"
	got=$?
	[ $got = "$2" ] || fail "doctor without $1 ended with $got"
	is_json "$out"
}
if [ "$ptrace" = 1 ]; then
	without private 0
	state missing "engine notify"
	has "$out" "outer filter"
	without seccomp 0
	state missing "engine notify"
	state limited "trap filter"
fi

# engine trap, part by part; a loader that nobody runs is enough to be found
mkdir "$work/libexec"
cp /bin/true "$work/libexec/cloudos-loader"
CLOUDOS_LIBEXECDIR=$work/libexec
export CLOUDOS_LIBEXECDIR
without seccomp 0 && state limited "trap filter" && state limited "engine trap"
has "$out" "a filter is refused: Function not implemented"
has "$out" "by dispatch only"
without none 0
for part in "engine trap" "trap loader" "trap filter" "trap addresses"; do
	state ok "$part"
done
has "$out" "told by its address and answered in"
without dispatch 0 && state limited "trap dispatch" && state ok "engine trap"
has "$out" "it is refused: Invalid argument"
without mm-map 0 && state limited "trap mm map" && state ok "engine trap"
without int80 0 && state limited "trap 32-bit code" && state ok "engine trap"
has "$out" "it runs, but int 0x80 is refused: Function not implemented"
without addresses 0 && state missing "trap addresses" && state limited "engine trap"
has "$out" "its addresses cannot be had"
# what a container answers to unknown numbers is outranked by a trap; what it kills is not
without unknown 0 && state ok "trap filter"
without forbidden 0 && state ok "trap filter"
without killed 0 && state limited "trap filter" && state ok "trap dispatch"
has "$out" "the probe was ended by signal 31"
without unshare 0 && state missing "user name spaces"
without landlock 0 && state missing landlock
without pidfd 0 && state missing pidfd
without memfd 0 && state missing "sealed memfd"
without readv 0 && state missing "foreign memory"
if grep -q '^ok *engine notify\|^limited *engine notify' "$work/plain"; then
	without ptrace 0 && state limited "engine ptrace"
	"$build/outer-filter" notify "$ctl" doctor -o json >"$out" 2>"$err"
	state missing "engine notify"
	has "$out" "already under"
fi
"$build/outer-filter" private "$build/outer-filter" ptrace "$build/outer-filter" addresses \
	"$ctl" doctor >"$out" 2>"$err"
[ $? = 1 ] || fail "a box without any engine is well"
has "$err" "programs cannot run here"

# folders
mkdir -p "$CLOUDOS_DIR"
: >"$CLOUDOS_DIR/run"
expect 1 "$ctl" doctor -o json
state missing "run folder"
rm "$CLOUDOS_DIR/run"

# with a daemon
fake normal
expect 0 "$ctl" doctor -o json
state ok daemon
has "$out" "release 9.9.9"
