# SPDX-License-Identifier: MIT
# The engine, for cloudos-ctr and for cloudos-exec --confine.  One file a line.
noinst_LIBRARIES += libctr.a
libctr_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libctr_a_SOURCES = %D%/config.h
libctr_a_SOURCES += %D%/cgroup.h
libctr_a_SOURCES += %D%/process.h
libctr_a_SOURCES += %D%/rootfs.h
libctr_a_SOURCES += %D%/seccomp.h
libctr_a_SOURCES += %D%/control.h
libctr_a_SOURCES += %D%/control.c
libctr_a_SOURCES += %D%/control_inside.h
libctr_a_SOURCES += %D%/control_text.c
