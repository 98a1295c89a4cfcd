# SPDX-License-Identifier: MIT
# The trap engine's filter, compiled for the host: shim/filter.c is pure.  It includes
# kernel headers, which go together with none of libc's: hence a library.
check_LIBRARIES += libtrap-filter.a
libtrap_filter_a_SOURCES = shim/filter.h shim/filter.c \
	%D%/filter_model.h %D%/filter_model.c
libtrap_filter_a_CFLAGS = $(AM_CFLAGS)

check_PROGRAMS += trap-filter trap-filter-kernel
TESTS += trap-filter trap-filter-kernel
trap_filter_SOURCES = %D%/filter.c
trap_filter_CFLAGS = $(CO_TEST_CFLAGS)
trap_filter_LDADD = libtrap-filter.a $(CO_TEST_LIBS)
trap_filter_kernel_SOURCES = %D%/filter_kernel.c
trap_filter_kernel_CFLAGS = $(CO_TEST_CFLAGS)
trap_filter_kernel_LDADD = libtrap-filter.a $(CO_TEST_LIBS)
