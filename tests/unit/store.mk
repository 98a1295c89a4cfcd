# SPDX-License-Identifier: MIT
if HAVE_CHECK
check_PROGRAMS += unit-store-open unit-store-rows unit-store-run unit-store-sites
check_PROGRAMS += unit-store-brief unit-store-open unit-store-run unit-store-sites
unit_store_brief_SOURCES = %D%/store_brief.c
unit_store_brief_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_store_brief_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
unit_store_open_SOURCES = %D%/store_open.c
unit_store_open_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_store_open_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
unit_store_rows_SOURCES = %D%/store_rows.c
unit_store_rows_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_store_rows_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
unit_store_run_SOURCES = %D%/store_run.c
unit_store_run_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_store_run_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
unit_store_sites_SOURCES = %D%/store_sites.c
unit_store_sites_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_store_sites_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
TESTS += unit-store-open unit-store-rows unit-store-run unit-store-sites
TESTS += unit-store-brief unit-store-open unit-store-run unit-store-sites
endif
