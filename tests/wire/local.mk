# SPDX-License-Identifier: MIT
check_PROGRAMS += wire-messages wire-transport co-documents
TESTS += wire-messages wire-transport %D%/documents.sh
dist_noinst_SCRIPTS += %D%/documents.sh
EXTRA_DIST += %D%/layout.txt docs/wire.md

wire_messages_SOURCES = %D%/messages.c %D%/describe.h %D%/describe.c
wire_messages_CFLAGS = $(CO_TEST_CFLAGS)
wire_messages_LDADD = $(CO_TEST_LIBS)

wire_transport_SOURCES = %D%/transport.c %D%/describe.h %D%/describe.c
wire_transport_CFLAGS = $(CO_TEST_CFLAGS)
wire_transport_LDADD = $(CO_TEST_LIBS)

co_documents_SOURCES = %D%/documents.c %D%/describe.h %D%/describe.c \
	cloudosd/config.def cloudosd/config.h cloudosd/config.c
co_documents_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
co_documents_LDADD = libco.a $(YAML_LIBS)

# The layout is what two versions agree on: it only moves together with CO_WIRE_VERSION.
# WIRE_UNRELEASED=yes: no version with the committed layout has ever been released.
.PHONY: update-base-documents
update-documents: update-base-documents
update-base-documents: co-documents
	./co-documents wire.md >$(srcdir)/docs/wire.md
	./co-documents cloudosd.yaml >$(srcdir)/packaging/cloudosd.yaml
	rm -rf $(srcdir)/tests/fuzz/corpus/wire
	$(MKDIR_P) $(srcdir)/tests/fuzz/corpus/wire
	./co-documents corpus $(srcdir)/tests/fuzz/corpus/wire
	@./co-documents layout.txt >layout.new; committed=$(srcdir)/%D%/layout.txt; \
	if test -f $$committed && ! cmp -s layout.new $$committed && \
	   test "`head -n 1 layout.new`" = "`head -n 1 $$committed`" && \
	   test "$(WIRE_UNRELEASED)" != yes; then \
		rm -f layout.new; \
		echo "the layout has changed: raise CO_WIRE_VERSION in include/co/wire.h" >&2; \
		echo "(or WIRE_UNRELEASED=yes if nobody has ever got the old one)" >&2; \
		exit 1; \
	fi; mv layout.new $$committed
