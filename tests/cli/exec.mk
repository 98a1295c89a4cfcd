# SPDX-License-Identifier: MIT
# cloudos-exec: what it refuses, how it ends, its engines, traces, daemons and signals.
exec_scripts = \
	%D%/exec-daemon.sh %D%/exec-engine.sh %D%/exec-memory.sh %D%/exec-process.sh \
	%D%/exec-programs.sh %D%/exec-signals.sh %D%/exec-status.sh %D%/exec-terminal.sh \
	%D%/exec-trace.sh %D%/exec-trap.sh %D%/exec-user.sh
exec_units = unit-classify unit-structs
check_PROGRAMS += exec-guest fake-loader $(exec_units)
TESTS += $(exec_units) $(exec_scripts)
dist_noinst_SCRIPTS += $(exec_scripts)
EXTRA_DIST += %D%/exec-lib.sh

# guest code, as in tests/guest
exec_guest_SOURCES = %D%/exec_guest.c
exec_guest_CPPFLAGS = -D_GNU_SOURCE -I$(srcdir)/include -I$(srcdir)
exec_guest_CFLAGS = $(GUEST_CFLAGS) -pthread
exec_guest_LDFLAGS = -static -pthread
exec_guest_LDADD = libcloudos.la

fake_loader_SOURCES = %D%/fake_loader.c

unit_classify_SOURCES = %D%/classify.c launch/classify.h launch/classify.c
unit_classify_CFLAGS = $(CO_TEST_CFLAGS)
unit_classify_LDADD = $(CO_TEST_LIBS)
unit_structs_SOURCES = %D%/structs.c personality/cloudos/structs.c
unit_structs_CFLAGS = $(CO_TEST_CFLAGS)
unit_structs_LDADD = libpersonality.a $(CO_TEST_LIBS)
