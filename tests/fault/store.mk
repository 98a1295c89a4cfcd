# SPDX-License-Identifier: MIT
if HAVE_CHECK
check_PROGRAMS += fault-store-kill fault-store-power fault-store-full
fault_store_kill_SOURCES = %D%/store_kill.c
fault_store_kill_LDADD = libstoreclient.a $(STORE_LIBS)
fault_store_power_SOURCES = %D%/store_power.c %D%/power_vfs.h %D%/power_vfs.c
fault_store_power_LDADD = libstoreclient.a $(STORE_LIBS)
fault_store_full_SOURCES = %D%/store_full.c
fault_store_full_LDADD = libstoreclient.a $(STORE_LIBS)
TESTS += fault-store-kill fault-store-power fault-store-full
endif
