# SPDX-License-Identifier: MIT
noinst_LIBRARIES += libco.a
libco_a_SOURCES = \
	%D%/cleanup.h \
	%D%/err.h %D%/err.c \
	%D%/json.h %D%/json.c \
	%D%/paths.h %D%/paths.c \
	%D%/utf8.h %D%/utf8.c \
	%D%/wire.h %D%/wire.c
