# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# What the tests of this folder share; sourced, with the build folder as working directory.

# TESTS run under make: what they start must not believe to be a part of it.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES DESTDIR 2>/dev/null || true

build=$(pwd)
src=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/packaging.XXXXXX")
failures=0
export build src

finish()
{
	status=$?
	cd /
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# why: this test cannot run here at all
skip()
{
	echo "SKIP: $(basename "$0"): $*"
	exit 77
}

# command package: a program from packages.list
need()
{
	command -v "$1" >/dev/null 2>&1 && return 0
	echo "SKIP: $(basename "$0"): $1 is missing: apt install $2"
	[ -z "${CO_STRICT:-}" ] || exit 1
	exit 77
}

# sentence, command...
expect()
{
	sentence=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "PASS: $sentence"
	else
		echo "FAIL: $sentence"
		sed 's/^/    /' "$work/said" | tail -n 40
		failures=$((failures + 1))
	fi
}

conclude()
{
	[ "$failures" = 0 ]
	exit
}
