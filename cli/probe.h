/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and the box allow, found out by doing it in forked children.  HOST.
 * Who calls it: the launcher (engine choice), cloudosctl doctor.
 *
 * Each function fills its part of the struct and writes into `why` one clause about
 * what is missing; "" when all is there.  They leave no process and no descriptor behind.
 */
#ifndef CO_PROBE_H
#define CO_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#define CO_WHY_SIZE 256

/* Engine notify: seccomp user notification. */
struct co_probe_notify {
	bool works;     /* a private number reached the listener and was answered */
	bool killable;  /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19 */
	bool addfd;     /* SECCOMP_ADDFD_FLAG_SEND, Linux 5.14 */
	bool sync_wake; /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6: speed only */
	bool hidden; /* an outer filter answers private numbers before ours is asked */
	bool nested; /* this process is already under somebody's notification */
	char why[CO_WHY_SIZE];
};

/* Engine ptrace. */
struct co_probe_ptrace {
	bool works;      /* attached to a child, stopped it, read its registers */
	bool info;       /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
	int yama;        /* kernel.yama.ptrace_scope, -1 without Yama */
	bool read_child; /* process_vm_readv on a child */
	bool read_other; /* process_vm_readv on a process of this user that is no child */
	char why[CO_WHY_SIZE];
};

/* Engine trap: every call is caught in the program's own process. */
struct co_probe_trap {
	bool filter; /* trapped a call by its address and got the answer back */
	uint64_t filter_ns;
	char filter_why[CO_WHY_SIZE];
	bool dispatch; /* the same by syscall user dispatch, Linux 5.11 */
	uint64_t dispatch_ns;
	char dispatch_why[CO_WHY_SIZE];
	bool addresses; /* its part of the address space can be had */
	char addresses_why[CO_WHY_SIZE];
	bool code32; /* 32-bit code ran in a 64-bit process */
	bool int80;  /* and the kernel answered its int 0x80 */
	char code32_why[CO_WHY_SIZE];
	bool mm_map; /* PR_SET_MM_MAP: /proc can show the program and not the loader */
	char mm_map_why[CO_WHY_SIZE];
};

enum co_cgroup { CO_CGROUP_NONE, CO_CGROUP_V1, CO_CGROUP_HYBRID, CO_CGROUP_V2 };

struct co_probe_box {
	char release[72]; /* of the kernel */
	unsigned major, minor;
	bool userns; /* an unprivileged user name space with an id map */
	char userns_why[CO_WHY_SIZE];
	enum co_cgroup cgroup;
	bool cgroup_delegated; /* a group could be made below our own */
	char cgroup_why[CO_WHY_SIZE];
	int landlock;     /* ABI; 0 without */
	bool pidfd;       /* pidfd_open, Linux 5.3 */
	bool pidfd_getfd; /* Linux 5.6 */
	bool memfd_seal;
};

struct co_probe {
	struct co_probe_notify notify;
	struct co_probe_trap trap;
	struct co_probe_ptrace ptrace;
	struct co_probe_box box;
};

void co_probe_notify(struct co_probe_notify *out);
void co_probe_ptrace(struct co_probe_ptrace *out);
void co_probe_box(struct co_probe_box *out);
void co_probe_trap(struct co_probe_trap *out);
void co_probe(struct co_probe *out); /* all four */

/* What decides whether it can be used: filter and addresses, dispatch without a filter. */
void co_probe_trap_quick(struct co_probe_trap *out);

#endif
