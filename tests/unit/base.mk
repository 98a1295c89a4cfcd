# SPDX-License-Identifier: MIT
# Units of lib/ and of the configuration.
co_base_units = unit-err unit-escape unit-fault unit-log unit-config unit-siphash unit-json-scan unit-names \
	unit-pattern unit-rights unit-http-client unit-http-message \
	unit-keeper-link
check_PROGRAMS += $(co_base_units)
TESTS += $(co_base_units) %D%/banned.sh %D%/fault-points.sh %D%/fault-setuid.sh
dist_noinst_SCRIPTS += %D%/banned.sh %D%/fault-points.sh %D%/fault-setuid.sh

# it runs a copy of unit-fault
%D%/fault-setuid.log: unit-fault

unit_err_SOURCES = %D%/err.c
unit_err_CFLAGS = $(CO_TEST_CFLAGS)
unit_err_LDADD = $(CO_TEST_LIBS)

unit_escape_SOURCES = %D%/escape.c
unit_escape_CFLAGS = $(CO_TEST_CFLAGS)
unit_escape_LDADD = $(CO_TEST_LIBS)

unit_fault_SOURCES = %D%/fault.c
unit_fault_CFLAGS = $(CO_TEST_CFLAGS)
unit_fault_LDADD = $(CO_TEST_LIBS)

unit_log_SOURCES = %D%/log.c
unit_log_CFLAGS = $(CO_TEST_CFLAGS)
unit_log_LDADD = $(CO_TEST_LIBS)

unit_siphash_SOURCES = %D%/siphash.c
unit_siphash_CFLAGS = $(CO_TEST_CFLAGS)
unit_siphash_LDADD = $(CO_TEST_LIBS)

unit_json_scan_SOURCES = %D%/json_scan.c
unit_json_scan_CFLAGS = $(CO_TEST_CFLAGS)
unit_json_scan_LDADD = $(CO_TEST_LIBS) -lm

unit_pattern_SOURCES = %D%/pattern.c
unit_pattern_CFLAGS = $(CO_TEST_CFLAGS)
unit_pattern_LDADD = $(CO_TEST_LIBS)

unit_rights_SOURCES = %D%/rights.c
unit_rights_CFLAGS = $(CO_TEST_CFLAGS)
unit_rights_LDADD = $(CO_TEST_LIBS)

unit_http_client_SOURCES = %D%/http_client.c \
	cloudosd/core.h cloudosd/core.c cloudosd/loop.h cloudosd/loop.c \
	cloudosd/http/client.h cloudosd/http/client_inside.h \
	cloudosd/http/client_backend.c cloudosd/http/client.c cloudosd/http/wire.h cloudosd/http/wire.c \
	cloudosd/http/outgoing.h cloudosd/http/outgoing.c
unit_http_client_CFLAGS = $(CO_TEST_CFLAGS)
unit_http_client_LDADD = $(CO_HTTP_LIBS) $(CO_TEST_LIBS) $(UV_LIBS)

unit_http_message_SOURCES = %D%/http_message.c
unit_http_message_CFLAGS = $(CO_TEST_CFLAGS)
unit_http_message_LDADD = $(CO_HTTP_LIBS) $(CO_TEST_LIBS)

unit_keeper_link_SOURCES = %D%/keeper_link.c \
	cloudosd/core.h cloudosd/core.c cloudosd/keeper_link.h cloudosd/keeper_link.c
unit_keeper_link_CFLAGS = $(CO_TEST_CFLAGS)
unit_keeper_link_LDADD = $(CO_TEST_LIBS)

unit_config_SOURCES = %D%/config.c \
	cloudosd/config.def cloudosd/config.h cloudosd/config.c
unit_config_CFLAGS = $(CO_TEST_CFLAGS)
unit_config_LDADD = $(CO_TEST_LIBS) $(YAML_LIBS)

unit_names_SOURCES = %D%/names.c \
	cloudosd/names.h cloudosd/names.c
unit_names_CFLAGS = $(CO_TEST_CFLAGS)
unit_names_LDADD = libservice.a $(CO_TEST_LIBS) $(YAML_LIBS) -ldl
cloudosd/unit_names-names.$(OBJEXT): services-yaml.h

EXTRA_DIST += packaging/cloudosd.yaml
