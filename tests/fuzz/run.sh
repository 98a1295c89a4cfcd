#!/bin/sh
# SPDX-License-Identifier: MIT
# The seeds of every fuzz target and a fixed number of mutations, without libFuzzer.
set -eu
: "${srcdir:=.}"

corpus=$srcdir/tests/fuzz/corpus
for source in "$srcdir"/tests/fuzz/fuzz_*.c; do
	target=${source##*/fuzz_} target=${target%.c}
	printf '%s: ' "$target"
	./fuzz-$target-run "$corpus/$target" "$corpus/$target.dict" "${CO_FUZZ_COUNT:-30000}"
done
