# SPDX-License-Identifier: MIT
# The engine, for cloudos-ctr and for cloudos-exec --confine.  One file a line.
noinst_LIBRARIES += libctr.a
libctr_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libctr_a_SOURCES = %D%/config.h
libctr_a_SOURCES += %D%/cgroup.h
libctr_a_SOURCES += %D%/process.h
libctr_a_SOURCES += %D%/rootfs.h
libctr_a_SOURCES += %D%/seccomp.h
libctr_a_SOURCES += %D%/cgroup.c
libctr_a_SOURCES += %D%/cgroup_inside.h
libctr_a_SOURCES += %D%/cgroup_box.c
libctr_a_SOURCES += %D%/cgroup_cpu.c
libctr_a_SOURCES += %D%/cgroup_device.c
libctr_a_SOURCES += %D%/cgroup_file.c
libctr_a_SOURCES += %D%/cgroup_freeze.c
libctr_a_SOURCES += %D%/cgroup_io.c
libctr_a_SOURCES += %D%/cgroup_limits.c
libctr_a_SOURCES += %D%/cgroup_memory.c
libctr_a_SOURCES += %D%/cgroup_pids.c
libctr_a_SOURCES += %D%/cgroup_place.c
libctr_a_SOURCES += %D%/cgroup_usage.c
