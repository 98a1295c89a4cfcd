#!/bin/sh
# SPDX-License-Identifier: MIT
# Ctrl-C, Ctrl-Z and fg at a terminal, while the program is blocked in a call of the daemon.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
configure 'health: {timeout: 60}' # for who waits
command -v bash >/dev/null || lacks "bash is missing: apt install bash"
terminal=${srcdir:-.}/tests/transparency/terminal.py

each() {
	engine=$1
	cat >"$work/dialogue" <<END
expect ready>
send '$x' --engine=$engine '$guest' wait
expect ready [0-9]+
key z
expect Stopped
expect ready>
send jobs
expect Stopped
expect ready>
send fg
expect exec-guest
expect continued
key c
expect \\^C
expect ready>
send echo "status \$?"
expect status 130
expect ready>
send '$x' --engine=$engine '$guest' wait &
expect (?s)(ready>.*ready [0-9]+|ready [0-9]+.*ready>)
send kill %1; wait %1; echo "status \$?"
expect status 143
expect ready>
send exit 6
END
	echo "PS1='ready>'" >"$work/rc"
	INPUTRC=/dev/null python3 "$terminal" "$work/dialogue" \
		bash --noprofile --rcfile "$work/rc" -i >"$out" 2>"$err"
	got=$?
	[ "$got" = 6 ] || fail "the terminal under $engine ended with $got"
}
expect 0 "$x" true
engines each
exit 0
