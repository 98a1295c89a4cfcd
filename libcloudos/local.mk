# SPDX-License-Identifier: MIT
# The public headers and the library that CloudOS programs link.
cloudosincludedir = $(includedir)/cloudos
cloudosinclude_HEADERS = \
	include/cloudos/ai.h \
	include/cloudos/base.h \
	include/cloudos/cloud.h \
	include/cloudos/cloudos.h \
	include/cloudos/container.h \
	include/cloudos/device.h \
	include/cloudos/error.h \
	include/cloudos/ipc.h \
	include/cloudos/lb.h \
	include/cloudos/network.h \
	include/cloudos/numbers.h \
	include/cloudos/posix.h \
	include/cloudos/security.h \
	include/cloudos/seed-names.h \
	include/cloudos/service.h \
	include/cloudos/version.h \
	include/cloudos/vfs.h

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = libcloudos/cloudos.pc

# It becomes part of CloudOS programs: no sanitizer, no coverage, and nothing that ties the
# archive to one C library (a program linked with musl uses the same libcloudos.a).
GUEST_CFLAGS = -std=gnu17 $(CO_WARN)
lib_LTLIBRARIES += libcloudos.la
libcloudos_la_SOURCES = \
	%D%/call.h %D%/call.c \
	%D%/errno.def %D%/errno.c personality/cloudos/errors.def \
	%D%/ai.c \
	%D%/cloud.c \
	%D%/container.c \
	%D%/device.c \
	%D%/direct.h %D%/direct.c %D%/direct_os.c %D%/direct_peer.c \
	%D%/ring-names.h $(RING_SOURCES) ring/segment.h ring/segment.c \
	%D%/error.c \
	%D%/ipc.c \
	%D%/lb.c \
	%D%/network.c \
	%D%/posix.c \
	%D%/security.c \
	%D%/service.c \
	%D%/version.c \
	%D%/vfs.c
libcloudos_la_CPPFLAGS = -D_GNU_SOURCE -U_FORTIFY_SOURCE -I$(srcdir)/include -I$(srcdir) \
	-include $(srcdir)/%D%/ring-names.h
libcloudos_la_CFLAGS = $(GUEST_CFLAGS) -fPIC -fvisibility=hidden
# CURRENT:REVISION:AGE.  A new function: C+1:0:A+1; a changed one: C+1:0:0.
libcloudos_la_LDFLAGS = -version-info 2:0:1 -no-undefined \
	-Wl,--version-script=$(srcdir)/%D%/libcloudos.map -Wl,-z,relro,-z,now -Wl,-z,defs
EXTRA_libcloudos_la_DEPENDENCIES = %D%/libcloudos.map
EXTRA_DIST += %D%/README.md %D%/libcloudos.map
