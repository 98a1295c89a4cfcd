/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Anos inside the guest: what the files of cloudos-loader-anos offer one another.
 * personality/anos/README.md tells how a program lives here.
 */
#ifndef ANOS_GUEST_H
#define ANOS_GUEST_H

#include <co/anos.h>
#include <personality/anos/guest_load.h>
#include <shim/shim.h>

/*
 * A call of Anos: arguments are args[0] to args[4] (rdi rsi rdx r10 r8), args[5] the token.
 * Runs on a slot, or on the thread's signal stack when the program came by int 0x69.  No
 * handler of the program can interrupt it, since there are none: what waits simply waits,
 * but has to begin again after -EINTR (a thread is asked to step aside, guest_patch.c).
 */
typedef enum shim_verdict anos_handler(struct shim_call *call);

static inline enum shim_verdict anos_result(struct shim_call *call,
					    enum co_anos_result type, uint64_t value)
{
	call->args[2] = value;
	return shim_answer(call, type);
}

/* By id; NULL: this version does not have it.  guest_table.c */
extern anos_handler *const anos_handlers[CO_ANOS_CALLS];

anos_handler anos_kprint, anos_kputchar, anos_get_mem_info,
	anos_sleep; /* guest_call.c */
anos_handler anos_map_firmware_tables, anos_map_physical, anos_alloc_physical_pages,
	anos_alloc_interrupt_vector, anos_wait_interrupt,
	anos_get_framebuffer_phys; /* guest_hardware.c */
anos_handler anos_map_virtual, anos_unmap_virtual, anos_create_region,
	anos_destroy_region;                             /* guest_memory.c */
anos_handler anos_create_thread, anos_kill_current_task; /* guest_task.c */
anos_handler anos_create_process;                        /* guest_process.c */
anos_handler anos_send_message, anos_recv_message, anos_reply_message,
	anos_create_channel, anos_destroy_channel, anos_register_channel_name,
	anos_remove_channel_name, anos_find_named_channel; /* guest_ipc.c */

/* ---- guest.c ---- */

/* Who presents that token may make that call.  Takes over key and hashes. */
void anos_tokens_init(const struct co_anos_start *start);

/* What the process has presented so far is of no use to a new process: forgotten. */
void anos_tokens_forget(void);

/* Makes the call of args[5]. */
enum shim_verdict anos_dispatch(struct shim_call *call);

/* ---- guest_call.c ---- */

/* To the console of whoever started the program: its standard output. */
void anos_print(const char *text, size_t size);

/* ---- guest_hardware.c ---- */

void anos_hardware_init(const struct co_anos_start *start);

/* ---- guest_log.c ---- */

void anos_log_init(const struct co_anos_start *start);

/* Into the kernel log, if there is room. */
void anos_log(const char *text, size_t size);

anos_handler anos_read_kernel_log;

/* List channels, show their statistics, trace messages: SYSTEM prints that. */
anos_handler anos_debug;

/* ---- guest_memory.c ---- */

static inline bool anos_is_user(uint64_t address)
{
	return address < CO_ANOS_USER_END;
}

static inline uint64_t anos_page_up(uint64_t address)
{
	return (address + CO_ANOS_PAGE - 1) & ~(CO_ANOS_PAGE - 1);
}

/* Around everything that changes the address space; in a forked child it is taken as in
 * its parent. */
void anos_space_lock(void);
void anos_space_unlock(void);

/* Zeroed memory at that place, in place of what was there: 0 or an error.  Pages only. */
long anos_map(uint64_t start, uint64_t end, int prot);

/* The same where there is nothing yet. */
long anos_map_missing(uint64_t start, uint64_t end, int prot);

/* shim_poke for memory of a program, which may write to its own code: 0 or -EFAULT. */
int anos_write(uint64_t to, const void *from, size_t size);

/* The guest has nothing outside of those ranges any more.  They are sorted. */
struct anos_range {
	uint64_t start, end;
};
void anos_unmap_others(const struct anos_range *keep, uint32_t n);
void anos_regions_forget(void);

/* ---- guest_peer.c ---- */

/* In a forked child: its parent's connection to the daemon is not its own. */
void anos_ipc_forget(void);

/* ---- guest_task.c ---- */

/* The calling thread is the first of its process: a stack for its signals. */
void anos_tasks_init(void);

/* Every other thread has left the trampolines that it may have stood in. */
void anos_step_aside(void);

/* Ends this thread; gives the slot back that it stands on (its `busy`), or NULL. */
_Noreturn void anos_exit(uint32_t *busy);

/* ---- guest_trap.c ---- */

/* Where a thread goes on that was caught at the system call before m->rip. */
struct sigcontext;
void anos_caught(struct sigcontext *m);

/* ---- guest_fault.c ---- */

void anos_faults_init(void);

/* Ends the process as that signal does. */
_Noreturn void anos_end_by(int number);

/* Where the start-up code of libanos ends: a thread that comes there has returned from
 * main. */
void anos_exit_point(uint64_t entry);

/* ---- guest_patch.c ---- */

/* Makes the site jump if it is one of libanos; under no lock, all signals blocked. */
struct co_trap_site;
void anos_patch(struct co_trap_site *site, uint32_t index);

/* While memory is about to be mapped no trampolines are put there. */
void anos_patch_pause(bool pause);

/* Has there been a site on that page that jumped?  Then a write to it that faults does so
 * because of us, and succeeds when the page is unpatched. */
bool anos_patched(uint64_t page);

/*
 * The guest wants to write there, or to have something else there: its code as it was, and
 * no trampolines.  Not under shim_lock.  False if that cannot be done.
 */
bool anos_unpatch(uint64_t start, uint64_t end);

/* What was there is gone, code included. */
void anos_text_gone(uint64_t start, uint64_t end);

/* After all was unpatched, in a new process: it may be patched again. */
void anos_patch_anew(void);

/* A thread that stands in a trampoline that is not to be used any more. */
void anos_leave_trampoline(struct sigcontext *m);

#endif
