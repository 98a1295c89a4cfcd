# SPDX-License-Identifier: MIT
# Units of a container's monitor.
co_monitor_units = unit-ctr-control unit-ctr-log
check_PROGRAMS += $(co_monitor_units)
TESTS += $(co_monitor_units)

unit_ctr_control_SOURCES = %D%/ctr_control.c
unit_ctr_control_CFLAGS = $(CO_TEST_CFLAGS)
unit_ctr_control_LDADD = libctr.a $(CO_TEST_LIBS)

unit_ctr_log_SOURCES = %D%/ctr_log.c
unit_ctr_log_CFLAGS = $(CO_TEST_CFLAGS)
unit_ctr_log_LDADD = libctr.a $(CO_TEST_LIBS)
