# SPDX-License-Identifier: MIT
# make bench [BENCH=family]: one table, and bench.json in the build folder.
BENCH_HELPERS = \
	bench-ctr \
	bench-http-put \
	bench-http-rpc \
	bench-ipc \
	bench-launch \
	bench-message \
	bench-notify-bare \
	bench-notify-call \
	bench-sse \
	bench-trap-call \
	bench-true
EXTRA_PROGRAMS = $(BENCH_HELPERS)
CLEANFILES += $(BENCH_HELPERS) bench.json

bench_notify_call_SOURCES = %D%/loop.h %D%/loop.c %D%/notify_call.c
bench_notify_bare_SOURCES = %D%/loop.h %D%/loop.c %D%/notify_bare.c
bench_ctr_SOURCES = %D%/loop.h %D%/loop.c %D%/ctr.c
bench_ctr_LDADD = libctr.a liblaunch.a libpersonality.a libco.a $(SECCOMP_LIBS)
bench_ipc_SOURCES = %D%/loop.h %D%/loop.c %D%/ipc.h %D%/ipc.c %D%/ipc_library.c \
	%D%/ipc_dbus.c %D%/ipc_zmq.c
bench_ipc_LDADD = libring.a -ldl
bench_message_SOURCES = %D%/loop.h %D%/loop.c %D%/message.c
bench_message_LDADD = libcloudos.la
bench_http_put_SOURCES = %D%/http_put.c
bench_http_put_LDADD = $(SQLITE_LIBS)
bench_http_rpc_SOURCES = %D%/loop.h %D%/loop.c %D%/http_rpc.c
bench_launch_SOURCES = %D%/loop.h %D%/loop.c %D%/launch.c
bench_sse_SOURCES = %D%/sse.c
bench_trap_call_SOURCES = %D%/loop.h %D%/loop.c %D%/trap_call.c
bench_true_SOURCES = %D%/true.c
bench_true_LDFLAGS = -all-static

# 32-bit, so by hand; a compiler without -m32 is bench/run's to tell
bench-trap-i386: %D%/trap_i386.c
	$(AM_V_CC)$(CC) -m32 -O2 -Wall -Wextra -ffreestanding -nostdlib -static -fno-pic \
		-no-pie -fno-stack-protector -fcf-protection=none -o $@ $(srcdir)/%D%/trap_i386.c || \
		echo "bench-trap-i386 is left out: the compiler knows no -m32"
CLEANFILES += bench-trap-i386

BENCH_ANOS = bench-anos-ping.elf bench-anos-pong.elf bench-anos-many.elf
bench-anos-ping.elf: %D%/anos_ping.c %D%/anos_bench.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -I$(srcdir) -o $@ $(srcdir)/%D%/anos_ping.c $(srcdir)/examples/anos/crt.S
bench-anos-pong.elf: %D%/anos_pong.c %D%/anos_bench.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -I$(srcdir) -o $@ $(srcdir)/%D%/anos_pong.c $(srcdir)/examples/anos/crt.S
bench-anos-many.elf: %D%/anos_many.c %D%/anos_bench.h $(CO_ANOS_COMMON)
	$(AM_V_CCLD)$(CO_ANOS_COMPILE) -I$(srcdir) -o $@ $(srcdir)/%D%/anos_many.c $(srcdir)/examples/anos/crt.S
CLEANFILES += $(BENCH_ANOS)
EXTRA_DIST += %D%/anos_bench.h %D%/anos_ping.c %D%/anos_pong.c %D%/anos_many.c

EXTRA_DIST += %D%/README.md %D%/common.py %D%/run %D%/ctr.py %D%/front.py %D%/http_gateway.py %D%/ipc.py %D%/trap.py %D%/trap_i386.c
EXTRA_DIST += %D%/README.md %D%/common.py %D%/run %D%/http_gateway.py %D%/http_state.py %D%/ipc.py %D%/trap.py %D%/trap_i386.c
EXTRA_DIST += %D%/README.md %D%/common.py %D%/run %D%/ipc.py %D%/rpc.py %D%/trap.py %D%/trap_i386.c

bench: all $(BENCH_HELPERS) bench-trap-i386 $(BENCH_ANOS)
	@$(srcdir)/%D%/run --build=$(abs_builddir) $(BENCH)
.PHONY: bench
noinst_PROGRAMS += bench-store
bench_store_SOURCES = %D%/store.c
bench_store_LDADD = $(STORE_LIBS)
EXTRA_DIST += %D%/http_jobs.py
