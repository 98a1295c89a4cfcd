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
anos-crowd.elf: %D%/crowd.c %D%/check.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/crowd.c $(srcdir)/examples/anos/crt.S
check_DATA += anos-park.elf anos-debug.elf anos-crowd.elf
CLEANFILES += anos-park.elf anos-debug.elf anos-crowd.elf

TESTS += %D%/system.py %D%/reach.py
EXTRA_DIST += %D%/system.py %D%/reach.py %D%/machine.py %D%/park.c %D%/debug.c %D%/crowd.c
%D%/system.log %D%/reach.log: $(ANOS_EXAMPLES) anos-park.elf anos-debug.elf anos-crowd.elf anos-ask cloudos-exec cloudos-loader-anos cloudosd cloudosctl

# All of it: a million opens and closes, a thousand guests, ten seconds of each enemy.  Takes
# a quarter of an hour.
.PHONY: check-reach
check-reach: all $(check_PROGRAMS) $(check_DATA)
	./ring-hostile$(EXEEXT) 10
	CO_OPENS=1000000 CO_GUESTS=1000 CO_HOSTILE=10 $(MAKE) check \
		TESTS='%D%/reach.py tests/fault/daemon_ipc.py'
