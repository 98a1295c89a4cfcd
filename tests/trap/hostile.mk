# SPDX-License-Identifier: MIT
# Guests of the trap engine: without the hardening and the sanitizers of host code.
check_PROGRAMS += trap-hostile trap-hostile-low
trap_hostile_SOURCES = %D%/hostile.h %D%/hostile.c %D%/hostile_children.c %D%/hostile_code.c \
	%D%/hostile_files.c %D%/hostile_memory.c %D%/hostile_signals.c
trap_hostile_CFLAGS = -std=gnu17 -pthread $(CO_WARN)
trap_hostile_LDFLAGS = -pthread
trap_hostile_low_SOURCES = $(trap_hostile_SOURCES)
trap_hostile_low_CFLAGS = $(trap_hostile_CFLAGS) -fno-pie
trap_hostile_low_LDFLAGS = -pthread -all-static

TESTS += %D%/hostile.sh
dist_noinst_SCRIPTS += %D%/hostile.sh
%D%/hostile.log: trap-hostile trap-hostile-low cloudos-exec cloudos-loader cloudosd cloudosctl
