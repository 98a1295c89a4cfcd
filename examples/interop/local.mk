# SPDX-License-Identifier: MIT
# Programs of two systems that call each other; `make check` runs them (tests/interop).
noinst_PROGRAMS += example-ask-echo example-shout
example_ask_echo_SOURCES = %D%/ask-echo.c
example_ask_echo_CFLAGS = $(GUEST_CFLAGS)
example_ask_echo_LDFLAGS = -static
example_ask_echo_LDADD = libcloudos.la
example_shout_SOURCES = %D%/shout.c
example_shout_CFLAGS = $(GUEST_CFLAGS)
example_shout_LDFLAGS = -static
example_shout_LDADD = libcloudos.la

anos-echo.elf: %D%/echo.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/echo.c $(CO_ANOS_FOLDER)/crt.S
anos-ask-shout.elf: %D%/ask-shout.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/ask-shout.c $(CO_ANOS_FOLDER)/crt.S

INTEROP_EXAMPLES = anos-echo.elf anos-ask-shout.elf
check_DATA += $(INTEROP_EXAMPLES)
CLEANFILES += $(INTEROP_EXAMPLES)
EXTRA_DIST += %D%/README.md %D%/echo.c %D%/ask-shout.c
