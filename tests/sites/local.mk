# SPDX-License-Identifier: MIT
# Site tables: the scanner against objdump, the daemon's part, the listing.
check_PROGRAMS += site-census
site_census_SOURCES = %D%/census.c
site_census_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
site_census_LDADD = libsites.a libco.a
