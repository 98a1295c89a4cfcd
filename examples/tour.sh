#!/bin/sh
# SPDX-License-Identifier: MIT
# Cloudos at work, in a folder of its own that is gone afterwards.
#
# usage: tour.sh [FOLDER]    FOLDER holds the programs; without it they come from PATH
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ $# -gt 0 ]; then
	PATH=$(CDPATH='' cd -- "$1" && pwd):$PATH
	export PATH
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/cloudos-tour.XXXXXX")
CLOUDOS_DIR=$work/cloudos
export CLOUDOS_DIR
unset CO_ENGINE 2>/dev/null || true
service=

stop_all()
{
	if [ -n "$service" ]; then
		kill "$service" 2>/dev/null || true
		wait "$service" 2>/dev/null || true
		service=
	fi
	cloudosctl daemon stop --force >/dev/null 2>&1 || true
}

finish()
{
	status=$?
	trap - EXIT
	[ ! -d "$work" ] || stop_all
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

die()
{
	printf 'tour: %s\n' "$*" >&2
	exit 1
}

title()
{
	printf '\n== %s\n' "$*"
}

# Shows the command, then runs it.
show()
{
	printf '$ %s\n' "$*"
	"$@"
}

# what, command...: waits until the command succeeds, ten seconds at most
await()
{
	what=$1
	until=$(($(date +%s) + 10))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$until" ] || die "waited ten seconds in vain for $what"
		sleep 0.05
	done
}

for program in cloudos-exec cloudosctl; do
	command -v "$program" >/dev/null 2>&1 ||
		die "$program is not in PATH; in a source tree: ./bootstrap run"
done

# An installed tour brings the sources: what every reader would do with them.
if ! command -v example-service >/dev/null 2>&1; then
	title "Build the two examples as any CloudOS program is built"
	for name in service client; do
		# shellcheck disable=SC2046 # a list of words
		show cc "$here/cloudos/$name.c" -o "$work/example-$name" \
			$(pkg-config --cflags --libs cloudos)
	done
	PATH=$work:$PATH
fi

title "A daemon of our own: everything it keeps is under $CLOUDOS_DIR"
show cloudosctl daemon start
daemon_pids=$(cloudosctl daemon status -o json | tr ',' '\n' |
	sed -n 's/.*"\(keeper_\)\{0,1\}pid": *\([0-9]*\).*/\2/p')
[ -n "$daemon_pids" ] || die "cloudosctl daemon status tells no process"

title "A CloudOS program registers a service"
printf '$ cloudos-exec example-service &\n'
cloudos-exec --name=service example-service >"$work/service.out" 2>&1 &
service=$!

is_registered()
{
	kill -0 "$service" 2>/dev/null || {
		cat "$work/service.out" >&2
		die "the service ended early"
	}
	cloudosctl service ls hello -o json 2>/dev/null | grep -q '"hello"'
}
await "the registration" is_registered
cat "$work/service.out"

title "A second one discovers it and talks to it"
show cloudos-exec --name=client example-client

title "The same, with every CloudOS call shown"
show cloudos-exec --trace example-client

title "cloudosctl sees both sides"
show cloudosctl ps
show cloudosctl service ls

title "What there is of CloudOS, and what there is not"
printf '$ cloudosctl personality show cloudos    (counted; rows are interfaces)\n'
cloudosctl personality show cloudos -o json | tr ',' '\n' |
	sed -n 's/.*"support": *"\([A-Za-z]*\)".*/\1/p' | sort | uniq -c | grep .

title "An ordinary program beside them, natively and under cloudos-exec"
work_load='print(sum(n * n for n in range(2000000)))'

# command...: its answer in $work/answer, the time it took in ms
measure()
{
	start=$(date +%s%N)
	"$@" >"$work/answer"
	ms=$((($(date +%s%N) - start) / 1000000))
}

# The better of five turns each: other programs want the machine as well.
native=999999 under=999999
for _ in 1 2 3 4 5; do
	measure python3 -c "$work_load"
	[ "$ms" -ge "$native" ] || native=$ms
	cp "$work/answer" "$work/native"
	measure cloudos-exec python3 -c "$work_load"
	[ "$ms" -ge "$under" ] || under=$ms
done
printf "\$ python3 -c '%s'\n" "$work_load"
printf '%s, natively in %s ms\n' "$(cat "$work/native")" "$native"
printf "\$ cloudos-exec python3 -c '%s'\n" "$work_load"
printf '%s, under cloudos-exec in %s ms\n' "$(cat "$work/answer")" "$under"
cmp -s "$work/native" "$work/answer" || die "the two answers differ"

title "Stop everything"
show kill "$service"
wait "$service" || die "the service did not end well: status $?"
service=
tail -n 1 "$work/service.out"
show cloudosctl daemon stop

are_gone()
{
	for pid in $daemon_pids; do
		[ ! -d "/proc/$pid" ] || return 1
	done
	# whoever still has our folder in its environment, this script aside
	# shellcheck disable=SC2013 # the lines are paths below /proc
	for environ in $(grep -lzxF "CLOUDOS_DIR=$CLOUDOS_DIR" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${environ%/environ}
		if [ "$pid" != /proc/$$ ] && [ -d "$pid" ]; then
			return 1
		fi
	done
}
await "every process to end" are_gone
[ ! -S "$CLOUDOS_DIR/run/control.sock" ] || die "the daemon left its socket"
rm -rf "$work"
[ ! -e "$work" ] || die "cannot remove $work"
printf '\nNothing is left: no process, no folder.\n'
