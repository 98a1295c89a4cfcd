#!/bin/sh
# SPDX-License-Identifier: MIT
# Files that are no good Anos programs are refused with a sentence, and those that Anos itself
# would load run; elf.py.
. "${srcdir:-.}/tests/cli/exec-lib.sh"

case ${CO_ENGINE:-trap} in
trap) ;;
*) skip "CO_ENGINE=$CO_ENGINE asks for another engine than trap" ;;
esac
mkdir "$work/files"
python3 "${srcdir:-.}/tests/anos/elf.py" "$x" "$work/files" ||
	fail "some files were not treated as they have to be"
