# SPDX-License-Identifier: MIT
# Signals under the trap engine: the programs; signals.test runs them in every mode.  Guest code,
# so without sanitizers.
check_PROGRAMS += trap-signals trap-signals-storm trap-signals-vfork trap-signals-cancel trap-signals-step
trap_signals_SOURCES = %D%/signals.c
trap_signals_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_signals_CFLAGS = $(GUEST_TEST_COMPILE)
trap_signals_LDFLAGS = -pthread
trap_signals_step_SOURCES = %D%/signals_step.c %D%/registers.h %D%/registers.c
trap_signals_step_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_signals_step_CFLAGS = $(GUEST_TEST_COMPILE)
trap_signals_storm_SOURCES = %D%/signals_storm.c %D%/registers.h %D%/registers.c
trap_signals_storm_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_signals_storm_CFLAGS = $(GUEST_TEST_COMPILE)
trap_signals_storm_LDFLAGS = -pthread
trap_signals_vfork_SOURCES = %D%/signals_vfork.c
trap_signals_vfork_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_signals_vfork_CFLAGS = $(GUEST_TEST_COMPILE)
trap_signals_vfork_LDFLAGS = -pthread
trap_signals_cancel_SOURCES = %D%/signals_cancel.c
trap_signals_cancel_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_signals_cancel_CFLAGS = $(GUEST_TEST_COMPILE)
trap_signals_cancel_LDFLAGS = -pthread
TESTS += %D%/signals.test
EXTRA_DIST += %D%/signals.test
