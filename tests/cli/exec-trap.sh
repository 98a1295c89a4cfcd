#!/bin/sh
# SPDX-License-Identifier: MIT
# Engine trap up to the loader: what the loader is started with, what is refused with a
# sentence, what the daemon lists.  A loader that only talks stands in for the real one.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

libexec=$work/libexec
mkdir "$libexec"
cp "$build/fake-loader" "$libexec/cloudos-loader"
ln -s "$build/cloudos-keeper" "$build/cloudosd" "$libexec"
with() {
	env CLOUDOS_LIBEXECDIR="$libexec" "$@"
}

# arg N TEXT: that argument is exactly so; config PATTERN: the first one matches
arg() {
	grep -qxF "argv $1 $2" "$out" || {
		cat "$out" >&2
		fail "argument $1 is not \"$2\""
	}
}
config() {
	sed -n 's/^argv 0 //p' "$out" | grep -qxE "$1" || {
		cat "$out" >&2
		fail "the loader's first argument is not like $1"
	}
}
where=$(realpath "$libexec/cloudos-loader")
length=$(printf '%x' ${#where})
behind=";[0-9a-f]+;ffffffff;$length;$where$CLOUDOS_DIR/run"

# ---- what the loader gets ----
expect 7 with "$x" --engine=trap echo 'two words' ''
config "cloudos1;0;0$behind"
arg 1 /usr/bin/echo
arg 2 echo
arg 3 'two words'
arg 4 ''
[ "$(grep -c '^argv' "$out")" = 5 ] || fail "other arguments"
grep -v '^argv' "$out" >"$work/with"
expect 7 with "$build/fake-loader"
grep -v '^argv' "$out" >"$work/without"
cmp -s "$work/with" "$work/without" || {
	diff "$work/without" "$work/with" >"$out"
	fail "the program would inherit other descriptors or variables"
}
(cd / && with "$x" --engine=trap ./bin/true a >"$out" 2>"$err")
arg 1 ./bin/true
arg 2 ./bin/true

# a file that is neither ELF nor has a first line is the shell's, as for execvp
printf 'exit 3\n' >"$work/plain"
chmod +x "$work/plain"
expect 7 with "$x" --engine=trap "$work/plain" x
arg 1 /bin/sh
arg 2 /bin/sh
arg 3 "$work/plain"
arg 4 x

# ---- what is asked for, in the flags ----
flags() {
	want=$1
	shift
	expect 7 with "$@" true
	config "cloudos1;$want$behind"
}
flags '0;1' "$x" --engine=trap --no-patch
flags '0;2' "$x" --engine=trap --trap=sud
flags '0;0' "$x" --engine=trap --trap=seccomp
flags '0;4' "$x" --allow-guest-seccomp # which asks for this engine
flags '5;0' "$x" --personality=linux # which no other engine runs
flags '5;3' "$x" --personality=linux --no-patch --trap=sud
flags '0;0' env CO_ENGINE=trap "$x"
flags '0;13' env CO_ENGINE=trap CO_TRAP='eager  sud no-patch' "$x"
flags '0;10' env CO_ENGINE=trap CO_TRAP='eager sud' "$x" --trap=seccomp
trap '' SYS
flags '0;8' "$x" --engine=trap
trap - SYS
expect 7 with python3 -c 'import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])
os.execv(sys.argv[1], sys.argv[1:])' "$x" --engine=trap true
config "cloudos1;0;20$behind"

# ---- what is not possible is a sentence ----
expect 125 with "$x" --engine=notify --no-patch true
says '--trap, --no-patch and --allow-guest-seccomp are for engine trap, not for notify'
expect 125 with "$x" --trap=magic true
says 'engine trap catches calls with seccomp or sud (syscall user dispatch), not with "magic"'
expect 125 with env CO_TRAP='eager soon' "$x" --engine=trap true
says 'CO_TRAP has a word "soon"; it knows '
for engine in notify ptrace; do
	expect 125 with "$x" --personality=linux --engine=$engine true
	says "engine $engine has nothing to catch in a program of Linux; use trap"
done
expect 125 with "$x" --personality=playsys true
has "$err" 'this version runs programs of CloudOS, Linux, Anos and BlackRoad OS only'
printf '#!/nonexistent/interpreter\n' >"$libexec/cloudos-loader.new"
chmod +x "$libexec/cloudos-loader.new"
mv "$libexec/cloudos-loader.new" "$libexec/cloudos-loader"
expect 125 with "$x" --engine=trap true
says "cannot start the loader of engine trap, $where: No such file"
cp "$build/fake-loader" "$libexec/cloudos-loader"

# ---- beside what a container takes away ----
outer=$build/outer-filter
"$outer" none true || skip "seccomp filters cannot be installed here"
expect 7 with "$outer" private "$x" "$build/exec-guest" call # notification is hidden
config "cloudos1;0;0$behind"
expect 7 with "$outer" unknown "$x" true
expect 7 with "$outer" seccomp "$x" --engine=trap true # asked for, it dispatches
config "cloudos1;0;2$behind"
expect 125 with "$outer" seccomp "$x" --trap=seccomp true
says 'engine trap cannot work here: a filter is refused: Function not implemented; try --trap=sud'
expect 125 with "$outer" dispatch "$outer" seccomp "$x" --engine=trap true
says 'engine trap cannot work here: a filter is refused'
hasnt "$err" 'try --trap'
expect 125 with "$outer" addresses "$x" --engine=trap true
says 'engine trap cannot work here: its part of the address space cannot be had ('
# not asked for and not possible: ptrace, as ever
expect 0 with "$outer" private "$outer" addresses "$x" "$build/exec-guest" call
has "$out" 'domain '

# ---- the daemon lists it while it runs and forgets it then ----
start env CLOUDOS_LIBEXECDIR="$libexec" FAKE_LOADER=wait "$x" --engine=trap --personality=linux --name=trapped true
ready
only name trapped
only engine trap
only personality linux
only pid "$pid"
kill -TERM "$started"
ended 143
nothing() {
	[ "$("$ctl" ps -o json)" = '[]' ]
}
until_true nothing

# a daemon that is killed meanwhile is followed by one that knows the program
start env CLOUDOS_LIBEXECDIR="$libexec" FAKE_LOADER=wait "$x" --engine=trap --name=lasting true
ready
daemon_pid=$("$ctl" daemon status -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
kill -9 "$daemon_pid"
only name lasting
only engine trap
kill "$pid"
ended 143
until_true nothing

# ---- the real loader: a session lasts as long as a process of it ----
# A process that makes no CloudOS call has nothing of ours open; the daemon finds it all the
# same, and one of another domain does not count.
leave() { # FILE: leaves a process behind that waits for it
	expect 0 "$x" --personality=linux --name="$2" sh -c \
		'(until [ -e "$1" ]; do sleep 0.02; done) >/dev/null 2>&1 </dev/null &' sh "$1"
}
leave "$work/go" left
only name left
(
	CLOUDOS_DIR=$work/another
	leave "$work/go.other" other
) || exit
kill -9 "$("$ctl" daemon status -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)"
only name left # and the next daemon knows it
touch "$work/go"
until_true nothing
CLOUDOS_DIR=$work/another "$ctl" ps >"$out" 2>"$err"
has "$out" other
touch "$work/go.other"
CLOUDOS_DIR=$work/another until_true nothing
CLOUDOS_DIR=$work/another "$ctl" daemon stop >/dev/null 2>&1

exit 0
