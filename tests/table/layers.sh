#!/bin/sh
# SPDX-License-Identifier: MIT
# Includes point downwards only (docs/ARCHITECTURE.md).  The script first proves itself on
# a tree in which each file breaks one rule, then reads the real tree.
set -u
root=${srcdir:-.}
work=$(mktemp -d "${TMPDIR:-/tmp}/layers.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# Every include of the tree $1 that breaks a rule, as "file: sentence".
violations() {
	(
	cd "$1" || exit 1
	set --
	for dir in cli cloudosd launch personality store lib libcloudos ring shim include; do
		test -d "$dir" && set -- "$@" "$dir"
	done
	find "$@" -type f \( -name '*.[chS]' -o -name '*.def' \) | sort > "$work/files"
	while read -r file; do
		case $file in shim/*.[chS]|personality/*/guest*.[chS])
			head -n 6 "$file" | grep -q 'GUEST\.' ||
				echo "$file: guest code has to say so: /* GUEST. ... */";;
		esac
	done < "$work/files"
	xargs grep -HE '^[[:space:]]*#[[:space:]]*include' < "$work/files" | awk '
	# a/b/../c is a/c
	function normal(path) {
		sub(/^\.\//, "", path)
		while (path ~ /[^\/]+\/\.\.\//)
			sub(/[^\/]+\/\.\.\//, "", path)
		return path
	}
	function exists(path,    line) {
		if ((getline line < path) < 0)
			return 0
		close(path)
		return 1
	}
	function folder(path) {
		sub(/[^\/]*$/, "", path)
		return path
	}
	# the layer of a file of ours, "" for what is not ours
	function layer(path) {
		if (path ~ /^shim\// || path ~ /^personality\/[^\/]*\/guest[a-z_]*\.[chS]$/) return "guest"
		if (path ~ /^include\/co\//) return "co"
		if (path ~ /^include\/cloudos\//) return "public"
		if (path ~ /^cloudosd\/service\//) return "service"
		if (path ~ /^cloudosd\/ctr\//) return "ctr"
		if (path ~ /^cloudosd\/image\//) return "image"
		if (path ~ /^(cli|cloudosd|launch|personality|store|lib|libcloudos|ring)\//)
			return substr(path, 1, index(path, "/") - 1)
		return ""
	}
	# the file of ours that an include means, otherwise the name as it is
	function target(file, name, quoted) {
		if (quoted && exists(normal(folder(file) name)))
			return normal(folder(file) name)
		if (name ~ /^(co|cloudos)\//)
			return "include/" normal(name)
		return normal(name)
	}
	function complain(file, name, why) {
		print file ": includes " name ": " why
	}
	BEGIN {
		may["co"] = " co "
		may["public"] = " public "
		may["lib"] = " lib co "
		may["store"] = " store lib co "
		may["ring"] = " ring co "
		may["service"] = " service store lib ring co "
		may["personality"] = " personality service store lib ring co public "
		may["launch"] = " launch personality lib co "
		may["ctr"] = " ctr launch lib co "
		may["image"] = " image ctr lib co "
		may["cloudosd"] = " cloudosd personality service store lib ring ctr co public "
		may["cli"] = " cli launch personality service store lib ring ctr co public "
		may["libcloudos"] = " libcloudos ring co public "
		may["guest"] = " guest ring co "
	}
	{
		file = substr($0, 1, index($0, ":") - 1)
		rest = substr($0, index($0, ":") + 1)
		if (!match(rest, /[<"][^>"]*[>"]/))
			next
		quoted = substr(rest, RSTART, 1) == "\""
		name = substr(rest, RSTART + 1, RLENGTH - 2)
		from = layer(file)
		to = layer(target(file, name, quoted))

		if (to != "") {
			# tables are data: the guest code of a personality and the library of
			# its programs expand them, too
			table = target(file, name, quoted) ~ /^personality\/[^\/]*\/[a-z]*\.def$/
			if (table && from == "guest" && \
			    folder(file) == folder(target(file, name, quoted)))
				next
			if (table && from == "libcloudos")
				next
			if (from == "guest" && target(file, name, quoted) == "personality/personalities.def")
				next
			if (index(may[from], " " to " ") == 0)
				complain(file, name, from " may use" may[from] "only")
			next
		}
		if (name == "uv.h" && from != "cloudosd" && from != "cli")
			complain(file, name, "only programs own a loop")
		if (name == "yaml.h" && file != "lib/yaml_read.c")
			complain(file, name, "only lib/yaml_read.c knows libyaml")
		if (name == "sqlite3.h" && from != "store")
			complain(file, name, "only store/ knows SQLite")
		if (from == "co" && name !~ /^std(int|def|bool)\.h$/)
			complain(file, name, "shared headers use stdint.h, stddef.h, stdbool.h only")
		if (from == "ring" && file !~ /^ring\/(os_host|segment)\.[ch]$/ && \
		    name !~ /^std(int|def|bool)\.h$/)
			complain(file, name, "the ring is guest code, too")
		if (from == "guest" && name ~ /^(linux|asm|asm-generic)\//) {
			if (file != "shim/rt/kernel.h")
				complain(file, name, "only shim/rt/kernel.h includes kernel headers")
		} else if (from == "guest" && name !~ /^std(int|def|bool|arg|noreturn)\.h$/)
			complain(file, name, "there is no libc in guest code")
	}'
	)
}

# ---- the proof: each of these files breaks exactly one rule ----
fixture=$work/tree
put() {
	mkdir -p "$fixture/$(dirname "$1")"
	printf '%b\n' "$2" > "$fixture/$1"
}
put lib/err.h ''
put lib/up.c '#include <store/store.h>'
put lib/loop.c '#include <uv.h>'
put store/store.h '#include <lib/err.h>'
put store/up.c '#include "../cloudosd/service/host.h"'
put cloudosd/service/host.h '#include <store/store.h>\n#include <stdio.h>'
put cloudosd/service/up.c '#include <personality/personality.h>'
put cloudosd/service/top.c '#include "../session.h"'
put cloudosd/service/loop.c '#include <uv.h>'
put cloudosd/session.h '#include <uv.h>\n#include "service/host.h"'
put lib/yaml_read.c '#include <yaml.h>'
put cloudosd/yaml.c '#include <yaml.h>'
put cloudosd/sql.c '  #  include <sqlite3.h>'
put cloudosd/cli.c '#include <cli/client.h>'
put cloudosd/ctr/engine.h '#include <lib/err.h>\n#include "cloudosd/ctr/engine.h"'
put cloudosd/ctr/up.c '#include <store/store.h>'
put cloudosd/ctr/launcher.c '#include "launch/channel.h"'
put launch/channel.h '#include <lib/err.h>\n#include "personality/personality.h"'
put launch/up.c '#include "cloudosd/ctr/engine.h"'
put cli/confine.c '#include "cloudosd/ctr/engine.h"'
put cli/client.h '#include <uv.h>\n#include <personality/personality.h>'
put cli/daemon.c '#include "cloudosd/session.h"'
put personality/personality.h '#include <co/op.h>'
put personality/cloudos/ops.def ''
put personality/cloudos/top.c '#include <cloudosd/session.h>'
put personality/cloudos/guest.c '/* GUEST. */\n#include "ops.def"\n#include <shim/guest.h>'
put personality/cloudos/shim.c '#include <shim/guest.h>'
put personality/anos/guest.c '/* GUEST. */\n#include "../cloudos/ops.def"'
put include/co/op.h '#include <stdint.h>'
put include/co/libc.h '#include <stdio.h>'
put include/co/lib.h '#include <lib/err.h>'
put libcloudos/table.c '#include <personality/cloudos/ops.def>\n#include <string.h>'
put libcloudos/host.c '#include <lib/err.h>'
put ring/ring.h '#include <co/op.h>\n#include <stdint.h>'
put ring/os_host.c '#include <ring/ring.h>\n#include <errno.h>'
put ring/libc.c '#include <ring/ring.h>\n#include <errno.h>'
put ring/up.c '#include <lib/err.h>'
put shim/ring.c '/* GUEST. */\n#include <ring/ring.h>'
put shim/guest.h '/* GUEST. */\n#include <co/op.h>\n#include <stdint.h>'
put shim/rt/kernel.h '/* GUEST. */\n#include <asm/unistd.h>'
put shim/libc.c '/* GUEST. */\n#include <string.h>'
put shim/host.c '/* GUEST. */\n#include <lib/err.h>'
put shim/public.c '/* GUEST. */\n#include <cloudos/cloudos.h>'
put shim/kernel.c '/* GUEST. */\n#include <linux/seccomp.h>'
put shim/silent.c '#include <stdint.h>'
cat > "$work/expected" <<'EOF'
cli/daemon.c
cloudosd/cli.c
cloudosd/ctr/up.c
cloudosd/service/loop.c
cloudosd/service/top.c
cloudosd/service/up.c
cloudosd/sql.c
cloudosd/yaml.c
include/co/lib.h
include/co/libc.h
launch/up.c
lib/loop.c
lib/up.c
libcloudos/host.c
personality/anos/guest.c
personality/cloudos/shim.c
personality/cloudos/top.c
ring/libc.c
ring/up.c
shim/host.c
shim/kernel.c
shim/libc.c
shim/public.c
shim/silent.c
store/up.c
EOF
violations "$fixture" | sed 's/:.*//' | sort > "$work/found"
if ! diff -u "$work/expected" "$work/found"; then
	echo "layers.sh does not find what it has to find (- is missed, + is wrongly found)"
	exit 1
fi

# ---- the tree itself ----
violations "$root" > "$work/found"
if test -s "$work/found"; then
	cat "$work/found"
	echo "layers: the includes above point upwards; docs/ARCHITECTURE.md has the order"
	exit 1
fi
echo "layers: $(wc -l < "$work/files") files, all includes point downwards"
