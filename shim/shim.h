/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The trap engine inside: what its files offer one another.  shim/README.md tells
 * the way of a call.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <co/trap.h>
#include <shim/gate.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Small variables that each start and nearly each call touches lie together (loader.ld): a
 * page is paid for by each process that touches it first, and again after each fork.  Of
 * tables, what most programs need.
 */
#define SHIM_HOT __attribute__((section(".bss.hot")))

/* ---- a call on its way (dispatch.c) ---- */

/*
 * Where C code works on a call: a slot of the pool, claimed by the gate (gate.S) and
 * given back when the guest goes on.  It lies at the slot's upper end (SLOT_HEADER); the
 * stack is below it.  The offsets are known
 * to gate.S, which asserts nothing; dispatch.c asserts them.
 */
#define SHIM_SLOT_SIZE 32768UL

struct shim_call {
	uint32_t busy;
	uint32_t deferred; /* a signal waits: all are blocked, `mask` is the guest's */
	uint64_t rsp;      /* the guest's */
	uint64_t number;   /* 32 bits, as the kernel sees it */
	uint64_t args[6];  /* rdi rsi rdx r10 r8 r9; written back when the guest goes on */
	uint64_t result;   /* rax when the guest goes on */
	uint64_t target;   /* where the guest goes on */
	uint64_t site;     /* of the system call instruction */
	uint64_t flags;    /* arithmetic flags, as lahf and seto left them in ax */
	uint64_t id;       /* offset of the site's record from shim_records */
	uint64_t mask;     /* see deferred */
	uint64_t direction; /* how the guest's direction flag was; gate.S */
	int32_t tid;       /* of who works on it in C, 0: not noted (share.c) */
	uint32_t reserved;
	uint64_t scratch, scratch_size; /* a mapping that this slot keeps (exec.c) */
	uint64_t held_stub, held_info[16]; /* the signal that waits (deliver.c) */
	uint32_t held_signal;              /* 0: none */
	uint32_t traps; /* up to SHORT_LIFE; begins again in a forked child (sigsys.c) */
};

enum shim_verdict {
	SHIM_ANSWER, /* result is the guest's rax; args[2] its rdx */
	SHIM_KERNEL, /* the guest makes the call itself, with number and args as they are */
	SHIM_TAIL    /* the guest goes on at `target` with number in rax and args */
};

/*
 * A handler of one Linux call or of a personality's call.  Runs on the slot's stack with
 * the guest's signal mask; signals that come are held until it returns.  It must not block
 * except in shim_wait (gate.S), which ends with -EINTR when a signal has been held.
 */
typedef enum shim_verdict shim_handler(struct shim_call *call);

static inline enum shim_verdict shim_answer(struct shim_call *call, long result)
{
	call->result = (uint64_t) result;
	return SHIM_ANSWER;
}

/* Handlers of Linux calls, listed in dispatch.c; a call without one goes through. */
shim_handler shim_on_execve, shim_on_execveat;                       /* exec.c */
shim_handler shim_on_rt_sigaction, shim_on_rt_sigprocmask,           /* signal.c */
	shim_on_rt_sigsuspend, shim_on_rt_sigtimedwait, shim_on_signalfd,
	shim_on_signalfd4, shim_on_ppoll, shim_on_pselect6, shim_on_epoll_pwait,
	shim_on_epoll_pwait2, shim_on_io_pgetevents, shim_on_rt_sigpending;
shim_handler shim_on_fork, shim_on_clone, shim_on_clone3, shim_on_prctl, shim_on_seccomp, /* process.c */
	shim_on_io_uring, shim_on_ptrace;
shim_handler shim_on_mmap, shim_on_mprotect, shim_on_mremap, shim_on_munmap, shim_on_madvise,
	shim_on_brk; /* place.c */
shim_handler shim_on_readlink, shim_on_readlinkat, shim_on_open, shim_on_openat, /* self.c */
	shim_on_stat, shim_on_newfstatat, shim_on_statx, shim_on_chroot;

/* ---- state of this process, set up by the loader (start.c) ---- */

struct shim_config {
	uint32_t personality, flags;
	uint64_t session;
	int32_t fd;
	const char *loader; /* loader_length bytes, no NUL behind */
	uint32_t loader_length;
	const char *folder; /* of the domain; NUL-terminated */
	char text[CO_TRAP_CONFIG_MAX]; /* argv[0] as it was */
};

struct shim_state {
	uint64_t device, inode; /* of the loader */
	uint64_t random;
	uint64_t interp_start, interp_end; /* of the ELF interpreter; 0: none */
	uint64_t program;     /* where its file lies */
	bool threads;         /* more than one thread may share this memory */
	bool onstack;         /* the program runs on stacks too small for a signal frame */
	bool low;             /* the program lies below 4 GiB: low pools are in use */
	bool i386;
	struct shim_config config; /* last: its text is long, and mostly unused */
};

extern struct shim_state shim;

/* The upper part of the loader's stack: of use again, under the lock, when the program
 * runs. */
extern char shim_spare_text[SHIM_SPARE_TEXT];                               /* table.c */
extern char shim_spare_edits[SHIM_SPARE_EDITS] __attribute__((aligned(8))); /* patch.c */

/* direct.S, called by gate.S: a short way through what dispatch.c does. */
struct shim_handled {
	uint64_t number;
	shim_handler *handler;
};

extern const struct shim_handled shim_handlers[];
extern uint8_t shim_route[ROUTE_NUMBERS];
void shim_dispatch(struct shim_call *call);
void shim_dispatch_any(struct shim_call *call);
bool shim_has_handler(uint32_t number);

/* exe.c: does that absolute path name the guest's own program in /proc? */
bool shim_is_own_exe(const char *path);

/*
 * The program's path, absolute: what /proc/self/exe answers.  Most never ask: it is looked
 * up when somebody does, or before that memory goes to something else.  NULL: nobody knows,
 * as without /proc.
 */
const char *shim_own_path(void);
void shim_own_path_know(int fd); /* of the program; for those who need it at once */

/* ---- children that share this memory (share.c) ---- */

extern uint32_t shim_sharing; /* 0: there are none */

/* Such a child is about to be made; `waits`: its parent sleeps until it is gone. */
void shim_share_begin(bool waits);

/* Whose slot it is, while there may be such children. */
void shim_share_note(struct shim_call *call);
bool shim_share_dead(uint32_t thread);

static inline void shim_share_enter(struct shim_call *call)
{
	if (__atomic_load_n(&shim_sharing, __ATOMIC_ACQUIRE))
		shim_share_note(call);
}

static inline void shim_share_leave(struct shim_call *call)
{
	if (call->tid)
		__atomic_store_n(&call->tid, 0, __ATOMIC_RELEASE);
}

/* ---- memory of the guest (memory.c): never a crash ---- */

/* 0 or -EFAULT. */
int shim_read(void *to, uint64_t from, size_t size);
int shim_write(uint64_t to, const void *from, size_t size);

/*
 * The same for what is short and comes often: a page that has been read (written) once is
 * read (written) directly while this memory belongs to one thread and nothing has been
 * unmapped since (shim_forget_pages).
 */
int shim_peek(void *to, uint64_t from, size_t size);
int shim_poke(uint64_t to, const void *from, size_t size);
void shim_forget_pages(void);

/* A string with its NUL, at most size bytes: its length, -EFAULT or -ENAMETOOLONG. */
long shim_read_string(char *to, uint64_t from, size_t size);

/*
 * A piece of a list that a NULL ends, nothing behind the page on which that may be: how
 * many words came before it or before the end of the piece; or -EFAULT.
 */
enum { SHIM_WORDS = 64 };
int shim_read_words(uint64_t to[SHIM_WORDS], uint64_t from, bool *out_ended);

/* ---- last words (report.c) ---- */

/* "cloudos: SENTENCE" on standard error; number is printed where `%` stands, if it does. */
void shim_say(const char *sentence, uint64_t number);

/* The same, then the process ends with status 125. */
_Noreturn void shim_die(const char *sentence, uint64_t number);

/* The file cannot be executed: a negative error, or a fault of elf.h.  Status 126. */
_Noreturn void shim_refuse(const char *path, int error);

/* ---- gate.S ---- */

extern struct co_trap_stats *const shim_stats;
/* the pool, aligned to SHIM_SLOT_SIZE, and the call in its first slot */
extern uint64_t shim_slots, shim_slots_end, shim_slots_first;

/* The slot whose stack that is; NULL if it is none. */
static inline struct shim_call *shim_slot_of(uint64_t rsp)
{
	return rsp >= shim_slots && rsp < shim_slots_end
		       ? (struct shim_call *) ((rsp & ~(SHIM_SLOT_SIZE - 1)) | SLOT_HEADER)
		       : (struct shim_call *) 0;
}

/*
 * A system call that may wait, for handlers: -EINTR if a signal was held before or
 * during it, in a way that loses no wake-up.
 */
long shim_wait(long number, long a, long b, long c, long d, long e, long f,
	       struct shim_call *call);

/* ---- sites (site.c, patch.c) ---- */

/* The index of the site whose record has that offset. */
uint32_t shim_site_of_id(uint64_t id);

/* Address of the record of a site: `enter` takes it to the gate, `pass` makes the call. */
uint64_t shim_site_enter(uint32_t index);
uint64_t shim_site_pass(uint32_t index);

#endif
