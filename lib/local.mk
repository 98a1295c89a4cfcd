# SPDX-License-Identifier: MIT
noinst_LIBRARIES += libco.a
libco_a_SOURCES = \
	%D%/cleanup.h \
	%D%/err.h %D%/err.c \
	%D%/paths.h %D%/paths.c \
	%D%/wire.h %D%/wire.c
