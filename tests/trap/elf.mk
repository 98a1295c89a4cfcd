# SPDX-License-Identifier: MIT
# The ELF side of the trap engine, for tests that have libc: headers as for guest code.  Not
# instrumented, as sanitizers map memory of their own; check-fuzz does it with them.
check_LIBRARIES += libtrapelf.a
libtrapelf_a_SOURCES = \
	shim/elf.h shim/elf.c shim/program.h shim/program.c shim/config.h shim/config.c \
	shim/rt/fmt.h shim/rt/fmt.c
libtrapelf_a_CPPFLAGS = $(CO_GUEST_INCLUDES)
libtrapelf_a_CFLAGS = -std=gnu17 -ffreestanding -fPIE $(CO_WARN)

check_PROGRAMS += trap-elf
TESTS += trap-elf
trap_elf_SOURCES = %D%/elf.c %D%/elf_files.h %D%/elf_files.c
trap_elf_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_elf_CFLAGS = $(GUEST_TEST_COMPILE) $(CHECK_CFLAGS)
trap_elf_LDFLAGS = -pthread
trap_elf_LDADD = libtrapelf.a $(CHECK_LIBS)

check_PROGRAMS += trap-exec trap-exec-static
trap_exec_SOURCES = %D%/exec.c %D%/exec_show.h %D%/exec_show.c \
	%D%/exec_files.h %D%/exec_files.c \
	%D%/elf_files.h %D%/elf_files.c
trap_exec_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_exec_CFLAGS = $(GUEST_TEST_COMPILE)
trap_exec_LDFLAGS = -pthread
trap_exec_static_SOURCES = $(trap_exec_SOURCES)
trap_exec_static_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
trap_exec_static_CFLAGS = $(GUEST_TEST_COMPILE)
trap_exec_static_LDFLAGS = -all-static -pthread
TESTS += %D%/exec.test
EXTRA_DIST += %D%/exec.test
