/* SPDX-License-Identifier: MIT */
/*
 * bench-trap-i386 [private]: what one `int $0x80` costs in a 32-bit program: getppid, or
 * a call that the engine answers without the kernel.  Freestanding, so that no 32-bit C
 * library is needed.  GUEST; bench/run starts it natively and under the trap engine.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
	NR_EXIT = 1,
	NR_WRITE = 4,
	NR_GETPPID = 64,
	NR_CLOCK_GETTIME = 265,
	NR_IO_URING_SETUP = 425,
	MONOTONIC = 1,
	BATCHES = 51
};

static int call3(int number, u32 a, const void *b, u32 c)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

/* the number is a constant of the instruction before, as in a C library */
#define SITE(name, number)                                                             \
	static __attribute__((noinline)) int name(void)                                \
	{                                                                              \
		int result;                                                            \
                                                                                       \
		__asm__ volatile("mov %1, %%eax\n\tint $0x80"                          \
				 : "=a"(result)                                        \
				 : "i"(number), "b"(0), "c"(0)                         \
				 : "memory");                                          \
		return result;                                                         \
	}

SITE(call_getppid, NR_GETPPID)
SITE(call_answered, NR_IO_URING_SETUP)

static u32 now_ns(void)
{
	struct {
		int s, ns;
	} now;

	(void) call3(NR_CLOCK_GETTIME, MONOTONIC, &now, 0); /* this clock exists */
	return (u32) now.s * 1000000000U + (u32) now.ns;    /* differences are small */
}

/* Tenths of a nanosecond per call, the median of the batches. */
static u32 measure(int (*call)(void), u32 calls)
{
	u32 tenths[BATCHES];

	for (int i = 0; i < 100; i++)
		(void) call(); /* until the site is patched */
	for (int i = 0; i < BATCHES; i++) {
		u32 start = now_ns();
		u32 value;
		int at = i;

		for (u32 n = 0; n < calls; n++)
			(void) call();
		value = (now_ns() - start) * 10 / calls;
		for (; at > 0 && tenths[at - 1] > value; at--)
			tenths[at] = tenths[at - 1];
		tenths[at] = value;
	}
	return tenths[BATCHES / 2];
}

static char *put(char *at, const char *text)
{
	while (*text != 0)
		*at++ = *text++;
	return at;
}

static char *put_number(char *at, u32 number)
{
	if (number >= 10)
		at = put_number(at, number / 10);
	*at++ = (char) ('0' + number % 10);
	return at;
}

__attribute__((used, noreturn)) void bench_main(const u32 *stack);
void bench_main(const u32 *stack)
{
	char line[64];
	u32 tenths = stack[0] > 1 ? measure(call_answered, 2000)
				  : measure(call_getppid, 2000);
	char *end = put(line, "{\"wall_ns\": ");

	end = put_number(end, tenths / 10);
	*end++ = '.';
	end = put_number(end, tenths % 10);
	end = put(end, "}\n");
	(void) call3(NR_WRITE, 1, line,
		     (u32) (end - line)); /* no line: bench/run says */
	for (;;)
		(void) call3(NR_EXIT, 0, 0, 0); /* does not return */
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n"
	"\tpush %eax\n\tcall bench_main\n");
