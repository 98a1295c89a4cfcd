# SPDX-License-Identifier: MIT
# SYSTEM's services without channels, threads and daemon, for tests too.
noinst_LIBRARIES += libanossystem.a
libanossystem_a_SOURCES = \
	%D%/message.h \
	%D%/boot.h %D%/boot.c \
	%D%/devices.h %D%/devices.c \
	%D%/disk.h %D%/disk.c \
	%D%/image.h %D%/image.c \
	%D%/klog.h %D%/klog.c \
	%D%/root.h %D%/root.c \
	%D%/spawn.h %D%/spawn.c \
	%D%/surface.h %D%/surface.c %D%/surface_png.c \
	%D%/vfs.h %D%/vfs.c
EXTRA_DIST += %D%/README.md
libanossystem_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
