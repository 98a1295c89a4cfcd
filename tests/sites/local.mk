# SPDX-License-Identifier: MIT
# Site tables: the scanner against objdump, the daemon's part, the listing.
check_PROGRAMS += site-census stats-guest
site_census_SOURCES = %D%/census.c
site_census_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
site_census_LDADD = libsites.a libco.a
stats_guest_SOURCES = %D%/stats_guest.c
stats_guest_CPPFLAGS = -D_GNU_SOURCE -I$(srcdir)/include
stats_guest_CFLAGS = $(GUEST_CFLAGS)
stats_guest_LDFLAGS =

site_tests = %D%/listing.py
if HAVE_ZYDIS
site_tests += %D%/census.py %D%/daemon.py
endif
TESTS += $(site_tests)
EXTRA_DIST += %D%/README.md %D%/census.py %D%/daemon.py %D%/listing.py
