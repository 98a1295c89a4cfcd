# SPDX-License-Identifier: MIT
# Host code refuses what lib/banned.h lists: NAME_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
CO_BANNED = -include $(srcdir)/lib/banned.h

noinst_LIBRARIES += libco.a
libco_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libco_a_SOURCES = \
	%D%/banned.h \
	%D%/buf.h %D%/buf.c \
	%D%/cleanup.h \
	%D%/engine.h %D%/engine.c \
	%D%/err.h %D%/err.c \
	%D%/escape.h %D%/escape.c \
	%D%/fault.def %D%/fault.h %D%/fault.c \
	%D%/linux_calls.h \
	%D%/log.def %D%/log.h %D%/log.c \
	%D%/json.h %D%/json.c \
	%D%/json_scan.h %D%/json_scan.c \
	%D%/paths.h %D%/paths.c \
	%D%/pattern.h %D%/pattern.c \
	%D%/span.h \
	%D%/utf8.h %D%/utf8.c \
	%D%/wire.h %D%/wire.c
nodist_libco_a_SOURCES = %D%/linux_calls.c
%D%/linux_calls.c: %D%/linux_calls.awk
	$(AM_V_GEN)$(MKDIR_P) %D% && LC_ALL=C $(AWK) -f $(srcdir)/%D%/linux_calls.awk \
		$(CO_UAPI_ASM)/unistd_64.h $(CO_UAPI_ASM)/unistd_32.h > $@.new && mv $@.new $@
CLEANFILES += %D%/linux_calls.c
EXTRA_DIST += %D%/README.md %D%/linux_calls.awk
