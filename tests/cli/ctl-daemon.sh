#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl: starting, stopping and finding a daemon, and the folders it lives in.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

# without a daemon: 3, whatever is asked
for line in ps "daemon status" "daemon stop" "daemon reload" errors "store status" \
	"service ls" "trace 1" "store backup $work/b"; do
	# shellcheck disable=SC2086
	expect 3 "$ctl" $line
	has "$err" "no daemon is running"
done
[ -e "$work/b" ] && fail "a backup without a daemon left a file"
expect 0 "$ctl" version -o json
is 1 "len(j)" "$out"

# a socket that a dead daemon left is no daemon
mkdir -p "$CLOUDOS_DIR/run"
chmod 700 "$CLOUDOS_DIR" "$CLOUDOS_DIR/run"
python3 - "$CLOUDOS_DIR/run/control.sock" <<'END'
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])
END
expect 3 "$ctl" ps

# start: what a keeper that fails says is told
mkdir "$work/libexec"
export CLOUDOS_LIBEXECDIR="$work/libexec"
cat >"$work/libexec/cloudos-keeper" <<'END'
#!/bin/sh
echo "cloudosd.yaml:7: unknown key \"colour\"" >&2
exit 1
END
chmod +x "$work/libexec/cloudos-keeper"
expect 1 "$ctl" daemon start
has "$err" 'did not start: cloudosd.yaml:7: unknown key "colour"'

# start: waits until it answers; nothing of the caller is inherited
cat >"$work/libexec/cloudos-keeper" <<END
#!/bin/sh
ls /proc/self/fd >"$work/fds"
[ "\$CLOUDOS_DIR" = "$CLOUDOS_DIR" ] || { echo "wrong folder \$CLOUDOS_DIR" >&2; exit 1; }
mkdir -p "$CLOUDOS_DIR"
setsid sh -c 'echo \$\$ >"$CLOUDOS_DIR/pid"; exec "\$@"' sh \
	"$build/fake-daemon" "\${FAKE_MODE:-normal}" </dev/null >/dev/null 2>&1 &
END
expect 0 "$ctl" daemon start 7<"$work"
has "$out" "cloudosd $(cat "$CLOUDOS_DIR/pid") is running in $CLOUDOS_DIR/run"
grep -qx 7 "$work/fds" && fail "the keeper got a descriptor of the caller"
expect 0 "$ctl" daemon start -o json
is "False" "j['started']" "$out"
expect 0 "$ctl" daemon status -o json
is "$(cat "$CLOUDOS_DIR/pid")" "j['pid']" "$out"
expect 0 "$ctl" daemon reload
expect 0 "$ctl" daemon stop
has "$out" "cloudosd $(cat "$CLOUDOS_DIR/pid") has stopped"
expect 3 "$ctl" daemon status

# --dir reaches the keeper too
(cd "$work" && CLOUDOS_DIR=/nonexistent "$ctl" --dir domain daemon start) >"$out" 2>"$err" ||
	fail "--dir did not reach the keeper"
expect 0 "$ctl" daemon stop

# two at a time: both get the one that won
"$ctl" daemon start >"$work/first" 2>&1 &
first=$!
"$ctl" daemon start >"$work/second" 2>&1
second=$?
wait $first || fail "the first of two starts failed: $(cat "$work/first")"
[ $second = 0 ] || fail "the second of two starts failed: $(cat "$work/second")"
cmp -s "$work/first" "$work/second" || fail "two daemons: $(cat "$work/first" "$work/second")"
expect 0 "$ctl" daemon stop

# refusals of the daemon: 5 with its sentence; bad configuration: 1
export FAKE_MODE=busy
expect 0 "$ctl" daemon start
expect 5 "$ctl" daemon stop
has "$err" "2 programs run"
expect 1 "$ctl" daemon reload
has "$err" "cloudosd.yaml:3"
expect 0 "$ctl" daemon stop --force

# folders: of somebody else, links, too open, too long
rm -rf "$CLOUDOS_DIR"
mkdir "$work/real"
mkdir -p "$CLOUDOS_DIR"
ln -s "$work/real" "$CLOUDOS_DIR/run"
expect 5 "$ctl" ps
has "$err" "links are not followed"
rm "$CLOUDOS_DIR/run"
if [ "$(id -u)" = 0 ]; then
	mkdir "$CLOUDOS_DIR/run"
	chown 12345 "$CLOUDOS_DIR/run"
	expect 5 "$ctl" ps
	has "$err" "belongs to user 12345"
	rmdir "$CLOUDOS_DIR/run"
fi
deep=$work/domain
for i in 1 2 3 4 5; do deep=$deep/a_folder_with_a_name_of_some_length_$i; done
export CLOUDOS_DIR="$deep" FAKE_MODE=normal
sed -i "s|^mkdir -p .*|mkdir -p \"$deep\"|; s|>[^ ]*/pid\"|>\"$deep/pid\"|; /wrong folder/d" \
	"$work/libexec/cloudos-keeper"
expect 0 "$ctl" daemon start
expect 0 "$ctl" daemon status
[ "$(stat -c %a "$deep/run/control.sock")" = 600 ] || fail "the socket is open to others"
[ "$(stat -c %a "$deep/run")" = 700 ] || fail "the folder is open to others"
expect 0 "$ctl" daemon stop
expect 1 "$ctl" --dir "/$(printf '%05000d' 0)" ps
has "$err" "longer than"

# no keeper at all
export CLOUDOS_LIBEXECDIR="$work/empty"
if [ ! -e "$build/cloudos-keeper" ] && ! [ -e /usr/local/libexec/cloudos/cloudos-keeper ]; then
	expect 1 "$ctl" daemon start
	has "$err" "cloudos-keeper is not installed"
fi
