/* SPDX-License-Identifier: MIT */
/* HOST test of cloudosd/ctr/rootfs.h: as root, with ids mapped, and without any rights. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"
#include "lib/cleanup.h"
#include "tests/containers/box.h"

static int usual_files(void)
{
	static const char *const links[] = { "fd", "stdin", "stdout", "stderr" };
	char target[64];
	int fd;

	LOOK(look_mount("/proc", "proc", "nosuid,noexec,nodev"));
	LOOK(look_mount("/dev", "tmpfs", "nosuid,mode=755,size=65536k"));
	LOOK(look_mount("/dev/pts", "devpts", "nosuid,noexec,ptmxmode=666"));
	LOOK(look_mount("/dev/shm", "tmpfs", "nosuid,noexec,nodev"));
	LOOK(look_mount("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"));
	LOOK(look_mount("/sys", "sysfs", "ro,nosuid,noexec,nodev"));
	LOOK(look_device("/dev/null", 1, 3));
	LOOK(look_device("/dev/zero", 1, 5));
	LOOK(look_device("/dev/full", 1, 7));
	LOOK(look_device("/dev/random", 1, 8));
	LOOK(look_device("/dev/urandom", 1, 9));
	LOOK(look_device("/dev/tty", 5, 0));
	for (size_t i = 0; i < co_countof(links); i++) {
		char path[64];

		(void) snprintf(path, sizeof(path), "/dev/%s", links[i]);
		LOOK(readlink(path, target, sizeof(target)) > 0);
	}
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	LOOK(fd >= 0 && write(fd, "x", 1) == 1);
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	LOOK(fd >= 0);
	LOOK(getpid() == 1);
	LOOK(access("/proc/1/mountinfo", R_OK) == 0);
	return 0;
}

START_TEST(a_container_has_the_usual_files)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	RUN(&b, usual_files);
	ck_assert_str_eq(b.notes, "");
	box_done(&b);
}
END_TEST

static int nothing_of_the_host(void)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[256], cwd[256];
	struct stat up, root;

	LOOK(access("/var/tmp", F_OK) < 0 && access("/usr", F_OK) < 0);
	LOOK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	LOOK(stat("/..", &up) == 0 && stat("/", &root) == 0);
	LOOK(up.st_ino == root.st_ino && up.st_dev == root.st_dev);
	while (fgets(line, sizeof(line), f)) {
		LOOK(sscanf(line, "%*s %*s %*s %*s %255s", where) == 1);
		LOOK(strcmp(where, "/") == 0 || strncmp(where, "/proc", 5) == 0 ||
		     strncmp(where, "/dev", 4) == 0 || strncmp(where, "/sys", 4) == 0);
	}
	return 0;
}

START_TEST(nothing_of_the_host_is_left_inside)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	RUN(&b, nothing_of_the_host);
	box_done(&b);
}
END_TEST

static int root_is_mine(void)
{
	struct stat st;
	int fd = open("/mine", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	LOOK(fd >= 0);
	LOOK(fstat(fd, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	LOOK(look_text("/given", "given"));
	LOOK(stat("/given", &st) == 0 && st.st_uid == 0);
	return 0;
}

START_TEST(what_is_roots_on_the_disk_is_the_containers_roots)
{
	struct box b;
	struct stat st;
	char path[256];

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_make_file(&b, "root/given", "given");
	RUN(&b, root_is_mine);
	box_path(&b, "root/mine", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, _i == BOX_ROOTLESS ? b.uid.outside : 0);
	box_done(&b);
}
END_TEST

static int proc_of_the_outside(void)
{
	LOOK(look_mount("/proc", "proc", "rw"));
	LOOK(access("/proc/self/mountinfo", R_OK) == 0);
	LOOK(look_device("/proc/version", 1, 3));
	return 0;
}

START_TEST(proc_of_the_outside_stands_in_where_a_new_one_is_refused)
{
	struct box b;

	if (geteuid() != 0 || _i == BOX_ROOT || !box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	/* a /proc with something covered may not be shown uncovered by another */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	ck_assert_int_eq(mount("/dev/null", "/proc/version", NULL, MS_BIND, NULL), 0);
	RUN(&b, proc_of_the_outside);
	ck_assert_ptr_nonnull(strstr(b.notes, "/proc is the /proc from outside"));
	box_done(&b);
}
END_TEST

static int binds(void)
{
	LOOK(look_text("/deep/er/file", "shared"));
	LOOK(look_mount("/deep/er/file", NULL, "ro"));
	LOOK(open("/deep/er/file", O_WRONLY | O_CLOEXEC) < 0);
	LOOK(look_mount("/data", NULL, "rw,nosuid,nodev,noexec"));
	LOOK(look_text("/data/inner", "inner"));
	LOOK(open("/data/made", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) >= 0);
	return 0;
}

START_TEST(files_and_folders_of_the_host_are_bound_with_their_options)
{
	struct box b;
	char file[256], folder[256];

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_make_file(&b, "file", "shared");
	box_make_folder(&b, "folder");
	box_make_file(&b, "folder/inner", "inner");
	box_path(&b, "file", file);
	box_path(&b, "folder", folder);
	box_mount(&b, "/deep/er/file", NULL, file, "bind", "ro", NULL);
	box_mount(&b, "/data", "bind", folder, "rbind", "nosuid", "nodev", "noexec",
		  "noatime", _i == BOX_MAPPED ? "idmap" : "rw", NULL);
	RUN(&b, binds);
	ck_assert_int_eq(strstr(b.notes, "access times in /data") != NULL,
			 _i == BOX_ROOTLESS);
	box_done(&b);
}
END_TEST

static int masked(void)
{
	char byte;
	int fd = open("/proc/uptime", O_RDONLY | O_CLOEXEC);

	LOOK(fd >= 0 && read(fd, &byte, 1) == 0);
	LOOK(look_device("/secret", 1, 3));
	LOOK(access("/hidden/inner", F_OK) < 0 && errno == ENOENT);
	LOOK(mkdir("/hidden/x", 0755) < 0 && errno == EROFS);
	LOOK(access("/also/inner", F_OK) < 0 && errno == ENOENT);
	LOOK(open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC) < 0);
	LOOK(mkdir("/fixed/x", 0755) < 0 && errno == EROFS);
	LOOK(mkdir("/x", 0755) < 0 && errno == EROFS);
	LOOK(mkdir("/dev/x", 0755) < 0 || true);
	return 0;
}

START_TEST(masked_and_read_only_paths_are_so)
{
	static char *masks[] = { (char *) "/proc/uptime", (char *) "/secret",
				 (char *) "/hidden",      (char *) "/also",
				 (char *) "/not/there",   NULL };
	static char *fixed[] = { (char *) "/proc/sys", (char *) "/fixed",
				 (char *) "/not/there", NULL };
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_make_file(&b, "root/secret", "secret");
	box_make_folder(&b, "root/hidden");
	box_make_file(&b, "root/hidden/inner", "secret");
	box_make_folder(&b, "root/also");
	box_make_file(&b, "root/also/inner", "secret");
	box_make_folder(&b, "root/fixed");
	b.config.masked_paths = (struct ctr_texts){ .at = masks, .count = 5 };
	b.config.readonly_paths = (struct ctr_texts){ .at = fixed, .count = 3 };
	b.config.root_readonly = true;
	RUN(&b, masked);
	box_done(&b);
}
END_TEST

static int read_only_tmpfs(void)
{
	LOOK(look_mount("/dev", "tmpfs", "ro"));
	LOOK(look_device("/dev/null", 1, 3));
	LOOK(look_mount("/dev/below", "tmpfs", "rw"));
	LOOK(mkdir("/dev/x", 0755) < 0 && errno == EROFS);
	return 0;
}

START_TEST(a_read_only_tmpfs_has_its_devices_and_mount_points)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.no_standard = true;
	box_mount(&b, "/proc", "proc", "proc", NULL);
	box_mount(&b, "/dev", "tmpfs", "tmpfs", "ro", "mode=755", NULL);
	box_mount(&b, "/dev/below", "tmpfs", "tmpfs", NULL);
	RUN(&b, read_only_tmpfs);
	box_done(&b);
}
END_TEST

static int copied_up(void)
{
	struct stat st;
	char target[64];

	LOOK(look_mount("/full", "tmpfs", "rw"));
	LOOK(look_text("/full/a", "a") && look_text("/full/sub/b", "b"));
	LOOK(readlink("/full/link", target, sizeof(target)) == 11 &&
	     memcmp(target, "/etc/passwd", 11) == 0);
	LOOK(stat("/full", &st) == 0 && (st.st_mode & 07777) == 0711);
	LOOK(open("/full/c", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) >= 0);
	return 0;
}

START_TEST(a_tmpfs_may_begin_with_what_it_hides)
{
	struct box b;
	char path[256];

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_make_folder(&b, "root/full");
	box_path(&b, "root/full", path);
	ck_assert_int_eq(chmod(path, 0711), 0);
	box_make_file(&b, "root/full/a", "a");
	box_make_folder(&b, "root/full/sub");
	box_make_file(&b, "root/full/sub/b", "b");
	box_make_link(&b, "root/full/link", "/etc/passwd");
	box_mount(&b, "/full", "tmpfs", "tmpfs", "tmpcopyup", NULL);
	RUN(&b, copied_up);
	box_path(&b, "root/full/c", path);
	ck_assert_int_lt(access(path, F_OK), 0);
	box_done(&b);
}
END_TEST

static int parameters(void)
{
	LOOK(look_text("/proc/sys/kernel/shm_rmid_forced", "1\n"));
	LOOK(look_text("/proc/sys/net/ipv4/ip_forward", "1\n"));
	return 0;
}

START_TEST(parameters_of_own_name_spaces_are_set)
{
	struct ctr_pair pairs[] = { { (char *) "kernel.shm_rmid_forced", (char *) "1" },
				    { (char *) "net/ipv4/ip_forward", (char *) "1" } };
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.config.sysctl = (struct ctr_pairs){ .at = pairs, .count = 2 };
	RUN(&b, parameters);
	box_done(&b);
}
END_TEST

START_TEST(parameters_of_the_host_are_refused)
{
	static const char *const names[] = { "kernel.panic", "vm.swappiness",
					     "net.ipv4.ip_forward", "kernel.../x",
					     "kernel.shm/../panic" };
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	for (size_t i = 0; i < co_countof(names); i++) {
		struct ctr_pair pair = { (char *) names[i], (char *) "1" };

		box_init(&b, (enum box_kind) _i);
		box_without(&b, CLONE_NEWNET);
		b.config.sysctl = (struct ctr_pairs){ .at = &pair, .count = 1 };
		ck_assert(box_is_refused(&b, "parameter"));
		box_done(&b);
	}
}
END_TEST

static int no_net(void)
{
	LOOK(look_mount("/sys", NULL, "ro"));
	LOOK(access("/sys/kernel", F_OK) == 0);
	LOOK(mkdir("/sys/fs/cgroup/x", 0755) < 0);
	return 0;
}

START_TEST(sys_without_a_network_name_space_is_the_hosts_read_only)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_without(&b, CLONE_NEWNET);
	RUN(&b, no_net);
	ck_assert_int_eq(strstr(b.notes, "/sys is the /sys from outside") != NULL,
			 _i != BOX_ROOT);
	box_done(&b);
}
END_TEST

static int propagations(void)
{
	LOOK(look_propagation("/", NULL) && look_propagation("/proc", NULL));
	LOOK(look_propagation("/plain", NULL) && look_propagation("/private", NULL));
	LOOK(look_propagation("/slave", "master:"));
	LOOK(!look_propagation("/slave", "shared:"));
	LOOK(look_propagation("/shared", "shared:"));
	LOOK(look_propagation("/both", "shared:"));
	return 0;
}

static int shared_root(void)
{
	LOOK(look_propagation("/", "shared:") && look_propagation("/proc", "shared:"));
	return 0;
}

START_TEST(mounts_go_in_and_out_only_where_it_was_said)
{
	struct box b;
	char path[256];

	if (geteuid() != 0 || !box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	box_make_folder(&b, "volume");
	box_path(&b, "volume", path);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	ck_assert_int_eq(mount("v", path, "tmpfs", 0, "mode=777"), 0);
	ck_assert_int_eq(mount(NULL, path, NULL, MS_SHARED, NULL), 0);
	box_mount(&b, "/plain", "bind", path, "rbind", NULL);
	box_mount(&b, "/private", "bind", path, "rbind", "private", NULL);
	box_mount(&b, "/slave", "bind", path, "rbind", "rslave", NULL);
	box_mount(&b, "/shared", "bind", path, "rbind", "rshared", NULL);
	box_mount(&b, "/both", "bind", path, "bind", "ro", "shared", NULL);
	RUN(&b, propagations);
	b.config.rootfs_propagation = MS_SHARED | MS_REC;
	RUN(&b, shared_root);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	box_done(&b);
}
END_TEST

START_TEST(what_cannot_be_mounted_is_said)
{
	static const struct {
		const char *type, *source, *option, *sentence;
		int kinds; /* bits */
	} mounts[] = {
		{ NULL, "x", "ro", "has no type", 7 },
		{ "nosuchfs", "x", "ro", "cannot mount a nosuchfs on /x", 7 },
		{ "bind", "/not/there", "bind", "cannot open /not/there, which is", 7 },
		{ "bind", NULL, "bind", "has no source", 7 },
		{ "bind", "/etc", "tmpcopyup", "has tmpcopyup and is no tmpfs", 7 },
		{ "tmpfs", "tmpfs", "idmap", "maps ids and is no bind mount", 7 },
		{ "tmpfs", "tmpfs", "size=many", "cannot mount a tmpfs on /x", 7 },
		{ "bind", "/etc", "idmap", "mapped ids: only root may", 4 },
		{ "bind", "/etc", "idmap", "nor a container with a user name", 1 },
	};
	struct box b;

	for (size_t i = 0; i < co_countof(mounts); i++) {
		if (!(mounts[i].kinds >> _i & 1) || !box_can((enum box_kind) _i))
			continue;
		box_init(&b, (enum box_kind) _i);
		b.no_standard = true;
		box_mount(&b, "/x", mounts[i].type, mounts[i].source, mounts[i].option,
			  NULL);
		ck_assert(box_is_refused(&b, mounts[i].sentence));
		box_done(&b);
	}
}
END_TEST

START_TEST(more_binds_than_can_be_are_refused)
{
	static struct ctr_mount many[CTR_ROOTFS_FDS + 1];
	struct box b;

	if (!box_can((enum box_kind) _i) || _i == BOX_ROOTLESS)
		return;
	box_init(&b, (enum box_kind) _i);
	b.no_standard = true;
	for (size_t i = 0; i < co_countof(many); i++)
		many[i] = (struct ctr_mount){ .destination = (char *) "/x",
					      .type = (char *) "bind",
					      .source = b.root };
	b.config.mounts = many;
	b.config.mount_count = co_countof(many);
	ck_assert(box_is_refused(&b, "more than 198 bind mounts"));
	b.config.mount_count = 0;
	box_done(&b);
}
END_TEST

static int root_changed(void)
{
	LOOK(access("/here", F_OK) == 0 && access("/var/tmp", F_OK) < 0);
	return 0;
}

START_TEST(without_a_mount_name_space_the_root_changes_and_nothing_is_mounted)
{
	struct box b;

	if (geteuid() != 0 || !box_can((enum box_kind) _i))
		return;
	/* nobody's mounts, whatever happens */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	box_init(&b, (enum box_kind) _i);
	box_without(&b, CLONE_NEWNS);
	box_make_file(&b, "root/here", "");
	b.no_standard = true;
	RUN(&b, root_changed);
	box_mount(&b, "/tmp", "tmpfs", "tmpfs", NULL);
	ck_assert(box_is_refused(&b, "need a mount name space"));
	ck_assert(!look_mount("/tmp", "tmpfs", "rw"));
	box_done(&b);
}
END_TEST

static int node_is_right(void)
{
	struct stat st;

	LOOK(stat("/dev/null", &st) == 0 && (st.st_mode & 0777) == 0666);
	LOOK(st.st_uid == 0 && look_device("/dev/null", 1, 3));
	return 0;
}

START_TEST(a_node_of_the_image_gets_the_owner_and_mode_that_was_asked_for)
{
	struct box b;
	char path[256];

	if (!box_can(BOX_ROOT))
		return;
	box_init(&b, BOX_ROOT);
	b.no_standard = true;
	box_make_folder(&b, "root/dev");
	box_path(&b, "root/dev/null", path);
	ck_assert_int_eq(mknod(path, S_IFCHR | 0600, makedev(1, 3)), 0);
	ck_assert_int_eq(lchown(path, 5, 5), 0);
	RUN(&b, node_is_right);
	box_done(&b);
}
END_TEST

static int volume_ids(void)
{
	struct stat st;

	LOOK(stat("/mine/file", &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	LOOK(stat("/own/file", &st) == 0 && st.st_uid == 7 && st.st_gid == 8);
	LOOK(stat("/plain/file", &st) == 0 && st.st_uid == 65534);
	LOOK(open("/mine/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) >= 0);
	LOOK(open("/plain/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0);
	return 0;
}

START_TEST(a_volume_has_the_ids_of_the_container_or_its_own)
{
	struct ctr_id_map uids = { .inside = 0, .outside = 100007, .count = 1 };
	struct ctr_id_map gids = { .inside = 0, .outside = 100008, .count = 1 };
	struct ctr_mount *m;
	struct box b;
	struct stat st;
	char path[256];

	if (!box_can(BOX_MAPPED))
		return;
	box_init(&b, BOX_MAPPED);
	box_make_folder(&b, "volume");
	box_make_file(&b, "volume/file", "x");
	box_path(&b, "volume", path);
	box_mount(&b, "/mine", "bind", path, "bind", "idmap", NULL);
	box_mount(&b, "/plain", "bind", path, "bind", NULL);
	m = box_mount(&b, "/own", "bind", path, "bind", NULL);
	m->uids = (struct ctr_id_maps){ &uids, 1 };
	m->gids = (struct ctr_id_maps){ &gids, 1 };
	RUN(&b, volume_ids);
	box_path(&b, "volume/new", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	box_done(&b);
}
END_TEST

static int has_terminal(void)
{
	struct stat st;
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	LOOK(fd >= 0 && isatty(fd));
	LOOK(fstat(fd, &st) == 0 && major(st.st_rdev) == 136);
	LOOK(access("/dev/pts/0", R_OK | W_OK) == 0);
	return 0;
}

START_TEST(the_terminal_is_the_containers_own)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.terminal = true;
	RUN(&b, has_terminal);
	box_done(&b);
}
END_TEST

static int owned_device(void)
{
	struct stat st;

	LOOK(lstat("/dev/owned", &st) == 0 && S_ISBLK(st.st_mode));
	LOOK(st.st_rdev == makedev(1, 5) && st.st_uid == 10 && st.st_gid == 11);
	LOOK((st.st_mode & 07777) == 0640);
	LOOK(stat("/dev/null", &st) == 0 && st.st_uid == 0);
	return 0;
}

START_TEST(devices_that_the_host_has_no_node_of_are_there_with_their_owner)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.devices[0] = (struct ctr_device){ .path = (char *) "/dev/owned",
					    .type = S_IFBLK,
					    .major = 1,
					    .minor = 5,
					    .mode = 0640,
					    .uid = 10,
					    .gid = 11 };
	b.config.device_count = 1;
	if (_i == BOX_ROOTLESS)
		ck_assert(box_is_refused(&b, "is not in the host's /dev"));
	else
		RUN(&b, owned_device);
	box_done(&b);
}
END_TEST

static int own_devices(void)
{
	struct stat st;

	LOOK(look_device("/dev/deep/zero", 1, 5));
	LOOK(look_device("/elsewhere/full", 1, 7));
	LOOK(lstat("/dev/pipe", &st) == 0 && S_ISFIFO(st.st_mode));
	LOOK((st.st_mode & 0777) == 0622);
	return 0;
}

START_TEST(devices_of_the_configuration_are_there)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.devices[0] = (struct ctr_device){ .path = (char *) "/dev/deep/zero",
					    .type = S_IFCHR,
					    .major = 1,
					    .minor = 5,
					    .mode = 0666 };
	b.devices[1] = (struct ctr_device){ .path = (char *) "/elsewhere/full",
					    .type = S_IFCHR,
					    .major = 1,
					    .minor = 7,
					    .mode = 0666 };
	b.devices[2] = (struct ctr_device){ .path = (char *) "/dev/pipe",
					    .type = S_IFIFO,
					    .mode = 0622 };
	b.devices[3] = (struct ctr_device){ .path = (char *) "/dev/null",
					    .type = S_IFCHR,
					    .major = 1,
					    .minor = 3,
					    .mode = 0666 };
	b.config.device_count = 4;
	RUN(&b, own_devices);
	box_done(&b);
}
END_TEST

static int groups(void)
{
	LOOK(look_mount("/sys/fs/cgroup", NULL, "ro,nosuid,noexec,nodev"));
	LOOK(mkdir("/sys/fs/cgroup/x", 0755) < 0 && errno == EROFS);
	return 0;
}

START_TEST(control_groups_are_shown_read_only)
{
	struct box b;

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	b.no_standard = true;
	box_mount(&b, "/proc", "proc", "proc", NULL);
	box_mount(&b, "/sys", "sysfs", "sysfs", "ro", NULL);
	box_mount(&b, "/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec",
		  "nodev", "relatime", NULL);
	RUN(&b, groups);
	box_done(&b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rootfs");

	tcase_add_loop_test(tc, a_container_has_the_usual_files, 0, BOX_KINDS);
	tcase_add_loop_test(tc, nothing_of_the_host_is_left_inside, 0, BOX_KINDS);
	tcase_add_loop_test(tc, what_is_roots_on_the_disk_is_the_containers_roots, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc,
			    proc_of_the_outside_stands_in_where_a_new_one_is_refused, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc,
			    files_and_folders_of_the_host_are_bound_with_their_options,
			    0, BOX_KINDS);
	tcase_add_loop_test(tc, masked_and_read_only_paths_are_so, 0, BOX_KINDS);
	tcase_add_loop_test(tc, a_read_only_tmpfs_has_its_devices_and_mount_points, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc, a_tmpfs_may_begin_with_what_it_hides, 0, BOX_KINDS);
	tcase_add_loop_test(tc, parameters_of_own_name_spaces_are_set, 0, BOX_KINDS);
	tcase_add_loop_test(tc, parameters_of_the_host_are_refused, 0, BOX_KINDS);
	tcase_add_loop_test(tc, sys_without_a_network_name_space_is_the_hosts_read_only,
			    0, BOX_KINDS);
	tcase_add_loop_test(tc, devices_of_the_configuration_are_there, 0, BOX_KINDS);
	tcase_add_loop_test(tc, control_groups_are_shown_read_only, 0, BOX_KINDS);
	tcase_add_loop_test(
		tc, devices_that_the_host_has_no_node_of_are_there_with_their_owner, 0,
		BOX_KINDS);
	tcase_add_loop_test(tc, mounts_go_in_and_out_only_where_it_was_said, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc, the_terminal_is_the_containers_own, 0, BOX_KINDS);
	tcase_add_test(tc, a_volume_has_the_ids_of_the_container_or_its_own);
	tcase_add_loop_test(
		tc, without_a_mount_name_space_the_root_changes_and_nothing_is_mounted,
		0, BOX_KINDS);
	tcase_add_test(tc,
		       a_node_of_the_image_gets_the_owner_and_mode_that_was_asked_for);
	tcase_add_loop_test(tc, what_cannot_be_mounted_is_said, 0, BOX_KINDS);
	tcase_add_loop_test(tc, more_binds_than_can_be_are_refused, 0, BOX_KINDS);
	return run_tests(tc);
}
