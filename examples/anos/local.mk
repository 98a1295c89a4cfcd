# SPDX-License-Identifier: MIT
# Programs of Anos, with their own start-up code; `make check` runs them (tests/anos).
CO_ANOS_COMPILE = $(CC) -std=gnu17 -Os -g -ffreestanding -fno-pic -fno-pie \
	-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -Wall -Wextra -Werror -I$(srcdir)/%D% \
	-nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,norelro \
	-Wl,--no-warn-rwx-segments -Wl,-T,$(CO_ANOS_SCRIPT)
CO_ANOS_SCRIPT = $(srcdir)/%D%/anos.ld
CO_ANOS_COMMON = $(srcdir)/%D%/crt.S $(srcdir)/%D%/anos.h $(srcdir)/%D%/anos.ld

CO_ANOS_FOLDER = $(srcdir)/%D%

anos-hello.elf: %D%/hello.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/hello.c $(srcdir)/%D%/crt.S

anos-threads-example.elf: %D%/threads.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/threads.c $(srcdir)/%D%/crt.S
anos-memory-example.elf: %D%/memory.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/memory.c $(srcdir)/%D%/crt.S
anos-spawn.elf: %D%/spawn.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/spawn.c $(srcdir)/%D%/crt.S

anos-cat.elf: %D%/cat.c %D%/system.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/cat.c $(srcdir)/%D%/crt.S

anos-files.elf: %D%/files.c %D%/system.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/files.c $(srcdir)/%D%/crt.S

anos-log.elf: %D%/log.c %D%/system.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/log.c $(srcdir)/%D%/crt.S

anos-screen.elf: %D%/screen.c %D%/system.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/screen.c $(srcdir)/%D%/crt.S

anos-delegate.elf: %D%/delegate.c %D%/system.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/delegate.c $(srcdir)/%D%/crt.S

anos-echo.elf: %D%/echo.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/echo.c $(srcdir)/%D%/crt.S
anos-ask.elf: %D%/ask.c $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -o $@ $(srcdir)/%D%/ask.c $(srcdir)/%D%/crt.S

ANOS_EXAMPLES = anos-hello.elf anos-threads-example.elf anos-memory-example.elf anos-spawn.elf
ANOS_EXAMPLES += anos-cat.elf anos-files.elf anos-log.elf anos-screen.elf anos-delegate.elf
ANOS_EXAMPLES += anos-echo.elf anos-ask.elf
check_DATA += $(ANOS_EXAMPLES)
CLEANFILES += $(ANOS_EXAMPLES)
EXTRA_DIST += %D%/README.md %D%/anos.h %D%/anos.ld %D%/crt.S %D%/hello.c %D%/memory.c \
	%D%/spawn.c %D%/threads.c
EXTRA_DIST += %D%/system.h %D%/cat.c %D%/files.c %D%/log.c %D%/screen.c %D%/delegate.c \
	%D%/echo.c %D%/ask.c
