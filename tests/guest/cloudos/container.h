/* SPDX-License-Identifier: MIT */
/*
 * What the guest tests of containers share: a root file system of one static busybox, and
 * containers made of it.  Each program includes it once; done_containers() ends main.
 */
#ifndef TESTS_CONTAINER_H
#define TESTS_CONTAINER_H

#include "guest.h"

#include <fcntl.h>
#include <sys/stat.h>

static char guest_root[512];
static int guest_made[64];
static unsigned guest_nmade;

__attribute__((noreturn, unused)) static void skip(const char *why)
{
	printf("%s\n", why);
	fflush(stdout);
	_exit(77);
}

static void copy_busybox(const char *to)
{
	static const char *const places[] = { "/bin/busybox", "/usr/bin/busybox" };
	char block[65536];
	int from = -1, out;
	ssize_t n;

	for (size_t i = 0; i < 2 && from < 0; i++)
		from = open(places[i], O_RDONLY | O_CLOEXEC);
	if (from < 0)
		skip("there is no busybox on this machine (package busybox-static)");
	out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	while ((n = read(from, block, sizeof(block))) > 0)
		if (out < 0 || write(out, block, (size_t) n) != n)
			die(to);
	close(from);
	close(out);
}

/* A folder with bin/busybox, bin/sh, bin/sleep and a file that is no program. */
static void make_root(void)
{
	static const char *const folders[] = {
		"bin", "dev", "proc", "sys", "tmp", "etc"
	};
	const char *dir = getenv("CLOUDOS_DIR");
	char path[600];

	(void) snprintf(guest_root, sizeof(guest_root), "%s/root.XXXXXX",
			dir ? dir : "/tmp");
	if (!mkdtemp(guest_root) || chmod(guest_root, 0755) < 0)
		die("mkdtemp");
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", guest_root, folders[i]);
		if (mkdir(path, 0755) < 0)
			die(path);
	}
	(void) snprintf(path, sizeof(path), "%s/bin/busybox", guest_root);
	copy_busybox(path);
	(void) snprintf(path, sizeof(path), "%s/bin/sh", guest_root);
	if (symlink("busybox", path) < 0)
		die(path);
	(void) snprintf(path, sizeof(path), "%s/bin/sleep", guest_root);
	if (symlink("busybox", path) < 0)
		die(path);
	(void) snprintf(path, sizeof(path), "%s/bin/text", guest_root);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static container_config_t a_container(const char *name, const char *command)
{
	container_config_t c;

	if (!guest_root[0])
		make_root();
	memset(&c, 0, sizeof(c));
	(void) snprintf(c.name, sizeof(c.name), "%s", name);
	(void) snprintf(c.image, sizeof(c.image), "%s", guest_root);
	(void) snprintf(c.command, sizeof(c.command), "%s", command);
	strcpy(c.network_mode, "none");
	return c;
}

/* Whatever is made is destroyed at the end. */
__attribute__((unused)) static int keep_id(long id)
{
	if (id > 0)
		guest_made[guest_nmade++] = (int) id;
	return (int) id;
}

/* A container whose program has not begun.  The first one shows whether this machine can. */
__attribute__((unused)) static int make(const char *name, const char *command)
{
	container_config_t c = a_container(name, command);
	long id = RAW(container_create, WORD(&c));

	if (id < 0 && !guest_nmade) {
		error_info_t info = last_error();

		printf("# %s\n", info.message);
		skip("containers cannot be made on this machine");
	}
	check(id > 0, "a container is created");
	return keep_id(id);
}

__attribute__((unused)) static container_status_t status_of(int id)
{
	container_status_t s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	if (RAW(container_get_status, WORD(id), WORD(&s)) < 0)
		s.state = 0;
	return s;
}

static int child_state(void *id)
{
	return (int) status_of(*(int *) id).state;
}

/* As another process sees it; 0: there is none. */
__attribute__((unused)) static int others_see_state(int id)
{
	return in_child(child_state, &id);
}

__attribute__((unused)) static bool becomes_state(int id, unsigned state)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (status_of(id).state != state) {
		if (now_ms() > deadline)
			return false;
		breathe();
	}
	return true;
}

/* The log has that text, within PATIENCE_MS. */
__attribute__((unused)) static bool says(int id, const char *text)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	char path[600], log[65536];

	(void) snprintf(path, sizeof(path), "%s/state/containers/%d/log",
			getenv("CLOUDOS_DIR"), id);
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, log, sizeof(log) - 1);

		if (fd >= 0)
			close(fd);
		log[n > 0 ? n : 0] = '\0';
		if (strstr(log, text))
			return true;
		if (now_ms() > deadline) {
			printf("# the log is: %s\n", log);
			return false;
		}
		breathe();
	}
}

static int child_is_nobody(void *call)
{
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 99;
	return ((long (*)(void)) call)() == RAW_CODE(CLOUDOS_EACCES) ? 0 : 1;
}

/* For each call that names a container. */
__attribute__((unused)) static void refuses_strangers(long (*call)(void))
{
	if (geteuid() != 0) {
		printf("# only root can be somebody else\n");
		return;
	}
	check_number(in_child(child_is_nobody, (void *) call), 0,
		     "another user is refused with EACCES");
}

__attribute__((unused)) static int done_containers(void)
{
	for (unsigned i = 0; i < guest_nmade; i++) {
		(void) RAW(container_stop, WORD(guest_made[i]), 0);
		(void) RAW(container_destroy, WORD(guest_made[i]));
		check_number(others_see_state(guest_made[i]), 0,
			     "it is gone at the end");
	}
	return done();
}

#endif
