# SPDX-License-Identifier: MIT
# cloudosctl, and what it shares with the launcher.  The scripts talk to fake-daemon,
# which also does what a real one never would.
ctl_scripts = \
	%D%/ctl-apply.sh %D%/ctl-container.sh %D%/ctl-daemon.sh %D%/ctl-doctor.sh %D%/ctl-gateway.sh %D%/ctl-listing.sh %D%/ctl-personality.sh \
	%D%/ctl-store.sh %D%/ctl-stream.sh %D%/ctl-telemetry.sh %D%/ctl-usage.sh
ctl_units = unit-output unit-paths unit-probe
check_PROGRAMS += fake-daemon outer-filter $(ctl_units)
TESTS += $(ctl_units) $(ctl_scripts)
dist_noinst_SCRIPTS += $(ctl_scripts)
EXTRA_DIST += %D%/ctl-lib.sh %D%/fake_gateway.py

fake_daemon_SOURCES = %D%/fake_daemon.c
fake_daemon_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fake_daemon_LDADD = libco.a
outer_filter_SOURCES = %D%/outer_filter.c
outer_filter_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)

unit_output_SOURCES = %D%/output.c cli/print.h cli/print.c
unit_output_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(CHECK_CFLAGS)
unit_output_LDADD = libco.a $(CHECK_LIBS)
unit_paths_SOURCES = %D%/paths.c
unit_paths_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(CHECK_CFLAGS)
unit_paths_LDADD = libco.a $(CHECK_LIBS)
unit_probe_SOURCES = %D%/probe.c
unit_probe_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(CHECK_CFLAGS)
unit_probe_LDADD = libcocli.a libco.a $(CHECK_LIBS)
