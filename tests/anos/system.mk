# SPDX-License-Identifier: MIT
# SYSTEM as cloudos-exec serves it.
check_PROGRAMS += anos-ask
anos_ask_SOURCES = %D%/ask.c
anos_ask_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
anos_ask_LDADD = libcocli.a libpersonality.a libring.a libco.a

anos-park.elf: %D%/park.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/park.c $(srcdir)/examples/anos/crt.S
anos-debug.elf: %D%/debug.c %D%/check.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/debug.c $(srcdir)/examples/anos/crt.S
check_DATA += anos-park.elf anos-debug.elf
CLEANFILES += anos-park.elf anos-debug.elf

TESTS += %D%/system.py
EXTRA_DIST += %D%/system.py %D%/park.c %D%/debug.c
%D%/system.log: $(ANOS_EXAMPLES) anos-park.elf anos-debug.elf anos-ask cloudos-exec cloudos-loader-anos cloudosd cloudosctl
