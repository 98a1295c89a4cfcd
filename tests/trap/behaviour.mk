# SPDX-License-Identifier: MIT
# What Linux does, a case per sentence; tests/transparency/compare.py runs them natively and
# under the engine.  Guest code, so without sanitizers.
BEHAVIOURS = trap-behaviour-signals trap-behaviour-process trap-behaviour-patching
check_PROGRAMS += $(BEHAVIOURS)
behaviour_common = %D%/behaviour/behaviour.h %D%/behaviour/behaviour.c

trap_behaviour_signals_SOURCES = %D%/behaviour/signals.c $(behaviour_common)
trap_behaviour_signals_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_behaviour_signals_CFLAGS = $(GUEST_TEST_COMPILE)
trap_behaviour_signals_LDFLAGS = -pthread
trap_behaviour_process_SOURCES = %D%/behaviour/process.c $(behaviour_common)
trap_behaviour_process_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_behaviour_process_CFLAGS = $(GUEST_TEST_COMPILE)
trap_behaviour_process_LDFLAGS = -pthread
trap_behaviour_patching_SOURCES = %D%/behaviour/patching.c $(behaviour_common)
trap_behaviour_patching_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_behaviour_patching_CFLAGS = $(GUEST_TEST_COMPILE)
trap_behaviour_patching_LDFLAGS = -pthread

trap-sites.so: %D%/behaviour/sites.S
	$(AM_V_CCLD)$(CC) -shared -nostdlib -Wl,--build-id -o $@ $(srcdir)/%D%/behaviour/sites.S
check_DATA += trap-sites.so
EXTRA_DIST += %D%/behaviour/sites.S
CLEANFILES += trap-sites.so
