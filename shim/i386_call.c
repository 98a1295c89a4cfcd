/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Linux calls of 32-bit programs that cannot go through as they are.  Called by
 * i386.c, on a slot.
 *
 * Arguments are the guest's registers, which the kernel would widen with zeros as well, so
 * where a call means the same in both worlds its 64-bit handler serves.
 */
#include <shim/gate.h>
#include <shim/i386.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/signal.h>
#include <shim/site.h>

enum { WORDS = 1024, WORDS_MAX = 0xc0000, PAGE = 4096, PLACES = 8 };
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* ---- the 64-bit handler of the same call ---- */

/* KERNEL is only for arguments that the handler has left alone. */
static enum shim_verdict as_wide(struct shim_call *call, uint32_t number,
				 shim_handler *handler)
{
	uint64_t args[6], own = call->number;
	enum shim_verdict verdict;

	memcpy(args, call->args, sizeof(args));
	call->number = number;
	verdict = handler(call);
	call->number = own;
	memcpy(call->args, args, sizeof(args));
	return verdict;
}

#define AS_WIDE(name)                                                                  \
	static enum shim_verdict on_##name(struct shim_call *call)                     \
	{                                                                              \
		return as_wide(call, __NR_##name, shim_on_##name);                     \
	}
AS_WIDE(clone)
AS_WIDE(clone3)
AS_WIDE(prctl)
AS_WIDE(seccomp)
AS_WIDE(ptrace)
AS_WIDE(chroot)
AS_WIDE(mprotect)
AS_WIDE(mremap)
AS_WIDE(munmap)
AS_WIDE(madvise)
AS_WIDE(readlink)
AS_WIDE(readlinkat)
AS_WIDE(open)
AS_WIDE(openat)
AS_WIDE(statx)
#undef AS_WIDE

static enum shim_verdict on_pivot_root(struct shim_call *call)
{
	return as_wide(call, __NR_pivot_root, shim_on_chroot);
}

static enum shim_verdict on_unshare(struct shim_call *call)
{
	return as_wide(call, __NR_unshare, shim_on_chroot);
}

static enum shim_verdict on_setns(struct shim_call *call)
{
	return as_wide(call, __NR_setns, shim_on_chroot);
}

/* ---- exec ---- */

/* A list of words in either width; on the slot's stack as long as it is short. */
struct words {
	uint64_t *at;
	uint64_t size; /* of a mapping; 0: `few` */
	uint64_t few[WORDS];
};

static void words_done(struct words *w)
{
	if (w->size) /* of which a child after vfork leaves its parent one */
		(void) shim_syscall(__NR_munmap, (long) w->at, (long) w->size, 0, 0, 0, 0);
}

static int words_grow(struct words *w, uint64_t used)
{
	uint64_t size = (w->size ? 2 * w->size : 4 * sizeof(w->few));
	long at = shim_syscall(__NR_mmap, 0, (long) size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at < 0 && at > -PAGE)
		return -ENOMEM;
	memcpy((void *) at, w->at, used * sizeof(uint64_t));
	words_done(w);
	w->at = (uint64_t *) at;
	w->size = size;
	return 0;
}

/* Widens the guest's list. */
static int words_read(struct words *w, uint64_t from)
{
	uint64_t room = WORDS, used = 0;
	uint32_t word = 0;
	int r;

	w->at = w->few;
	w->size = 0;
	do {
		if (used == room) {
			r = used > WORDS_MAX ? -E2BIG : words_grow(w, used);
			if (r)
				return r;
			room = w->size / sizeof(uint64_t);
		}
		if (from && shim_read(&word, from + 4 * used, sizeof(word)))
			return -EFAULT;
		w->at[used++] = word;
	} while (word);
	return 0;
}

/* args[first] and the next are argv and envp. */
static enum shim_verdict exec_with(struct shim_call *call, uint32_t number,
				   shim_handler *handler, unsigned first,
				   struct words *argv)
{
	struct words envp;
	uint64_t own[2] = { call->args[first], call->args[first + 1] };
	int r = words_read(&envp, own[1]);
	enum shim_verdict verdict;

	if (r == 0) {
		call->args[first] = own[0] ? (uint64_t) argv->at : 0;
		call->args[first + 1] = own[1] ? (uint64_t) envp.at : 0;
		verdict = as_wide(call, number, handler);
		call->args[first] = own[0];
		call->args[first + 1] = own[1];
	} else {
		verdict = shim_answer(call, r);
	}
	words_done(&envp);
	return verdict;
}

static enum shim_verdict exec(struct shim_call *call, uint32_t number,
			      shim_handler *handler, unsigned first)
{
	struct words argv;
	int r = words_read(&argv, call->args[first]);
	enum shim_verdict verdict =
		r ? shim_answer(call, r) : exec_with(call, number, handler, first, &argv);

	words_done(&argv);
	return verdict;
}

static enum shim_verdict on_execve(struct shim_call *call)
{
	return exec(call, __NR_execve, shim_on_execve, 1);
}

static enum shim_verdict on_execveat(struct shim_call *call)
{
	return exec(call, __NR_execveat, shim_on_execveat, 2);
}

/* ---- masks of a call: SIGSYS must stay out ---- */

/*
 * The call is made with the stack pointer lower and this above it, so that a handler that
 * interrupts it leaves it alone; the record (i386_gate.S) then takes it from there.
 */
struct tail32 {
	uint32_t back, argument;
	uint32_t mask[2];
	uint32_t pair[2]; /* address of mask, size */
	uint32_t unused[I386_TAIL_FRAME / 4 - 6];
};

_Static_assert(sizeof(struct tail32) == I386_TAIL_FRAME, "i386_gate.S returns over it");

static const struct {
	uint32_t offset;
	uint16_t selector;
} tails[6] = {
#define TAIL(i) { I386_TAILS + (i) * I386_TAIL_SIZE, I386_CS }
	TAIL(0), TAIL(1), TAIL(2), TAIL(3), TAIL(4), TAIL(5)
#undef TAIL
};

static enum shim_verdict without_sigsys(struct shim_call *call, unsigned which, bool pair)
{
	struct tail32 tail = { .back = (uint32_t) call->site + 2,
			       .argument = (uint32_t) call->args[which] };
	uint64_t at = call->rsp - sizeof(tail), mask = call->args[which];

	if (mask && pair) {
		if (shim_read(tail.pair, mask, sizeof(tail.pair)))
			return SHIM_KERNEL;
		mask = tail.pair[0];
	}
	if (!mask || shim_read(tail.mask, mask, sizeof(tail.mask)) ||
	    !(tail.mask[0] & SHIM_SIGSYS))
		return SHIM_KERNEL;
	tail.mask[0] &= ~(uint32_t) SHIM_SIGSYS;
	tail.pair[0] = (uint32_t) (at + offsetof(struct tail32, mask));
	if (shim_write(at, &tail, sizeof(tail)))
		return SHIM_KERNEL;
	call->rsp = at;
	call->args[which] = at + (pair ? offsetof(struct tail32, pair)
				       : offsetof(struct tail32, mask));
	call->target = (uint64_t) &tails[which];
	return SHIM_TAIL;
}

static enum shim_verdict mask_in_ebx(struct shim_call *call)
{
	return without_sigsys(call, 0, false);
}

static enum shim_verdict mask_in_ecx(struct shim_call *call)
{
	return without_sigsys(call, 1, false);
}

static enum shim_verdict mask_in_esi(struct shim_call *call)
{
	return without_sigsys(call, 3, false);
}

static enum shim_verdict mask_in_edi(struct shim_call *call)
{
	return without_sigsys(call, 4, false);
}

static enum shim_verdict mask_by_ebp(struct shim_call *call)
{
	return without_sigsys(call, 5, true);
}

/* sigsuspend(x, y, mask): the mask itself is the argument. */
static enum shim_verdict on_sigsuspend(struct shim_call *call)
{
	struct tail32 tail = { .back = (uint32_t) call->site + 2,
			       .argument = (uint32_t) call->args[2] };
	uint64_t at = call->rsp - sizeof(tail);

	if (!(call->args[2] & SHIM_SIGSYS) || shim_write(at, &tail, sizeof(tail)))
		return SHIM_KERNEL;
	call->rsp = at;
	call->args[2] &= ~SHIM_SIGSYS;
	call->target = (uint64_t) &tails[2];
	return SHIM_TAIL;
}

/* ---- memory ---- */

struct old_mmap {
	uint32_t address, size, prot, flags, fd, offset;
};

static bool is_elf(int fd)
{
	uint32_t magic = 0;

	return shim_syscall(__NR_pread64, fd, (long) &magic, sizeof(magic), 0, 0, 0) ==
		       sizeof(magic) &&
	       magic == 0x464c457f;
}

/* An ELF file goes where short jumps from its code reach a low pool. */
static enum shim_verdict place_file(struct shim_call *call)
{
	uint64_t size = call->args[1];
	int fd = (int) call->args[4];

	for (unsigned i = 0; i < PLACES; i++) {
		call->args[0] = shim_i386_place(size, i);
		(void) shim_on_mmap(call);
		if ((long) call->result == -EEXIST)
			continue;
		if ((long) call->result > 0) {
			shim_lock();
			(void) shim_image_open(call->result, call->result + size, fd);
			shim_unlock();
		}
		return SHIM_ANSWER;
	}
	return SHIM_KERNEL;
}

static enum shim_verdict map(struct shim_call *call)
{
	uint64_t flags = call->args[3];

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return shim_on_mmap(call);
	if (call->args[0] || call->args[5] || !call->args[1] || flags & MAP_ANONYMOUS ||
	    (flags & MAP_TYPE) != MAP_PRIVATE || !is_elf((int) call->args[4]))
		return SHIM_KERNEL; /* which finds a low address by itself */
	call->args[3] |= MAP_FIXED_NOREPLACE;
	return place_file(call);
}

static enum shim_verdict on_mmap2(struct shim_call *call)
{
	uint64_t pages = call->args[5];
	enum shim_verdict verdict;

	call->args[5] = pages * PAGE;
	verdict = as_wide(call, __NR_mmap, map);
	call->args[5] = pages;
	return verdict;
}

static enum shim_verdict on_old_mmap(struct shim_call *call)
{
	struct old_mmap from;
	uint64_t own[6];
	enum shim_verdict verdict;

	if (shim_read(&from, call->args[0], sizeof(from)) || from.offset % PAGE)
		return SHIM_KERNEL;
	memcpy(own, call->args, sizeof(own));
	call->args[0] = from.address;
	call->args[1] = from.size;
	call->args[2] = from.prot;
	call->args[3] = from.flags;
	call->args[4] = from.fd;
	call->args[5] = from.offset;
	verdict = as_wide(call, __NR_mmap, map);
	memcpy(call->args, own, sizeof(own));
	return verdict;
}

/* ---- the list, by i386's numbers ---- */

/* clang-format off */
#define HANDLED(H) \
	H(5, on_open) \
	H(11, on_execve) \
	H(26, on_ptrace) \
	H(45, shim_i386_brk) \
	H(48, shim_i386_old_signal) \
	H(61, on_chroot) \
	H(67, shim_i386_old_sigaction) \
	H(69, shim_i386_ssetmask) \
	H(72, on_sigsuspend) \
	H(85, on_readlink) \
	H(90, on_old_mmap) \
	H(91, on_munmap) \
	H(120, on_clone) \
	H(125, on_mprotect) \
	H(126, shim_i386_sigprocmask) \
	H(163, on_mremap) \
	H(172, on_prctl) \
	H(174, shim_i386_sigaction) \
	H(175, shim_i386_rt_sigprocmask) \
	H(177, mask_in_ebx) /* rt_sigtimedwait */ \
	H(179, mask_in_ebx) /* rt_sigsuspend */ \
	H(192, on_mmap2) \
	H(217, on_pivot_root) \
	H(219, on_madvise) \
	H(295, on_openat) \
	H(305, on_readlinkat) \
	H(308, mask_by_ebp) /* pselect6 */ \
	H(309, mask_in_esi) /* ppoll */ \
	H(310, on_unshare) \
	H(319, mask_in_edi) /* epoll_pwait */ \
	H(321, mask_in_ecx) /* signalfd */ \
	H(327, mask_in_ecx) /* signalfd4 */ \
	H(346, on_setns) \
	H(354, on_seccomp) \
	H(358, on_execveat) \
	H(380, on_mprotect) /* pkey_mprotect */ \
	H(383, on_statx) \
	H(385, mask_by_ebp) /* io_pgetevents */ \
	H(413, mask_by_ebp) /* pselect6_time64 */ \
	H(414, mask_in_esi) /* ppoll_time64 */ \
	H(416, mask_by_ebp) /* io_pgetevents_time64 */ \
	H(421, mask_in_ebx) /* rt_sigtimedwait_time64 */ \
	H(425, shim_on_io_uring) \
	H(426, shim_on_io_uring) \
	H(427, shim_on_io_uring) \
	H(435, on_clone3) \
	H(441, mask_in_edi) /* epoll_pwait2 */
/* clang-format on */

#define PLACE(number, handler)  AT_##number,
#define INDEX(number, handler)  [number] = AT_##number,
#define HANDLER(number, handler) handler,

enum { AT_NONE, HANDLED(PLACE) };
static const uint8_t places[512] = { HANDLED(INDEX) };
static shim_handler *const handlers[] = { NULL, HANDLED(HANDLER) };

shim_handler *shim_i386_handler(uint32_t number)
{
	return number < sizeof(places) ? handlers[places[number]] : NULL;
}
