# SPDX-License-Identifier: MIT
# Containers and confined programs.  One test a line.
check_PROGRAMS += ctr-filters
TESTS += ctr-filters
ctr_filters_SOURCES = %D%/filters.c
ctr_filters_CFLAGS = $(CO_TEST_CFLAGS)
ctr_filters_LDADD = libctr.a $(CO_TEST_LIBS) $(SECCOMP_LIBS)

check_PROGRAMS += ctr-rootfs
TESTS += ctr-rootfs
ctr_rootfs_SOURCES = %D%/rootfs.c %D%/box.h %D%/box.c
ctr_rootfs_CFLAGS = $(CO_TEST_CFLAGS)
ctr_rootfs_LDADD = libctr.a $(CO_TEST_LIBS)

check_PROGRAMS += calls-run
calls_run_SOURCES = %D%/calls_run.c
calls_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
calls_run_LDADD = libctr.a liblaunch.a libpersonality.a libco.a $(SECCOMP_LIBS)

TESTS += %D%/calls.py
EXTRA_DIST += %D%/boxes.py %D%/calls.py
check_PROGRAMS += ctr-layers
TESTS += ctr-layers
ctr_layers_SOURCES = %D%/layers.c %D%/box.h %D%/box.c
ctr_layers_CFLAGS = $(CO_TEST_CFLAGS)
ctr_layers_LDADD = libctr.a $(CO_TEST_LIBS)

check_PROGRAMS += ctr-abuse
TESTS += ctr-abuse
ctr_abuse_SOURCES = %D%/abuse.c %D%/box.h %D%/box.c
ctr_abuse_CFLAGS = $(CO_TEST_CFLAGS)
ctr_abuse_LDADD = libctr.a $(CO_TEST_LIBS) -lpthread

check_PROGRAMS += ctr-config
TESTS += ctr-config
ctr_config_SOURCES = %D%/config.c
ctr_config_CFLAGS = $(CO_TEST_CFLAGS)
ctr_config_LDADD = libctr.a $(CO_TEST_LIBS) -lm

TESTS += %D%/oci.py
EXTRA_DIST += %D%/oci.py
TESTS += %D%/images.py
TESTS += %D%/images_daemon.py
TESTS += %D%/images_hostile.py
EXTRA_DIST += %D%/images.py %D%/images_daemon.py %D%/images_hostile.py %D%/images_made.py

check_PROGRAMS += confine-guest
confine_guest_SOURCES = %D%/confine_guest.c
confine_guest_CPPFLAGS = -D_GNU_SOURCE -I$(srcdir)/include -I$(srcdir)
confine_guest_CFLAGS = $(GUEST_CFLAGS)
TESTS += %D%/confine.py
EXTRA_DIST += %D%/confine.py
TESTS += %D%/monitor.py
EXTRA_DIST += %D%/monitor.py %D%/monitored.py

check_PROGRAMS += ctr-intruder
ctr_intruder_SOURCES = %D%/intruder.c
ctr_intruder_CFLAGS = $(GUEST_CFLAGS) $(CO_BANNED)
# alone in its root file system, so without sanitizers and without libraries
ctr_intruder_LDFLAGS = -all-static
TESTS += %D%/escapes.py
EXTRA_DIST += %D%/escapes.py
TESTS += %D%/killed.py
EXTRA_DIST += %D%/killed.py
TESTS += %D%/service.py
EXTRA_DIST += %D%/service.py %D%/served.py %D%/cleared.py

TESTS += %D%/ctr_calls.py
EXTRA_DIST += %D%/ctr_calls.py

# Public suites, fetched and built when asked for; the counts are in
# docs/containers-conformance.md.
dist_noinst_SCRIPTS += %D%/conformance.sh
.PHONY: check-conformance
check-conformance: cloudos-ctr
	@builddir='$(abs_builddir)' CC='$(CC)' $(SHELL) $(srcdir)/%D%/conformance.sh; rc=$$?; test $$rc -eq 77 || exit $$rc
TESTS += %D%/bad_input.py
EXTRA_DIST += %D%/bad_input.py
TESTS += %D%/podman.py
EXTRA_DIST += %D%/podman.py
TESTS += %D%/nested.py
EXTRA_DIST += %D%/nested.py
TESTS += %D%/bombs.py
EXTRA_DIST += %D%/bombs.py
TESTS += %D%/killed_daemon.py
EXTRA_DIST += %D%/killed_daemon.py
TESTS += %D%/cli.py
EXTRA_DIST += %D%/cli.py
TESTS += %D%/walls.py
EXTRA_DIST += %D%/walls.py
TESTS += %D%/network.py
EXTRA_DIST += %D%/network.py
TESTS += %D%/commands.py
EXTRA_DIST += %D%/commands.py
TESTS += %D%/volumes.py
EXTRA_DIST += %D%/volumes.py
TESTS += %D%/named.py
EXTRA_DIST += %D%/named.py
