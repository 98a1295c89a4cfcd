/* SPDX-License-Identifier: MIT */
/*
 * cloudosctl container cp, diff, commit: the files of containers.  HOST.
 *
 * Inside, cloudos-image reads and writes, in a process that sees the container's files and
 * nothing else; here tar(1) does, which follows no link of an archive.  In between is an
 * archive on a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <sys/stat.h>

#include "cli/container.h"
#include "lib/cleanup.h"

enum { WORDS = 20 };

/* What is needed of a container to reach its files. */
struct files {
	struct ctl *ctl;
	char *image, *bundle, *upper, *work; /* owned */
	char store[CO_PATH_SIZE + 16], pid[16];
	bool runs;
};

static void files_done(struct files *f)
{
	free(f->image);
	free(f->bundle);
	free(f->upper);
	free(f->work);
}
#define autofiles __attribute__((cleanup(files_done)))

static int find_files(struct files *f, struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	int64_t pid;
	int rc = container_get(&g, ctl, name);

	f->ctl = ctl;
	if (rc < 0)
		return rc;
	f->image = container_text(g.value, "imageId");
	f->bundle = container_text(g.value, "bundle");
	if (!f->image || !f->bundle || asprintf(&f->upper, "%s/upper", f->bundle) < 0 ||
	    asprintf(&f->work, "%s/work", f->bundle) < 0)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	pid = container_number(g.value, "pid", 0);
	f->runs = pid > 0;
	(void) snprintf(f->pid, sizeof(f->pid), "%" PRId64, pid); /* fits */
	(void) snprintf(f->store, sizeof(f->store), "%s/images", ctl->paths.state);
	return 0;
}

static int need_image(const struct files *f, const char *name, const char *what)
{
	if (*f->image)
		return 0;
	return co_fail(
		&f->ctl->err, CO_UNSUPPORTED,
		"container %.100s was made from a folder and not from an image, so "
		"there is nothing to %s",
		name, what);
}

/* ---- programs with a pipe between ---- */

/* {"event":"failed","status":"NOT_FOUND","message":".."} as ours. */
static int failed(struct ctl *ctl, const struct co_buf *said)
{
	static const struct {
		const char *name;
		int status;
	} map[] = { { "NOT_FOUND", CO_NOT_FOUND }, { "NOT_DIR", CO_NOT_DIR },
		    { "ACCESS", CO_ACCESS },       { "EXISTS", CO_EXISTS },
		    { "NO_SPACE", CO_NO_SPACE },   { "INVALID", CO_INVALID } };
	struct co_span text = { said->data ? said->data : "", said->size }, value;
	autofree char *status = NULL, *message = NULL;
	struct co_json_fault fault;
	int rc = CO_IO;

	while (text.size && text.data[text.size - 1] == '\n')
		text.size--;
	for (const char *p; (p = memchr(text.data, '\n', text.size));) { /* the last */
		text.size -= (size_t) (p + 1 - text.data);
		text.data = p + 1;
	}
	if (co_json_check(text, &value, &fault) < 0)
		return co_fail(&ctl->err, CO_IO, "cloudos-image has failed");
	status = container_text(value, "status");
	message = container_text(value, "message");
	for (size_t i = 0; status && i < co_countof(map); i++)
		if (strcmp(map[i].name, status) == 0)
			rc = map[i].status;
	return co_fail(&ctl->err, rc, "%s", message ? message : "it failed");
}

/* "cloudos-image --store S [--pid P | --work W] VERB IMAGE UPPER PATH" */
static int image_words(const struct files *f, const char *verb, const char *path,
		       char program[CO_PATH_SIZE], const char **w)
{
	size_t n = 0;
	int rc = co_program_path("cloudos-image", program, CO_PATH_SIZE, &f->ctl->err);

	w[n++] = program;
	w[n++] = "--store";
	w[n++] = f->store;
	if (f->runs) {
		w[n++] = "--pid";
		w[n++] = f->pid;
	} else if (strcmp(verb, "cp-in") == 0) {
		w[n++] = "--work";
		w[n++] = f->work;
	}
	w[n++] = verb;
	w[n++] = "--";
	w[n++] = *f->image ? f->image : "none";
	w[n++] = f->upper;
	w[n++] = path;
	w[n] = NULL;
	return rc;
}

/* ---- out of a container ---- */

/* Is there an archive?  Otherwise whoever unpacks it would complain as well. */
static bool something_comes(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
	return p.revents & POLLIN;
}

/* An archive of path into `tar` (NULL: our standard output). */
static int pack(const struct files *f, const char *path, const char *const *tar)
{
	char program[CO_PATH_SIZE];
	const char *words[WORDS];
	int fds[2] = { -1, -1 }, rc, first, second = 0;
	pid_t image = 0, unpack = 0;

	rc = image_words(f, "cp-out", path, program, words);
	if (rc == 0 && tar)
		rc = container_pipe(f->ctl, fds);
	if (rc < 0)
		return rc;
	rc = container_spawn(f->ctl, words, -1, fds[1], &image);
	if (fds[1] >= 0)
		(void) close(fds[1]); /* the child's */
	if (rc == 0 && tar && something_comes(fds[0]))
		rc = container_spawn(f->ctl, tar, fds[0], -1, &unpack);
	if (fds[0] >= 0)
		(void) close(fds[0]); /* the same */
	first = image ? container_reap(image) : 0;
	second = unpack ? container_reap(unpack) : 0;
	if (rc < 0)
		return rc;
	if (first) /* it has said why on standard error */
		return co_fail(&f->ctl->err,
			       first == CTL_EXIT_NOT_FOUND ? CO_NOT_FOUND : CO_IO,
			       "cannot copy %s out of the container", path);
	return second ? co_fail(&f->ctl->err, CO_IO, "cannot write what was copied")
		      : 0;
}

/* What a path is called at its end; "" for the root and for "x/." */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	return strcmp(last, ".") == 0 ? "" : last;
}

static void trim(char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = 0;
}

/* Into a folder of its own beside the destination, and then under its name. */
static int out_as(const struct files *f, const char *path, const char *to)
{
	autofree char *copy = strdup(to), *folder = NULL;
	char from[CO_PATH_SIZE];
	int rc;

	if (!copy || asprintf(&folder, "%s/.cloudos-cp.XXXXXX", dirname(copy)) < 0)
		return co_fail(&f->ctl->err, CO_NO_MEMORY, "out of memory");
	if (!mkdtemp(folder))
		return co_fail_errno(&f->ctl->err, errno, "cannot write beside %s", to);
	rc = pack(f, path,
		  (const char *const[]){ "tar", "-x", "--no-same-owner", "-C", folder,
					 NULL });
	(void) snprintf(from, sizeof(from), "%s/%s", folder, last_part(path));
	if (rc == 0 && rename(from, to) < 0)
		rc = co_fail_errno(&f->ctl->err, errno, "cannot write %s", to);
	if (rmdir(folder) < 0) { /* something is left in it */
		pid_t pid;

		if (container_spawn(
			    f->ctl,
			    (const char *const[]){ "rm", "-rf", "--", folder, NULL },
			    -1, -1, &pid) == 0)
			(void) container_reap(pid);
	}
	return rc;
}

static int copy_out(const struct files *f, char *path, const char *to)
{
	/* "x/." is what x has in it: without its name in front */
	const char *strip = "--strip-components=0";
	size_t n = strlen(path);
	struct stat st;

	if (strcmp(to, "-") != 0 && !*last_part(path) && n > 2 && mkdir(to, 0777) < 0 &&
	    errno != EEXIST)
		return co_fail_errno(&f->ctl->err, errno, "cannot make the folder %s",
				     to);
	if (n > 3 && strcmp(path + n - 2, "/.") == 0) {
		path[n - 2] = 0;
		strip = "--strip-components=1";
	}
	trim(path);
	if (strcmp(to, "-") == 0)
		return pack(f, path, NULL);
	if (stat(to, &st) == 0 && S_ISDIR(st.st_mode))
		return pack(f, path,
			    (const char *const[]){ "tar", "-x", "--no-same-owner",
						   strip, "-C", to, NULL });
	return out_as(f, path, to);
}

/* ---- into a container ---- */

/* tar's --transform that gives the one name the other; old and new are without "/". */
static void rename_rule(struct co_buf *out, const char *old, const char *new)
{
	static const char special[] = ".[]*^$\\|&";
	const char *parts[] = { old, new };

	co_buf_text(out, "--transform=flags=rh;s|^");
	for (int i = 0; i < 2; i++) {
		for (const char *p = parts[i]; *p; p++) {
			if (strchr(special, *p))
				co_buf_char(out, '\\');
			co_buf_char(out, *p);
		}
		co_buf_char(out, '|');
	}
}

/* From `tar` (NULL: our standard input) into the folder. */
static int unpack(const struct files *f, const char *folder, const char *const *tar)
{
	autobuf struct co_buf said = { 0 };
	char program[CO_PATH_SIZE];
	const char *words[WORDS];
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, rc, status = 0;
	pid_t image = 0, archive = 0;

	rc = image_words(f, "cp-in", folder, program, words);
	if (rc == 0)
		rc = container_pipe(f->ctl, out);
	if (rc == 0 && tar)
		rc = container_pipe(f->ctl, in);
	if (rc == 0)
		rc = container_spawn(f->ctl, words, in[0], out[1], &image);
	if (rc == 0 && tar)
		rc = container_spawn(f->ctl, tar, -1, in[1], &archive);
	for (int i = 0; i < 2; i++)
		if (in[i] >= 0)
			(void) close(in[i]); /* the children's */
	if (out[1] >= 0)
		(void) close(out[1]); /* the same */
	if (rc == 0)
		rc = container_read(f->ctl, out[0], &said);
	if (out[0] >= 0)
		(void) close(out[0]); /* was only read from */
	if (image)
		status = container_reap(image);
	if (archive)
		(void) container_reap(archive); /* what it could not read it has told */
	if (rc == 0 && status)
		rc = failed(f->ctl, &said);
	return rc;
}

static int copy_in(const struct files *f, const char *from, char *path)
{
	autofree char *source = strdup(from), *copy = strdup(from);
	autofree char *target = strdup(path);
	autobuf struct co_buf rule = { 0 };
	bool folder = *path && path[strlen(path) - 1] == '/';
	const char *tar[] = { "tar", "-c", "--owner=0", "--group=0", "--numeric-owner",
			      "-C",  NULL, "--",        NULL,        NULL,
			      NULL };
	int rc;

	if (!source || !copy || !target)
		return co_fail(&f->ctl->err, CO_NO_MEMORY, "out of memory");
	trim(path);
	if (strcmp(from, "-") == 0)
		return unpack(f, path, NULL);
	if (access(from, F_OK) < 0)
		return co_fail_errno(&f->ctl->err, errno, "cannot copy %s", from);
	trim(copy);
	trim(source);
	tar[6] = dirname(copy);
	tar[8] = *last_part(source) ? last_part(source) : ".";
	if (strcmp(source, "/") == 0 || !*last_part(source))
		tar[6] = source;
	rc = unpack(f, path, tar);
	if ((rc != CO_NOT_FOUND && rc != CO_NOT_DIR) || folder)
		return rc;
	/* it is not a folder: it is what the copy is to be called */
	f->ctl->err = (struct co_err){ 0 };
	rename_rule(&rule, tar[8], last_part(path));
	tar[9] = tar[8];
	tar[8] = tar[7];
	tar[7] = rule.data;
	if (rule.failed)
		return co_fail(&f->ctl->err, CO_NO_MEMORY, "out of memory");
	trim(target);
	return unpack(f, dirname(target), tar);
}

/* "NAME:PATH" in two; false: it is a path of this machine. */
static bool split(char *text, char **out_path)
{
	char *colon = strchr(text, ':');

	if (!colon || text[0] == '.' || text[0] == '/' ||
	    memchr(text, '/', (size_t) (colon - text)))
		return false;
	*colon = 0;
	*out_path = colon[1] ? colon + 1 : (char *) "/";
	return true;
}

int cmd_container_cp(struct ctl *ctl)
{
	autofree char *from = strdup(ctl->operands[0]), *to = strdup(ctl->operands[1]);
	autofiles struct files f = { 0 };
	char *inside = NULL, *other = NULL;
	bool out, in;
	int rc;

	if (!from || !to)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	out = split(from, &inside);
	in = split(to, out ? &other : &inside);
	if (out == in)
		return ctl_usage(ctl,
				 "one of the two is CONTAINER:PATH, the other a path "
				 "of this machine or -");
	rc = find_files(&f, ctl, out ? from : to);
	if (rc == 0 && !f.runs)
		rc = need_image(&f, out ? from : to, "lay upon each other; start it");
	if (rc < 0)
		return rc;
	return out ? copy_out(&f, inside, to) : copy_in(&f, from, inside);
}

/* ---- diff ---- */

int cmd_container_diff(struct ctl *ctl)
{
	static const char *const columns[] = { "kind", "path", NULL };
	autobuf struct co_buf said = { 0 };
	autofiles struct files f = { 0 };
	char program[CO_PATH_SIZE];
	const char *words[WORDS];
	struct co_print *rows;
	int out[2] = { -1, -1 }, status = 0;
	pid_t pid = 0;
	int rc = find_files(&f, ctl, ctl->operands[0]);

	if (rc == 0)
		rc = need_image(&f, ctl->operands[0], "compare with");
	if (rc == 0) {
		f.runs = false; /* what is on the disk is what it has changed */
		rc = image_words(&f, "diff", NULL, program, words);
	}
	if (rc == 0)
		rc = container_pipe(ctl, out);
	if (rc < 0)
		return rc;
	rc = container_spawn(ctl, words, -1, out[1], &pid);
	(void) close(out[1]); /* the child's */
	if (rc == 0)
		rc = container_read(ctl, out[0], &said);
	(void) close(out[0]); /* was only read from */
	if (pid)
		status = container_reap(pid);
	if (rc == 0 && status)
		rc = failed(ctl, &said);
	if (rc < 0)
		return rc;
	rows = co_print_new(&ctl->style, columns);
	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	for (char *line = said.data, *next; line && *line; line = next) {
		struct co_json_fault fault;
		struct co_span value;

		next = line + strcspn(line, "\n");
		if (co_json_check((struct co_span){ line, (size_t) (next - line) },
				  &value, &fault) == 0) {
			autofree char *kind = container_text(value, "kind");
			autofree char *path = container_text(value, "path");

			if (kind && *kind && path) {
				co_print_text(rows, kind);
				co_print_text(rows, path);
			}
		}
		next += *next == '\n';
	}
	return ctl_printed(ctl, co_print_end(rows));
}

/* ---- commit ---- */

static int freeze(struct ctl *ctl, const char *name, const char *verb)
{
	autogateway struct gateway g;

	container_request(&g, ctl, "POST", name, verb);
	return gateway_call(&g);
}

int cmd_container_commit(struct ctl *ctl)
{
	const char *name = ctl->operands[0];
	autofiles struct files f = { 0 };
	autogateway struct gateway g;
	struct co_err before;
	bool freezes;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGES "/commit");
	g.timeout_ms = -1;
	rc = find_files(&f, ctl, name);
	if (rc == 0)
		rc = need_image(&f, name, "stand on");
	if (rc < 0)
		return rc;
	co_buf_text(&g.body, "{\"image\":");
	co_buf_json_text(&g.body, co_span(f.image));
	co_buf_text(&g.body, ",\"upper\":");
	co_buf_json_text(&g.body, co_span(f.upper));
	co_buf_text(&g.body, ",\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[1]));
	co_buf_char(&g.body, '}');
	freezes = f.runs && !ctl_option(ctl, "no-pause") &&
		  freeze(ctl, name, "/pause") == 0;
	ctl->err = (struct co_err){ 0 }; /* it may be frozen already */
	rc = gateway_call(&g);
	before = ctl->err;
	if (freezes && freeze(ctl, name, "/unpause") < 0 && rc == 0)
		return ctl->err.code;
	ctl->err = before;
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return ctl_say(ctl, "%s", ctl->operands[1]);
}
