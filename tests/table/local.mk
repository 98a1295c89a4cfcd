# SPDX-License-Identifier: MIT
# Tests over the tables, the layers and the guest code's walls.
check_PROGRAMS += personality-table seed-coverage
personality_table_SOURCES = %D%/personality_table.c %D%/seed.h %D%/seed.c
personality_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
personality_table_LDADD = libpersonality.a $(CHECK_LIBS)
seed_coverage_SOURCES = \
	%D%/coverage.h %D%/coverage.c %D%/seed.h %D%/seed.c \
	%D%/coverage_anos.c %D%/coverage_blackroad.c %D%/coverage_clankeros.c \
	%D%/coverage_cloudos.c %D%/coverage_playsys.c
seed_coverage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
seed_coverage_LDADD = libpersonality.a $(CHECK_LIBS)
TESTS += personality-table seed-coverage

# Guest code, tried from a program without libc: the flags are those of shim/local.mk.
check_PROGRAMS += shim-rt
shim_rt_SOURCES = %D%/shim_rt.c
shim_rt_CPPFLAGS = $(CO_GUEST_INCLUDES)
shim_rt_CFLAGS = $(CO_GUEST_FLAGS)
shim_rt_LDFLAGS = -nostdlib -all-static -no-pie
shim_rt_LDADD = libshim.a
$(shim_rt_OBJECTS): override CFLAGS = $(CO_GUEST_OPTIMISE)
$(shim_rt_OBJECTS): override CPPFLAGS =
TESTS += shim-rt
