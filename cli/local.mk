# SPDX-License-Identifier: MIT
# What cloudosctl and cloudos-exec share.
noinst_LIBRARIES += libcocli.a
libcocli_a_SOURCES = \
	%D%/client.h %D%/client.c \
	%D%/probe.h %D%/probe.c %D%/probe_engine.c \
	%D%/start.h %D%/start.c
