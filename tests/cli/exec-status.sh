#!/bin/sh
# SPDX-License-Identifier: MIT
# Options, and how the launcher ends: as the program ended.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

# ---- options ----
expect 0 "$x" --help
has "$out" 'usage: cloudos-exec [OPTION]... [--] PROGRAM'
expect 0 "$x" --version
has "$out" 'cloudos-exec '
expect 125 "$x"
says 'cloudos-exec: which program?  See cloudos-exec --help'
expect 125 "$x" --frobnicate true
has "$err" "unrecognized option '--frobnicate'"
has "$err" 'see cloudos-exec --help'
expect 125 "$x" --name
has "$err" "requires an argument"
expect 125 "$x" --engine=warp true
says 'there is no engine "warp": notify, trap, ptrace or auto'
expect 125 env CO_ENGINE=warp "$x" true
says 'there is no engine "warp"'
expect 125 "$x" --personality=vms true
says 'there is no personality "vms"; cloudosctl personality ls lists them'
[ ! -e "$CLOUDOS_DIR" ] || fail "a daemon was started for a program that could not run"
expect 0 "$x" echo --help --engine=warp
has "$out" '--help --engine=warp' # options end at the first operand
expect 0 "$x" -- echo -- here
has "$out" '-- here'
cp /bin/echo "$work/--engine=warp"
(cd "$work" && PATH=$work:$PATH "$x" -- --engine=warp dash >"$out" 2>"$err") || fail 'after --'
has "$out" dash

# the option goes before the variable, and an empty variable is none
expect 0 env CO_ENGINE=ptrace "$x" --engine=notify sed -n 's/^TracerPid:\t//p' /proc/self/status
has "$out" 0
expect 0 env CO_ENGINE=ptrace "$x" sed -n 's/^TracerPid:\t//p' /proc/self/status
[ "$(cat "$out")" != 0 ] || fail "CO_ENGINE=ptrace is not obeyed"
expect 0 env CO_ENGINE= "$x" true

# ---- status ----
statuses() {
	for status in 0 1 2 3 63 64 77 99 124 125 126 127 128 129 137 143 200 254 255; do
		expect "$status" "$x" --engine="$1" sh -c "exit $status"
	done
}
engines statuses

# death by a signal: the launcher dies of the same one
python3 - "$x" "$guest" <<'END' || fail "deaths by a signal"
import os, resource, signal, subprocess, sys
x, guest = sys.argv[1:]
for engine in ("notify", "trap", "ptrace"):
    for number in (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 24, 31, 34, 64):
        def ready(number=number):  # who started us may ignore it
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if number != 9:
                signal.signal(number, signal.SIG_DFL)
        died = subprocess.run([x, "--engine=" + engine, guest, "die", str(number)],
                              preexec_fn=ready)
        if died.returncode != -number:
            sys.exit(f"{engine}: signal {number} became {died.returncode}")
END

# one core dump at most: the launcher leaves none of its own
cores() {
	mkdir "$work/core.$1" || exit 99
	# shellcheck disable=SC3045 # every sh that Debian has knows it
	(cd "$work/core.$1" && ulimit -c unlimited && "$x" --engine="$1" "$guest" die 6) \
		>"$out" 2>"$err"
	got=$?
	[ "$got" = 134 ] || fail "an abort became $got"
	# shellcheck disable=SC2012 # only counted
	[ "$(ls "$work/core.$1" | wc -l)" -le 1 ] || fail "more than one core"
}
engines cores
exit 0
