# SPDX-License-Identifier: MIT
check_PROGRAMS += transparency-probe
transparency_probe_SOURCES = %D%/probe.c
TESTS += %D%/notify.test %D%/ptrace.test %D%/trap.test %D%/trap-linux.test
EXTRA_DIST += %D%/README.md %D%/cases.list %D%/notify.test %D%/ptrace.test \
	%D%/trap.test %D%/trap-linux.test %D%/run.sh %D%/terminal.py
