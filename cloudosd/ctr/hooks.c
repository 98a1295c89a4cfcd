/* SPDX-License-Identifier: MIT */
/* Hooks of the OCI specification.  HOST. */
#include "cloudosd/ctr/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/cleanup.h"

void ctr_state_json(const struct ctr_config *config, const char *id, const char *status,
		    pid_t pid, struct co_buf *out)
{
	co_buf_text(out, "{\"ociVersion\":");
	co_buf_json_text(out, co_span(config->version));
	co_buf_text(out, ",\"id\":");
	co_buf_json_text(out, co_span(id));
	co_buf_text(out, ",\"status\":");
	co_buf_json_text(out, co_span(status));
	if (pid > 0)
		co_buf_format(out, ",\"pid\":%d", pid);
	co_buf_text(out, ",\"bundle\":");
	co_buf_json_text(out, co_span(config->bundle));
	if (config->root) {
		co_buf_text(out, ",\"root\":");
		co_buf_json_text(out, co_span(config->root));
	}
	co_buf_text(out, ",\"annotations\":{");
	for (size_t i = 0; i < config->annotations.count; i++) {
		const struct ctr_pair *p = &config->annotations.at[i];

		co_buf_text(out, i ? "," : "");
		co_buf_json_text(out, co_span(p->name));
		co_buf_char(out, ':');
		co_buf_json_text(out, co_span(p->value));
	}
	co_buf_text(out, "}}");
}

/* In a file instead of a pipe: a hook that does not read cannot block us. */
static int text_fd(const struct co_buf *text, struct co_err *err)
{
	autoclose int fd = memfd_create("state", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return co_fail_errno(err, errno, "no memory for a hook's input");
	while (done < text->size) {
		ssize_t n = write(fd, text->data + done, text->size - done);

		if (n < 0 && errno != EINTR)
			return co_fail_errno(err, errno,
					     "no memory for a hook's input");
		done += n > 0 ? (size_t) n : 0;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return co_fail_errno(err, errno, "no memory for a hook's input");
	return take_fd(fd);
}

static _Noreturn void become_hook(const struct ctr_hook *h, int input)
{
	char *alone[] = { h->path, NULL };
	sigset_t none;

	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		(void) signal(s, SIG_DFL); /* those that cannot be set need not be */
	(void) setpgid(0, 0);
	if (dup2(input, 0) == 0) {
		(void) syscall(SYS_close_range, 3U, ~0U, 4U); /* CLOSE_RANGE_CLOEXEC */
		(void) execve(h->path, h->args.count ? h->args.at : alone,
			      h->env.count ? h->env.at : environ);
	}
	_exit(errno == ENOENT ? 127 : 126);
}

/* CO_TIMED_OUT when it had to be killed. */
static int await_hook(pid_t pid, int timeout_s, int *out_status)
{
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int rc = 0, n = 1;

	if (timeout_s > 0 && pidfd >= 0) {
		struct timespec start, now;
		int64_t left = (int64_t) timeout_s * 1000;

		(void) clock_gettime(CLOCK_MONOTONIC, &start); /* never fails */
		do {
			n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int) left);
			(void) clock_gettime(CLOCK_MONOTONIC, &now);
			left = (int64_t) timeout_s * 1000 -
			       (now.tv_sec - start.tv_sec) * 1000 -
			       (now.tv_nsec - start.tv_nsec) / 1000000;
		} while (n < 0 && errno == EINTR && left > 0);
		if (n == 0 || (n < 0 && left <= 0)) {
			(void) kill(-pid, SIGKILL); /* it and what it started */
			(void) kill(pid, SIGKILL);
			rc = CO_TIMED_OUT;
		}
	}
	while (waitpid(pid, out_status, 0) < 0 && errno == EINTR)
		;
	return rc;
}

static int run_one(const struct ctr_hook *h, const char *name, int input,
		   struct co_err *err)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return co_fail_errno(err, errno, "no process for the %s hook", name);
	if (pid == 0)
		become_hook(h, input);
	if (await_hook(pid, h->timeout_s, &status) < 0)
		return co_fail(err, CO_TIMED_OUT,
			       "the %s hook %s did not end within %d s and was killed",
			       name, h->path, h->timeout_s);
	if (WIFSIGNALED(status))
		return co_fail(err, CO_IO, "the %s hook %s was killed by signal %d",
			       name, h->path, WTERMSIG(status));
	if (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126)
		return co_fail(err, CO_IO,
			       "the %s hook %s cannot be executed, or ended with %d",
			       name, h->path, WEXITSTATUS(status));
	if (WEXITSTATUS(status) != 0)
		return co_fail(err, CO_IO, "the %s hook %s ended with %d", name,
			       h->path, WEXITSTATUS(status));
	return 0;
}

int ctr_hooks_run(const struct ctr_hooks *hooks, const char *name,
		  const struct co_buf *state, struct co_err *err)
{
	for (size_t i = 0; i < hooks->count; i++) {
		autoclose int input = text_fd(state, err);
		int rc = input < 0 ? input : run_one(&hooks->at[i], name, input, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
