# SPDX-License-Identifier: MIT
# Faults of daemon, keeper and wire.  Python drives; what runs as a guest is C.
TEST_EXTENSIONS += .py
PY_LOG_COMPILER = $(SIGNALS_BY_DEFAULT) $(SHELL) $(srcdir)/%D%/python.sh

check_PROGRAMS += fault-guest
fault_guest_SOURCES = %D%/daemon_guest.c
fault_guest_CPPFLAGS = -D_GNU_SOURCE -I$(srcdir)/include -I$(srcdir)
fault_guest_CFLAGS = $(GUEST_CFLAGS) -pthread
fault_guest_LDFLAGS = -pthread

daemon_fault_tests = \
	%D%/daemon_once.py \
	%D%/daemon_kills.py \
	%D%/daemon_life.py \
	%D%/daemon_client.py \
	%D%/daemon_join.py \
	%D%/daemon_ipc.py \
	%D%/daemon_channel.py \
	%D%/daemon_hostile.py
TESTS += $(daemon_fault_tests)
EXTRA_DIST += $(daemon_fault_tests) %D%/README.md %D%/python.sh %D%/harness.py %D%/peers.py
