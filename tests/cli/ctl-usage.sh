#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl: the command line, help, completions and the manual page.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

# nothing, groups and unknown words are usage errors with a hint
expect 2 "$ctl"
has "$err" "which command?"
expect 2 "$ctl" daemon
has "$err" "group of commands"
expect 2 "$ctl" servcie ls
has "$err" 'did you mean "service"?'
expect 2 "$ctl" service shwo web
has "$err" 'did you mean "show"?'
expect 2 "$ctl" xyzzy
hasnt "$err" "did you mean"
expect 2 "$ctl" "daemon start"
expect 2 "$ctl" ""
[ -s "$out" ] && fail "an error went to standard output"

# a word that only begins like a command is none
expect 2 "$ctl" personality sho cloudos

# options: unknown, without value, with one too many, behind --
expect 2 "$ctl" ps --outptu json
has "$err" "did you mean --output?"
expect 2 "$ctl" ps -x
has "$err" "no option -x here"
expect 3 "$ctl" ps --
expect 2 "$ctl" daemon stop --force=yes
has "$err" "takes no value"
expect 2 "$ctl" errors -n
has "$err" "needs a value"
expect 2 "$ctl" -o yaml ps
has "$err" "table or json"
expect 2 "$ctl" ps -o markdown
expect 2 "$ctl" --dir= ps
expect 2 "$ctl" ps -- -o
has "$err" 'does not take "-o"'
for n in -1 1x 99999999999999999999 "" " 1" 0; do
	expect 2 "$ctl" errors -n "$n"
	has "$err" "whole number from 1"
done
expect 2 "$ctl" service register web --port 65536
expect 2 "$ctl" service register web --pid 0
expect 2 "$ctl" kill -s NOSUCH web
has "$err" "kill -l"
expect 2 "$ctl" completion fish

# operands
expect 2 "$ctl" store backup
has "$err" "needs FILE"
expect 2 "$ctl" store backup a b
has "$err" 'does not take "b"'
expect 2 "$ctl" ps extra
expect 4 "$ctl" personality show nosuch
has "$err" "cloudos, blackroad, clankeros, playsys, anos"

# options may stand anywhere
for line in "-o json limits" "limits -o json" "limits -ojson" "limits --output=json"; do
	# shellcheck disable=SC2086
	expect 0 "$ctl" $line
	is_json "$out"
done
is "$(grep -c '^LIMIT(' "${srcdir:-.}/include/co/limits.def")" "len(j)" "$out"

# help: every command has one, and it lists its options
expect 0 "$ctl" help
cp "$out" "$work/list"
expect 0 "$ctl" --help
cmp -s "$out" "$work/list" || fail "--help and help differ"
sed -n 's/^COMMAND([a-z_]*, "\([^"]*\)".*/\1/p' "${srcdir:-.}/cli/commands.def" \
	>"$work/words"
[ "$(wc -l <"$work/words")" -ge 24 ] || fail "commands.def was not understood"
while read -r words; do
	has "$work/list" "  $words"
	# shellcheck disable=SC2086
	expect 0 "$ctl" help $words
	has "$out" "Usage: cloudosctl $words "
	cp "$out" "$work/help"
	# shellcheck disable=SC2086
	expect 0 "$ctl" $words --help
	cmp -s "$out" "$work/help" || fail "help of $words differs from its --help"
done <"$work/words"
expect 0 "$ctl" help service
has "$out" "service register NAME"
hasnt "$out" "daemon start"
expect 2 "$ctl" help nosuch

# the manual page has them too and is proper roff
expect 0 "$ctl" help --man
cp "$out" "$work/cloudosctl.1"
while read -r words; do
	has "$work/cloudosctl.1" ".SS \"$words"
done <"$work/words"
if command -v man >/dev/null; then
	MANROFFSEQ='' MANWIDTH=80 man --warnings -l "$work/cloudosctl.1" \
		>"$out" 2>"$err" || fail "man cannot read the page"
	[ -s "$err" ] && fail "man has warnings"
fi

# completions: proper shell, and they complete
expect 0 "$ctl" completion bash
cp "$out" "$work/complete.bash"
cat >"$work/try.bash" <<'END'
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_cloudosctl
printf '%s\n' "${COMPREPLY[@]}"
END
completes() {
	offered=$1
	shift
	expect 0 bash "$work/try.bash" "$work/complete.bash" cloudosctl "$@"
	grep -qxF -- "$offered" "$out" || fail "no $offered for: $*"
}
if command -v bash >/dev/null; then
	completes service ser
	completes start daemon st
	completes --health-check service register web --he
	completes json -o js
	completes ls -o json service l
	completes playsys personality show pl
	completes zsh completion ""
	completes run container r
	completes --volume container run --vol
	completes --prune apply --pr
	completes --follow daemon logs --f
	# names of services are offered and never run
	fake normal
	mkdir "$work/bin"
	ln -s "$ctl" "$work/bin/cloudosctl"
	PATH=$work/bin:$PATH
	expect 0 "$ctl" service register "\$(touch\${IFS}$work/run)"
	expect 0 "$ctl" service register web
	completes web service show w
	completes "\$(touch\${IFS}$work/run)" service show ""
	[ -e "$work/run" ] && fail "the name of a service was run"
	unfake
fi
expect 0 "$ctl" completion zsh
cp "$out" "$work/_cloudosctl"
cat >"$work/try.zsh" <<'END'
compdef() { : }
compadd() { shift; print -l -- "$@" }
source $1
shift
words=("$@")
CURRENT=$#
_cloudosctl
END
if command -v zsh >/dev/null; then
	expect 0 zsh -n "$work/_cloudosctl"
	expect 0 zsh -f "$work/try.zsh" "$work/_cloudosctl" cloudosctl -o json service ""
	has "$out" "deregister"
	hasnt "$out" "reload"
fi

# escapes of the terminal do not come back from the command line
expect 2 "$ctl" "$(printf 'a\033[31mb')"
hasnt "$err" "$(printf '\033')"

# a full disk under the output is an error, a closed one is none
if [ -c /dev/full ]; then
	"$ctl" limits >/dev/full 2>"$err" && fail "a full disk went unnoticed"
	has "$err" "cannot write the output"
fi
