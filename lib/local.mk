# SPDX-License-Identifier: MIT
# Host code refuses what lib/banned.h lists: NAME_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
CO_BANNED = -include $(srcdir)/lib/banned.h

noinst_LIBRARIES += libco.a
libco_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libco_a_SOURCES = \
	%D%/banned.h \
	%D%/base64.h %D%/base64.c \
	%D%/buf.h %D%/buf.c \
	%D%/capability.h %D%/capability.c \
	%D%/cleanup.h \
	%D%/engine.h %D%/engine.c \
	%D%/err.h %D%/err.c \
	%D%/escape.h %D%/escape.c \
	%D%/fault.def %D%/fault.h %D%/fault.c \
	%D%/linux_calls.h \
	%D%/log.def %D%/log.h %D%/log.c \
	%D%/image_index.h %D%/image_index.c \
	%D%/image_name.h %D%/image_name.c \
	%D%/json.h %D%/json.c \
	%D%/json_scan.h %D%/json_scan.c \
	%D%/nearest.h %D%/nearest.c \
	%D%/paths.h %D%/paths.c \
	%D%/pattern.h %D%/pattern.c \
	%D%/rights.h %D%/rights.c \
	%D%/span.h \
	%D%/sse.h %D%/sse.c \
	%D%/uri.h %D%/uri.c \
	%D%/time.h %D%/time.c \
	%D%/utf8.h %D%/utf8.c \
	%D%/wire.h %D%/wire.c \
	%D%/yaml_read.h %D%/yaml_read.c
nodist_libco_a_SOURCES = %D%/linux_calls.c
%D%/linux_calls.c: %D%/linux_calls.awk
	$(AM_V_GEN)$(MKDIR_P) %D% && LC_ALL=C $(AWK) -f $(srcdir)/%D%/linux_calls.awk \
		$(CO_UAPI_ASM)/unistd_64.h $(CO_UAPI_ASM)/unistd_32.h > $@.new && mv $@.new $@
CLEANFILES += %D%/linux_calls.c

# HTTP messages.  llhttp's own sources are not held to our warnings.
noinst_LIBRARIES += libhttp.a
libhttp_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libhttp_a_SOURCES = %D%/http_message.h %D%/http_status.def %D%/http_message.c
if LLHTTP_BUILT_HERE
CO_HTTP_LIBS = libhttp.a libllhttp.a
noinst_LIBRARIES += libllhttp.a
libllhttp_a_SOURCES =
nodist_libllhttp_a_SOURCES = %D%/llhttp_api.c %D%/llhttp_http.c %D%/llhttp_llhttp.c
libllhttp_a_CPPFLAGS = $(LLHTTP_CFLAGS) -DLLHTTP_STRICT_MODE=1
libllhttp_a_CFLAGS = -std=gnu17 -w $(CO_HOST)
$(nodist_libllhttp_a_SOURCES): Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && \
		echo '#include "$(LLHTTP_DIR)/'`basename $@ | sed 's/llhttp_//'`'"' > $@
CLEANFILES += $(nodist_libllhttp_a_SOURCES)
else
CO_HTTP_LIBS = libhttp.a $(LLHTTP_LIBS)
endif
EXTRA_DIST += %D%/README.md %D%/linux_calls.awk
