# SPDX-License-Identifier: MIT
check_PROGRAMS += transparency-probe
transparency_probe_SOURCES = %D%/probe.c
TESTS += %D%/notify.test %D%/ptrace.test %D%/trap.test %D%/trap-linux.test %D%/compare.test
EXTRA_DIST += %D%/README.md %D%/cases.list %D%/notify.test %D%/ptrace.test \
	%D%/trap.test %D%/trap-linux.test %D%/run.sh %D%/terminal.py \
	%D%/compare.test %D%/compare.py %D%/unittest_lines.py %D%/behaviour.list \
	%D%/cpython.list %D%/stress.list %D%/work.list %D%/expected-differences.list

# Other people's tests and real work, natively and under the trap engine: a quarter of an
# hour.  make check-transparency [WORDS="cpython/test.test_os ..."]
check-transparency: all $(check_PROGRAMS)
	@$(srcdir)/%D%/compare.py $(WORDS)
.PHONY: check-transparency
CLEANFILES += transparency.json transparency.html
clean-local-transparency:
	rm -rf transparency-cache
clean-local: clean-local-transparency
.PHONY: clean-local-transparency
