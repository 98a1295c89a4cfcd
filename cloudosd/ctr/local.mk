# SPDX-License-Identifier: MIT
# The engine, for cloudos-ctr and for cloudos-exec --confine.  One file a line.
noinst_LIBRARIES += libctr.a
libctr_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
libctr_a_SOURCES = %D%/config.h
libctr_a_SOURCES += %D%/cgroup.h
libctr_a_SOURCES += %D%/process.h
libctr_a_SOURCES += %D%/rootfs.h
libctr_a_SOURCES += %D%/seccomp.h
libctr_a_SOURCES += %D%/rootfs.c
libctr_a_SOURCES += %D%/rootfs_cgroup.c
libctr_a_SOURCES += %D%/rootfs_copy.c
libctr_a_SOURCES += %D%/rootfs_dev.c
libctr_a_SOURCES += %D%/rootfs_gather.c
libctr_a_SOURCES += %D%/rootfs_layers.c
libctr_a_SOURCES += %D%/rootfs_mask.c
libctr_a_SOURCES += %D%/rootfs_mount.c
libctr_a_SOURCES += %D%/rootfs_option.c
libctr_a_SOURCES += %D%/rootfs_path.c
libctr_a_SOURCES += %D%/rootfs_sysctl.c
libctr_a_SOURCES += %D%/rootfs_tree.c
libctr_a_SOURCES += %D%/rootfs_inside.h
