# SPDX-License-Identifier: MIT
# The ring: its contract, its behaviour under load, a hostile neighbour.
check_PROGRAMS += unit-ring ring-hostile ring-stress
TESTS += unit-ring ring-hostile ring-stress
EXTRA_DIST += %D%/README.md

# with hooks of its own instead of ring/os_host.c
unit_ring_SOURCES = %D%/pair.h %D%/pair.c %D%/ring.c $(RING_SOURCES) ring/segment.h ring/segment.c
unit_ring_CFLAGS = $(CO_TEST_CFLAGS)
unit_ring_LDADD = $(CO_TEST_LIBS)
ring_hostile_SOURCES = %D%/pair.h %D%/pair.c %D%/hostile.c $(RING_SOURCES) ring/segment.h ring/segment.c
ring_hostile_CFLAGS = $(CO_TEST_CFLAGS)
ring_stress_SOURCES = %D%/pair.h %D%/pair.c %D%/stress.c $(RING_SOURCES) ring/segment.h ring/segment.c
ring_stress_CFLAGS = $(CO_TEST_CFLAGS)
