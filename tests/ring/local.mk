# SPDX-License-Identifier: MIT
# The ring: its contract, its behaviour under load, a hostile neighbour.
check_PROGRAMS += unit-ring
TESTS += unit-ring
EXTRA_DIST += %D%/README.md

# with hooks of its own instead of ring/os_host.c
unit_ring_SOURCES = %D%/pair.h %D%/pair.c %D%/ring.c $(RING_SOURCES) ring/segment.h ring/segment.c
unit_ring_CFLAGS = $(CO_TEST_CFLAGS)
unit_ring_LDADD = $(CO_TEST_LIBS)
