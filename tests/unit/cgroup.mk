# SPDX-License-Identifier: MIT
# Control groups of containers.
check_PROGRAMS += unit-cgroup
TESTS += unit-cgroup

unit_cgroup_SOURCES = %D%/cgroup.c
unit_cgroup_CFLAGS = $(CO_TEST_CFLAGS)
unit_cgroup_LDADD = libctr.a $(CO_TEST_LIBS)
