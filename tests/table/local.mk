# SPDX-License-Identifier: MIT
# Tests over the tables, the layers and the guest code's walls; README.md lists them.
table_programs_list = personality-table seed-coverage guest-tests
table_scripts_list = \
	%D%/cloudos-declarations.sh \
	%D%/headers.sh \
	%D%/layers.sh \
	%D%/shim-is-freestanding.sh
check_PROGRAMS += $(table_programs_list)
TESTS += $(table_programs_list) $(table_scripts_list)
EXTRA_DIST += $(table_scripts_list) %D%/README.md

personality_table_SOURCES = %D%/personality_table.c %D%/seed.h %D%/seed.c
personality_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
personality_table_LDADD = libpersonality.a $(CHECK_LIBS)
seed_coverage_SOURCES = \
	%D%/coverage.h %D%/coverage.c %D%/seed.h %D%/seed.c \
	%D%/coverage_anos.c %D%/coverage_blackroad.c %D%/coverage_clankeros.c \
	%D%/coverage_cloudos.c %D%/coverage_playsys.c
seed_coverage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
seed_coverage_LDADD = libpersonality.a $(CHECK_LIBS)
guest_tests_SOURCES = %D%/guest_tests.c
guest_tests_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
guest_tests_LDADD = libpersonality.a $(CHECK_LIBS)

# Guest code, tried from a program without libc: the flags are those of shim/local.mk.
check_PROGRAMS += shim-rt
shim_rt_SOURCES = %D%/shim_rt.c
shim_rt_CPPFLAGS = $(CO_GUEST_INCLUDES)
shim_rt_CFLAGS = $(CO_GUEST_FLAGS)
shim_rt_LDFLAGS = -nostdlib -all-static
shim_rt_LDADD = libshim.a
$(shim_rt_OBJECTS): override CFLAGS = $(CO_GUEST_OPTIMISE)
$(shim_rt_OBJECTS): override CPPFLAGS =
TESTS += shim-rt
