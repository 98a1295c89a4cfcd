# SPDX-License-Identifier: MIT
# Guest code: everything that runs inside an emulated program.  shim/README.md has the
# rules; these flags are what enforces them.
noinst_LIBRARIES += libshim.a
libshim_a_SOURCES = \
	%D%/arm.c %D%/config.h %D%/config.c %D%/daemon.c %D%/deliver.c %D%/direct.S %D%/dispatch.c %D%/elf.h \
	%D%/elf.c %D%/entry.S %D%/exe.c %D%/exec.h %D%/exec.c %D%/filter.h %D%/filter.c \
	%D%/fork.S %D%/gate.h %D%/gate.S %D%/guest.h %D%/hidden.h %D%/i386.h %D%/i386.c \
	%D%/i386_call.c %D%/i386_gate.S %D%/i386_signal.c %D%/i386_start.c %D%/macros.h %D%/mask.c \
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
cloudos_loader_LINK = $(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,norelro \
	-Wl,-z,max-page-size=4096 -Wl,--undefined=_start -Wl,-T,$(srcdir)/%D%/loader.ld \
	-o $@

# The same for Anos: a core of the above, and Anos in the place of Linux.
noinst_LIBRARIES += libshimanos.a
libshimanos_a_SOURCES = \
	%D%/arm.c %D%/config.c %D%/entry.S %D%/filter.c %D%/gate.S %D%/memory.c %D%/pool.c \
	%D%/report.c %D%/share.c %D%/site.c %D%/rt/fmt.c %D%/rt/mem.c \
	personality/anos/guest.h personality/anos/guest_load.h personality/anos/guest.c personality/anos/guest_call.c \
	personality/anos/guest_connection.c personality/anos/guest_elf.c \
	personality/anos/guest_fault.c personality/anos/guest_guard.h \
	personality/anos/guest_guard.S personality/anos/guest_log.c personality/anos/guest_ipc.h \
	personality/anos/guest_again.c \
	personality/anos/guest_ipc.c personality/anos/guest_peer.c \
	personality/anos/guest_hardware.c personality/anos/guest_memory.c \
	personality/anos/guest_patch.c personality/anos/guest_process.c \
	personality/anos/guest_start.c personality/anos/guest_stack.c personality/anos/guest_table.c \
	personality/anos/guest_task.h personality/anos/guest_task.c \
	personality/anos/guest_clone.S personality/anos/guest_trap.c $(RING_SOURCES)
libshimanos_a_CPPFLAGS = $(CO_GUEST_INCLUDES)
libshimanos_a_CFLAGS = $(CO_GUEST_FLAGS)
$(libshimanos_a_OBJECTS): override CFLAGS = $(CO_GUEST_OPTIMISE)
$(libshimanos_a_OBJECTS): override CPPFLAGS =

pkglibexec_PROGRAMS += cloudos-loader-anos
cloudos_loader_anos_SOURCES =
cloudos_loader_anos_LDADD = libshimanos.a
cloudos_loader_anos_DEPENDENCIES = libshimanos.a $(srcdir)/%D%/loader.ld
cloudos_loader_anos_LINK = $(cloudos_loader_LINK)

# How guest code is compiled, for tests that compile it again with another compiler.
guest-flags: Makefile
	$(AM_V_GEN){ \
	echo "GUEST_FLAGS='$(CO_GUEST_FLAGS) $(CO_GUEST_OPTIMISE)'"; \
	echo "GUEST_SOURCES='$(filter %.c %.S,$(libshim_a_SOURCES))'"; \
	echo "ANOS_SOURCES='$(filter %.c %.S,$(libshimanos_a_SOURCES))'"; \
	echo "SANITIZERS='$(SANITIZERS)'"; } >$@
noinst_DATA += guest-flags
CLEANFILES += guest-flags
