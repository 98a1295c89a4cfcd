/* SPDX-License-Identifier: MIT */
/* The keeper of a guest: cloudosctl guest keep FOLDER.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/container.h"
#include "cli/guest.h"
#include "cloudosd/ctr/log.h"
#include "cloudosd/service/container_config.h"
#include "lib/cleanup.h"

enum {
	REPORT = 3, /* descriptor of whoever started us */
	FIRST_MS = 100,
	LONGEST_MS = 60000,
	GOOD_MS = 10000, /* so long a run begins the pauses anew */
	STOP_S = 10,
	PIECE = 16384
};

enum policy { ONCE, ALWAYS, ON_FAILURE };

struct keeper {
	struct ctl *ctl;
	const char *folder;
	char *text; /* spec.json */
	struct co_span spec;
	struct ctr_log *log;
	int lock, signals, out[2]; /* the ends that are read of stdout, stderr; -1 */
	enum policy policy;
	int64_t tries, failures; /* of on-failure:N; 0: without end */
	pid_t pid;               /* 0: it does not run */
	uint64_t started_ms, started_at;
	uint64_t again_ms, kill_ms; /* 0: not planned */
	uint64_t pause_ms;
	bool stopping, reported, over;
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	(void) clock_gettime(clock, &now); /* cannot fail */
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void report(struct keeper *k, const char *text)
{
	if (!k->reported && write(REPORT, text, strlen(text)) < 0)
		return; /* who started us has gone: it does not matter */
	if (!k->reported)
		(void) close(REPORT); /* all is said */
	k->reported = true;
}

static void say(struct keeper *k, const char *text)
{
	ctr_log_write(k->log, CTR_STDERR, "cloudosctl guest: ", 18);
	ctr_log_write(k->log, CTR_STDERR, text, strlen(text));
	ctr_log_write(k->log, CTR_STDERR, "\n", 1);
}

/* ---- what it is to be ---- */

static void read_policy(struct keeper *k)
{
	autofree char *text = container_text(k->spec, "restart");

	k->policy = ONCE;
	if (text && (!strcmp(text, "always") || !strcmp(text, "unless-stopped")))
		k->policy = ALWAYS;
	if (text && !strncmp(text, "on-failure", 10)) {
		k->policy = ON_FAILURE;
		k->tries = text[10] == ':' ? atoll(text + 11) : 0;
	}
}

struct words {
	char **at;
	size_t count, room;
	bool failed;
};

static void add(struct words *w, char *text)
{
	if (w->count + 2 > w->room) {
		size_t room = w->room ? w->room * 2 : 32;
		char **more = realloc(w->at, room * sizeof(*more));

		if (!more) {
			w->failed = true;
			free(text);
			return;
		}
		w->at = more;
		w->room = room;
	}
	w->failed |= !text;
	w->at[w->count++] = text;
	w->at[w->count] = NULL;
}

static void add_option(struct words *w, const struct keeper *k, const char *member,
		       const char *option)
{
	autofree char *value = container_text(k->spec, member);
	char *text = NULL;

	if (!value || !*value)
		return;
	if (asprintf(&text, "--%s=%s", option, value) < 0)
		text = NULL;
	add(w, text);
}

static void add_list(struct words *w, struct co_span list)
{
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, element;

	while (co_json_next(&walk, &none, &element)) {
		autobuf struct co_buf text = { 0 };

		(void) co_json_unescape(element, &text); /* no NUL: it was checked */
		add(w, text.data ? co_buf_take(&text, &(size_t){ 0 }) : strdup(""));
	}
}

static void add_command(struct words *w, struct co_span command)
{
	autobuf struct co_buf line = { 0 };
	size_t count = 0;
	char **words = NULL;

	if (co_json_kind(command) != CO_JSON_STRING) {
		add_list(w, command);
		return;
	}
	(void) co_json_unescape(command, &line);
	if (container_words((struct co_span){ line.data, line.size }, &words, &count,
			    NULL) < 0)
		w->failed = true;
	for (size_t i = 0; i < count && words; i++)
		add(w, strdup(words[i]));
	container_words_free(words);
}

static int command_line(struct keeper *k, struct words *w)
{
	struct co_span value;

	add(w, strdup("cloudos-exec"));
	if (k->ctl->system_)
		add(w, strdup("--system"));
	add_option(w, k, "name", "name");
	add_option(w, k, "service", "service");
	add_option(w, k, "personality", "personality");
	add_option(w, k, "engine", "engine");
	if (co_json_member(k->spec, "options", &value))
		add_list(w, value);
	add(w, strdup("--"));
	if (co_json_member(k->spec, "command", &value))
		add_command(w, value);
	return w->failed
		       ? co_fail(&k->ctl->err, CO_INVALID, "its command cannot be read")
		       : 0;
}

/* ---- the guest ---- */

static void set_environment(const struct keeper *k)
{
	struct words w = { 0 };
	struct co_span list;

	if (co_json_member(k->spec, "env", &list))
		add_list(&w, list);
	for (size_t i = 0; i < w.count; i++)
		(void) putenv(w.at[i]); /* without memory it lacks one */
}

/* In the child. */
static _Noreturn void become_guest(const struct keeper *k, const char *path,
				   char *const *argv, const int out[2])
{
	autofree char *folder = container_text(k->spec, "directory");
	sigset_t none;

	(void) sigemptyset(&none); /* these cannot fail */
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) signal(SIGPIPE, SIG_DFL);
	(void) setpgid(0, 0);
	(void) prctl(PR_SET_PDEATHSIG, SIGTERM); /* which cloudos-exec passes on */
	if (dup2(out[0], STDOUT_FILENO) < 0 || dup2(out[1], STDERR_FILENO) < 0)
		_exit(CTL_EXIT_LAUNCHER);
	if (folder && *folder && chdir(folder) < 0) {
		(void) fprintf(stderr, "cannot enter the folder %s: %m\n", folder);
		_exit(CTL_EXIT_LAUNCHER);
	}
	set_environment(k);
	execv(path, argv);
	(void) fprintf(stderr, "cannot run %s: %m\n", path); /* into the log */
	_exit(CTL_EXIT_LAUNCHER);
}

static int fork_guest(struct keeper *k, const char *path, char *const *argv)
{
	int a[2] = { -1, -1 }, b[2] = { -1, -1 };

	if (pipe2(a, O_CLOEXEC) < 0 || pipe2(b, O_CLOEXEC) < 0) {
		if (a[0] >= 0) {
			(void) close(a[0]); /* nothing was written */
			(void) close(a[1]);
		}
		return co_fail_errno(&k->ctl->err, errno, "cannot make a pipe");
	}
	k->pid = fork();
	if (k->pid == 0)
		become_guest(k, path, argv, (const int[]){ a[1], b[1] });
	(void) close(a[1]); /* the guest's */
	(void) close(b[1]);
	if (k->pid < 0) {
		k->pid = 0;
		(void) close(a[0]); /* nobody writes */
		(void) close(b[0]);
		return co_fail_errno(&k->ctl->err, errno, "cannot start a process");
	}
	(void) setpgid(k->pid, k->pid); /* or the child did */
	k->out[0] = a[0];
	k->out[1] = b[0];
	(void) fcntl(a[0], F_SETFL, O_NONBLOCK);
	(void) fcntl(b[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static int start(struct keeper *k)
{
	char path[CO_PATH_SIZE], gone[CO_PATH_SIZE + 16];
	struct words w = { 0 };
	int rc = co_program_path("cloudos-exec", path, sizeof(path), &k->ctl->err);

	(void) snprintf(gone, sizeof(gone), "%s/exit.json", k->folder); /* fits */
	(void) unlink(gone); /* of the run before */
	if (rc == 0)
		rc = command_line(k, &w);
	if (rc == 0)
		rc = fork_guest(k, path, w.at);
	for (size_t i = 0; i < w.count; i++)
		free(w.at[i]);
	free(w.at);
	k->started_ms = clock_ms(CLOCK_MONOTONIC);
	k->started_at = clock_ms(CLOCK_REALTIME);
	k->again_ms = 0;
	if (rc == 0)
		report(k, "started");
	return rc;
}

/* ---- its end ---- */

static void pass_output(struct keeper *k, int which)
{
	char piece[PIECE];
	ssize_t n;

	if (k->out[which] < 0)
		return;
	while ((n = read(k->out[which], piece, sizeof(piece))) > 0)
		ctr_log_write(k->log, which ? CTR_STDERR : CTR_STDOUT, piece,
			      (size_t) n);
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		(void) close(k->out[which]); /* was only read from */
		k->out[which] = -1;
	}
}

static void close_output(struct keeper *k)
{
	for (int i = 0; i < 2; i++) {
		pass_output(k, i);
		if (k->out[i] >= 0)
			(void) close(k->out[i]); /* was only read from */
		k->out[i] = -1;
		ctr_log_end(k->log, i ? CTR_STDERR : CTR_STDOUT);
	}
}

static bool comes_again(const struct keeper *k, const struct ctr_exit *e)
{
	if (k->stopping || k->policy == ONCE)
		return false;
	if (k->policy == ALWAYS)
		return true;
	return e->code != 0 && (!k->tries || k->failures <= k->tries);
}

static void ended(struct keeper *k, int status)
{
	struct ctr_exit e = { .started = k->started_at,
			      .finished = clock_ms(CLOCK_REALTIME) };
	uint64_t now = clock_ms(CLOCK_MONOTONIC);

	e.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	e.code = e.signal ? 128 + e.signal : WEXITSTATUS(status);
	(void) kill(-k->pid, SIGKILL); /* what is left of its group, if any */
	k->pid = 0;
	k->kill_ms = 0;
	close_output(k);
	if (now - k->started_ms >= GOOD_MS) {
		k->pause_ms = 0;
		k->failures = 0;
	}
	k->failures += e.code != 0;
	if (!comes_again(k, &e)) {
		/* one that is told to end, as at a shutdown, is not over: guest_again */
		if (!k->stopping || k->policy == ONCE)
			(void) ctr_exit_save(k->folder, &e, NULL); /* nobody to tell */
		k->over = true;
		return;
	}
	k->pause_ms = k->pause_ms ? k->pause_ms * 2 : FIRST_MS;
	if (k->pause_ms > LONGEST_MS)
		k->pause_ms = LONGEST_MS;
	k->again_ms = now + k->pause_ms;
}

static void stop(struct keeper *k)
{
	autofree char *text = container_text(k->spec, "stopSignal");
	int number = text && *text ? container_signal(co_span(text)) : SIGTERM;
	int64_t seconds = container_number(k->spec, "stopTimeout", STOP_S);

	k->stopping = true;
	k->again_ms = 0;
	if (!k->pid) {
		k->over = true;
		return;
	}
	/* cloudos-exec passes on those that are no terminal's */
	if (number == SIGTERM || number == SIGHUP || number == SIGUSR1 ||
	    number == SIGUSR2)
		(void) kill(k->pid, number);
	else
		(void) kill(-k->pid, number > 0 ? number : SIGTERM);
	k->kill_ms = clock_ms(CLOCK_MONOTONIC) + (uint64_t) seconds * 1000;
}

static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo info;
	int status;

	while (read(k->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD && !k->stopping)
			stop(k);
	if (k->pid && waitpid(k->pid, &status, WNOHANG) == k->pid)
		ended(k, status);
}

/* ---- the loop ---- */

static int sooner(int a, uint64_t at_ms, uint64_t now)
{
	int b = at_ms > now ? (int) (at_ms - now) : 0;

	return !at_ms ? a : a < 0 || b < a ? b : a;
}

static void turn(struct keeper *k)
{
	uint64_t now = clock_ms(CLOCK_MONOTONIC);
	int wait = ctr_log_due(k->log);
	struct pollfd p[] = { { .fd = k->signals, .events = POLLIN },
			      { .fd = k->out[0], .events = POLLIN },
			      { .fd = k->out[1], .events = POLLIN } };

	wait = sooner(sooner(wait, k->again_ms, now), k->kill_ms, now);
	(void) poll(p, co_countof(p), wait); /* what there is to do is looked at */
	now = clock_ms(CLOCK_MONOTONIC);
	for (int i = 0; i < 2; i++)
		if (p[i + 1].revents)
			pass_output(k, i);
	on_signals(k);
	ctr_log_tick(k->log);
	if (k->kill_ms && now >= k->kill_ms && k->pid) {
		(void) kill(-k->pid, SIGKILL); /* it had its time */
		k->kill_ms = 0;
	}
	if (k->again_ms && now >= k->again_ms && start(k) < 0) {
		say(k, k->ctl->err.message);
		k->again_ms = now + LONGEST_MS;
	}
}

static int prepare(struct keeper *k)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct ctr_log_options log = { .folder = k->folder };
	struct co_json_fault fault;
	char path[CO_PATH_SIZE];
	sigset_t set;

	(void) snprintf(path, sizeof(path), "%s/lock",
			k->folder); /* too long: no file */
	k->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock < 0)
		return co_fail_errno(&k->ctl->err, errno, "cannot open %s", path);
	if (fcntl(k->lock, F_SETLK, &lock) < 0)
		return co_fail(&k->ctl->err, CO_BUSY, "the guest has a keeper already");
	k->text = guest_spec(k->folder);
	if (!k->text || co_json_check(co_span(k->text), &k->spec, &fault) < 0)
		return co_fail(&k->ctl->err, CO_NOT_FOUND,
			       "%s/spec.json does not tell what the guest is to be",
			       k->folder);
	log.max_bytes = (uint64_t) container_number(k->spec, "logMaxSize", 0) << 20;
	log.max_files = (unsigned) container_number(k->spec, "logMaxFiles", 0);
	read_policy(k);
	(void) sigemptyset(&set); /* these cannot fail */
	(void) sigaddset(&set, SIGCHLD);
	(void) sigaddset(&set, SIGTERM);
	(void) sigaddset(&set, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &set, NULL);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0)
		return co_fail_errno(&k->ctl->err, errno, "cannot wait for signals");
	return ctr_log_open(&log, &k->log, &k->ctl->err);
}

int cmd_guest_keep(struct ctl *ctl)
{
	struct keeper k = { .ctl = ctl,
			    .folder = ctl->operands[0],
			    .lock = -1,
			    .signals = -1,
			    .out = { -1, -1 } };
	int rc;

	guest_environment(k.folder);
	/* called by a person, nobody listens */
	k.reported = fcntl(REPORT, F_SETFD, FD_CLOEXEC) < 0;
	rc = prepare(&k);
	if (rc == 0)
		rc = start(&k);
	if (rc < 0)
		report(&k, ctl->err.message);
	while (rc == 0 && !k.over)
		turn(&k);
	ctr_log_close(k.log);
	free(k.text);
	return rc; /* the lock goes with us */
}
