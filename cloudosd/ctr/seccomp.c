/* SPDX-License-Identifier: MIT */
/* Filters: which one, private numbers, installing, handing over.  HOST. */
#include "cloudosd/ctr/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cloudosd/ctr/bpf.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/rights.h"

enum { AGENT_MS = 2000, NUMBERS_MAX = 60 /* each a pair of near jumps */ };

int ctr_filter_for(const struct ctr_config *config, struct ctr_filter *out,
		   struct co_err *err)
{
	const struct ctr_capabilities *c = &config->process.capabilities;
	struct co_span ours;

	*out = (struct ctr_filter){ 0 };
	if (config->seccomp.data)
		return ctr_filter_from_oci(config->seccomp, out, err);
	if (!co_json_member(config->json, "cloudos", &ours))
		return 0;
	if (config->cloudos.confined)
		return ctr_filter_strict(0, out, err);
	return ctr_filter_default(c->given ? c->bounding | c->permitted : ~0ULL, out,
				  err);
}

/* ---- private numbers ---- */

static void add(struct ctr_bpf *b, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	ctr_bpf_add(
		b, (struct sock_filter) BPF_JUMP(code, k, (uint8_t) yes, (uint8_t) no));
}

int ctr_filter_private(struct ctr_filter *f, const struct ctr_numbers *numbers,
		       size_t n, uint32_t action, struct co_err *err)
{
	static const struct ctr_numbers all = { CTR_PRIVATE_FIRST, CTR_PRIVATE_LAST };
	struct ctr_bpf b = { 0 };
	struct sock_fprog old = f->program;

	if (!n) {
		numbers = &all;
		n = 1;
	}
	if (n > NUMBERS_MAX)
		return co_fail(err, CO_TOO_BIG, "%zu ranges of numbers are too many",
			       n);
	ctr_bpf_add(&b,
		    (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, arch)));
	/* behind this part: 2 for each range, 3 around them */
	add(&b, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2 * n + 3);
	ctr_bpf_add(&b,
		    (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr)));
	for (size_t i = 0; i < n; i++) {
		/* below the first is below all that come: out; in it: the action */
		add(&b, BPF_JMP | BPF_JGE | BPF_K, numbers[i].first, 0,
		    2 * (n - i - 1) + 1);
		add(&b, BPF_JMP | BPF_JGT | BPF_K, numbers[i].last, 0,
		    2 * (n - i - 1) + 1);
	}
	add(&b, BPF_JMP | BPF_JA, 1, 0, 0);
	add(&b, BPF_RET | BPF_K, action, 0, 0);
	for (size_t i = 0; i < old.len; i++)
		ctr_bpf_add(&b, old.filter[i]);
	if (!old.len)
		add(&b, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	if (ctr_bpf_take(&b, &f->program, err))
		return err ? err->code : CO_NO_MEMORY;
	free(old.filter);
	f->is_default = false;
	if (action == SECCOMP_RET_USER_NOTIF)
		f->notifies = true;
	return 0;
}

/* ---- installing ---- */

int ctr_filter_install(const struct ctr_filter *f, int *out_listener,
		       struct co_err *err)
{
	unsigned long flags = f->flags;
	long r;

	*out_listener = -1;
	if (!f->program.len)
		return 0;
	if (f->notifies) /* of the two, only one gives a descriptor */
		flags = (flags & ~(unsigned long) SECCOMP_FILTER_FLAG_TSYNC) |
			SECCOMP_FILTER_FLAG_NEW_LISTENER;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &f->program);
	if (r >= 0) {
		if (f->notifies)
			*out_listener = (int) r;
		return 0;
	}
	if (errno == EBUSY && f->notifies)
		return co_fail(
			err, CO_BUSY,
			"this container cannot have a listener of its own for "
			"system calls: whatever runs us has one already, and the "
			"kernel allows one");
	if (errno == EACCES)
		return co_fail(err, CO_ACCESS,
			       "the filter of system calls is refused: neither is "
			       "process.noNewPrivileges set nor CAP_SYS_ADMIN there");
	return co_fail_errno(err, errno,
			     "the kernel refuses the filter of system calls");
}

/* ---- the agent of a filter that notifies ---- */

static int agent_connect(const char *path, struct co_err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = AGENT_MS / 1000 };

	if (strlen(path) >= sizeof(to.sun_path))
		return co_fail(err, CO_NAME_TOO_LONG,
			       "linux.seccomp.listenerPath %s is longer than the %zu "
			       "bytes of a socket's name",
			       path, sizeof(to.sun_path) - 1);
	memcpy(to.sun_path, path, strlen(path));
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
		return co_fail_errno(err, errno,
				     "cannot reach the agent for system calls at "
				     "linux.seccomp.listenerPath %s",
				     path);
	return take_fd(fd);
}

static int send_all(int fd, const char *data, size_t n, int descriptor)
{
	while (n) {
		ssize_t put = co_rights_send(fd, data, n, &descriptor, descriptor >= 0);

		if (put <= 0)
			return -1;
		descriptor = -1;
		data += put;
		n -= (size_t) put;
	}
	return 0;
}

int ctr_filter_hand_over(const struct ctr_filter *f, struct co_span state, pid_t pid,
			 int listener, struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	autoclose int fd = -1;

	if (!f->listener_path)
		return 0;
	co_buf_format(&b,
		      "{\"ociVersion\":\"0.2.0\",\"fds\":[\"seccompFd\"],\"pid\":%d,",
		      (int) pid);
	co_buf_text(&b, "\"metadata\":");
	co_buf_json_text(&b, co_span(f->listener_metadata ? f->listener_metadata : ""));
	co_buf_text(&b, ",\"state\":");
	co_buf_span(&b, state);
	co_buf_text(&b, "}");
	if (b.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for the agent's message");
	fd = agent_connect(f->listener_path, err);
	if (fd < 0)
		return fd;
	if (send_all(fd, b.data, b.size, listener))
		return co_fail_errno(err, errno,
				     "the agent for system calls at %s does not take "
				     "its descriptor",
				     f->listener_path);
	return 0;
}

void ctr_filter_done(struct ctr_filter *f)
{
	free(f->program.filter);
	free(f->listener_path);
	free(f->listener_metadata);
	*f = (struct ctr_filter){ 0 };
}
