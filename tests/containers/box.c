/* SPDX-License-Identifier: MIT */
/* See box.h.  HOST. */
#include "tests/containers/box.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { NOBODY = 65534, FIRST = 100000 };

/* What the process inside and the test share. */
struct shared {
	struct co_err err;
	char notes[1024];
	struct ctr_rootfs files;
	int status;
};

struct inside {
	struct box *box;
	struct shared *shared;
	int (*look)(void);
	int go;
};

static void note(void *arg, const char *sentence)
{
	struct shared *s = ((struct inside *) arg)->shared;
	size_t n = strlen(s->notes);

	(void) snprintf(s->notes + n, sizeof(s->notes) - n, "%s\n", sentence); /* cut */
}

static int before_pivot(void *arg, struct co_err *err)
{
	struct box *b = ((struct inside *) arg)->box;

	return b->before_pivot ? b->before_pivot(b->arg, err) : 0;
}

static int in_the_box(const struct inside *i)
{
	struct box *b = i->box;
	bool own = b->kind != BOX_ROOT;
	struct ctr_rootfs_inside how = { .from_outside = &i->shared->files,
					 .console = -1,
					 .own_user = own,
					 .rootless = b->kind == BOX_ROOTLESS,
					 .before_pivot = before_pivot,
					 .arg = (void *) i,
					 .note = note };
	int terminal[2], status;

	b->config.process.terminal = b->terminal;
	how.out_terminal = terminal;
	if (own && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return co_fail_errno(&i->shared->err, errno, "cannot be root inside");
	status = ctr_rootfs_sysctl(&b->config, &i->shared->err);
	if (status == 0)
		status = ctr_rootfs_enter(&b->config, &how, &i->shared->err);
	return status == 0 && i->look ? i->look() : status;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0 &&
			      write(fd, text, strlen(text)) == (ssize_t) strlen(text),
		      "%s: %s", path, strerror(errno));
	(void) close(fd);
}

static void write_map(pid_t pid, const char *which, const struct ctr_id_map *map)
{
	char path[64], text[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, which);
	(void) snprintf(text, sizeof(text), "%u %u %u", map->inside, map->outside,
			map->count);
	write_text(path, text);
}

static int flags_of(const struct box *b)
{
	int flags = SIGCHLD | CLONE_FILES;

	for (size_t i = 0; i < b->config.namespace_count; i++)
		flags |= b->config.namespaces[i].kind;
	return flags;
}

/* In a process of its own: the user may be changed, and descriptors are shared. */
static int outside(struct box *b, struct shared *s, int (*look)(void))
{
	struct inside inside = { .box = b, .shared = s, .look = look };
	char path[64], byte;
	int go[2], user_ns = -1, status;
	pid_t pid;

	ck_assert_int_eq(pipe(go), 0);
	pid = (pid_t) syscall(SYS_clone, flags_of(b), 0, 0, 0, 0);
	if (pid < 0)
		return co_fail_errno(&s->err, errno, "cannot make name spaces");
	if (pid == 0) {
		/* it holds the other end too, so a test that fails would leave it waiting */
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		s->status = in_the_box(&inside);
		_exit(0);
	}
	if (b->kind != BOX_ROOT) {
		if (b->kind == BOX_ROOTLESS) {
			(void) snprintf(path, sizeof(path), "/proc/%d/setgroups",
					(int) pid);
			write_text(path, "deny");
		}
		write_map(pid, "uid_map", &b->uid);
		write_map(pid, "gid_map", &b->gid);
		(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
		user_ns = open(path, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(user_ns, 0);
	}
	status = ctr_rootfs_gather(&b->config, user_ns, &s->files, &s->err);
	if (status < 0)
		(void) kill(pid, SIGKILL);
	else
		ck_assert_int_eq(write(go[1], "g", 1), 1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return status < 0 ? status : s->status;
}

static void become_nobody(void)
{
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
	ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
	/* or /proc/PID of its children is root's */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

static void add_standard(struct box *b)
{
	box_mount(b, "/proc", "proc", "proc", "nosuid", "noexec", "nodev", NULL);
	box_mount(b, "/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755",
		  "size=65536k", NULL);
	box_mount(b, "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
		  "ptmxmode=0666", "mode=0620", "gid=5", NULL);
	box_mount(b, "/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev",
		  "mode=1777", "size=65536k", NULL);
	box_mount(b, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev",
		  NULL);
	box_mount(b, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro", NULL);
}

int box_run(struct box *b, int (*look)(void))
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int how = 0;
	pid_t pid;

	ck_assert_ptr_ne(s, MAP_FAILED);
	if (!b->no_standard)
		add_standard(b);
	b->no_standard = true;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void) setpgid(0, 0);
		if (b->kind == BOX_ROOTLESS && geteuid() == 0)
			become_nobody();
		s->status = outside(b, s, look);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &how, 0), pid);
	ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0,
		      "the process outside died");
	b->err = s->err;
	memcpy(b->notes, s->notes, sizeof(b->notes));
	memcpy(b->outside_note, s->files.note, sizeof(b->outside_note));
	how = s->status;
	(void) munmap(s, sizeof(*s));
	return how;
}

bool box_is_refused(struct box *b, const char *part)
{
	int status = box_run(b, NULL);

	if (status < 0 && strstr(b->err.message, part))
		return true;
	printf("status %d, \"%s\" instead of \"%s\"\n", status, b->err.message, part);
	return false;
}

bool box_can(enum box_kind kind)
{
	static const char *const names[] = { "root", "root with a user name space",
					     "an unprivileged user" };
	static int known[BOX_KINDS];
	struct box b;

	if (!known[kind]) {
		bool can = false;

		if (kind == BOX_ROOTLESS || geteuid() == 0) {
			box_init(&b, kind);
			b.no_standard = true;
			can = box_run(&b, NULL) == 0;
			box_done(&b);
		}
		known[kind] = can ? 1 : -1;
		if (!can)
			printf("SKIP containers of %s: %s\n", names[kind],
			       geteuid() ? "this is not root" : b.err.message);
	}
	return known[kind] > 0;
}

static int owner(const struct box *b)
{
	return b->kind == BOX_ROOTLESS && geteuid() == 0 ? NOBODY : -1;
}

void box_path(const struct box *b, const char *name, char out[256])
{
	ck_assert_int_lt(snprintf(out, 256, "%s/%s", b->folder, name), 256);
}

void box_make_folder(const struct box *b, const char *name)
{
	char path[256];

	box_path(b, name, path);
	ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
	if (owner(b) >= 0)
		ck_assert_int_eq(lchown(path, NOBODY, NOBODY), 0);
}

void box_make_file(const struct box *b, const char *name, const char *text)
{
	char path[256];

	box_path(b, name, path);
	write_text(path, text);
	if (owner(b) >= 0)
		ck_assert_int_eq(lchown(path, NOBODY, NOBODY), 0);
}

void box_make_link(const struct box *b, const char *name, const char *target)
{
	char path[256];

	box_path(b, name, path);
	ck_assert_int_eq(symlink(target, path), 0);
}

void box_init(struct box *b, enum box_kind kind)
{
	static const int kinds[] = { CLONE_NEWNS,  CLONE_NEWPID, CLONE_NEWIPC,
				     CLONE_NEWUTS, CLONE_NEWNET, CLONE_NEWCGROUP,
				     CLONE_NEWUSER };

	memset(b, 0, sizeof(*b));
	b->kind = kind;
	(void) snprintf(b->folder, sizeof(b->folder), "/var/tmp/cloudos-box.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(b->folder));
	ck_assert_int_eq(chmod(b->folder, 0755), 0);
	if (owner(b) >= 0)
		ck_assert_int_eq(lchown(b->folder, NOBODY, NOBODY), 0);
	box_make_folder(b, "root");
	(void) snprintf(b->root, sizeof(b->root), "%s/root", b->folder);
	b->config.root = b->root;
	b->config.bundle = b->folder;
	b->config.mounts = b->mounts;
	b->config.devices = b->devices;
	b->config.namespaces = b->spaces;
	for (size_t i = 0; i < co_countof(kinds) - (kind == BOX_ROOT); i++)
		b->spaces[b->config.namespace_count++].kind = kinds[i];
	b->uid.outside = b->gid.outside = kind == BOX_MAPPED ? FIRST : geteuid();
	if (owner(b) >= 0)
		b->uid.outside = b->gid.outside = NOBODY;
	b->uid.count = b->gid.count = kind == BOX_MAPPED ? 65536 : 1;
	if (kind != BOX_ROOT) {
		b->config.uids = (struct ctr_id_maps){ &b->uid, 1 };
		b->config.gids = (struct ctr_id_maps){ &b->gid, 1 };
	}
	b->config.cloudos.idmap = kind == BOX_MAPPED;
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void) st;
	(void) what;
	(void) at;
	return remove(path);
}

void box_done(struct box *b)
{
	static const char *const closed[] = { "work/work", "work/work/incompat",
					      "work/work/incompat/volatile" };
	char work[256];

	for (size_t i = 0; i < b->config.mount_count; i++)
		free(b->mounts[i].options.at);
	/* an overlay makes them with mode 0, which only root can look into */
	for (size_t i = 0; i < co_countof(closed); i++) {
		box_path(b, closed[i], work);
		(void) chmod(work, 0700); /* if it is there */
	}
	ck_assert_msg(
		nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0,
		"something is left of %s: %s", b->folder, strerror(errno));
}

struct ctr_mount *box_mount(struct box *b, const char *destination, const char *type,
			    const char *source, ...)
{
	struct ctr_mount *m = &b->mounts[b->config.mount_count++];
	char *word;
	va_list args;

	ck_assert_uint_le(b->config.mount_count, co_countof(b->mounts));
	m->destination = (char *) destination;
	m->type = (char *) type;
	m->source = (char *) source;
	m->options.at = calloc(16, sizeof(char *));
	va_start(args, source);
	while ((word = va_arg(args, char *)))
		m->options.at[m->options.count++] = word;
	va_end(args);
	return m;
}

void box_without(struct box *b, int name_space)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->config.namespace_count; i++)
		if (b->spaces[i].kind != name_space)
			b->spaces[kept++] = b->spaces[i];
	b->config.namespace_count = kept;
}

bool look_text(const char *path, const char *text)
{
	char got[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);

	if (fd >= 0)
		(void) close(fd);
	if (n < 0)
		return false;
	got[n] = 0;
	return strcmp(got, text) == 0;
}

/* Each of the words, separated by commas, is in the list. */
static bool has_words(const char *list, const char *words)
{
	char all[2304], word[256];

	(void) snprintf(all, sizeof(all), ",%s,", list);
	while (*words) {
		size_t n = strcspn(words, ",");

		(void) snprintf(word, sizeof(word), ",%.*s,", (int) n, words);
		if (!strstr(all, word))
			return false;
		words += n + strspn(words + n, ",");
	}
	return true;
}

bool look_mount(const char *path, const char *type, const char *options)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[1024], mine[512], kind[64], supers[1024], all[2048];
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		const char *end = strstr(line, " - ");

		if (!end ||
		    sscanf(line, "%*s %*s %*s %*s %1023s %511s", where, mine) != 2 ||
		    sscanf(end, " - %63s %*s %1023s", kind, supers) != 2)
			continue;
		if (strcmp(where, path) != 0)
			continue;
		(void) snprintf(all, sizeof(all), "%s,%s", mine, supers);
		/* the last one at a path is the one that is seen */
		found = (!type || strcmp(kind, type) == 0) && has_words(all, options);
	}
	return found;
}

bool look_propagation(const char *path, const char *word)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[1024];
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		char *end = strstr(line, " - ");

		if (!end || sscanf(line, "%*s %*s %*s %*s %1023s", where) != 1 ||
		    strcmp(where, path) != 0)
			continue;
		*end = 0;
		found = word ? strstr(line, word) != NULL
			     : !strstr(line, "shared:") && !strstr(line, "master:");
	}
	return found;
}

bool look_device(const char *path, unsigned int major, unsigned int minor)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(major, minor);
}
