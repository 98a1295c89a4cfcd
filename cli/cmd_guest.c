/* SPDX-License-Identifier: MIT */
/* cloudosctl guest ...: programs that cloudos.yaml keeps running.  HOST. */
#include <inttypes.h>
#include <poll.h>

#include "cli/container.h"
#include "cli/guest.h"
#include "cloudosd/ctr/log.h"
#include "lib/cleanup.h"

/* ---- ls ---- */

static int row(struct ctl *ctl, const char *project, const char *name, void *arg)
{
	struct co_print *rows = arg;
	char folder[CO_PATH_SIZE], status[32] = "stopped";
	autofree char *spec = NULL;
	struct co_json_fault fault;
	struct co_span value, command;
	struct ctr_exit e;
	pid_t pid;
	int rc = guest_folder(ctl, project, name, folder, sizeof(folder));

	if (rc < 0)
		return rc;
	pid = guest_keeper(folder);
	spec = guest_spec(folder);
	if (pid)
		(void) snprintf(status, sizeof(status), "kept"); /* fits */
	else if (ctr_exit_load(folder, &e, NULL) == 0)
		(void) snprintf(status, sizeof(status), "exited (%d)", e.code);
	co_print_text(rows, name);
	co_print_text(rows, project);
	co_print_text(rows, status);
	co_print_i64(rows, pid);
	if (spec && co_json_check(co_span(spec), &value, &fault) == 0 &&
	    co_json_member(value, "command", &command))
		co_print_span(rows, command, false);
	else
		co_print_text(rows, "");
	return 0;
}

int cmd_guest_ls(struct ctl *ctl)
{
	static const char *const columns[] = { "name",   "project", "state",
					       "keeper", "command", NULL };
	struct co_print *rows = co_print_new(&ctl->style, columns);
	int rc, printed;

	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	rc = guest_each(ctl, NULL, row, rows);
	printed = co_print_end(rows);
	return rc < 0 ? rc : ctl_printed(ctl, printed);
}

/* ---- logs ---- */

struct found {
	const char *name;
	char folder[CO_PATH_SIZE];
	bool is;
};

static int look(struct ctl *ctl, const char *project, const char *name, void *arg)
{
	struct found *f = arg;

	if (f->is || strcmp(name, f->name) != 0)
		return 0;
	f->is = true;
	return guest_folder(ctl, project, name, f->folder, sizeof(f->folder));
}

static int catch_up(struct ctl *ctl, struct ctr_log_reader *reader)
{
	struct ctr_log_line line;

	while (ctr_log_reader_next(reader, &line) == 0) {
		FILE *out = line.stream == CTR_STDERR ? stderr : ctl->style.out;

		if (isatty(fileno(out)))
			(void) co_print_escaped(out, line.text.data, line.text.size);
		else
			(void) fwrite(line.text.data, 1, line.text.size, out);
		if (line.whole)
			(void) fputc('\n', out); /* asked below */
	}
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_guest_logs(struct ctl *ctl)
{
	enum { LOOK_MS = 250 };
	struct found f = { .name = ctl->operands[0] };
	struct ctr_log_reader *reader = NULL;
	char path[CO_PATH_SIZE + 8];
	uint64_t tail = 0;
	int rc = guest_each(ctl, NULL, look, &f);

	if (rc == 0)
		rc = ctl_option_number(ctl, "tail", 0, 1000000, &tail);
	if (rc == 0 && !f.is)
		rc = co_fail(&ctl->err, CO_NOT_FOUND,
			     "there is no guest \"%.100s\"; `" CTL_PROGRAM
			     " guest ls` lists them",
			     f.name);
	(void) snprintf(path, sizeof(path), "%s/log", f.folder); /* fits */
	if (rc == 0)
		rc = ctr_log_reader_open(
			&(struct ctr_log_from){
				.path = path,
				.tail = ctl_option(ctl, "tail") ? (int64_t) tail : -1,
				.follow = ctl_option(ctl, "follow") },
			&reader, &ctl->err);
	if (rc == 0)
		rc = catch_up(ctl, reader);
	while (rc == 0 && ctl_option(ctl, "follow")) {
		bool last = !guest_keeper(f.folder);

		(void) ctr_log_reader_wait(reader, last ? 0 : LOOK_MS);
		rc = catch_up(ctl, reader);
		if (last)
			break;
	}
	ctr_log_reader_close(reader);
	return rc;
}

/* ---- again ---- */

static int again(struct ctl *ctl, const char *project, const char *name, void *arg)
{
	char folder[CO_PATH_SIZE];
	int *failed = arg, rc;

	rc = guest_folder(ctl, project, name, folder, sizeof(folder));
	if (rc == 0)
		rc = guest_again(ctl, folder);
	if (rc > 0)
		return ctl_say(ctl, "guest %s started", name);
	if (rc < 0) {
		(void) fprintf(stderr, "guest %s of %s: %s\n", name, project,
			       ctl->err.message);
		ctl->err = (struct co_err){ 0 }; /* the others are tried all the same */
		*failed = rc;
	}
	return 0;
}

int cmd_guest_again(struct ctl *ctl)
{
	int failed = 0, rc = guest_each(ctl, NULL, again, &failed);

	if (rc < 0 || !failed)
		return rc;
	return co_fail(&ctl->err, failed, "not all guests could be started again");
}
