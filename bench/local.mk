# SPDX-License-Identifier: MIT
noinst_PROGRAMS += bench-store
bench_store_SOURCES = %D%/store.c
bench_store_LDADD = $(STORE_LIBS)
