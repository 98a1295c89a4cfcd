# SPDX-License-Identifier: MIT
# Containers and confined programs.  One test a line.
check_PROGRAMS += ctr-filters
TESTS += ctr-filters
ctr_filters_SOURCES = %D%/filters.c
ctr_filters_CFLAGS = $(CO_TEST_CFLAGS)
ctr_filters_LDADD = libctr.a $(CO_TEST_LIBS) $(SECCOMP_LIBS)

check_PROGRAMS += ctr-rootfs
TESTS += ctr-rootfs
ctr_rootfs_SOURCES = %D%/rootfs.c %D%/box.h %D%/box.c
ctr_rootfs_CFLAGS = $(CO_TEST_CFLAGS)
ctr_rootfs_LDADD = libctr.a $(CO_TEST_LIBS)
