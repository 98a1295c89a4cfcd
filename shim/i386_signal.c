/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Signals of 32-bit programs.  Called by i386_gate.S (delivery) and i386.c (calls).
 *
 * For the kernel every handler is shim_i386_signal, a 64-bit one: a 32-bit frame could not
 * hold what is interrupted while C code works for the program.  The guest's own handler is
 * in sa_restorer, which nobody else uses, so that the kernel's table stays the only truth
 * (a vfork child has its own).  What the kernel would have written on the program's stack
 * is written here over the kernel's 64-bit frame, which is larger; the way back is the
 * kernel's own sigreturn.
 */
#include <shim/gate.h>
#include <shim/i386.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/signal.h>
#include <shim/site.h>

enum {
	SIGNALS = 64,
	RESTORERS = 255,
	FLAG_DF_RF_TF = 0x400 | 0x10000 | 0x100,
	SIGINFO_SIZE = 128,
	FSAVE_SIZE = 112,
	SET_LOWER = 3
};

#ifndef SS_DISABLE
#define SS_DISABLE 2
#endif
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

/* ---- structures as 32-bit programs have them ---- */

struct stack32 {
	uint32_t sp;
	int32_t flags;
	uint32_t size;
};

struct ucontext32 {
	uint32_t flags, link;
	struct stack32 stack;
	struct sigcontext_32 mcontext;
	uint32_t sigmask[2];
};

struct frame32 {
	uint32_t pretcode;
	int32_t sig;
	struct sigcontext_32 sc;
	struct _fpstate_32 unused;
	uint32_t extramask;
	uint8_t retcode[8];
};

struct rt_frame32 {
	uint32_t pretcode;
	int32_t sig;
	uint32_t pinfo, puc;
	uint32_t info[SIGINFO_SIZE / 4];
	struct ucontext32 uc;
	uint8_t retcode[8];
};

struct action32 { /* of rt_sigaction */
	uint32_t handler, flags, restorer, mask[2];
};

struct old_action32 {
	uint32_t handler, mask, flags, restorer;
};

/* The kernel's 64-bit frame. */
struct frame {
	uint64_t pretcode;
	struct ucontext uc;
	struct siginfo info;
};

struct action {
	uint64_t handler, flags, restorer, mask;
};

/* ---- what sa_restorer holds: the guest's handler above, this below ---- */

enum { TOLD_SIGINFO = 1, TOLD_RESTORER = 2, TOLD_SIGSYS = 4, TOLD_SHIFT = 8 };

static uint32_t restorers[RESTORERS];

/* Programs have one or two of them; -1: this one has too many. */
static int restorer_index(uint32_t restorer)
{
	for (int i = 0; i < RESTORERS; i++) {
		uint32_t none = 0;

		if (__atomic_load_n(&restorers[i], __ATOMIC_ACQUIRE) == restorer)
			return i;
		if (__atomic_compare_exchange_n(&restorers[i], &none, restorer, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
		    none == restorer)
			return i;
	}
	return -1;
}

/* ---- sigaction ---- */

static bool is_handler(uint32_t handler)
{
	return handler != (uint32_t) (uint64_t) SIG_DFL &&
	       handler != (uint32_t) (uint64_t) SIG_IGN;
}

static int to_kernel(struct action *out, const struct action32 *in)
{
	uint64_t mask = in->mask[0] | (uint64_t) in->mask[1] << 32;
	int index = restorer_index(in->restorer);

	if (index < 0)
		return -ENOMEM;
	out->handler =
		is_handler(in->handler) ? (uint64_t) shim_i386_signal : in->handler;
	out->flags = in->flags | SA_SIGINFO | SA_RESTORER;
	out->mask = mask & ~SHIM_SIGSYS;
	out->restorer = (uint64_t) in->handler << 32 | (uint64_t) index << TOLD_SHIFT |
			(in->flags & SA_SIGINFO ? TOLD_SIGINFO : 0) |
			(in->flags & SA_RESTORER ? TOLD_RESTORER : 0) |
			(mask & SHIM_SIGSYS ? TOLD_SIGSYS : 0);
	return 0;
}

static void from_kernel(struct action32 *out, const struct action *in)
{
	uint64_t mask = in->mask | (in->restorer & TOLD_SIGSYS ? SHIM_SIGSYS : 0);

	*out = (struct action32){
		.handler = in->handler == (uint64_t) shim_i386_signal
				   ? (uint32_t) (in->restorer >> 32)
				   : (uint32_t) in->handler,
		.flags = (uint32_t) in->flags & ~(uint32_t) (SA_SIGINFO | SA_RESTORER),
		.mask = { (uint32_t) mask, (uint32_t) (mask >> 32) }
	};
	if (in->restorer & TOLD_SIGINFO)
		out->flags |= SA_SIGINFO;
	if (in->restorer & TOLD_RESTORER) {
		out->flags |= SA_RESTORER;
		out->restorer = restorers[in->restorer >> TOLD_SHIFT & 0xff];
	}
}

static long sigaction(int sig, const struct action32 *in, struct action32 *out)
{
	struct action new, old;
	long r = in ? to_kernel(&new, in) : 0;

	if (r)
		return r;
	if (sig == SIGSYS) {
		shim_sigsys_set(in ? (struct sigaction *) &new : NULL,
				(struct sigaction *) &old);
	} else {
		r = shim_syscall(__NR_rt_sigaction, sig, (long) (in ? &new : NULL),
				 (long) &old, sizeof(uint64_t), 0, 0);
		if (r)
			return r;
	}
	from_kernel(out, &old);
	return 0;
}

enum shim_verdict shim_i386_sigaction(struct shim_call *call)
{
	struct action32 new, old;
	long r;

	if (call->args[3] != sizeof(uint64_t))
		return shim_answer(call, -EINVAL);
	if (call->args[1] && shim_read(&new, call->args[1], sizeof(new)))
		return shim_answer(call, -EFAULT);
	r = sigaction((int) call->args[0], call->args[1] ? &new : NULL, &old);
	if (r == 0 && call->args[2] && shim_write(call->args[2], &old, sizeof(old)))
		r = -EFAULT;
	return shim_answer(call, r);
}

enum shim_verdict shim_i386_old_sigaction(struct shim_call *call)
{
	struct old_action32 new32, old32;
	struct action32 new, old;
	long r;

	if (call->args[1]) {
		if (shim_read(&new32, call->args[1], sizeof(new32)))
			return shim_answer(call, -EFAULT);
		new = (struct action32){
			new32.handler, new32.flags, new32.restorer, { new32.mask, 0 }
		};
	}
	r = sigaction((int) call->args[0], call->args[1] ? &new : NULL, &old);
	old32 = (struct old_action32){ old.handler, old.mask[0], old.flags,
				       old.restorer };
	if (r == 0 && call->args[2] && shim_write(call->args[2], &old32, sizeof(old32)))
		r = -EFAULT;
	return shim_answer(call, r);
}

enum shim_verdict shim_i386_old_signal(struct shim_call *call)
{
	struct action32 new = { .handler = (uint32_t) call->args[1],
				.flags = SA_ONESHOT | SA_NOMASK };
	struct action32 old;
	long r = sigaction((int) call->args[0], &new, &old);

	return shim_answer(call, r ? r : (long) (int32_t) old.handler);
}

/* ---- masks ---- */

/*
 * A signal may be held at any moment, which blocks all and leaves the guest's mask in the
 * slot.  So all are blocked first, and then that can be seen.
 */
static long change_mask(struct shim_call *call, uint32_t how, const uint64_t *set,
			uint64_t *old)
{
	uint64_t all = SHIM_BUT_SIGSYS, now, new;

	(void) shim_syscall(__NR_rt_sigprocmask, SIG_SETMASK, (long) &all, (long) &now,
			    sizeof(now), 0, 0);
	if (__atomic_load_n(&call->deferred, __ATOMIC_ACQUIRE))
		now = call->mask;
	*old = now | (shim_sigsys_blocked() ? SHIM_SIGSYS : 0);
	new = *old;
	if (set && how == SIG_BLOCK)
		new |= *set;
	else if (set && how == SIG_UNBLOCK)
		new &= ~*set;
	else if (set && how == SIG_SETMASK)
		new = *set;
	else if (set) /* SET_LOWER: the old call knows 32 signals, leaves the others */
		new = (new & ~0xffffffffUL) | *set;
	if (set)
		shim_sigsys_block((new &SHIM_SIGSYS) != 0);
	new &= SHIM_BUT_SIGSYS;
	call->mask = new;
	if (call->deferred)
		return 0;
	return shim_syscall(__NR_rt_sigprocmask, SIG_SETMASK, (long) &new, 0,
			    sizeof(new), 0, 0);
}

static enum shim_verdict procmask(struct shim_call *call, size_t size)
{
	uint64_t set = 0, old = 0;
	uint32_t how = (uint32_t) call->args[0];
	long r;

	if (call->args[1] && shim_read(&set, call->args[1], size))
		return shim_answer(call, -EFAULT);
	if (size == sizeof(uint32_t) && how == SIG_SETMASK)
		how = SET_LOWER;
	else if (how > SIG_SETMASK)
		return shim_answer(call, -EINVAL);
	r = change_mask(call, how, call->args[1] ? &set : NULL, &old);
	if (r == 0 && call->args[2] && shim_write(call->args[2], &old, size))
		r = -EFAULT;
	return shim_answer(call, r);
}

enum shim_verdict shim_i386_sigprocmask(struct shim_call *call)
{
	return procmask(call, sizeof(uint32_t));
}

enum shim_verdict shim_i386_rt_sigprocmask(struct shim_call *call)
{
	if (call->args[3] != sizeof(uint64_t))
		return shim_answer(call, -EINVAL);
	return procmask(call, sizeof(uint64_t));
}

enum shim_verdict shim_i386_ssetmask(struct shim_call *call)
{
	uint64_t set = (uint32_t) call->args[0], old = 0;
	long r = change_mask(call, SIG_SETMASK, &set, &old);

	return shim_answer(call, r ? r : (long) (int32_t) old);
}

void shim_i386_clean_frame(struct ucontext *uc, bool rt)
{
	uint64_t sp = (uint32_t) uc->uc_mcontext.rsp;
	uint64_t at = rt ? sp - 4 + offsetof(struct rt_frame32, uc.sigmask)
			 : sp - 8 + offsetof(struct frame32, sc.oldmask);
	uint32_t mask;

	if (shim_read(&mask, at, sizeof(mask)))
		return; /* the kernel will find that out */
	shim_sigsys_block((mask & SHIM_SIGSYS) != 0);
	if (!(mask & SHIM_SIGSYS))
		return;
	mask &= ~(uint32_t) SHIM_SIGSYS;
	(void) shim_write(at, &mask, sizeof(mask));
}

/* ---- delivery: what the kernel would have written ---- */

/* From one layout to the other, told by signal and code as the kernel does. */
static void convert_siginfo(uint32_t *out, const struct siginfo *info)
{
	const uint32_t *in = (const uint32_t *) info;
	int code = info->si_code;

	memset(out, 0, SIGINFO_SIZE);
	memcpy(out, in, 12);
	if (code == SI_TIMER || code == SI_USER || code == SI_KERNEL ||
	    (code < 0 && code != SI_SIGIO)) {
		out[3] = in[4]; /* pid or timer, uid or overrun, value */
		out[4] = in[5];
		out[5] = in[6];
		return;
	}
	switch (info->si_signo) {
	case SIGCHLD:
		out[3] = in[4];
		out[4] = in[5];
		out[5] = in[6]; /* status */
		out[6] = in[8]; /* utime, stime */
		out[7] = in[10];
		break;
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
		out[3] = in[4];
		out[4] = in[6]; /* lsb, or what lies where it would be */
		out[5] = in[8]; /* lower, or the key */
		out[6] = in[10];
		break;
	default: /* POLL and SYS */
		out[3] = in[4];
		out[4] = in[6];
		out[5] = in[7];
		break;
	}
}

/* The tag word of old: two bits for each register, by what is in it. */
static uint32_t old_tags(const struct _fpstate_64 *fx)
{
	uint32_t top = fx->swd >> 11 & 7, tags = 0xffff0000;

	for (uint32_t i = 0; i < 8; i++) {
		const uint32_t *st = &fx->st_space[((i - top) & 7) * 4];
		uint32_t exponent = st[2] & 0x7fff, tag = 2;

		if (!(fx->twd >> i & 1))
			tag = 3;
		else if (exponent == 0)
			tag = st[0] == 0 && st[1] == 0 ? 1 : 2;
		else if (exponent != 0x7fff && st[1] & 0x80000000)
			tag = 0;
		tags |= tag << (2 * i);
	}
	return tags;
}

/*
 * The floating-point state: the old form, and behind it the new one as it is, moved to
 * its place below `sp`.  Returns the address; 0: there is none.
 */
static uint32_t put_fpstate(const struct sigcontext *m, uint32_t sp)
{
	const struct _fpstate_64 *from = (const struct _fpstate_64 *) m->fpstate;
	uint32_t size = sizeof(*from), at, segment;
	struct _fpstate_64 fx;
	struct _fpstate_32 *out;

	if (!from)
		return 0;
	fx = *from;
	if (fx.sw_reserved.magic1 == FP_XSTATE_MAGIC1)
		size = fx.sw_reserved.extended_size;
	at = (sp - size) & ~63U;
	memmove((void *) (uint64_t) at, from, size);
	if (fx.sw_reserved.magic1 == FP_XSTATE_MAGIC1)
		((struct _fpstate_64 *) (uint64_t) at)->sw_reserved.extended_size =
			size + FSAVE_SIZE;
	__asm__("movl %%ds, %0" : "=r"(segment));
	out = (struct _fpstate_32 *) (uint64_t) (at - FSAVE_SIZE);
	out->cw = fx.cwd | 0xffff0000U;
	out->sw = fx.swd | 0xffff0000U;
	out->tag = old_tags(&fx);
	out->ipoff = (uint32_t) fx.rip;
	out->cssel = I386_CS;
	out->dataoff = (uint32_t) fx.rdp;
	out->datasel = segment | 0xffff0000U;
	for (int i = 0; i < 8; i++)
		memcpy(&out->_st[i], &fx.st_space[4 * i], sizeof(out->_st[i]));
	out->status = fx.swd;
	out->magic = X86_FXSR_MAGIC;
	return at - FSAVE_SIZE;
}

static void put_sigcontext(struct sigcontext_32 *sc, const struct sigcontext *m,
			   uint32_t fpstate, uint64_t mask)
{
	uint32_t ds, es, fs, gs;

	__asm__("movl %%ds, %0\n\tmovl %%es, %1\n\tmovl %%fs, %2\n\tmovl %%gs, %3"
		: "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	*sc = (struct sigcontext_32){
		.gs = (uint16_t) gs,
		.fs = (uint16_t) fs,
		.es = (uint16_t) es,
		.ds = (uint16_t) ds,
		.di = (uint32_t) m->rdi,
		.si = (uint32_t) m->rsi,
		.bp = (uint32_t) m->rbp,
		.sp = (uint32_t) m->rsp,
		.bx = (uint32_t) m->rbx,
		.dx = (uint32_t) m->rdx,
		.cx = (uint32_t) m->rcx,
		.ax = (uint32_t) m->rax,
		.trapno = (uint32_t) m->trapno,
		.err = (uint32_t) m->err,
		.ip = (uint32_t) m->rip,
		.cs = m->cs,
		.flags = (uint32_t) m->eflags,
		.sp_at_signal = (uint32_t) m->rsp,
		.ss = m->ss,
		.fpstate = fpstate,
		.oldmask = (uint32_t) mask,
		.cr2 = (uint32_t) m->cr2,
	};
}

/* Where the guest's frame begins, going down: where the kernel has put its own. */
static uint32_t frame_top(const struct frame *frame, uint64_t interrupted_sp)
{
	const struct sigaltstack *alt =
		(const struct sigaltstack *) &frame->uc.uc_stack;
	uint64_t start = (uint64_t) alt->ss_sp, here = (uint64_t) frame;

	if (alt->ss_size && here >= start && here < start + alt->ss_size &&
	    (interrupted_sp <= start || interrupted_sp > start + alt->ss_size))
		return (uint32_t) (start + alt->ss_size);
	return (uint32_t) interrupted_sp;
}

static uint32_t align(uint32_t sp)
{
	return ((sp + 4) & ~15U) - 4;
}

static uint32_t put_rt_frame(const struct frame *in, const struct ucontext *uc,
			     uint32_t sp, uint32_t fpstate, const uint32_t *info)
{
	const struct sigaltstack *alt = (const struct sigaltstack *) &uc->uc_stack;
	struct rt_frame32 *out;
	uint64_t mask;

	(void) in;
	sp = align(sp - (uint32_t) sizeof(*out));
	out = (struct rt_frame32 *) (uint64_t) sp;
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	out->sig = (int32_t) info[0];
	out->pinfo = sp + (uint32_t) offsetof(struct rt_frame32, info);
	out->puc = sp + (uint32_t) offsetof(struct rt_frame32, uc);
	memcpy(out->info, info, SIGINFO_SIZE);
	out->uc.flags = uc->uc_mcontext.fpstate ? (uint32_t) uc->uc_flags & 1 : 0;
	out->uc.link = 0;
	out->uc.stack = (struct stack32){ (uint32_t) (uint64_t) alt->ss_sp,
					  alt->ss_flags, (uint32_t) alt->ss_size };
	put_sigcontext(&out->uc.mcontext, &uc->uc_mcontext, fpstate, mask);
	out->uc.sigmask[0] = (uint32_t) mask;
	out->uc.sigmask[1] = (uint32_t) (mask >> 32);
	memcpy(out->retcode, "\xb8\xad\0\0\0\xcd\x80", 8);
	return sp;
}

static uint32_t put_old_frame(const struct ucontext *uc, int sig, uint32_t sp,
			      uint32_t fpstate)
{
	struct frame32 *out;
	uint64_t mask;

	sp = align(sp - (uint32_t) sizeof(*out));
	out = (struct frame32 *) (uint64_t) sp;
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	out->sig = sig;
	put_sigcontext(&out->sc, &uc->uc_mcontext, fpstate, mask);
	out->extramask = (uint32_t) (mask >> 32);
	memcpy(out->retcode, "\x58\xb8\x77\0\0\0\xcd\x80", 8);
	return sp;
}

/*
 * From the interrupted guest in `frame` to the first instruction of its handler: written
 * to the stack and to frame->uc.  `mask` is the one that the kernel has set for the handler.
 */
static void to_handler(struct frame *frame, uint64_t told, struct ucontext *uc,
		       uint64_t kernel_sp, uint64_t mask)
{
	bool rt = told & TOLD_SIGINFO;
	uint32_t info[SIGINFO_SIZE / 4], top, sp, fpstate;
	int sig = frame->info.si_signo;
	struct sigcontext *m = &uc->uc_mcontext;

	convert_siginfo(info, &frame->info);
	top = frame_top(frame, kernel_sp);
	if (top == (uint32_t) kernel_sp)
		top = (uint32_t) m->rsp;
	fpstate = put_fpstate(m, top);
	sp = fpstate ? fpstate : top;
	sp = rt ? put_rt_frame(frame, uc, sp, fpstate, info)
		: put_old_frame(uc, sig, sp, fpstate);
	*(uint32_t *) (uint64_t) sp = told & TOLD_RESTORER
					      ? restorers[told >> TOLD_SHIFT & 0xff]
				      : rt ? shim_i386_page_at(shim_i386_rt_sigreturn)
					   : shim_i386_page_at(shim_i386_sigreturn);
	m->rax = (uint32_t) sig;
	m->rdx = rt ? sp + offsetof(struct rt_frame32, info) : 0;
	m->rcx = rt ? sp + offsetof(struct rt_frame32, uc) : 0;
	m->rsp = sp;
	m->rip = told >> 32;
	m->cs = I386_CS;
	m->ss = I386_DS;
	m->eflags &= ~(uint64_t) FLAG_DF_RF_TF;
	m->fpstate = NULL; /* a handler begins with a clean one */
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	__asm__ volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(I386_DS));
}

/* ---- what was interrupted ---- */

static uint64_t mask_of(const struct ucontext *uc)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	return mask;
}

static void give_back(struct shim_call *call)
{
	call->deferred = 0;
	__atomic_store_n(&call->busy, 0, __ATOMIC_RELEASE);
}

/* lahf's and seto's ax, in the processor's own form */
static void set_flags(struct sigcontext *m, uint64_t saved)
{
	m->eflags &= ~0x8d5UL;
	m->eflags |= (saved >> 8 & 0xd5) | (saved & 1 ? 0x800 : 0);
}

/* Back to before the call: nothing of it has happened. */
static void undo_gate(struct sigcontext *m)
{
	uint64_t rip = m->rip;

	if (rip == (uint64_t) shim_i386_tried ? !(m->eflags & 1)
					      : rip >= (uint64_t) shim_i386_claimed)
		give_back((struct shim_call *) m->r10);
	if (rip != (uint64_t) shim_i386_gate)
		m->rax = m->r8;
	if (rip >= (uint64_t) shim_i386_flags || rip < (uint64_t) shim_i386_gate)
		set_flags(m, m->r9);
	m->rip = shim_sites[(uint32_t) m->r11].address;
	m->cs = I386_CS;
}

static void leave_gate(struct sigcontext *m)
{
	if (m->rip == (uint64_t) shim_i386_left)
		give_back((struct shim_call *) m->r10);
	m->rip = *(const uint32_t *) m->r11;
	m->cs = I386_CS;
}

static bool between(uint64_t rip, const char *first, const char *end)
{
	return rip >= (uint64_t) first && rip < (uint64_t) end;
}

/* Rip in a record below 4 GiB: at the site, or behind it. */
static void leave_record(struct sigcontext *m)
{
	uint64_t offset = m->rip - I386_RECORDS;
	const struct co_trap_site *site = &shim_sites[offset / I386_RECORD_SIZE];

	offset %= I386_RECORD_SIZE;
	m->rip = offset >= 2 && offset < I386_RECORD_ENTER ? site->back : site->address;
	m->cs = I386_CS;
}

/* Rip in a tail: the same, with the register and the stack as the guest has them. */
static void leave_tail(struct sigcontext *m)
{
	uint64_t offset = m->rip - I386_TAILS;
	__u64 *argument[] = { &m->rbx, &m->rcx, &m->rdx, &m->rsi, &m->rdi, &m->rbp };
	const uint32_t *frame = (const uint32_t *) m->rsp;

	m->rip = frame[0] - (offset % I386_TAIL_SIZE == 0 ? 2 : 0);
	*argument[offset / I386_TAIL_SIZE] = frame[1];
	m->rsp += I386_TAIL_FRAME;
}

/* It stays pending, as all are blocked; and its handler, if it was to run once. */
static void send_again(const struct siginfo *info, uint64_t told)
{
	int sig = info->si_signo;
	struct action action;

	(void) shim_syscall(__NR_rt_sigaction, sig, 0, (long) &action, sizeof(uint64_t),
			    0, 0);
	if (action.handler == (uint64_t) SIG_DFL && action.restorer == told) {
		action.handler = (uint64_t) shim_i386_signal;
		(void) shim_syscall(__NR_rt_sigaction, sig, (long) &action, 0,
				    sizeof(uint64_t), 0, 0);
	}
	(void) shim_syscall(
		__NR_rt_tgsigqueueinfo, shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0),
		shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0), sig, (long) info, 0, 0);
}

/*
 * A signal in C code waits for the guest to go on (deliver.c).  Of two that came at once
 * the second is let in then by the kernel.
 */
static void hold(const struct frame *frame, struct ucontext *uc)
{
	struct shim_call *call = shim_slot_of(uc->uc_mcontext.rsp);
	uint64_t all = SHIM_BUT_SIGSYS;
	struct sigcontext *m = &uc->uc_mcontext;

	if (call->held_signal) {
		send_again(&frame->info, frame->pretcode);
		return;
	}
	call->mask = mask_of(uc);
	call->held_signal = (uint32_t) frame->info.si_signo;
	call->held_stub = (uint64_t) shim_i386_signal;
	memcpy(call->held_info, &frame->info, sizeof(frame->info));
	call->deferred = 1;
	shim_stats->deferred++;
	memcpy(&uc->uc_sigmask, &all, sizeof(all));
	if (between(m->rip, shim_i386_exit, shim_i386_left))
		m->rip = (uint64_t) shim_i386_exit;
	else if (between(m->rip, shim_wait_begin, shim_wait_end))
		m->rip = (uint64_t) shim_wait_abort;
}

/* Makes the state one of the guest's own code; false: it is C code of ours. */
static bool to_guest(struct sigcontext *m)
{
	if (m->rip >= I386_RECORDS && m->rip < I386_TAILS)
		leave_record(m);
	if (m->rip >= I386_TAILS && m->rip < I386_TAILS_END)
		leave_tail(m);
	if (m->cs == I386_CS)
		(void) shim_i386_leave_trampoline(m);
	if (m->cs == I386_CS)
		return true;
	if (between(m->rip, shim_i386_spin, shim_i386_on_slot))
		undo_gate(m);
	else if (between(m->rip, shim_i386_left, shim_i386_end))
		leave_gate(m);
	else
		return !shim_slot_of(m->rsp);
	return true;
}

/* What the thread goes on with after the kernel has put `frame` on its stack. */
static void after(struct frame *frame, uint64_t mask, struct ucontext *out)
{
	struct sigcontext *m = &out->uc_mcontext;
	uint64_t kernel_sp = frame->uc.uc_mcontext.rsp, told = frame->pretcode;

	*out = frame->uc;
	if (between(m->rip, shim_i386_signal, shim_i386_signal_masked)) {
		/* two at once: the first one has not reached its handler yet */
		struct ucontext first;
		void *fpstate = m->fpstate;

		memcpy(&first.uc_sigmask, &out->uc_sigmask, sizeof(uint64_t));
		after((struct frame *) kernel_sp, mask_of(out), &first);
		*m = first.uc_mcontext;
		if (m->cs == I386_CS)
			m->fpstate = fpstate;
		else
			memcpy(&out->uc_sigmask, &first.uc_sigmask, sizeof(uint64_t));
	}
	if (to_guest(m))
		to_handler(frame, told, out, kernel_sp, mask);
	else
		hold(frame, out);
}

struct ucontext *shim_i386_deliver(struct frame *frame, uint64_t mask);

/* What the kernel would block for the handler of a signal that was held. */
static uint64_t mask_of_handler(const struct frame *frame)
{
	struct action action = { 0 };
	int sig = frame->info.si_signo;

	if (sig == SIGSYS)
		shim_sigsys_set(NULL, (struct sigaction *) &action);
	else
		(void) shim_syscall(__NR_rt_sigaction, sig, 0, (long) &action,
				    sizeof(uint64_t), 0, 0);
	return (mask_of(&frame->uc) | action.mask |
		(action.flags & SA_NODEFER ? 0 : SHIM_SIGSET_BIT(sig))) &
	       SHIM_BUT_SIGSYS;
}

/* Returns what rt_sigreturn is to restore. */
struct ucontext *shim_i386_deliver(struct frame *frame, uint64_t mask)
{
	struct ucontext state, *out = &frame->uc;
	struct sigaltstack *alt = (struct sigaltstack *) &state.uc_stack;

	/* blocked is SIGSYS in its own handler only, which lets in what was held */
	after(frame, mask & SHIM_SIGSYS ? mask_of_handler(frame) : mask, &state);
	if (state.uc_mcontext.cs == I386_CS) {
		if (alt->ss_flags & (int) SS_AUTODISARM)
			alt->ss_flags = SS_DISABLE;
		out = (struct ucontext *) ((state.uc_mcontext.rsp - sizeof(state)) &
					   ~15UL);
	}
	*out = state;
	return out;
}
