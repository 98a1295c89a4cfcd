# SPDX-License-Identifier: MIT
# cloudos-image: images without a network.  The library is for tests and fuzz targets.
noinst_LIBRARIES += libimage.a
libimage_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(ARCHIVE_CFLAGS) $(NETTLE_CFLAGS)
libimage_a_SOURCES = %D%/commands.def %D%/commands.h
libimage_a_SOURCES += %D%/busybox.c
libimage_a_SOURCES += %D%/commit.c
libimage_a_SOURCES += %D%/merged.h %D%/copy.c
libimage_a_SOURCES += %D%/depot.h %D%/depot.c
libimage_a_SOURCES += %D%/diff.c
libimage_a_SOURCES += %D%/digest.h %D%/digest.c
libimage_a_SOURCES += %D%/export.c
libimage_a_SOURCES += %D%/import.h %D%/import.c
libimage_a_SOURCES += %D%/import_docker.c
libimage_a_SOURCES += %D%/import_oci.c
libimage_a_SOURCES += %D%/import_rootfs.c
libimage_a_SOURCES += %D%/io.h %D%/io.c
libimage_a_SOURCES += %D%/layer.h %D%/layer.c
libimage_a_SOURCES += %D%/manage.c
libimage_a_SOURCES += %D%/manifest.h %D%/manifest.c
libimage_a_SOURCES += %D%/marks.h %D%/marks.c
libimage_a_SOURCES += %D%/pack.h %D%/pack.c
libimage_a_SOURCES += %D%/remove.h %D%/remove.c
libimage_a_SOURCES += %D%/report.h %D%/report.c
libimage_a_SOURCES += %D%/sandbox.h %D%/sandbox_inside.h
libimage_a_SOURCES += %D%/sandbox.c %D%/sandbox_inside.c %D%/sandbox_filter.c
libimage_a_SOURCES += %D%/source.h %D%/source.c
libimage_a_SOURCES += %D%/spool.h %D%/spool.c
libimage_a_SOURCES += %D%/stream.h %D%/stream.c
libimage_a_SOURCES += %D%/tree.h %D%/tree.c
libimage_a_SOURCES += %D%/unpack.h %D%/unpack_inside.h %D%/unpack.c %D%/unpack_attributes.c
CO_IMAGE_LIBS = libimage.a libco.a $(ARCHIVE_LIBS) $(NETTLE_LIBS) $(SECCOMP_LIBS)

pkglibexec_PROGRAMS += cloudos-image
cloudos_image_SOURCES = %D%/main.c
cloudos_image_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(ARCHIVE_CFLAGS) $(NETTLE_CFLAGS)
cloudos_image_LDADD = $(CO_IMAGE_LIBS)
EXTRA_DIST += %D%/README.md
