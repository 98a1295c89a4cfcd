#!/bin/sh
# SPDX-License-Identifier: MIT
# Where the daemon may not read the program, the launcher copies for it: because it is told
# to (guest_memory: launcher), or because the kernel refuses the daemon.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

parents() { # the orphan's first parent, and the one it has now
	cut -d' ' -f2,3 "$work/orphan"
}
orphan() {
	rm -f "$work/orphan"
	start "$x" --engine="$1" "$guest" orphan "$work/orphan" below
	launcher=$started
	ended 0
	has "$work/orphan" '0 ' # registered
}
after() {
	rm -f "$work/orphan"
	expect 0 "$x" --engine="$1" "$guest" orphan "$work/orphan"
	until_true test -e "$work/orphan"
}

# ---- by itself: orphans go where they go natively, and are served ----
orphan notify
[ "$(cut -d' ' -f3 "$work/orphan")" != "$launcher" ] || fail "orphans are kept without need"
after notify
has "$work/orphan" '0 '
orphan ptrace
after ptrace
has "$work/orphan" '0 '
"$ctl" daemon stop >/dev/null 2>&1

# ---- told to ----
configure 'guest_memory: launcher'
orphan notify
[ "$(cut -d' ' -f3 "$work/orphan")" = "$launcher" ] || fail "an orphan has left: $(parents)"
# without its launcher: an error with a sentence, no hang
after notify
[ "$(cut -d' ' -f1 "$work/orphan")" = 0 ] && fail "who has read the orphan's memory?"
has "$work/orphan" '-2017 '
expect 0 "$ctl" errors -o json
has "$out" 'neither the daemon nor cloudos-exec may look into process'
orphan ptrace # the tracer stays, and reads
after ptrace
has "$work/orphan" '0 '
for name in bad_pointers service_discover sys_readdir; do
	expect 0 "$x" --engine=notify "$build/guest-cloudos-$name"
done
expect 0 "$x" --engine=notify sh -c 'for i in 1 2 3 4 5 6; do (true &) ; done; exit 0'
"$ctl" daemon stop >/dev/null 2>&1
rm "$CLOUDOS_DIR/config/cloudosd.yaml"

# ---- refused: the daemon alone stands under a filter that forbids process_vm_readv ----
expect 0 "$build/outer-filter" readv "$ctl" daemon start
orphan notify
[ "$(cut -d' ' -f3 "$work/orphan")" = "$launcher" ] ||
	fail "the daemon did not notice that it may not read"
expect 0 "$x" --engine=notify "$build/guest-cloudos-service_discover"
expect 0 "$x" --engine=ptrace "$build/guest-cloudos-service_discover"
exit 0
