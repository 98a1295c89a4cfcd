/* SPDX-License-Identifier: MIT */
/* What is known of a container from one command to the next.  HOST. */
#include "cloudosd/ctr/state.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "cloudosd/ctr/config_read.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- where ---- */

bool ctr_rootless(void)
{
	autobuf struct co_buf map = { 0 };
	unsigned long inside = 1, outside = 1, size = 0;

	if (geteuid() != 0)
		return true;
	if (ctr_file_read("/proc/self/uid_map", 4096, &map, NULL) < 0 || !map.size)
		return false; /* a kernel without such name spaces */
	return sscanf(map.data, "%lu %lu %lu", &inside, &outside, &size) != 3 ||
	       inside != 0 || outside != 0 || size != UINT32_MAX;
}

int ctr_state_root(const char *option, char *out, size_t size, struct co_err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (option)
		n = snprintf(out, size, "%s", option);
	else if (runtime && runtime[0] == '/' && ctr_rootless())
		n = snprintf(out, size, "%s/cloudos-ctr", runtime);
	else if (geteuid() == 0)
		n = snprintf(out, size, "/run/cloudos-ctr");
	else
		n = snprintf(out, size, "/tmp/cloudos-ctr-%u", geteuid());
	if (n < 0 || (size_t) n >= size)
		return co_fail(err, CO_NAME_TOO_LONG, "the path of --root is too long");
	return 0;
}

int ctr_state_check_id(const char *id, struct co_err *err)
{
	size_t n = strlen(id);

	if (n == 0 || n > 255 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0 ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		       "0123456789_+-.") != n)
		return co_fail(err, CO_INVALID,
			       "%.60s is no id: letters, digits and _+-. only", id);
	return 0;
}

static int path_of(const char *root, const char *id, const char *name,
		   char out[PATH_MAX], struct co_err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s%s", root, id, name ? "/" : "",
			 name ? name : "");

	if (n < 0 || n >= PATH_MAX)
		return co_fail(err, CO_NAME_TOO_LONG, "the path of --root is too long");
	return 0;
}

static int make_root(const char *root, struct co_err *err)
{
	char part[PATH_MAX];
	size_t n = strlen(root);
	struct stat st;

	if (n >= sizeof(part))
		return co_fail(err, CO_NAME_TOO_LONG, "the path of --root is too long");
	for (size_t i = 1; i <= n; i++) {
		if (root[i] != '/' && root[i] != '\0')
			continue;
		memcpy(part, root, i);
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return co_fail_errno(err, errno, "%s cannot be made", part);
	}
	if (stat(root, &st) < 0)
		return co_fail_errno(err, errno, "%s cannot be opened", root);
	if (st.st_uid != geteuid() && geteuid() != 0)
		return co_fail(err, CO_ACCESS, "%s belongs to somebody else", root);
	return 0;
}

int ctr_state_reserve(const char *root, const char *id, struct co_err *err)
{
	char path[PATH_MAX];
	int rc = ctr_state_check_id(id, err);

	if (rc == 0)
		rc = make_root(root, err);
	if (rc == 0)
		rc = path_of(root, id, NULL, path, err);
	if (rc < 0)
		return rc;
	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno == EEXIST)
		return co_fail(err, CO_EXISTS, "container `%s` exists already", id);
	return co_fail_errno(err, errno, "%s cannot be made", path);
}

int ctr_state_remove(const char *root, const char *id, struct co_err *err)
{
	static const char *const files[] = { "notify/notify",   "status",
					     "status.new",      "state.json",
					     "state.json.new",  "config.json",
					     "config.json.new", "start.sock" };
	char path[PATH_MAX];
	int rc = ctr_state_check_id(id, err);

	for (size_t i = 0; i < co_countof(files) && rc == 0; i++) {
		rc = path_of(root, id, files[i], path, err);
		if (rc == 0 && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
			return co_fail_errno(err, errno, "%s cannot be removed", path);
	}
	if (rc == 0)
		rc = path_of(root, id, "notify", path, err);
	if (rc == 0)
		(void) rmdir(path); /* mostly there is none */
	if (rc == 0)
		rc = path_of(root, id, NULL, path, err);
	if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
		return co_fail_errno(err, errno, "%s cannot be removed", path);
	return rc;
}

/* ---- processes ---- */

uint64_t ctr_pid_start(pid_t pid)
{
	char path[64], text[1024], *at, state;
	unsigned long long start = 0;
	ssize_t n;
	autoclose int fd = -1;

	if (pid <= 0)
		return 0;
	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')'); /* a name may have brackets and blanks in it */
	if (!at || sscanf(at + 1,
			  " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			  "%*d %*d %*d %*d %llu",
			  &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

bool ctr_state_alive(const struct ctr_state *s)
{
	return s->pid > 0 && s->pid_start > 0 &&
	       ctr_pid_start((pid_t) s->pid) == s->pid_start;
}

const char *ctr_state_status(const struct ctr_state *s)
{
	struct ctr_cgroup *g = NULL;
	bool frozen = false;

	if (s->pid <= 0)
		return "creating";
	if (!ctr_state_alive(s))
		return "stopped";
	if (s->cgroup.data && ctr_cgroup_open(s->cgroup, &g, NULL) == 0) {
		frozen = ctr_cgroup_frozen(g);
		ctr_cgroup_free(g);
	}
	if (frozen)
		return "paused";
	return s->started ? "running" : "created";
}

/* ---- writing ---- */

static char *owner_name(uid_t uid)
{
	static char number[16];

	/* getpwuid would want the shared library of libc in a static program */
	(void) snprintf(number, sizeof(number), "%u", uid);
	return uid == 0 ? (char *) (uintptr_t) "root" : number;
}

void ctr_state_fill(struct ctr_state *s, const char *id,
		    const struct ctr_config *config, char created[40])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* never fails */
	(void) gmtime_r(&now.tv_sec, &tm);
	n = strftime(created, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	(void) snprintf(created + n, 40 - n, ".%09ldZ", now.tv_nsec);
	*s = (struct ctr_state){
		.version = config->version,
		.id = (char *) (uintptr_t) id,
		.bundle = config->bundle,
		.rootfs = config->root,
		.owner = owner_name(geteuid()),
		.created = created,
	};
}

static void add_member(struct co_buf *out, const char *name, const char *text)
{
	co_buf_text(out, out->size > 1 ? "," : "");
	co_buf_json_text(out, co_span(name));
	co_buf_char(out, ':');
	co_buf_json_text(out, co_span(text ? text : ""));
}

int ctr_state_write_file(const char *root, const char *id, const char *name,
			 struct co_span text, struct co_err *err)
{
	char path[PATH_MAX], fresh[PATH_MAX + 8];
	autoclose int fd = -1;
	size_t done = 0;
	int rc = path_of(root, id, name, path, err);

	if (rc < 0)
		return rc;
	(void) snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "%s cannot be made", fresh);
	while (done < text.size) {
		ssize_t n = write(fd, text.data + done, text.size - done);

		if (n < 0 && errno != EINTR)
			return co_fail_errno(err, errno, "%s cannot be written", fresh);
		done += n > 0 ? (size_t) n : 0;
	}
	if (rename(fresh, path) < 0)
		return co_fail_errno(err, errno, "%s cannot be replaced", path);
	return 0;
}

int ctr_state_write(const char *root, const struct ctr_state *s, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	co_buf_char(&text, '{');
	add_member(&text, "ociVersion", s->version);
	add_member(&text, "id", s->id);
	add_member(&text, "bundle", s->bundle);
	add_member(&text, "rootfs", s->rootfs);
	add_member(&text, "created", s->created);
	add_member(&text, "owner", s->owner);
	co_buf_format(&text, ",\"pid\":%lld,\"pidStart\":%llu,\"started\":%s",
		      (long long) s->pid, (unsigned long long) s->pid_start,
		      s->started ? "true" : "false");
	if (s->cgroup.data) {
		co_buf_text(&text, ",\"cgroup\":");
		co_buf_span(&text, s->cgroup);
	}
	if (s->annotations.data) {
		co_buf_text(&text, ",\"annotations\":");
		co_buf_span(&text, s->annotations);
	}
	co_buf_text(&text, "}\n");
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	return ctr_state_write_file(root, s->id, "state.json",
				    (struct co_span){ text.data, text.size }, err);
}

/* ---- reading ---- */

static const struct ctr_field state_fields[] = {
#define FIELD(name, read, member) CTR_FIELD(struct ctr_state, name, read, member)
	FIELD("ociVersion", ctr_read_text, version),
	FIELD("id", ctr_read_text, id),
	FIELD("bundle", ctr_read_text, bundle),
	FIELD("rootfs", ctr_read_text, rootfs),
	FIELD("created", ctr_read_text, created),
	FIELD("owner", ctr_read_text, owner),
	FIELD("pid", ctr_read_i64, pid),
	FIELD("pidStart", ctr_read_u64, pid_start),
	FIELD("started", ctr_read_bool, started),
	FIELD("cgroup", ctr_read_raw, cgroup),
	FIELD("annotations", ctr_read_raw, annotations),
#undef FIELD
};

static int read_state(struct ctr_heap *heap, const char *path, struct ctr_state *s,
		      struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	struct ctr_read r = { .heap = heap, .err = err };
	struct co_json_fault fault;
	struct co_span value;
	char *copy;
	int rc = ctr_file_read(path, 2 * CO_LIMIT_CTR_CONFIG, &text, err);

	if (rc < 0)
		return rc;
	copy = ctr_heap_text(heap, text.data ? text.data : "", text.size);
	if (!copy)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	if (co_json_check((struct co_span){ copy, text.size }, &value, &fault) < 0)
		return co_fail(err, CO_CORRUPT, "%s is not JSON: %s", path, fault.what);
	rc = CTR_READ_OBJECT(&r, value, state_fields, s);
	if (rc == 0 && (!s->version || !s->id || !s->bundle))
		return co_fail(err, CO_CORRUPT, "%s lacks its version, id or bundle",
			       path);
	return rc;
}

int ctr_state_read(const char *root, const char *id, struct ctr_state *out,
		   struct co_err *err)
{
	struct ctr_heap *heap;
	char path[PATH_MAX];
	int rc = ctr_state_check_id(id, err);

	if (rc == 0)
		rc = path_of(root, id, "state.json", path, err);
	if (rc < 0)
		return rc;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	*out = (struct ctr_state){ .heap = heap };
	rc = read_state(heap, path, out, err);
	if (rc < 0)
		ctr_state_done(out);
	if (rc == CO_NOT_FOUND)
		return co_fail(err, rc, "container `%s` does not exist", id);
	return rc;
}

void ctr_state_done(struct ctr_state *s)
{
	if (s->heap)
		ctr_heap_done(s->heap);
	free(s->heap);
	*s = (struct ctr_state){ 0 };
}

void ctr_state_print(const struct ctr_state *s, struct co_buf *out)
{
	bool alive = ctr_state_alive(s);
	autobuf struct co_buf text = { 0 };

	co_buf_char(&text, '{');
	add_member(&text, "ociVersion", s->version);
	add_member(&text, "id", s->id);
	add_member(&text, "status", ctr_state_status(s));
	co_buf_format(&text, ",\"pid\":%lld", alive ? (long long) s->pid : 0);
	add_member(&text, "bundle", s->bundle);
	add_member(&text, "rootfs", s->rootfs);
	add_member(&text, "created", s->created);
	add_member(&text, "owner", s->owner);
	co_buf_text(&text, ",\"annotations\":");
	if (s->annotations.data)
		co_buf_span(&text, s->annotations);
	else
		co_buf_text(&text, "{}");
	co_buf_char(&text, '}');
	co_buf_add(out, text.data, text.size);
	out->failed = out->failed || text.failed;
}
