# SPDX-License-Identifier: MIT
# Control groups of containers.
check_PROGRAMS += unit-cgroup
TESTS += unit-cgroup

unit_cgroup_SOURCES = %D%/cgroup.c
unit_cgroup_CFLAGS = $(CO_TEST_CFLAGS)
unit_cgroup_LDADD = libctr.a $(CO_TEST_LIBS)

check_PROGRAMS += unit-network
TESTS += unit-network

unit_network_SOURCES = %D%/network.h %D%/network.c
unit_network_CFLAGS = $(CO_TEST_CFLAGS)
unit_network_LDADD = libctr.a $(CO_TEST_LIBS)

check_PROGRAMS += unit-network-private
TESTS += unit-network-private

unit_network_private_SOURCES = %D%/network.h %D%/network_private.c
unit_network_private_CFLAGS = $(CO_TEST_CFLAGS)
unit_network_private_LDADD = libctr.a $(CO_TEST_LIBS)

check_PROGRAMS += unit-relay
TESTS += unit-relay

unit_relay_SOURCES = %D%/relay.c cloudosd/relay.h cloudosd/relay.c cloudosd/netns.h cloudosd/netns.c
unit_relay_CFLAGS = $(CO_TEST_CFLAGS)
unit_relay_LDADD = $(CO_TEST_LIBS)
