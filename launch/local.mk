# SPDX-License-Identifier: MIT
# What every launcher of programs needs: cloudos-exec and the engine of containers.
noinst_LIBRARIES += liblaunch.a
liblaunch_a_SOURCES = \
	%D%/channel.h %D%/channel.c \
	%D%/classify.h %D%/classify.c \
	%D%/numbers.h %D%/numbers.c
liblaunch_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
EXTRA_DIST += %D%/README.md
