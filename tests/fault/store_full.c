/* SPDX-License-Identifier: MIT */
/*
 * A full disk: what was acknowledged stays, puts answer CO_NO_SPACE, deleting and
 * compacting work, the store opens, and with room it takes puts again.  HOST.
 *
 * Four disks, each in a child with a mount name space of its own, so that no mount stays
 * whatever happens: ext4 with 1 KiB and 4 KiB blocks on a loop device and a tmpfs where
 * the box lets us, and a file size limit everywhere.
 */
#include "tests/conformance/client.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 60, BIG = 64 * 1024, SKIP = 77 };

static char folder[256]; /* the disk is mounted here */
static struct answer a;
static unsigned bigs; /* of these were acknowledged */

struct disk {
	const char *name;
	int (*make)(const struct disk *disk); /* 0, or SKIP with the reason printed */
	int block;
	bool ballast; /* its room is of use: not where each file has a limit of its own */
	void (*fill)(void);
	void (*free_up)(void);
};

#define REQUIRE(condition, ...)                                                        \
	do {                                                                           \
		if (!(condition)) {                                                    \
			fprintf(stderr, "FAILED: line %d: ", __LINE__);                \
			fprintf(stderr, __VA_ARGS__);                                  \
			fprintf(stderr, " (last answer %d: %s)\n", a.status,           \
				a.reason);                                             \
			exit(1);                                                       \
		}                                                                      \
	} while (0)

/* ---- disks ---- */

static int skip(const char *name, const char *why)
{
	printf("SKIP %s: %s\n", name, why);
	return SKIP;
}

static int run(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *) argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int own_mounts(const char *name)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return skip(name, "no mount name space without root");
	return 0;
}

static int make_ext4(const struct disk *disk)
{
	char image[300], block[16];
	const char *mkfs[] = { "mkfs.ext4", "-q",  "-F",  "-m", "0",
			       "-b",        block, image, NULL };
	const char *loop[] = {
		"mount", "-o", "loop", "-t", "ext4", image, folder, NULL
	};
	int fd, status = own_mounts(disk->name);

	if (status)
		return status;
	snprintf(image, sizeof(image), "%s.img", folder);
	snprintf(block, sizeof(block), "%d", disk->block);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 12 << 20) < 0)
		return skip(disk->name, "cannot make an image");
	close(fd);
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	status = run(mkfs)   ? skip(disk->name,
				    "mkfs.ext4 does not work: apt install e2fsprogs")
		 : run(loop) ? skip(disk->name, "no loop device to mount")
			     : 0;
	unlink(image); /* the mount keeps it as long as this name space lives */
	return status;
}

static int make_tmpfs(const struct disk *disk)
{
	int status = own_mounts(disk->name);

	if (status)
		return status;
	if (mount("tmpfs", folder, "tmpfs", 0, "size=8m,mode=0700") < 0)
		return skip(disk->name, "cannot mount a tmpfs");
	return 0;
}

static int make_limit(const struct disk *disk)
{
	(void) disk; /* the disk there is */
	return 0;
}

static void fill_disk(void)
{
	static char junk[65536];
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/filler", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0, "cannot create the filler");
	for (size_t size = sizeof(junk); size >= 256; size /= 2)
		while (write(fd, junk, size) > 0)
			;
	REQUIRE(fsync(fd) == 0, "cannot sync the filler");
	close(fd);
}

static void free_disk(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/filler", folder);
	REQUIRE(unlink(path) == 0, "cannot remove the filler");
}

static void set_limit(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0, "cannot limit file sizes");
}

static void fill_limit(void)
{
	set_limit(2 << 20);
}

static void free_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	set_limit(limit.rlim_max);
}

/* ---- the story ---- */

static struct store *open_store(void)
{
	struct store_options options = { .folder = folder };
	struct co_err err = { 0 };
	struct store *s = NULL;

	REQUIRE(store_open(&s, &options, &err) == 0, "cannot open: %s", err.message);
	return s;
}

static void key_of(char *out, size_t room, const char *prefix, unsigned n)
{
	snprintf(out, room, "%s/%03u", prefix, n);
}

static void check_kept(struct store *s, unsigned first)
{
	static char key[32];

	for (unsigned i = first; i < KEYS; i++) {
		key_of(key, sizeof(key), "k", i);
		client_get(&a, s, key);
		REQUIRE(a.ops[0].found && strcmp(a.items[0].value, key) == 0,
			"%s is lost", key);
	}
	for (unsigned i = 0; i < bigs; i++) {
		key_of(key, sizeof(key), "big", i);
		client_get(&a, s, key);
		REQUIRE(a.ops[0].found && a.items[0].size == BIG, "%s is lost", key);
	}
}

static void put_until_full(struct store *s)
{
	static char big[BIG];
	char key[32];

	for (; bigs < 1000; bigs++) {
		key_of(key, sizeof(key), "big", bigs);
		if (client_put_bytes(&a, s, key, big, BIG)->status < 0)
			break;
	}
	REQUIRE(a.status == CO_NO_SPACE, "a full disk answers NO_SPACE");
	REQUIRE(strstr(a.reason, "full") && strstr(a.reason, "state.db"),
		"the sentence names file and reason");
}

static void make_room(struct store *s, uint64_t lease)
{
	char key[32];

	for (unsigned i = 0; i < 10; i++) {
		key_of(key, sizeof(key), "k", i);
		client_delete(&a, s, key);
		REQUIRE(a.status == 0 && a.ops[0].deleted == 1,
			"delete on a full disk");
	}
	REQUIRE(client_revoke(&a, s, lease)->status == 0, "revoke on a full disk");
	REQUIRE(!client_get(&a, s, "leased")->ops[0].found, "the leased key is gone");
	REQUIRE(client_compact(&a, s, 0)->status == 0, "compact on a full disk");
}

static void story(const struct disk *disk)
{
	struct store *s = open_store();
	uint64_t lease = client_grant(&a, s, 3600000)->rev;
	char key[32];

	client_put_lease(&a, s, "leased", "x", lease);
	for (unsigned i = 0; i < KEYS; i++) {
		key_of(key, sizeof(key), "k", i);
		REQUIRE(client_put(&a, s, key, key)->status == 0, "put");
	}
	disk->fill();
	put_until_full(s);
	check_kept(s, 0);
	if (disk->ballast)
		make_room(s, lease);
	check_kept(s, 10);
	s = store_close(s);
	s = open_store();
	check_kept(s, 10);
	put_until_full(s);
	key_of(key, sizeof(key), "k", 10);
	client_delete(&a, s, key);
	REQUIRE(a.status == 0 || !disk->ballast, "delete after a restart");
	disk->free_up();
	REQUIRE(client_put(&a, s, "k/000", "k/000")->status == 0,
		"put with room again");
	check_kept(s, 11);
	s = store_close(s);
	s = open_store();
	check_kept(s, 11);
	REQUIRE(client_get(&a, s, "k/000")->ops[0].found, "the last put is lost");
	(void) store_close(s); /* NULL */
	printf("ok %s: %u large values fitted\n", disk->name, bigs);
}

static int in_a_child(const struct disk *disk)
{
	int status;
	pid_t pid;

	(void) fflush(stdout); /* before the buffer is there twice */
	folder_make(folder, sizeof(folder));
	pid = fork();
	if (pid == 0) {
		int made;

		signal(SIGXFSZ, SIG_IGN);
		made = disk->make(disk);
		if (!made)
			story(disk);
		(void) fflush(stdout); /* told or not, the status counts */
		_exit(made);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = 1;
	folder_remove(folder);
	if (WIFSIGNALED(status))
		fprintf(stderr, "FAILED: %s: killed by signal %d\n", disk->name,
			WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
	static const struct disk disks[] = {
		{ "ext4, 1 KiB blocks", make_ext4, 1024, true, fill_disk, free_disk },
		{ "ext4, 4 KiB blocks", make_ext4, 4096, true, fill_disk, free_disk },
		{ "tmpfs", make_tmpfs, 0, true, fill_disk, free_disk },
		{ "file size limit", make_limit, 0, false, fill_limit, free_limit },
	};
	int failed = 0, ran = 0;

	for (size_t i = 0; i < sizeof(disks) / sizeof(disks[0]); i++) {
		int status = in_a_child(&disks[i]);

		ran += status == 0;
		failed += status != 0 && status != SKIP;
	}
	if (failed)
		return EXIT_FAILURE;
	return ran ? EXIT_SUCCESS : SKIP;
}
