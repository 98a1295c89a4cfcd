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

EXTRA_DIST += %D%/README.md
