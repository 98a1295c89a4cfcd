/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  A program without libc that tries every function of libshim.a and speaks to
 * the kernel by itself.  Run by the tests; exit status 0, or 1 with the failed line.
 */
#include <shim/guest.h>
#include <shim/rt/atomic.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

static uint32_t checks;

static void print(const char *text, size_t size)
{
	/* a lost line shows in the exit status all the same */
	(void) shim_syscall(__NR_write, 1, (long) text, (long) size, 0, 0, 0);
}

static _Noreturn void leave(int status)
{
	for (;;)
		(void) shim_syscall(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}

static bool equal(const char *left, const char *right)
{
	return length(left) == length(right) && memcmp(left, right, length(left)) == 0;
}

static void check(bool holds, const char *what, int line)
{
	char buffer[200];
	struct shim_fmt out = shim_fmt_init(buffer, sizeof(buffer));

	checks++;
	if (holds)
		return;
	shim_fmt_text(&out, "shim_rt.c:");
	shim_fmt_dec(&out, line);
	shim_fmt_text(&out, ": failed: ");
	shim_fmt_text(&out, what);
	shim_fmt_text(&out, "\n");
	print(buffer, length(buffer));
	leave(1);
}

#define CHECK(condition) check((condition), #condition, __LINE__)

static void fill(unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char) (i * 7 + 1);
}

static void memory_is_copied_exactly(void)
{
	unsigned char from[67];
	unsigned char to[67];

	for (size_t size = 0; size <= 64; size++) {
		fill(from, sizeof(from));
		CHECK(memset(to, 0xee, sizeof(to)) == to);
		CHECK(memcpy(to + 1, from, size) == to + 1);
		CHECK(to[0] == 0xee && to[size + 1] == 0xee);
		CHECK(memcmp(to + 1, from, size) == 0);
	}
}

/* Every distance both ways, against a copy made byte by byte. */
static void overlapping_memory_moves(void)
{
	unsigned char line[64];
	unsigned char model[64];

	for (size_t from = 0; from < 32; from++) {
		for (size_t to = 0; to < 32; to++) {
			unsigned char moved[32];

			fill(line, sizeof(line));
			fill(model, sizeof(model));
			for (size_t i = 0; i < sizeof(moved); i++)
				moved[i] = line[from + i];
			for (size_t i = 0; i < sizeof(moved); i++)
				model[to + i] = moved[i];
			CHECK(memmove(line + to, line + from, sizeof(moved)) ==
			      line + to);
			CHECK(memcmp(line, model, sizeof(line)) == 0);
		}
	}
	CHECK(memmove(line, line + 1, 0) == line);
	CHECK(memmove(line + 1, line, 0) == line + 1);
}

static void comparison_has_a_sign(void)
{
	CHECK(memcmp("abc", "abd", 3) < 0);
	CHECK(memcmp("abd", "abc", 3) > 0);
	CHECK(memcmp("\xff", "\x01", 1) > 0);
	CHECK(memcmp("abc", "abd", 2) == 0);
	CHECK(memcmp("a", "b", 0) == 0);
}

static void numbers_print(void)
{
	char buffer[64];
	struct shim_fmt out = shim_fmt_init(buffer, sizeof(buffer));

	shim_fmt_dec(&out, 0);
	shim_fmt_text(&out, " ");
	shim_fmt_dec(&out, -20500);
	shim_fmt_text(&out, " ");
	shim_fmt_dec(&out, INT64_MIN);
	CHECK(equal(buffer, "0 -20500 -9223372036854775808"));

	out = shim_fmt_init(buffer, sizeof(buffer));
	shim_fmt_hex(&out, 0);
	shim_fmt_text(&out, " ");
	shim_fmt_hex(&out, UINT64_MAX);
	shim_fmt_text(&out, " ");
	shim_fmt_hex(&out, 0x1234abcd);
	CHECK(equal(buffer, "0x0 0xffffffffffffffff 0x1234abcd"));
}

static void text_that_does_not_fit_is_cut_off(void)
{
	char buffer[8];
	struct shim_fmt out = shim_fmt_init(buffer, 5);

	memset(buffer + 5, 'x', 3);
	shim_fmt_text(&out, "abcdefgh");
	CHECK(equal(buffer, "abcd"));
	shim_fmt_dec(&out, 12345);
	CHECK(equal(buffer, "abcd"));
	CHECK(buffer[5] == 'x');
	out = shim_fmt_init(buffer, 1);
	shim_fmt_text(&out, "a");
	CHECK(equal(buffer, ""));
}

static void words_change_atomically(void)
{
	uint32_t word = 0;

	shim_store_release(&word, 7);
	CHECK(shim_load_acquire(&word) == 7);
	CHECK(shim_add(&word, 3) == 7);
	CHECK(word == 10);
	CHECK(!shim_replace(&word, 9, 1));
	CHECK(word == 10);
	CHECK(shim_replace(&word, 10, 1));
	CHECK(word == 1);
}

static void system_calls_carry_six_arguments(void)
{
	char *page = (char *) shim_syscall(__NR_mmap, 0, 4096, 3, 0x22, -1, 0);

	CHECK((unsigned long) page < -4096UL);
	page[4095] = 1;
	CHECK(shim_syscall(__NR_munmap, (long) page, 4096, 0, 0, 0, 0) == 0);
	/* the kernel's own -EBADF: the fifth argument of mmap is a descriptor */
	CHECK(shim_syscall(__NR_mmap, 0, 4096, 1, 2, -1, 0) == -9);
	/* and -EINVAL: the sixth is an offset, whole pages */
	CHECK(shim_syscall(__NR_mmap, 0, 4096, 1, 2, -1, 1) == -22);
}

static void calls_go_where_the_table_says(void)
{
	CHECK(cloudos_guest_plane(__NR_getpid) == CO_PLANE_KERNEL);
	CHECK(cloudos_guest_plane(__NR_write) == CO_PLANE_KERNEL);
	CHECK(cloudos_guest_plane(20500) == CO_PLANE_DAEMON);
	CHECK(cloudos_guest_plane(19999) == CO_PLANE_KERNEL);
	CHECK(cloudos_guest_plane(20000 + 99) == CO_PLANE_KERNEL);
	CHECK(cloudos_guest_plane(0xffffffff) == CO_PLANE_KERNEL);
	/* clang-format off */
#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args, heading, note) \
	check(cloudos_guest_plane(key) == CO_PLANE_##plane, #name, __LINE__);
#undef NUM
#define NUM(n) (n)
#undef LINUX
#define LINUX(call) (__NR_##call)
#include <personality/cloudos/ops.def>
#include <co/op-end.h>
	/* clang-format on */
}

static void personalities_are_found_by_their_place(void)
{
	const struct shim_personality *p = shim_personality_find(0);

	CHECK(p == &cloudos_guest);
	CHECK(p->plane == cloudos_guest_plane);
	CHECK(p->plane(p->first - 1) == CO_PLANE_KERNEL);
	CHECK(p->plane(p->end) == CO_PLANE_KERNEL);
	CHECK(shim_personality_find(1) == NULL); /* blackroad: nothing in the guest */
	CHECK(shim_personality_find(99) == NULL);
	CHECK(linux_guest.plane(20500) == CO_PLANE_KERNEL);
}

__attribute__((used)) static _Noreturn void run(void)
{
	char buffer[64];
	struct shim_fmt out = shim_fmt_init(buffer, sizeof(buffer));

	memory_is_copied_exactly();
	overlapping_memory_moves();
	comparison_has_a_sign();
	numbers_print();
	text_that_does_not_fit_is_cut_off();
	words_change_atomically();
	system_calls_carry_six_arguments();
	calls_go_where_the_table_says();
	personalities_are_found_by_their_place();
	shim_fmt_text(&out, "shim-rt: all checks hold: ");
	shim_fmt_dec(&out, checks);
	shim_fmt_text(&out, "\n");
	print(buffer, length(buffer));
	leave(0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call run\n");
