# SPDX-License-Identifier: MIT
# Programs of Anos under the trap engine.
ANOS_GUESTS = anos-stack.elf anos-calls.elf anos-token.elf anos-memory.elf anos-threads.elf \
	anos-process.elf anos-fault.elf anos-return.elf anos-one.elf anos-channels.elf
ANOS_GUEST_BUILD = $(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@
ANOS_TEST_COMMON = %D%/check.h $(CO_ANOS_COMMON)
anos-stack.elf: %D%/stack.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) -Wl,-e,begin $(srcdir)/%D%/stack.c $(CO_ANOS_FOLDER)/crt.S
anos-calls.elf: %D%/calls.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/calls.c $(CO_ANOS_FOLDER)/crt.S
anos-token.elf: %D%/token.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/token.c $(CO_ANOS_FOLDER)/crt.S
anos-memory.elf: %D%/memory.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/memory.c $(CO_ANOS_FOLDER)/crt.S
anos-threads.elf: %D%/threads.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/threads.c $(CO_ANOS_FOLDER)/crt.S
anos-process.elf: %D%/process.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/process.c $(CO_ANOS_FOLDER)/crt.S
anos-fault.elf: %D%/fault.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/fault.c $(CO_ANOS_FOLDER)/crt.S
anos-channels.elf: %D%/channels.c $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/channels.c $(CO_ANOS_FOLDER)/crt.S
anos-return.elf: %D%/return.S $(CO_ANOS_COMMON)
	$(ANOS_GUEST_BUILD) -Wl,-e,begin $(srcdir)/%D%/return.S
anos-one.elf: CO_ANOS_SCRIPT = $(srcdir)/%D%/one.ld
anos-one.elf: %D%/one.c %D%/one.ld $(ANOS_TEST_COMMON)
	$(ANOS_GUEST_BUILD) $(srcdir)/%D%/one.c $(CO_ANOS_FOLDER)/crt.S
check_DATA += $(ANOS_GUESTS)
CLEANFILES += $(ANOS_GUESTS)

TESTS += %D%/programs.sh %D%/files.sh
dist_noinst_SCRIPTS += %D%/programs.sh %D%/files.sh
EXTRA_DIST += %D%/README.md %D%/check.h %D%/calls.c %D%/channels.c %D%/channels.expected %D%/elf.py %D%/fault.c %D%/memory.c \
	%D%/process.c %D%/return.S %D%/stack.c %D%/threads.c %D%/token.c \
	%D%/hello.expected %D%/calls.expected %D%/fault.expected %D%/memory.expected \
	%D%/process.expected %D%/return.expected %D%/stack.expected %D%/threads.expected \
	%D%/token.expected %D%/memory-example.expected %D%/threads-example.expected \
	%D%/spawn.expected %D%/one.c %D%/one.ld %D%/one.expected
%D%/programs.log: $(ANOS_EXAMPLES) $(ANOS_GUESTS) cloudos-exec cloudos-loader-anos cloudosd cloudosctl
%D%/files.log: cloudos-exec cloudos-loader-anos cloudosd cloudosctl
