# SPDX-License-Identifier: MIT
# Messages over shared memory: one source for guests, libcloudos and host programs.
# RING_SOURCES is freestanding; who takes it brings ring_os_wait and the like.
RING_SOURCES = %D%/ring.h %D%/words.h %D%/capture.c %D%/client.c %D%/page.c %D%/server.c

noinst_LIBRARIES += libring.a
libring_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libring_a_SOURCES = $(RING_SOURCES) %D%/os_host.c %D%/segment.h %D%/segment.c
EXTRA_DIST += %D%/README.md
