#!/bin/sh
# SPDX-License-Identifier: MIT
# --trace: names, typed arguments, results, errors and times, to stderr or a file, and no
# line is lost or broken, whatever the program does.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
trace=$work/trace
configure 'health: {timeout: 60}' # for the guest programs

# Every line of $1 is one; there are at least $2.
lines() {
	python3 - "$1" "$2" <<'END' >>"$err" 2>&1 || fail "the trace $1 is not in form"
import re, sys
text = r'"(?:[^"\\\x00-\x1f\x7f]|\\["\\nt]|\\x[0-9a-f]{2})*"(?:\.\.\.)?'
word = r'-?[0-9]+|0x[0-9a-f]+|NULL|\[(?:[0-9]+|true|false)\]|' + text
def several(one):
    return rf'(?:{one}(?:, {one})*(?:, \.\.\.)?|\.\.\.)?'
inner = r'\{' + several(rf'[a-z_]+=(?:{word})') + r'\}'
listed = r'\[' + several(inner) + r'\]'
struct = r'\{' + several(rf'[a-z_]+=(?:{word}|{listed})') + r'\}'
value = rf'(?:{struct}|{listed}|{word})'
arguments = rf'(?:[a-z_]+={value}(?:, [a-z_]+={value})*)?(?:, \.\.\.)?'
form = re.compile(rf'[1-9][0-9]* [a-z_]+\({arguments}\) = -?[0-9]+'
                  r'(?: CLOUDOS_E[A-Z]+ \(.+\)| EINTR \(.+\))? <[0-9]+\.[0-9]{6}>')
with open(sys.argv[1], encoding="utf-8") as f:
    data = f.read()
if data and not data.endswith("\n"):
    sys.exit("the last line has no end")
all = data.splitlines()
bad = [line for line in all if not form.fullmatch(line)]
if bad or len(all) < int(sys.argv[2]):
    sys.exit(f"{len(all)} lines, not in form: {bad[:5]}")
END
}

each() {
	engine=$1

	# ---- where it goes ----
	expect 0 "$x" --engine="$engine" --trace "$guest" call
	has "$err" ' domain() = '
	lines "$err" 1
	echo 'an old trace, longer than the new one; an old trace, longer than the new one' >"$trace"
	expect 0 "$x" --engine="$engine" --trace="$trace" "$guest" call
	[ ! -s "$err" ] || fail "--trace=FILE writes to stderr"
	lines "$trace" 1
	has "$trace" " = $(sed -n 's/^domain //p' "$out") <"

	# ---- what it says: every guest test, and their bad pointers ----
	for name in bad_pointers absent service_discover sys_cloud_discover_service \
		get_last_error sys_readdir fork_threads; do
		"$x" --engine="$engine" --trace="$trace" "$build/guest-cloudos-$name" \
			>"$out" 2>"$err" || fail "guest-cloudos-$name under --trace"
		lines "$trace" 5
		cp "$trace" "$trace.$name"
	done
	for part in 'sys_opendir(name="/") = ' 'sys_opendir(name=NULL) = -2017 CLOUDOS_EFAULT (' \
		'service_register(registration={name="bad.pointers", version="1.2.3", port=4711, ' \
		'count=[' 'healthy=[true]'; do
		has "$trace.bad_pointers" "$part"
	done
	has "$trace.service_discover" ', services=[{name="disc.three", version="1.2.3", pid='
	has "$trace.service_discover" ', services=NULL, count=[3]) = 0 <'
	has "$trace.sys_cloud_discover_service" 'list=[{pid='
	has "$trace.get_last_error" 'get_last_error(error={}) = 0 <'
	has "$trace.get_last_error" 'get_last_error(error={error_code=-3, message="process '
	has "$trace.get_last_error" ' has registered no service "glasterr.name") <'
	has "$trace.get_last_error" 'get_last_error(error=NULL) = -2017 CLOUDOS_EFAULT ('
	has "$trace.sys_readdir" 'd_name=".."}) = 1 <'
	has "$trace.absent" ' CLOUDOS_EACCES ('
	# more than one process, each under its own number
	[ "$(cut -d' ' -f1 "$trace.fork_threads" | sort -u | wc -l)" -gt 3 ] ||
		fail "children do not show in the trace"

	# what the program wrote cannot break a line
	expect 1 "$x" --engine="$engine" --trace="$trace" "$guest" offer "$(printf 'a\nb\033[1m"\302\233\377')"
	lines "$trace" 1
	has "$trace" 'name="a\nb\x1b[1m\"\xc2\x9b\xff"'
	expect 1 "$x" --engine="$engine" --trace="$trace" "$guest" offer "/$(printf 'x%.0s' $(seq 62))"
	lines "$trace" 1

	# ---- who makes the call ----
	expect 137 sh -c '"$@"; exit $?' sh "$x" --engine="$engine" --trace="$trace" "$guest" die 9
	has "$trace" ' domain() = ' # killed right behind it
	lines "$trace" 1
	# shellcheck disable=SC2016 # for that shell
	expect 0 "$x" --engine="$engine" --trace="$trace" \
		sh -c 'sh -c "$0 call; true"; $0 vfork; $0 thread; true' "$guest"
	lines "$trace" 3
	[ "$(wc -l <"$trace")" = 3 ] || fail "not one line for each call"

	# ---- nobody reads, or nothing fits ----
	if [ -c /dev/full ]; then
		expect 0 "$x" --engine="$engine" --trace=/dev/full "$guest" call
	fi
	# shellcheck disable=SC2016
	sh -c '"$@" 3>&1 2>&1 1>&3 | true' sh "$x" --engine="$engine" --trace "$guest" storm 20 >"$out"
	mkfifo "$work/reader"
	: <"$work/reader" &
	expect 0 "$x" --engine="$engine" --trace="$work/reader" "$guest" storm 20
	has "$out" '20 answered' # the reader is gone; the program is not
	rm "$work/reader"
}
engines each

# ---- a file that cannot be written: said before anything is started ----
"$ctl" daemon stop >/dev/null 2>&1
rm -rf "$CLOUDOS_DIR"
expect 125 "$x" --trace=/no/such/folder/trace true
says 'cloudos-exec: cannot write the trace to /no/such/folder/trace: No such file or directory'
expect 125 "$x" --trace="$work" true
says 'Is a directory'
expect 125 "$x" --trace= true
says 'cannot write the trace to '
[ ! -e "$CLOUDOS_DIR" ] || fail "a daemon was started for it"
exit 0
