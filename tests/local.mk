# SPDX-License-Identifier: MIT
# A fragment per folder, one include line each, sorted.  README.md says how to add a test.
#
# What fragments may use:
#	CO_TEST_CFLAGS   NAME_CFLAGS of a unit test: warnings, banned functions, libcheck
#	CO_TEST_LIBS     end of its NAME_LDADD
TEST_EXTENSIONS = .sh

# In the background or under nohup some signals are ignored, and a shell cannot undo that.
SIGNALS_BY_DEFAULT = env --default-signal
LOG_COMPILER = $(SIGNALS_BY_DEFAULT)
SH_LOG_COMPILER = $(SIGNALS_BY_DEFAULT) $(SHELL)
AM_TESTS_ENVIRONMENT = \
	CO_SANITIZERS='$(SANITIZERS)'; export CO_SANITIZERS; \
	CC='$(CC)'; export CC; \
	CK_DEFAULT_TIMEOUT=300; export CK_DEFAULT_TIMEOUT; \
	srcdir='$(srcdir)'; export srcdir; \
	builddir='$(abs_builddir)'; export builddir;

CO_TEST_CFLAGS = $(AM_CFLAGS) $(CO_BANNED) $(CHECK_CFLAGS)
CO_TEST_LIBS = libco.a $(CHECK_LIBS)

EXTRA_DIST += %D%/README.md %D%/run.h %D%/unit/README.md %D%/cli/README.md %D%/wire/README.md %D%/fuzz/README.md

# Rewrites what is committed and can be printed by a program; `make check` compares it.
.PHONY: update-documents
update-documents:

include tests/anos/local.mk
include tests/anos/system.mk
include tests/blackroad/local.mk
include tests/containers/local.mk
include tests/fuzz/local.mk
include tests/ring/local.mk
include tests/sites/local.mk
include tests/guest/local.mk
include tests/http/local.mk
include tests/interop/local.mk
include tests/services/local.mk
include tests/page/local.mk
include tests/packaging/local.mk
include tests/libcloudos/local.mk
include tests/table/abi.mk
include tests/table/local.mk
include tests/transparency/local.mk
include tests/trap/elf.mk
include tests/trap/behaviour.mk
include tests/trap/filter.mk
include tests/trap/i386.mk
include tests/trap/hostile.mk
include tests/trap/signals.mk
include tests/unit/anos.mk
include tests/unit/base.mk
include tests/unit/cgroup.mk
include tests/unit/ctr_monitor.mk
include tests/unit/service.mk
include tests/wire/local.mk
include tests/conformance/local.mk
include tests/cli/ctl.mk
include tests/cli/exec.mk
include tests/unit/store.mk
include tests/fault/daemon.mk
include tests/fault/store.mk
