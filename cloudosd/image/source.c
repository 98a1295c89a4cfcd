/* SPDX-License-Identifier: MIT */
/* Where the files of an image come from.  HOST. */
#include "cloudosd/image/source.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/image/report.h"
#include "cloudosd/image/sandbox.h"
#include "cloudosd/image/spool.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/json_scan.h"

enum { LINKS = 8 };

int source_folder(struct source *s, struct depot *d, const char *path,
		  struct co_err *err)
{
	*s = (struct source){ .what = path, .depot = d };
	s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	return 0;
}

void source_done(struct source *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->at[i].name);
		free(s->at[i].link);
	}
	free(s->at);
	if (s->folder >= 0)
		(void) close(s->folder); /* only read */
	if (s->depot)
		depot_temp_remove(s->depot, s->temp);
	*s = (struct source){ .folder = -1 };
}

/* ---- archives ---- */

/* Parts between slashes, without empty ones and "."; ".." goes up.  NULL: no memory, or out
 * of the archive. */
static char *normal(const char *folder, const char *name)
{
	char *out = calloc(1, strlen(folder) + strlen(name) + 2), *end = out;
	const char *parts[2] = { folder, name };

	for (int i = 0; out && i < 2; i++)
		for (const char *p = parts[i]; *p;) {
			size_t n = strcspn(p, "/");

			if (n == 2 && p[0] == '.' && p[1] == '.') {
				if (end == out) {
					free(out);
					return NULL;
				}
				*end = '\0';
				end = strrchr(out, '/') ? strrchr(out, '/') : out;
			} else if (n && !(n == 1 && *p == '.')) {
				if (end != out)
					*end++ = '/';
				memcpy(end, p, n);
				end += n;
			}
			*end = '\0';
			p += n + (p[n] == '/');
		}
	return out;
}

static char *text_of(struct co_span json, const char *name)
{
	struct co_buf text = { 0 };
	struct co_span value;
	size_t size;

	if (!co_json_member(json, name, &value) || co_json_unescape(value, &text) ||
	    text.failed || !text.size) {
		co_buf_done(&text);
		return NULL;
	}
	return co_buf_take(&text, &size);
}

static int take_line(void *arg, struct co_span json, struct co_err *err)
{
	struct source *s = arg;
	struct source_member m = { 0 };
	autofree char *name = text_of(json, "name");
	struct co_span value;
	int64_t number = 0, size = 0;

	m.link = text_of(json, "link");
	if (!m.link &&
	    (!co_json_member(json, "file", &value) || !co_json_whole(value, &number) ||
	     !co_json_member(json, "size", &value) || !co_json_whole(value, &size) ||
	     number < 0 || number > CO_LIMIT_IMAGE_MEMBERS || size < 0))
		return co_fail(err, CO_PROTOCOL, "the archive's reader talks nonsense");
	m.file = (unsigned) number;
	m.size = (uint64_t) size;
	m.name = name ? normal("", name) : NULL;
	if (s->count == s->room && s->room < 2 * CO_LIMIT_IMAGE_MEMBERS) {
		size_t room = s->room ? s->room * 2 : 64;
		struct source_member *more = realloc(s->at, room * sizeof(*more));

		if (more) {
			s->at = more;
			s->room = room;
		}
	}
	if (!m.name || s->count == s->room) {
		free(m.link);
		free(m.name);
		/* a name that leads out of the archive is nobody's */
		return s->count == s->room ? co_fail(err, CO_TOO_BIG,
						     "%s has too many names", s->what)
					   : 0;
	}
	s->at[s->count++] = m;
	report_progress("read", m.name, s->count, 0);
	return 0;
}

struct spooling {
	struct source *source;
	struct spool spool;
};

static int spool_job(void *arg, int root, FILE *out, struct co_err *err)
{
	const struct spooling *s = arg;

	return spool_files(&s->spool, root, out, err);
}

static int spool_line(void *arg, struct co_span line, struct co_err *err)
{
	const struct spooling *s = arg;

	return take_line(s->source, line, err);
}

int source_archive(struct source *s, struct depot *d, int fd, const char *what,
		   uint64_t most_bytes, struct co_err *err)
{
	struct spooling spooling = { .source = s };
	struct sandbox box = { .fds = { fd, -1 },
			       .job = spool_job,
			       .line = spool_line,
			       .arg = &spooling };
	char path[PATH_MAX];
	int r;

	*s = (struct source){ .what = what, .depot = d, .folder = -1 };
	spooling.spool =
		(struct spool){ .fd = fd, .what = what, .most_bytes = most_bytes };
	if (lseek(fd, 0, SEEK_SET) < 0)
		return co_fail_errno(err, errno, "cannot read %s", what);
	r = depot_temp_folder(d, s->temp, err);
	if (r)
		s->temp[0] = '\0';
	if (!r)
		r = depot_path(d, s->temp, path, err);
	box.folder = path;
	if (!r)
		r = sandbox_run(&box, err);
	if (r)
		return r;
	(void) co_fault("image.spooled"); /* a place to be killed at */
	s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return s->folder < 0 ? co_fail_errno(err, errno, "cannot open %s", path) : 0;
}

/* ---- files ---- */

static const struct source_member *find(const struct source *s, const char *name)
{
	for (size_t i = s->count; i > 0; i--) /* the last one of a name counts */
		if (strcmp(s->at[i - 1].name, name) == 0)
			return &s->at[i - 1];
	return NULL;
}

/* docker links layers that several images have: "../ID/layer.tar", or by hard links. */
static const struct source_member *follow(const struct source *s, const char *name)
{
	autofree char *path = normal("", name);

	for (int i = 0; path && i < LINKS; i++) {
		const struct source_member *m = find(s, path);
		char *slash, *next;

		if (!m || !m->link)
			return m;
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
		else
			*path = '\0';
		next = normal(path, m->link);
		if (!next || !find(s, next)) {
			free(next);
			next = normal("", m->link);
		}
		free(path);
		path = next;
	}
	return NULL;
}

static int open_plain(int folder, const char *name)
{
	/* a pipe must not make us wait */
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					   RESOLVE_NO_MAGICLINKS };

	return (int) syscall(SYS_openat2, folder, name, &how, sizeof(how));
}

int source_open(const struct source *s, const char *name, int *out_fd,
		uint64_t *out_size, struct co_err *err)
{
	const struct source_member *m = NULL;
	char number[16];
	struct stat st;

	if (*s->temp) {
		m = follow(s, name);
		if (!m)
			return co_fail(err, CO_NOT_FOUND, "%s has no file %.200s",
				       s->what, name);
		(void) snprintf(number, sizeof(number), "%u", m->file);
	}
	*out_fd = open_plain(s->folder, m ? number : name);
	if (*out_fd < 0)
		return co_fail_errno(err, errno, "cannot open %.200s of %s", name,
				     s->what);
	if (fstat(*out_fd, &st) || !S_ISREG(st.st_mode)) {
		(void) close(*out_fd); /* only read */
		*out_fd = -1;
		return co_fail(err, CO_INVALID, "%.200s of %s is no file", name,
			       s->what);
	}
	*out_size = (uint64_t) st.st_size;
	return 0;
}

bool source_has(const struct source *s, const char *name)
{
	uint64_t size;
	autoclose int fd = -1;

	return source_open(s, name, &fd, &size, NULL) == 0;
}

int source_text(const struct source *s, const char *name, struct co_buf *out,
		struct co_err *err)
{
	autoclose int fd = -1;
	uint64_t size;
	char *room;
	ssize_t n;
	int r = source_open(s, name, &fd, &size, err);

	if (r)
		return r;
	if (size > CO_LIMIT_IMAGE_JSON)
		return co_fail(err, CO_TOO_BIG,
			       "%.200s of %s has more than %d bytes: not taken", name,
			       s->what, CO_LIMIT_IMAGE_JSON);
	room = co_buf_room(out, size + 1);
	if (!room)
		return co_fail(err, CO_NO_MEMORY, "no memory for %.200s", name);
	n = pread(fd, room, size, 0);
	if (n != (ssize_t) size)
		return co_fail_errno(err, n < 0 ? errno : EIO, "cannot read %.200s",
				     name);
	co_buf_wrote(out, size);
	return 0;
}

/* ---- blobs ---- */

static int lies(const struct source *s, const char *name, const struct digest *want,
		const struct digest *is, struct co_err *err)
{
	return co_fail(err, CO_CORRUPT,
		       "%.100s of %.100s is not what it is said to be: its digest is "
		       "%s and not %s",
		       name, s->what, is->text, want->text);
}

int source_blob(struct source *s, const char *name, const struct digest *want,
		const uint64_t *want_size, struct digest *out, bool *out_known,
		struct co_err *err)
{
	autoclose int from = -1, to = -1;
	uint64_t size, had, most;
	char temp[64];
	int r = source_open(s, name, &from, &size, err);

	*out_known = false;
	if (r)
		return r;
	if (want_size && *want_size != size)
		return co_fail(
			err, CO_CORRUPT,
			"%.100s of %.100s has %llu bytes and is said to have %llu",
			name, s->what, (unsigned long long) size,
			(unsigned long long) *want_size);
	if (want && depot_blob_size(s->depot, want, &had) && had == size) {
		*out = *want;
		*out_known = true;
		return 0;
	}
	r = depot_temp_file(s->depot, temp, &to, err);
	most = size; /* not more, should it grow */
	if (!r)
		r = digest_stream(from, to, most, name, out, &size, err);
	if (!r && want && !digest_equal(want, out))
		r = lies(s, name, want, out, err);
	if (!r && depot_blob_size(s->depot, out, &had) && had == size)
		*out_known = true;
	else if (!r)
		return depot_blob_keep(s->depot, temp, to, out, err);
	depot_temp_remove(s->depot, temp);
	return r;
}
