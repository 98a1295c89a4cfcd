/* SPDX-License-Identifier: MIT */
/* cloudosctl container run, start, attach, exec: a program and this terminal.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <time.h>

#include "cli/attach.h"
#include "cli/container.h"
#include "lib/cleanup.h"

/* What is needed of a container to speak with its monitor. */
struct known {
	char *id, *folder, *bundle; /* owned */
	bool tty, rm;
};

static void known_done(struct known *k)
{
	free(k->id);
	free(k->folder);
	free(k->bundle);
}
#define autoknown __attribute__((cleanup(known_done)))

static bool is_true(struct co_span c, const char *member)
{
	struct co_span value;

	return co_json_member(c, "config", &c) && co_json_member(c, member, &value) &&
	       co_json_kind(value) == CO_JSON_BOOL && value.data[0] == 't';
}

static int know(struct known *k, struct ctl *ctl, struct co_span c)
{
	if (asprintf(&k->id, "%" PRId64, container_number(c, "id", 0)) < 0)
		k->id = NULL;
	k->folder = container_text(c, "runFolder");
	k->bundle = container_text(c, "bundle");
	k->tty = is_true(c, "tty");
	k->rm = is_true(c, "rm");
	if (!k->id || !k->folder || !k->bundle)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	if (k->folder[0] != '/')
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "the daemon does not tell where container %s runs",
			       k->id);
	return 0;
}

/* ---- how it ended ---- */

/* Until the daemon has removed it, so that its name is free when we end: asking for what it
 * does anyway is answered when that is done. */
static void await_removal(struct ctl *ctl, const struct known *k)
{
	struct co_err before = ctl->err;
	autogateway struct gateway g;

	container_request(&g, ctl, "DELETE", k->id, "");
	gateway_query(&g, "force", "true"); /* it may not know of the end yet */
	(void) gateway_call(&g); /* it is not there, or nobody can be asked */
	ctl->err = before;
	ctl->no_daemon = false;
}

static int ended(struct ctl *ctl, const struct known *k, const struct attach *a)
{
	if (k->rm)
		await_removal(ctl, k);
	ctl->program_exit = a->exit.code;
	if (a->exit.error[0] && !a->exit.started)
		return co_fail(&ctl->err, CO_ACCESS, "%s", a->exit.error);
	if (a->exit.oom_killed)
		(void) fprintf(stderr,
			       CTL_PROGRAM ": container %s was killed for want of "
					   "memory\n",
			       k->id); /* nowhere else to complain */
	return 0;
}

static int left(struct ctl *ctl, const struct known *k)
{
	(void) fprintf(stderr,
		       "\r\n" CTL_PROGRAM ": container %s goes on; `" CTL_PROGRAM
		       " container attach %s` comes back\n",
		       k->id, k->id); /* nowhere else to say it */
	ctl->program_exit = 0;
	return 0;
}

static int stay(struct ctl *ctl, const struct known *k, struct attach *a)
{
	int rc = attach_run(a, ctl);

	if (rc == ATTACH_LEFT)
		return left(ctl, k);
	return rc < 0 ? rc : ended(ctl, k, a);
}

/* ---- run ---- */

/* Why the program could not be started, as exit status. */
static void start_failed(struct ctl *ctl, const struct gateway *g,
			 const struct known *k)
{
	struct co_err before = ctl->err;
	autogateway struct gateway now;
	struct co_span error, code;
	int64_t status = 0;

	if (container_get(&now, ctl, k->id) == 0)
		status = container_number(now.value, "exitCode", 0);
	ctl->err = before;
	if (status == CTL_EXIT_NOT_EXECUTABLE || status == CTL_EXIT_NO_PROGRAM)
		ctl->program_exit = (int) status;
	if (!co_json_member(g->value, "error", &error) ||
	    !co_json_member(error, "code", &code))
		return;
	if (co_json_string_is(code, "PROGRAM_NOT_FOUND"))
		ctl->program_exit = CTL_EXIT_NO_PROGRAM;
	else if (co_json_string_is(code, "PROGRAM_REFUSED"))
		ctl->program_exit = CTL_EXIT_NOT_EXECUTABLE;
}

static int start(struct ctl *ctl, const struct known *k)
{
	autogateway struct gateway g;
	int rc;

	container_request(&g, ctl, "POST", k->id, "/start");
	rc = gateway_call(&g);
	if (rc < 0)
		start_failed(ctl, &g, k);
	return rc;
}

/* What was made for nothing: it could not be started.  Its sentence stays. */
static void unmake(struct ctl *ctl, const struct known *k)
{
	struct co_err before = ctl->err;
	autogateway struct gateway g;

	container_request(&g, ctl, "DELETE", k->id, "");
	gateway_query(&g, "force", "true");
	(void) gateway_call(&g); /* the daemon may have done it already */
	ctl->err = before;
}

static int run_detached(struct ctl *ctl, const struct known *k)
{
	int rc = start(ctl, k);

	if (rc < 0) {
		unmake(ctl, k);
		return rc;
	}
	(void) fprintf(ctl->style.out, "%s\n", k->id); /* failure: asked below */
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

static int run_here(struct ctl *ctl, const struct known *k)
{
	autoattach struct attach a = {
		.folder = k->folder,
		.bundle = k->bundle,
		.detach_keys = ctl_option(ctl, "detach-keys"),
		.input = ctl_option(ctl, "interactive"),
		.once = !k->tty, /* a terminal may be left and come back to */
		.tty = k->tty,
	};
	int rc = attach_begin(&a, ctl);

	if (rc == 0)
		rc = start(ctl, k);
	if (rc < 0)
		unmake(ctl, k);
	return rc < 0 ? rc : stay(ctl, k, &a);
}

int cmd_container_run(struct ctl *ctl)
{
	bool detach = ctl_option(ctl, "detach");
	autoknown struct known k = { 0 };
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", CONTAINERS);
	rc = container_config_body(ctl, &g.body);
	if (rc < 0)
		return rc;
	if (ctl_option(ctl, "tty") && !detach && ctl_option(ctl, "interactive") &&
	    !isatty(STDIN_FILENO))
		return ctl_usage(ctl, "-t needs a terminal on standard input; leave it "
				      "out");
	rc = container_daemon(ctl);
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc == 0)
		rc = know(&k, ctl, g.value);
	if (rc < 0)
		return rc;
	return detach ? run_detached(ctl, &k) : run_here(ctl, &k);
}

/* ---- start, attach ---- */

static int start_known(struct ctl *ctl, void *arg)
{
	return start(ctl, arg);
}

/* One without a monitor, which comes only with its start: nothing may get lost between
 * that and attaching, so the log is followed instead. */
static int follow_start(struct ctl *ctl, const char *name, struct known *k)
{
	autogateway struct gateway g;
	int rc;

	container_request(&g, ctl, "GET", name, "");
	rc = container_follow(ctl, name, start_known, k);
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc == 0)
		ctl->program_exit = (int) container_number(g.value, "exitCode", 0);
	return rc;
}

static bool state_is(struct co_span c, const char *wanted)
{
	autofree char *state = container_text(c, "state");

	return state && strcmp(state, wanted) == 0;
}

static int attach_to(struct ctl *ctl, const char *name, bool starts, bool input)
{
	autoknown struct known k = { 0 };
	autogateway struct gateway g;
	struct attach a = { 0 };
	int rc = container_get(&g, ctl, name);

	if (rc == 0)
		rc = know(&k, ctl, g.value);
	if (rc < 0)
		return rc;
	a = (struct attach){
		.folder = k.folder,
		.bundle = k.bundle,
		.detach_keys = ctl_option(ctl, "detach-keys"),
		.input = input,
		.tty = k.tty,
		.no_signals = ctl_option(ctl, "no-signals"),
	};
	/* the monitor of its last run may be there for a moment still */
	if (starts && (state_is(g.value, "exited") || state_is(g.value, "dead")))
		rc = CO_GONE;
	else
		rc = attach_begin(&a, ctl);
	if (rc == CO_GONE && starts && !input && !k.tty) {
		ctl->err = (struct co_err){ 0 };
		return follow_start(ctl, name, &k);
	}
	if (rc == CO_GONE && starts) { /* its monitor comes with it */
		rc = start(ctl, &k);
		starts = false;
		if (rc == 0)
			rc = attach_begin(&a, ctl);
	}
	if (rc == 0 && starts)
		rc = start(ctl, &k);
	rc = rc < 0 ? rc : stay(ctl, &k, &a);
	attach_done(&a);
	return rc;
}

int cmd_container_start(struct ctl *ctl)
{
	bool input = ctl_option(ctl, "interactive");

	if (!input && !ctl_option(ctl, "attach"))
		return container_each(ctl, container_start_one);
	if (ctl->noperands > 1)
		return ctl_usage(ctl, "-a and -i are for one container");
	return attach_to(ctl, ctl->operands[0], true, input);
}

int cmd_container_attach(struct ctl *ctl)
{
	int rc = attach_to(ctl, ctl->operands[0], false, !ctl_option(ctl, "no-stdin"));

	if (rc == CO_GONE && !ctl->no_daemon)
		return co_fail(&ctl->err, CO_CONFLICT,
			       "container %.100s does not run; `" CTL_PROGRAM
			       " container start -a %.100s` starts it",
			       ctl->operands[0], ctl->operands[0]);
	return rc;
}

/* ---- exec ---- */

struct words {
	char **at;
	size_t count;
	bool failed;
};

static void add_word(struct words *w, const char *text)
{
	w->at[w->count] = strdup(text);
	w->failed |= !w->at[w->count++];
}

static void add_options(struct words *w, const struct ctl *ctl, const char *option,
			const char *as)
{
	const char *value;
	size_t cursor = 0;

	while ((value = ctl_option_next(ctl, option, &cursor))) {
		autofree char *variable = NULL;

		if (strcmp(option, "env") == 0 && !strchr(value, '=')) {
			if (!getenv(value))
				continue;
			if (asprintf(&variable, "%s=%s", value, getenv(value)) < 0)
				variable = NULL;
			value = variable ? variable : value;
		}
		add_word(w, as);
		add_word(w, value);
	}
}

/* The programs of a terminal ask for its kind; that of `run -t` is this one. */
static void add_terminal(struct words *w, const struct ctl *ctl)
{
	const char *value;
	size_t cursor = 0;

	add_word(w, "--tty");
	while ((value = ctl_option_next(ctl, "env", &cursor)))
		if (strncmp(value, "TERM=", 5) == 0 || strcmp(value, "TERM") == 0)
			return;
	add_word(w, "--env");
	add_word(w, "TERM=xterm");
}

static void words_done(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->at[i]);
	free(w->at);
}

/* cloudos-ctr takes names of ours for the same. */
static int exec_words(struct ctl *ctl, const struct known *k, struct words *w)
{
	enum { FIXED = 20 };
	autofree char *folder = strdup(k->folder);

	w->at = calloc(ctl->noperands + 2 * ctl->ngiven + FIXED, sizeof(*w->at));
	if (!w->at || !folder)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	add_word(w, "cloudos-ctr");
	add_word(w, "--root");
	add_word(w, dirname(folder));
	add_word(w, "exec");
	add_word(w, "--failed-status");
	add_word(w, "125"); /* CTL_EXIT_LAUNCHER */
	if (ctl_option(ctl, "detach"))
		add_word(w, "--detach"); /* and nobody to see a terminal */
	else if (ctl_option(ctl, "tty"))
		add_terminal(w, ctl);
	add_options(w, ctl, "env", "--env");
	add_options(w, ctl, "user", "--user");
	add_options(w, ctl, "workdir", "--cwd");
	add_word(w, k->id);
	for (size_t i = 1; i < ctl->noperands; i++)
		add_word(w, ctl->operands[i]);
	return w->failed ? co_fail(&ctl->err, CO_NO_MEMORY, "out of memory") : 0;
}

/* Nothing is to be read: /dev/null is our standard input. */
static int no_input(struct ctl *ctl)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return co_fail_errno(&ctl->err, errno, "cannot open /dev/null");
	(void) close(fd); /* was only read from */
	return 0;
}

int cmd_container_exec(struct ctl *ctl)
{
	autoknown struct known k = { 0 };
	autogateway struct gateway g;
	struct words w = { 0 };
	int rc;

	container_request(&g, ctl, "GET", ctl->operands[0], "");
	if (ctl_option(ctl, "tty") && ctl_option(ctl, "interactive") &&
	    !isatty(STDIN_FILENO))
		return ctl_usage(ctl, "-t needs a terminal on standard input; leave it "
				      "out");
	rc = gateway_call(&g);
	if (rc == 0)
		rc = know(&k, ctl, g.value);
	if (rc == 0 && !container_number(g.value, "pid", 0))
		rc = co_fail(&ctl->err, CO_CONFLICT,
			     "container %.100s does not run; `" CTL_PROGRAM
			     " container start %.100s` starts it",
			     ctl->operands[0], ctl->operands[0]);
	if (rc == 0 && state_is(g.value, "paused"))
		rc = co_fail(&ctl->err, CO_CONFLICT,
			     "container %.100s is paused; `" CTL_PROGRAM
			     " container unpause %.100s` lets it go on",
			     ctl->operands[0], ctl->operands[0]);
	if (rc == 0)
		rc = exec_words(ctl, &k, &w);
	if (rc == 0 && !ctl_option(ctl, "interactive"))
		rc = no_input(ctl);
	if (rc == 0)
		rc = container_become(ctl, "cloudos-ctr", w.at);
	words_done(&w);
	return rc;
}
