# SPDX-License-Identifier: MIT
# Targets run their seeds and some mutations in `make check`; `make check-fuzz` runs each
# under libFuzzer.
check_PROGRAMS += fuzz-cron-run fuzz-ctr-run
fuzz_ctr_run_SOURCES = %D%/fuzz_ctr.c %D%/driver.c %D%/target.h
fuzz_ctr_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_ctr_run_LDADD = libctr.a libco.a -lm
check_PROGRAMS += fuzz-attached-run fuzz-handlers-run
check_PROGRAMS += fuzz-apply-run
fuzz_apply_run_SOURCES = %D%/fuzz_apply.c %D%/driver.c %D%/target.h \
	cli/apply.h cli/apply_file.c cli/apply_order.c \
	cli/container_config.h cli/container_config.c cli/units.h cli/units.c
fuzz_apply_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_apply_run_LDADD = libservice.a libco.a $(YAML_LIBS)
check_PROGRAMS += fuzz-names-run
fuzz_names_run_SOURCES = %D%/fuzz_names.c %D%/driver.c %D%/target.h \
	cloudosd/names.h cloudosd/names.c
fuzz_names_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_names_run_LDADD = libservice.a libco.a $(YAML_LIBS) -ldl
cloudosd/fuzz_names_run-names.$(OBJEXT): services-yaml.h
check_PROGRAMS += fuzz-wire-run fuzz-config-run fuzz-filter-run fuzz-sites-run \
	fuzz-elf-run fuzz-load-run fuzz-anos-run fuzz-pages-run fuzz-sse-run
TESTS += %D%/run.sh
dist_noinst_SCRIPTS += %D%/run.sh %D%/libfuzzer.sh
EXTRA_DIST += %D%/corpus
CLEANFILES += fuzz-failure.bin

fuzz_wire_run_SOURCES = %D%/fuzz_wire.c %D%/driver.c %D%/target.h
fuzz_wire_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_wire_run_LDADD = libco.a

fuzz_attached_run_SOURCES = %D%/fuzz_attached.c %D%/driver.c %D%/target.h
fuzz_attached_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_attached_run_LDADD = libservice.a libco.a

fuzz_handlers_run_SOURCES = %D%/fuzz_handlers.c %D%/driver.c %D%/target.h \
	cloudosd/handlers_file.h cloudosd/handlers_file.c
fuzz_handlers_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_handlers_run_LDADD = libco.a $(YAML_LIBS)

fuzz_cron_run_SOURCES = %D%/fuzz_cron.c %D%/driver.c %D%/target.h
fuzz_cron_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_cron_run_LDADD = libservice.a libco.a

fuzz_config_run_SOURCES = %D%/fuzz_config.c %D%/driver.c %D%/target.h \
	cloudosd/config.def cloudosd/config.h cloudosd/config.c
fuzz_config_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_config_run_LDADD = libco.a $(YAML_LIBS)

fuzz_filter_run_SOURCES = %D%/fuzz_filter.c %D%/driver.c %D%/target.h \
	tests/trap/filter_model.h
fuzz_filter_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_filter_run_LDADD = libtrap-filter.a libco.a

fuzz_sites_run_SOURCES = %D%/fuzz_sites.c %D%/driver.c %D%/target.h
fuzz_sites_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_sites_run_LDADD = libsites.a libco.a

fuzz_elf_run_SOURCES = %D%/fuzz_elf.c %D%/maps.h %D%/maps.c %D%/driver.c %D%/target.h
fuzz_elf_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_elf_run_LDADD = libtrapelf.a libco.a

check_LIBRARIES += libanosload.a
libanosload_a_SOURCES = personality/anos/guest_load.h personality/anos/guest_elf.c \
	personality/anos/guest_stack.c
libanosload_a_CPPFLAGS = $(CO_GUEST_INCLUDES)
libanosload_a_CFLAGS = -std=gnu17 -ffreestanding -fPIE $(CO_WARN)
fuzz_load_run_SOURCES = %D%/fuzz_load.c %D%/maps.h %D%/maps.c %D%/driver.c %D%/target.h
fuzz_load_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_load_run_LDADD = libanosload.a libco.a

fuzz_anos_run_SOURCES = %D%/fuzz_anos.c %D%/driver.c %D%/target.h
fuzz_anos_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_anos_run_LDADD = libanossystem.a libco.a

# The shim's part is guest code and not instrumented here; check-fuzz does that.
check_LIBRARIES += libtrappages.a
libtrappages_a_SOURCES = shim/memory.c
libtrappages_a_CPPFLAGS = $(CO_GUEST_INCLUDES)
libtrappages_a_CFLAGS = -std=gnu17 -ffreestanding -fPIE $(CO_WARN)
fuzz_pages_run_SOURCES = %D%/fuzz_pages.c %D%/driver.c %D%/target.h \
	cloudosd/memory.h cloudosd/memory.c
fuzz_pages_run_CFLAGS = $(AM_CFLAGS) -pthread
fuzz_pages_run_LDADD = libtrappages.a libco.a

check_PROGRAMS += fuzz-state-run
fuzz_state_run_SOURCES = %D%/fuzz_state.c %D%/driver.c %D%/target.h \
	personality/blackroad/state.h personality/blackroad/state.c \
	cloudosd/service/state.h cloudosd/service/state.c
fuzz_state_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_state_run_LDADD = libco.a

fuzz_sse_run_SOURCES = %D%/fuzz_sse.c %D%/driver.c %D%/target.h
fuzz_sse_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_sse_run_LDADD = libservice.a libco.a
# HTTP, against a strict reference and, where it is installed, http-parser.
check_PROGRAMS += fuzz-front-run fuzz-http-run fuzz-uri-run
fuzz_http_run_SOURCES = %D%/fuzz_http.c %D%/http_reference.h %D%/http_reference.c \
	%D%/driver.c %D%/target.h
if HAVE_HTTP_PARSER
fuzz_http_run_SOURCES += %D%/http_peer.c
CO_HTTP_PARSER = 1
CO_HTTP_PARSER_LIBS = -lhttp_parser
else
fuzz_http_run_SOURCES += %D%/http_peer_none.c
CO_HTTP_PARSER = 0
CO_HTTP_PARSER_LIBS =
endif
fuzz_http_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_http_run_LDADD = $(CO_HTTP_LIBS) libco.a $(CO_HTTP_PARSER_LIBS)
EXTRA_DIST += %D%/http_peer.c %D%/http_peer_none.c
fuzz_front_run_SOURCES = %D%/fuzz_front.c %D%/http_reference.h %D%/http_reference.c \
	%D%/driver.c %D%/target.h cloudosd/http/front_head.h cloudosd/http/front_head.c
fuzz_front_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_front_run_LDADD = $(CO_HTTP_LIBS) libco.a
fuzz_uri_run_SOURCES = %D%/fuzz_uri.c %D%/driver.c %D%/target.h
fuzz_uri_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
fuzz_uri_run_LDADD = libco.a

# Images: their JSON, their names, our index, archives.
check_PROGRAMS += fuzz-images-run
fuzz_images_run_SOURCES = %D%/fuzz_images.c %D%/driver.c %D%/target.h
fuzz_images_run_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(ARCHIVE_CFLAGS) $(NETTLE_CFLAGS)
fuzz_images_run_LDADD = $(CO_IMAGE_LIBS)

.PHONY: check-fuzz
check-fuzz:
	@srcdir='$(srcdir)' CO_ZYDIS='$(CO_ZYDIS)' CO_HTTP_PARSER='$(CO_HTTP_PARSER)' LLHTTP_DIR='$(LLHTTP_DIR)' \
	LLHTTP_CFLAGS='$(LLHTTP_CFLAGS)' LLHTTP_LIBS='$(LLHTTP_LIBS)' YAML_LIBS='$(YAML_LIBS)' $(SHELL) $(srcdir)/%D%/libfuzzer.sh; \
	rc=$$?; test $$rc -eq 77 || exit $$rc
clean-local: clean-fuzz
clean-fuzz:
	rm -rf fuzz-work
.PHONY: clean-fuzz
