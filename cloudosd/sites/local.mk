# SPDX-License-Identifier: MIT
# The scanner of ELF files: a library without files, threads or daemon, for tests too.
noinst_LIBRARIES += libsites.a
libsites_a_SOURCES = \
	%D%/decoder.h \
	%D%/hash.h %D%/hash.c \
	%D%/image.h %D%/image.c \
	%D%/scan.h %D%/scan.c \
	%D%/unwind.h %D%/unwind.c
if HAVE_ZYDIS
libsites_a_SOURCES += %D%/decoder_zydis.c
EXTRA_DIST += %D%/decoder_none.c
else
libsites_a_SOURCES += %D%/decoder_none.c
EXTRA_DIST += %D%/decoder_zydis.c
endif
EXTRA_DIST += %D%/README.md
libsites_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
