#!/bin/sh
# SPDX-License-Identifier: MIT
# The seeds of every fuzz target and a fixed number of mutations, without libFuzzer.
set -eu
: "${srcdir:=.}"

corpus=$srcdir/tests/fuzz/corpus
for target in apply wire config filter sites elf load anos pages attached handlers sse http front uri images; do
	printf '%s: ' "$target"
	./fuzz-$target-run "$corpus/$target" "$corpus/$target.dict" "${CO_FUZZ_COUNT:-30000}"
done
