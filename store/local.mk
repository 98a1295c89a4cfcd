# SPDX-License-Identifier: MIT
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	%D%/store.h %D%/rows.h %D%/internal.h %D%/rows_inside.h \
	%D%/statements.def \
	%D%/arena.c \
	%D%/journal.c \
	%D%/lease.c \
	%D%/open.c \
	%D%/reader.c \
	%D%/request.c \
	%D%/rows.c \
	%D%/rows_read.c \
	%D%/rows_write.c \
	%D%/schema.c \
	%D%/sites.c \
	%D%/space.c \
	%D%/sql.c \
	%D%/telemetry.c \
	%D%/txn.c \
	%D%/watch.c \
	%D%/writer.c
nodist_libstore_a_SOURCES = %D%/migrations.c

# The newest migration of a database is its schema number; order matters.
STORE_SCHEMA = \
	%D%/schema/state-0001-init.sql \
	%D%/schema/state-0002-sites.sql \
	%D%/schema/state-0003-expiry.sql \
	%D%/schema/telemetry-0001-init.sql \
	%D%/schema/telemetry-0002-origin.sql \
	%D%/schema/telemetry-0003-rows.sql

%D%/migrations.c: %D%/embed.awk $(STORE_SCHEMA)
	$(AM_V_GEN)$(MKDIR_P) %D% && set -e; files=; \
	for f in $(STORE_SCHEMA); do \
		if test -f "$$f"; then files="$$files $$f"; \
		else files="$$files $(srcdir)/$$f"; fi; done; \
	if test -f %D%/embed.awk; then script=%D%/embed.awk; \
	else script=$(srcdir)/%D%/embed.awk; fi; \
	LC_ALL=C $(AWK) -f $$script $$files > $@.new && mv $@.new $@

EXTRA_DIST += %D%/README.md %D%/embed.awk $(STORE_SCHEMA)
CLEANFILES += %D%/migrations.c
# What a program that uses the store links.
STORE_LIBS = libstore.a libco.a $(SQLITE_LIBS)
