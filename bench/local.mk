# SPDX-License-Identifier: MIT
# make bench [BENCH=family]: one table, and bench.json in the build folder.
BENCH_HELPERS = bench-notify-call bench-notify-bare bench-launch
EXTRA_PROGRAMS = $(BENCH_HELPERS)
CLEANFILES += $(BENCH_HELPERS) bench.json

bench_notify_call_SOURCES = %D%/loop.h %D%/loop.c %D%/notify_call.c
bench_notify_bare_SOURCES = %D%/loop.h %D%/loop.c %D%/notify_bare.c
bench_launch_SOURCES = %D%/loop.h %D%/loop.c %D%/launch.c

EXTRA_DIST += %D%/README.md %D%/run

bench: all $(BENCH_HELPERS)
	@$(srcdir)/%D%/run --build=$(abs_builddir) $(BENCH)
.PHONY: bench
noinst_PROGRAMS += bench-store
bench_store_SOURCES = %D%/store.c
bench_store_LDADD = $(STORE_LIBS)
