# SPDX-License-Identifier: MIT
EXTRA_DIST += %D%/README.md
if HAVE_CHECK
check_LIBRARIES += libstoreclient.a
libstoreclient_a_SOURCES = %D%/client.h %D%/client.c

check_PROGRAMS += conformance-sqlite
conformance_sqlite_SOURCES = \
	%D%/engine.h %D%/suite.h %D%/suite.c %D%/sqlite.c \
	%D%/keys.c %D%/txns.c %D%/leases.c %D%/watches.c
conformance_sqlite_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
conformance_sqlite_LDADD = libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
TESTS += conformance-sqlite
endif
