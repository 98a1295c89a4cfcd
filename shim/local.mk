# SPDX-License-Identifier: MIT
# Guest code: everything that runs inside an emulated program.  shim/README.md has the
# rules; these flags are what enforces them.
noinst_LIBRARIES += libshim.a
libshim_a_SOURCES = \
	%D%/config.h %D%/config.c %D%/daemon.c %D%/deliver.c %D%/dispatch.c %D%/elf.h \
	%D%/elf.c %D%/entry.S %D%/exe.c %D%/exec.h %D%/exec.c %D%/filter.h %D%/filter.c \
	%D%/fork.S %D%/gate.h %D%/gate.S %D%/guest.h %D%/hidden.h %D%/i386.h %D%/i386.c \
	%D%/i386_call.c %D%/i386_gate.S %D%/i386_signal.c %D%/i386_start.c %D%/mask.c \
	%D%/memory.c %D%/patch.c %D%/personality.c %D%/place.c %D%/pool.c %D%/process.c \
	%D%/program.h %D%/program.c %D%/report.c %D%/share.c %D%/shim.h %D%/signal.h \
	%D%/signal.c %D%/sigsys.c %D%/site.h %D%/site.c %D%/start.h %D%/start.c \
	%D%/sud.h %D%/sud.c %D%/table.c %D%/wait.c %D%/wrapper.S \
	%D%/rt/atomic.h %D%/rt/fmt.c %D%/rt/fmt.h %D%/rt/kernel.h %D%/rt/mem.c \
	%D%/rt/mem.h %D%/rt/syscall_x86_64.h \
	personality/cloudos/guest.c
EXTRA_DIST += %D%/README.md

# No libc headers (-nostdinc; uapi/ holds links to the kernel's), no vector registers
# (a signal handler may run between any two instructions), no stack protector and no
# thread-local storage (fs belongs to the guest), no hidden calls, no unwind tables.
CO_GUEST_INCLUDES = -nostdinc -isystem $(CO_CC_INCLUDE) -isystem $(abs_builddir)/uapi \
	-I$(srcdir)/include -I$(srcdir)
CO_GUEST_FLAGS = -std=gnu17 -ffreestanding -fno-builtin -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables \
	-fvisibility=hidden -include $(srcdir)/shim/hidden.h -fPIC -U_FORTIFY_SOURCE $(CO_WARN)
libshim_a_CPPFLAGS = $(CO_GUEST_INCLUDES)
libshim_a_CFLAGS = $(CO_GUEST_FLAGS)

# The user's CFLAGS come last on a compiler's line and would undo the above (packagers
# set -fstack-protector-strong and -D_FORTIFY_SOURCE), so guest objects do not get them.
CO_GUEST_OPTIMISE = -Os -g
$(libshim_a_OBJECTS): override CFLAGS = $(CO_GUEST_OPTIMISE)
$(libshim_a_OBJECTS): override CPPFLAGS =

# The program: the whole of it at a fixed address, and nothing else.
pkglibexec_PROGRAMS += cloudos-loader
cloudos_loader_SOURCES =
cloudos_loader_LDADD = libshim.a
cloudos_loader_DEPENDENCIES = libshim.a $(srcdir)/%D%/loader.ld
EXTRA_DIST += %D%/loader.ld
cloudos_loader_LINK = $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,norelro \
	-Wl,-z,max-page-size=4096 -Wl,--undefined=_start -Wl,-T,$(srcdir)/%D%/loader.ld \
	-o $@

# How guest code is compiled, for tests that compile it again with another compiler.
guest-flags: Makefile
	$(AM_V_GEN){ \
	echo "GUEST_FLAGS='$(CO_GUEST_FLAGS) $(CO_GUEST_OPTIMISE)'"; \
	echo "GUEST_SOURCES='$(filter %.c %.S,$(libshim_a_SOURCES))'"; \
	echo "SANITIZERS='$(SANITIZERS)'"; } >$@
noinst_DATA += guest-flags
CLEANFILES += guest-flags
