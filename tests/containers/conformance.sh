#!/bin/sh
# SPDX-License-Identifier: MIT
# The public suites for OCI runtimes, from Debian's source packages, against cloudos-ctr and,
# for comparison, crun and runc.  Run by `make check-conformance` as root; nothing of theirs
# is kept in this tree.  Sources go to CO_CONFORMANCE_DIR (default: conformance-work in the
# build folder).
#
#	crun           its Python suite (tests/test_*.py)
#	runtime-tools  the validation programs of opencontainers/runtime-tools; CO_RUNTIME_TOOLS
#	               may name a folder that has its sources already
#
# Each runs in a mount name space and leaves processes and cgroups, which are removed.
set -u
: "${builddir:=$(pwd)}"

work=${CO_CONFORMANCE_DIR:-$builddir/conformance-work}
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" || exit 1
work=$(cd "$work" && pwd)
if [ "$(id -u)" != 0 ]; then
	echo "SKIP: the suites have to be run as root" >&2
	exit 77
fi

# source PACKAGE: its unpacked folder, from the archive that this machine uses
source_of() {
	found=$(find "$work" -maxdepth 1 -type d -name "$1-*" | head -n 1)
	if [ -z "$found" ]; then
		if ! command -v apt-get >/dev/null; then
			echo "there is no apt-get to fetch the source of $1 with" >&2
			return 1
		fi
		. /etc/os-release
		mirror=${CO_MIRROR:-http://deb.debian.org/debian}
		echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $VERSION_CODENAME main" >"$work/sources.list"
		set -- "$1" -o Dir::Etc::sourcelist="$work/sources.list" \
			-o Dir::Etc::sourceparts=- -o Dir::State::Lists="$work/apt/lists" \
			-o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root
		package=$1
		shift
		apt-get "$@" update -qq >"$work/apt.log" 2>&1
		(cd "$work" && apt-get "$@" source --download-only "$package") >>"$work/apt.log" 2>&1
		for archive in "$work/$package"_*.orig.tar.*; do
			case $archive in *.asc) continue;; esac
			test -f "$archive" || continue
			mkdir -p "$work/$package-source" &&
				tar -xf "$archive" -C "$work/$package-source" --strip-components=1
		done
		found=$work/$package-source
		if ! [ -d "$found" ]; then
			echo "the source of $package cannot be had: $(grep -m 1 '^E:' "$work/apt.log")" >&2
			return 1
		fi
	fi
	echo "$found"
}

# What a suite left: processes below the folder, frozen or not, and their cgroups; and crun
# gives standard input to the container's root, be it the host's /dev/null.
null=$(stat -c %u:%g /dev/null)
clean_up() {
	chown "$null" /dev/null
	state=/sys/fs/cgroup/freezer/frozen/freezer.state
	test -f "$state" && echo THAWED >"$state"
	for root in /proc/[0-9]*/root; do
		case $(readlink "$root" 2>/dev/null) in "$work"/*)
			kill -9 "$(basename "$(dirname "$root")")";;
		esac
	done
	for process in $(pgrep -x init); do
		case $(tr '\0' ' ' <"/proc/$process/cmdline") in "/init pause ")
			kill -9 "$process";;
		esac
	done
	rmdir /sys/fs/cgroup/freezer/frozen 2>/dev/null
	find /sys/fs/cgroup -depth -type d -name 'test-tmp*' -exec rmdir {} + 2>/dev/null
}

# inside NAME COMMAND...: in a mount name space of its own; crun refuses mixed hierarchies of
# cgroups, so the second one is hidden from it
inside() {
	name=$1
	shift
	hide=
	test "$name" = crun && hide='umount -l /sys/fs/cgroup/unified 2>/dev/null;'
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m --propagation private sh -c "$hide"' exec "$@"' sh "$@"
}

crun_suite() {
	source=$(source_of crun) || return 1
	mkdir -p "$work/include"
	printf '#define HAVE_SECCOMP 1\n#define HAVE_ERROR_H 1\n' >"$work/include/config.h"
	${CC:-gcc} -w -I"$work/include" -static -o "$source/tests/init" "$source/tests/init.c" || return 1
	out=$work/crun-suite.$1
	: >"$out"
	for file in "$source"/tests/test_*.py; do
		(cd "$source" && OCI_RUNTIME=$2 INIT=$source/tests/init timeout 120 \
			python3 "$file" </dev/null 2>>"$out.err") >>"$out" ||
			echo "# $(basename "$file") ended with $?" >>"$out"
	done
	clean_up
	skipped=$(grep -c '^ok .*#SKIP' "$out")
	good=$(($(grep -c '^ok ' "$out") - skipped))
	echo "crun's suite, $1: $good ok, $skipped skipped, $(grep -c '^not ok' "$out") not ok"
	sed -n 's/^not ok [0-9]* - /	not ok: /p' "$out"
}

tools_built=
tools_suite() {
	if [ -z "$tools_built" ]; then
		tools=${CO_RUNTIME_TOOLS:-$(source_of golang-github-opencontainers-runtime-tools)} || return 1
		test -d "$tools/validation" || {
			echo "$tools has no validation programs" >&2
			return 1
		}
		go=$work/go/src/github.com/opencontainers
		mkdir -p "$go" && rm -rf "$go/runtime-tools" && cp -r "$tools" "$go/runtime-tools" || return 1
		tools_built=$go/runtime-tools
		(cd "$tools_built" && GO111MODULE=off GOPATH=$work/go:/usr/share/gocode \
			make runtimetest validation-executables) >"$work/tools.log" 2>&1 || {
			tail -n 5 "$work/tools.log"
			return 1
		}
	fi
	out=$work/tools-suite.$1
	: >"$out"
	all=0 good=0
	for program in "$tools_built"/validation/*/*.t; do
		all=$((all + 1))
		(cd "$tools_built" && RUNTIME=$2 timeout 120 "$program") </dev/null >"$out.one" 2>>"$out.err"
		rc=$?
		cat "$out.one" >>"$out"
		if [ "$rc" = 0 ] && ! grep '^not ok' "$out.one" | grep -vq '# TODO'; then
			good=$((good + 1))
		else
			echo "	not ok: $(basename "$program")"
		fi
	done
	clean_up
	echo "runtime-tools, $1: $good of $all programs"
}

if [ "${1:-}" = one ]; then
	"$2_suite" "$3" "$4"
	exit
fi
failed=0
for suite in crun tools; do
	for runtime in "$builddir/cloudos-ctr" crun runc; do
		path=$(command -v "$runtime") || {
			echo "$suite, $runtime: not installed"
			continue
		}
		name=$(basename "$runtime")
		inside "$name" "$0" one $suite "$name" "$path" || {
			echo "$suite, $name: the suite cannot be run here; the count stays open"
			test $suite = tools && break
			failed=1
		}
	done
done
exit $failed
