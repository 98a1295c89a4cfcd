/* SPDX-License-Identifier: MIT */
/* What the commands about containers share.  HOST. */
#include "cli/container.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/container_config.h"
#include "cli/start.h"
#include "lib/cleanup.h"
#include "lib/time.h"

extern char **environ;

int container_daemon(struct ctl *ctl)
{
	autoclose int fd = -1;
	int rc = co_paths_connect_http(&ctl->paths, &fd, &ctl->err);

	if (rc != CO_GONE)
		return rc;
	ctl->err = (struct co_err){ 0 };
	return co_start_daemon(&ctl->paths, NULL, CTL_PROGRAM, &ctl->client, &ctl->err);
}

bool container_wants_daemon(const struct ctl *ctl)
{
	static const char *const kept[] = { "containers", "images" };
	const char *words = ctl->command ? ctl->command->words : "";
	char path[CO_PATH_SIZE + 16];

	if (strncmp(words, "container ", 10) != 0 && strncmp(words, "image ", 6) != 0 &&
	    strcmp(words, "diff") != 0 && strcmp(words, "down") != 0)
		return false;
	for (size_t i = 0; i < co_countof(kept); i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", ctl->paths.state, kept[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

void container_request(struct gateway *g, struct ctl *ctl, const char *method,
		       const char *name, const char *verb)
{
	gateway_init(g, ctl, method, CONTAINER);
	gateway_path(g, name);
	co_buf_text(&g->target, verb);
}

int container_get(struct gateway *g, struct ctl *ctl, const char *name)
{
	container_request(g, ctl, "GET", name, "");
	return gateway_call(g);
}

char *container_text(struct co_span container, const char *member)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	if (co_json_member(container, member, &value) &&
	    co_json_kind(value) == CO_JSON_STRING)
		(void) co_json_unescape(value, &text); /* what has a NUL is no text */
	return text.size ? co_buf_take(&text, &(size_t){ 0 }) : strdup("");
}

int64_t container_number(struct co_span container, const char *member,
			 int64_t otherwise)
{
	struct co_span value;
	int64_t number;

	if (co_json_member(container, member, &value) && co_json_whole(value, &number))
		return number;
	return otherwise;
}

/* In the order of the operands, also between what is printed about others. */
static void complain(struct ctl *ctl)
{
	(void) co_print_flush(ctl->style.out);
	(void) fputs(CTL_PROGRAM ": ", stderr); /* nowhere else to complain */
	(void) co_print_escaped(stderr, ctl->err.message, strlen(ctl->err.message));
	(void) fputc('\n', stderr);
	ctl->err = (struct co_err){ 0 };
}

int container_each(struct ctl *ctl, int (*one)(struct ctl *ctl, const char *name))
{
	int rc, failed = 0;

	for (size_t i = 0; i < ctl->noperands && !ctl->no_daemon && !ctl->quiet; i++) {
		if (ctl->err.message[0])
			complain(ctl);
		rc = one(ctl, ctl->operands[i]);
		if (rc == 0)
			ctl->err = (struct co_err){ 0 };
		else if (!failed)
			failed = rc;
	}
	return failed; /* the last one's sentence is said at the end */
}

/* ---- programs of ours ---- */

int container_become(struct ctl *ctl, const char *program, char *const argv[])
{
	char path[CO_PATH_SIZE];
	int rc = co_program_path(program, path, sizeof(path), &ctl->err);

	if (rc < 0)
		return rc;
	(void) signal(SIGPIPE, SIG_DFL); /* as a program expects it; cannot fail */
	execv(path, argv);
	return co_fail_errno(&ctl->err, errno, "cannot run %s", path);
}

/* in, out: descriptors, -1: ours; keeps reading of standard output for *out_fd. */
int container_spawn(struct ctl *ctl, const char *const *words, int in, int out,
		    pid_t *out_pid)
{
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (!error && in >= 0)
		error = posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (!error && out >= 0)
		error = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!error)
		error = posix_spawnp(out_pid, words[0], &actions, NULL,
				     (char *const *) (uintptr_t) words, environ);
	(void) posix_spawn_file_actions_destroy(&actions); /* cannot fail */
	return error ? co_fail_errno(&ctl->err, error, "cannot run %s", words[0]) : 0;
}

int container_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int container_read(struct ctl *ctl, int fd, struct co_buf *out)
{
	for (;;) {
		char *to = co_buf_room(out, 4096);
		ssize_t n = to ? read(fd, to, 4096) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return to ? 0
				  : co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
		co_buf_wrote(out, (size_t) n);
	}
}

int container_pipe(struct ctl *ctl, int fds[2])
{
	return pipe2(fds, O_CLOEXEC) < 0
		       ? co_fail_errno(&ctl->err, errno, "cannot make a pipe")
		       : 0;
}

/* ---- what is to be made ---- */

static int image_or_rootfs(struct ctl *ctl, struct co_buf *out)
{
	const char *image = ctl->operands[0];
	autofree char *path = NULL;

	if (!ctl_option(ctl, "rootfs")) {
		co_buf_text(out, "\"image\":");
		co_buf_json_text(out, co_span(image));
		return 0;
	}
	path = realpath(image, NULL);
	if (!path)
		return co_fail_errno(&ctl->err, errno, "cannot find the folder %s",
				     image);
	co_buf_text(out, "\"rootfs\":");
	co_buf_json_text(out, co_span(path));
	return 0;
}

int container_config_body(struct ctl *ctl, struct co_buf *out)
{
	const char *restart = ctl_option(ctl, "restart");
	int rc;

	if (restart && strcmp(restart, "no") != 0 && ctl_option(ctl, "rm"))
		return ctl_usage(ctl, "--rm and --restart contradict each other: what "
				      "is removed cannot be restarted");
	co_buf_char(out, '{');
	rc = image_or_rootfs(ctl, out);
	if (rc == 0 && ctl->noperands > 1) {
		co_buf_text(out, ",\"command\":");
		for (size_t i = 1; i < ctl->noperands; i++) {
			co_buf_char(out, i == 1 ? '[' : ',');
			co_buf_json_text(out, co_span(ctl->operands[i]));
		}
		co_buf_char(out, ']');
	}
	if (rc == 0)
		rc = config_from_options(ctl, out);
	co_buf_char(out, '}');
	return rc;
}

/* ---- sizes, times ---- */

void container_size(int64_t n, char *out, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double) n;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < co_countof(units)) {
		value /= 1024;
		unit++;
	}
	if (n < 0)
		(void) snprintf(out, size, "-"); /* fits, as below */
	else
		(void) snprintf(out, size, unit ? "%.1f%s" : "%.0f%s", value,
				units[unit]);
}

void container_age(struct co_span time_, char *out, size_t size)
{
	struct co_span text = { time_.data + 1, time_.size - 2 };
	struct timespec now;
	uint64_t ms;
	int64_t s;

	(void) snprintf(out, size, "-"); /* fits, as all below */
	if (!time_.data || co_json_kind(time_) != CO_JSON_STRING ||
	    !co_time_parse(text, &ms))
		return;
	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	s = now.tv_sec - (int64_t) (ms / 1000);
	s = s < 0 ? 0 : s;
	if (s < 120)
		(void) snprintf(out, size, "%" PRId64 "s", s);
	else if (s < 120 * 60)
		(void) snprintf(out, size, "%" PRId64 "m", s / 60);
	else if (s < 48 * 3600)
		(void) snprintf(out, size, "%" PRId64 "h", s / 3600);
	else
		(void) snprintf(out, size, "%" PRId64 "d", s / 86400);
}
