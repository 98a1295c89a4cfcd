# SPDX-License-Identifier: MIT
# libcloudos as a program sees it that does not run under cloudos-exec; tests/guest has the
# rest.
if HAVE_CHECK
check_PROGRAMS += libcloudos-library
TESTS += libcloudos-library
libcloudos_library_SOURCES = %D%/library.c
libcloudos_library_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
libcloudos_library_LDADD = libcloudos.la $(CHECK_LIBS)
endif
TESTS += %D%/compile.sh %D%/symbols.sh
EXTRA_DIST += %D%/README.md %D%/compile.sh %D%/symbols.sh %D%/seed-names.c %D%/plus.cc \
	docs/spec/cloudos.md
