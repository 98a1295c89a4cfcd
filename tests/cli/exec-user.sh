#!/bin/sh
# SPDX-License-Identifier: MIT
# As somebody who is not root: the guest programs under both engines, set-uid programs, and
# memory that nobody may read.  As root this runs as "nobody"; otherwise as whoever it is.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

# ---- a place and a user ----
as=
home=$work
if [ "$(id -u)" = 0 ]; then
	command -v setpriv >/dev/null || lacks "setpriv is missing: apt install util-linux"
	as='setpriv --reuid 65534 --regid 65534 --clear-groups'
	home=
	for base in "${TMPDIR:-/tmp}" /var/tmp /dev/shm; do
		home=$(mktemp -d "$base/cloudos-nobody.XXXXXX" 2>/dev/null) || continue
		chown 65534:65534 "$home"
		cp /bin/true "$home/true" && chmod 755 "$home/true"
		# a shell that has given up everything must get there by itself
		# shellcheck disable=SC2086 # words
		$as sh -c "'$home/true'" 2>/dev/null && break
		rm -rf "$home"
		home=
	done
	[ -n "$home" ] || skip "no folder in which another user may run programs"
fi
end_user() {
	status=$?
	trap - EXIT
	[ -z "$started" ] || kill -9 "$started" 2>/dev/null
	CLOUDOS_DIR=$home/domain as_user "$home/build/cloudosctl" daemon stop --force >/dev/null 2>&1
	rm -rf "$home" "$work"
	exit "$status"
}
trap end_user EXIT
mkdir -p "$home/build" "$home/tmp"
cp "$x" "$ctl" "$guest" "$build/cloudos-keeper" "$build/cloudos-loader" \
	"$build/cloudosd/cloudosd" "$home/build"
cp "$build"/guest-cloudos-* "$home/build" 2>/dev/null
rm -f "$home/build"/*.log "$home/build"/*.trs
cp "${srcdir:-.}/tests/guest/run.sh" "$home"
[ -z "$as" ] || chown -R 65534:65534 "$home"
export CLOUDOS_DIR="$home/domain" TMPDIR="$home/tmp" HOME="$home"
x=$home/build/cloudos-exec
guest=$home/build/exec-guest
as_user() {
	# shellcheck disable=SC2086
	$as "$@"
}
cd "$home" || exit 99

# ---- the guest programs ----
suite() {
	as_user env builddir="$home/build" sh "$home/run.sh" "$@" >"$out" 2>&1 || fail "run.sh $*"
	has "$out" ' 0 failed, 0 skipped'
}
each() {
	suite "$1" bad_pointers domain fork_threads get_last_error service_discover \
		service_health_check service_register signals sys_cloud_discover_service \
		sys_opendir sys_readdir
	engine=--engine=$1
	expect 0 as_user "$x" "$engine" id -u
	[ "$(cat "$out")" = "$(as_user id -u)" ] || fail "not the same user"

	# ---- a process whose memory is nobody's business ----
	expect 0 as_user "$x" "$engine" "$guest" undumpable
	case $1 in
	notify)
		has "$out" '-2017 service_deregister: argument name cannot be read: neither'
		has "$out" 'it is not dumpable, or ptrace is restricted' ;;
	ptrace) # the tracer was there before it was undumpable
		has "$out" '-20' ;;
	esac
	expect 0 as_user "$x" "$engine" "$guest" call # and nobody else is disturbed
}
engines each

# ---- set-uid programs run with the rights of the caller ----
if [ -n "$as" ]; then
	cp "$(command -v id)" "$home/id"
	chown 0:0 "$home/id" && chmod 4755 "$home/id"
	if [ "$(as_user sh -c "'$home/id' -u")" = 0 ]; then
		for engine in notify ptrace; do
			expect 0 as_user "$x" --engine=$engine "$home/id" -u
			[ "$(cat "$out")" = 65534 ] || fail "a set-uid program under $engine"
		done
		cp "$build/outer-filter" "$home" # without a filter of ours, every call traced
		expect 0 as_user "$home/outer-filter" private "$x" "$home/id" -u
		[ "$(cat "$out")" = 65534 ] || fail "a set-uid program where every call is traced"
	else
		echo "set-uid programs have no effect in $home: not tried"
	fi
fi

# ---- a daemon of root opens folders with the rights of who asks ----
if [ -n "$as" ]; then
	cat >"$work/opens.py" <<-'EOF'
		import ctypes, os, sys
		user = int(sys.argv[1])
		if user:
		    os.setgroups([])
		    os.setgid(user)
		    os.setuid(user)
		sys.exit(ctypes.CDLL(None).syscall(20900, sys.argv[2].encode()) < 0)
	EOF
	mkdir -m 700 "$home/open" "$home/closed"
	chown 65534:65534 "$home/open"
	chown 5:5 "$home/closed"
	CLOUDOS_DIR=$work/of-root
	export CLOUDOS_DIR
	expect 0 "$x" --engine=notify python3 "$work/opens.py" 65534 "$home/open"
	expect 1 "$x" --engine=notify python3 "$work/opens.py" 65534 "$home/closed"
	expect 0 "$x" --engine=notify python3 "$work/opens.py" 0 "$home/closed"
	expect 0 "$ctl" daemon stop --force
fi
exit 0
