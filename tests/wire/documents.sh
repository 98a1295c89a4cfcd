#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/wire.md and the seeds of the wire's fuzz target are what wire.def gives today.
# (tests/wire/layout.txt is compared by wire-messages, which knows about the version;
# packaging/cloudosd.yaml by unit-config.)
set -eu
: "${srcdir:=.}"

dir=$(mktemp -d "${TMPDIR:-/tmp}/documents.XXXXXX")
trap 'rm -rf "$dir"' EXIT
failed=0

./co-documents wire.md >"$dir/wire.md"
if ! diff -u "$srcdir/docs/wire.md" "$dir/wire.md"; then
	echo "FAIL: docs/wire.md is not current: make update-documents"
	failed=1
fi
mkdir "$dir/corpus"
./co-documents corpus "$dir/corpus"
if ! diff -r "$srcdir/tests/fuzz/corpus/wire" "$dir/corpus"; then
	echo "FAIL: tests/fuzz/corpus/wire is not current: make update-documents"
	failed=1
fi
exit $failed
