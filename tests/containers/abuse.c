/* SPDX-License-Identifier: MIT */
/*
 * Images that want to reach the host, against cloudosd/ctr/rootfs.h.  HOST.
 *
 * Each has a folder `out` beside its root: nothing may ever be made or mounted there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"
#include "lib/cleanup.h"
#include "tests/containers/box.h"

#define BEGIN(box, kind)                                                               \
	if (!box_can((enum box_kind)(kind)))                                           \
		return;                                                                \
	box_init(box, (enum box_kind)(kind));                                          \
	begin(box)

static char out[256]; /* where nothing may happen */

static void begin(struct box *b)
{
	box_make_folder(b, "out");
	box_make_file(b, "out/sentinel", "untouched");
	box_path(b, "out", out);
}

/* Nobody has been there. */
static void assert_untouched(void)
{
	DIR *folder = opendir(out);
	const struct dirent *e;
	char path[512];
	int entries = 0;

	ck_assert_ptr_nonnull(folder);
	while ((e = readdir(folder))) {
		ck_assert_msg(strcmp(e->d_name, ".") == 0 ||
				      strcmp(e->d_name, "..") == 0 ||
				      strcmp(e->d_name, "sentinel") == 0,
			      "%s was made outside", e->d_name);
		entries++;
	}
	(void) closedir(folder);
	ck_assert_int_eq(entries, 3);
	(void) snprintf(path, sizeof(path), "%s/sentinel", out);
	ck_assert(look_text(path, "untouched"));
}

static void end(struct box *b)
{
	assert_untouched();
	box_done(b);
}

/* ---- what the image's own folders are ---- */

static const char *const kernel_folders[] = { "dev", "proc", "sys" };

START_TEST(a_link_instead_of_dev_proc_or_sys_is_refused)
{
	struct box b;

	for (size_t i = 0; i < co_countof(kernel_folders); i++) {
		for (int standard = 0; standard < 2; standard++) {
			char name[64];

			BEGIN(&b, _i);
			(void) snprintf(name, sizeof(name), "root/%s",
					kernel_folders[i]);
			box_make_link(&b, name, out);
			b.no_standard = !standard;
			ck_assert(box_is_refused(&b, "is a link and no folder"));
			end(&b);
		}
	}
}
END_TEST

START_TEST(a_file_instead_of_dev_proc_or_sys_is_refused)
{
	struct box b;

	for (size_t i = 0; i < co_countof(kernel_folders); i++) {
		char name[64];

		BEGIN(&b, _i);
		(void) snprintf(name, sizeof(name), "root/%s", kernel_folders[i]);
		box_make_file(&b, name, "");
		ck_assert(box_is_refused(&b, "is a file and no folder"));
		end(&b);
	}
}
END_TEST

START_TEST(such_images_are_refused_before_another_runtime_has_them)
{
	struct box b;
	struct co_err err = { 0 };

	BEGIN(&b, BOX_ROOTLESS);
	box_make_link(&b, "root/var", out);
	ck_assert_int_eq(ctr_rootfs_check(b.root, &b.config, &err), 0);
	box_mount(&b, "/var/lib/x", "tmpfs", "tmpfs", NULL);
	ck_assert_int_eq(ctr_rootfs_check(b.root, &b.config, &err), CO_ACCESS);
	ck_assert_ptr_nonnull(strstr(err.message, "/var of the image is no folder"));
	free(b.mounts[0].options.at);
	b.config.mount_count = 0;
	box_make_link(&b, "root/dev", out);
	ck_assert_int_eq(ctr_rootfs_check(b.root, &b.config, &err), CO_ACCESS);
	ck_assert_ptr_nonnull(strstr(err.message, "/dev of the image is a link"));
	end(&b);
}
END_TEST

/* ---- mount points through links ---- */

static int data_is_a_tmpfs(void)
{
	int fd = open("/data/written", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct stat st, top;

	LOOK(fd >= 0 && fstat(fd, &st) == 0 && stat("/", &top) == 0);
	LOOK(st.st_dev != top.st_dev);
	return 0;
}

static void mount_data_through(int kind, const char *link, const char *destination)
{
	struct box b;
	int status;

	BEGIN(&b, kind);
	box_make_link(&b, "root/data", link[0] ? link : out);
	box_mount(&b, destination, "tmpfs", "tmpfs", "mode=777", NULL);
	status = box_run(&b, data_is_a_tmpfs);
	ck_assert_msg(status == 0, "%s: line %d: %s", link, status, b.err.message);
	end(&b);
}

START_TEST(links_that_lead_out_lead_inside)
{
	mount_data_through(_i, "", "/data");
	mount_data_through(_i, "../../../../../../../..//var/tmp", "/data");
	mount_data_through(_i, "../../../../../../../../not/there", "/data");
	mount_data_through(_i, "/not/there/yet", "/data");
	mount_data_through(_i, "", "/../../data");
	mount_data_through(_i, "not-there/../../../elsewhere", "/x/../../data");
}
END_TEST

START_TEST(a_mount_point_of_dots_is_inside)
{
	static const char *const destinations[] = { "/../../../../../../made",
						    "/x/../../../made",
						    "/./made/../made" };
	struct box b;
	char path[256];

	for (size_t i = 0; i < co_countof(destinations); i++) {
		BEGIN(&b, _i);
		box_mount(&b, destinations[i], "tmpfs", "tmpfs", NULL);
		ck_assert_msg(box_run(&b, NULL) == 0, "%s", b.err.message);
		box_path(&b, "root/made", path);
		ck_assert_int_eq(access(path, F_OK), 0);
		ck_assert_int_lt(access("/made", F_OK), 0);
		end(&b);
	}
}
END_TEST

START_TEST(the_root_itself_is_no_mount_point)
{
	static const char *const destinations[] = { "/", "//", "/.." };
	struct box b;

	for (size_t i = 0; i < co_countof(destinations); i++) {
		BEGIN(&b, _i);
		box_mount(&b, destinations[i], "tmpfs", "tmpfs", NULL);
		ck_assert(box_is_refused(&b, "root"));
		end(&b);
	}
}
END_TEST

START_TEST(links_without_end_are_refused)
{
	struct box b;

	BEGIN(&b, _i);
	box_make_link(&b, "root/a", "/b");
	box_make_link(&b, "root/b", "a");
	box_mount(&b, "/a/x", "tmpfs", "tmpfs", NULL);
	ck_assert(box_is_refused(&b, "Too many levels"));
	end(&b);
	/* each leads to one that is missing, for ever */
	BEGIN(&b, _i);
	box_make_link(&b, "root/a", "/c/../a/x");
	box_mount(&b, "/a/x", "tmpfs", "tmpfs", NULL);
	ck_assert(box_is_refused(&b, ""));
	end(&b);
}
END_TEST

START_TEST(links_into_proc_are_refused)
{
	static const char *const links[] = { "/proc/sys",    "proc/self/fd",
					     "/proc/1/root", "/proc/self/cwd",
					     "/dev/fd",      "/dev/stdin" };
	struct box b;

	for (size_t i = 0; i < co_countof(links); i++) {
		BEGIN(&b, _i);
		b.no_standard = true;
		box_mount(&b, "/proc", "proc", "proc", NULL);
		box_mount(&b, "/dev", "tmpfs", "tmpfs", NULL);
		box_make_link(&b, "root/data", links[i]);
		box_mount(&b, "/data", "tmpfs", "tmpfs", NULL);
		ck_assert(box_is_refused(&b, "/data"));
		end(&b);
	}
}
END_TEST

START_TEST(a_file_where_a_folder_belongs_is_refused)
{
	struct box b;

	BEGIN(&b, _i);
	box_make_file(&b, "root/data", "");
	box_mount(&b, "/data/x", "tmpfs", "tmpfs", NULL);
	ck_assert(box_is_refused(&b, "Not a directory"));
	end(&b);
	BEGIN(&b, _i);
	box_make_file(&b, "root/data", "");
	box_mount(&b, "/data", "tmpfs", "tmpfs", NULL);
	ck_assert(box_is_refused(&b, "is no folder"));
	end(&b);
}
END_TEST

/* ---- a /dev that is the image's own ---- */

static int real_devices(void)
{
	LOOK(look_device("/dev/null", 1, 3) && look_device("/dev/zero", 1, 5));
	LOOK(look_device("/dev/tty", 5, 0) && look_device("/dev/full", 1, 7));
	LOOK(look_device("/dev/deep/er", 1, 9));
	return 0;
}

START_TEST(links_in_the_images_dev_are_not_followed)
{
	struct box b;
	char target[300];
	int status;

	BEGIN(&b, _i);
	b.no_standard = true;
	box_make_folder(&b, "root/dev");
	(void) snprintf(target, sizeof(target), "%s/null", out);
	box_make_link(&b, "root/dev/null", target);
	(void) snprintf(target, sizeof(target), "%s/sentinel", out);
	box_make_link(&b, "root/dev/zero", target);
	box_make_link(&b, "root/dev/deep", out);
	box_make_file(&b, "root/dev/full", "a file");
	b.devices[0] = (struct ctr_device){ .path = (char *) "/dev/deep/er",
					    .type = S_IFCHR,
					    .major = 1,
					    .minor = 9,
					    .mode = 0666 };
	b.config.device_count = 1;
	status = box_run(&b, real_devices);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}
END_TEST

static int console_is_a_terminal(void)
{
	struct stat st;

	LOOK(lstat("/dev/console", &st) == 0 && S_ISCHR(st.st_mode));
	LOOK(major(st.st_rdev) == 136);
	return 0;
}

/* CVE-2025-52565 without its race. */
START_TEST(the_console_does_not_go_where_the_image_says)
{
	struct box b;
	char target[300];
	int status;

	BEGIN(&b, _i);
	b.no_standard = b.terminal = true;
	box_make_folder(&b, "root/dev");
	(void) snprintf(target, sizeof(target), "%s/sentinel", out);
	box_make_link(&b, "root/dev/console", target);
	box_mount(&b, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666",
		  NULL);
	status = box_run(&b, console_is_a_terminal);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}
END_TEST

START_TEST(a_terminal_of_the_images_own_making_is_refused)
{
	struct box b;

	BEGIN(&b, _i);
	b.no_standard = b.terminal = true;
	box_make_folder(&b, "root/dev");
	box_make_folder(&b, "root/dev/pts");
	box_make_file(&b, "root/dev/pts/ptmx", "not one");
	ck_assert(box_is_refused(&b, "needs a devpts"));
	end(&b);
}
END_TEST

static int masked_by_null(void)
{
	LOOK(look_device("/secret", 1, 3));
	LOOK(look_text("/secret", ""));
	return 0;
}

START_TEST(masks_are_the_hosts_null_whatever_the_image_calls_so)
{
	static char *masks[] = { (char *) "/secret", NULL };
	struct box b;
	int status;

	BEGIN(&b, _i);
	b.no_standard = true;
	box_make_folder(&b, "root/dev");
	box_make_folder(&b, "root/fake");
	box_make_file(&b, "root/fake/null", "fake");
	box_make_link(&b, "root/dev/null", "../fake/null");
	box_make_file(&b, "root/secret", "secret");
	b.config.masked_paths = (struct ctr_texts){ .at = masks, .count = 1 };
	status = box_run(&b, masked_by_null);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}
END_TEST

static int set_in_the_kernel(void)
{
	struct msginfo info;

	LOOK(msgctl(0, IPC_INFO, (struct msqid_ds *) (void *) &info) >= 0);
	LOOK(info.msgmni == 77);
	return 0;
}

START_TEST(parameters_are_set_in_the_kernel_and_not_in_what_covers_it)
{
	struct ctr_pair pair = { (char *) "kernel.msgmni", (char *) "77" };
	struct box b;
	char fake[256];
	int status;

	BEGIN(&b, _i);
	b.no_standard = true;
	box_make_folder(&b, "fake");
	box_make_folder(&b, "fake/sys");
	box_make_folder(&b, "fake/sys/kernel");
	box_make_folder(&b, "fake/self");
	box_make_file(&b, "fake/sys/kernel/msgmni", "0\n");
	box_path(&b, "fake", fake);
	box_mount(&b, "/proc", "bind", fake, "bind", NULL);
	b.config.sysctl = (struct ctr_pairs){ .at = &pair, .count = 1 };
	status = box_run(&b, set_in_the_kernel);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	(void) snprintf(fake, sizeof(fake), "%s/fake/sys/kernel/msgmni", b.folder);
	ck_assert(look_text(fake, "0\n"));
	end(&b);
}
END_TEST

/* ---- out again ---- */

static int no_way_up(void)
{
	struct stat before, after;

	LOOK(stat("/", &before) == 0);
	LOOK(mkdir("/jail", 0755) == 0 && chroot("/jail") == 0);
	for (int i = 0; i < 64; i++)
		LOOK(chdir("..") == 0);
	LOOK(chroot(".") == 0 && stat("/", &after) == 0);
	LOOK(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
	LOOK(access(out, F_OK) < 0);
	return 0;
}

START_TEST(a_chroot_out_of_a_chroot_ends_at_the_containers_root)
{
	struct box b;
	int status;

	BEGIN(&b, _i);
	status = box_run(&b, no_way_up);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}
END_TEST

static int node_opens_nothing(void)
{
	LOOK(open("/disk", O_RDONLY | O_CLOEXEC) < 0);
	LOOK(errno == EACCES || errno == EPERM);
	return 0;
}

/* Layers with something above them are an overlay; one alone is not. */
static void nodes_of_a_layer(int kind, bool alone)
{
	struct box b;
	char path[256], upper[256], work[256], layer[256];
	char *layers[] = { layer, NULL };
	int status;

	if (kind == BOX_ROOTLESS)
		return; /* has no layer with nodes: nobody made them */
	BEGIN(&b, kind);
	box_make_folder(&b, "layer");
	box_make_folder(&b, "upper");
	box_make_folder(&b, "work");
	box_path(&b, "layer", layer);
	box_path(&b, "upper", upper);
	box_path(&b, "work", work);
	box_path(&b, "layer/disk", path);
	ck_assert_int_eq(mknod(path, S_IFCHR | 0666, makedev(1, 3)), 0);
	b.config.cloudos.layers = (struct ctr_texts){ .at = layers, .count = 1 };
	if (alone) {
		static const char *const points[] = { "dev", "proc", "sys" };

		for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
			char point[32];

			(void) snprintf(point, sizeof(point), "layer/%s", points[i]);
			box_make_folder(&b, point);
		}
	} else {
		b.config.cloudos.upper = upper;
		b.config.cloudos.work = work;
	}
	status = box_run(&b, node_opens_nothing);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}

START_TEST(device_nodes_of_a_layer_open_nothing)
{
	nodes_of_a_layer(_i, false);
}
END_TEST

START_TEST(device_nodes_of_a_single_layer_open_nothing)
{
	nodes_of_a_layer(_i, true);
}
END_TEST

START_TEST(device_nodes_of_a_root_open_nothing_for_ids_of_ones_own)
{
	struct box b;
	char path[256];
	int status;

	if (geteuid() != 0 || _i == BOX_ROOT)
		return; /* nobody makes nodes; of the host's root, they are the host's */
	BEGIN(&b, _i);
	box_path(&b, "root/disk", path);
	ck_assert_int_eq(mknod(path, S_IFCHR | 0666, makedev(1, 3)), 0);
	ck_assert_int_eq(chmod(path, 0666), 0);
	status = box_run(&b, node_opens_nothing);
	ck_assert_msg(status == 0, "line %d: %s", status, b.err.message);
	end(&b);
}
END_TEST

/* ---- somebody who changes the image while we mount ---- */

struct race {
	char folder[300], link[300];
	atomic_bool over;
};

/* A folder and a link that leads out trade places, as fast as they can. */
static void *trade(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->over))
		(void) renameat2(AT_FDCWD, r->folder, AT_FDCWD, r->link,
				 RENAME_EXCHANGE);
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void race_against(struct box *b, const char *name)
{
	struct race r = { .over = false };
	double until = seconds() + 1.0;
	int built = 0, refused = 0;
	pthread_t thread;
	char beside[300];

	(void) snprintf(beside, sizeof(beside), "root/%s.link", name);
	box_make_link(b, beside, out);
	(void) snprintf(r.folder, sizeof(r.folder), "%s/root/%s", b->folder, name);
	(void) snprintf(r.link, sizeof(r.link), "%s/root/%s.link", b->folder, name);
	ck_assert_int_eq(pthread_create(&thread, NULL, trade, &r), 0);
	while (seconds() < until) {
		int status = box_run(b, NULL);

		built += status == 0;
		refused += status < 0;
		assert_untouched();
	}
	atomic_store(&r.over, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	printf("%s: %d built, %d refused\n", name, built, refused);
	ck_assert_int_gt(built + refused, 10);
}

START_TEST(folders_that_become_links_meanwhile_lead_nowhere)
{
	static char *masks[] = { (char *) "/swap/secret", NULL };
	static char *fixed[] = { (char *) "/swap/fixed", NULL };
	struct box b;

	BEGIN(&b, _i);
	box_make_folder(&b, "root/swap");
	box_make_folder(&b, "root/swap/fixed");
	box_make_file(&b, "root/swap/secret", "secret");
	box_mount(&b, "/swap/one/two", "tmpfs", "tmpfs", NULL);
	box_mount(&b, "/swap/three", "tmpfs", "tmpfs", NULL);
	b.devices[0] = (struct ctr_device){ .path = (char *) "/swap/pipe",
					    .type = S_IFIFO,
					    .mode = 0666 };
	b.config.device_count = 1;
	b.config.masked_paths = (struct ctr_texts){ .at = masks, .count = 1 };
	b.config.readonly_paths = (struct ctr_texts){ .at = fixed, .count = 1 };
	race_against(&b, "swap");
	end(&b);
}
END_TEST

/* Puts a link that leads out in place of what is copied, as soon as that is there. */
static void *replace(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->over))
		if (access(r->folder, F_OK) == 0 && symlink(out, r->link) == 0 &&
		    rename(r->link, r->folder) < 0)
			(void) unlink(r->link);
	return NULL;
}

START_TEST(a_volume_that_others_have_too_is_filled_without_following_their_links)
{
	static const struct rootfs_copying how = { .top = true };
	double until = seconds() + 1.0;
	struct race r = { .over = false };
	struct stat before, after;
	pthread_t thread;
	struct box b;
	int from, to;

	BEGIN(&b, _i);
	box_make_folder(&b, "root/image");
	box_make_folder(&b, "root/volume");
	box_make_file(&b, "root/image/file", "text");
	(void) snprintf(r.folder, sizeof(r.folder), "%s/root/image", b.folder);
	from = open(r.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void) snprintf(r.folder, sizeof(r.folder), "%s/root/volume", b.folder);
	to = open(r.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert(from >= 0 && to >= 0);
	ck_assert_int_eq(fchmodat(from, "file", 04711, 0), 0);
	ck_assert_int_eq(stat(out, &before), 0);
	(void) snprintf(r.folder, sizeof(r.folder), "%s/root/volume/file", b.folder);
	(void) snprintf(r.link, sizeof(r.link), "%s/root/volume/.link", b.folder);
	ck_assert_int_eq(pthread_create(&thread, NULL, replace, &r), 0);
	while (seconds() < until) {
		struct co_err err;

		(void) rootfs_copy(&how, from, to, "the volume", &err);
		(void) rootfs_empty(to, NULL);
	}
	atomic_store(&r.over, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(stat(out, &after), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	(void) close(from);
	(void) close(to);
	end(&b);
}
END_TEST

START_TEST(a_dev_that_becomes_a_link_meanwhile_leads_nowhere)
{
	struct box b;

	BEGIN(&b, _i);
	b.no_standard = _i == BOX_ROOT; /* once into the image's own */
	box_make_folder(&b, "root/dev");
	race_against(&b, "dev");
	end(&b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("abuse");
	const TTest *const tests[] = {
		a_link_instead_of_dev_proc_or_sys_is_refused,
		a_file_instead_of_dev_proc_or_sys_is_refused,
		links_that_lead_out_lead_inside,
		a_mount_point_of_dots_is_inside,
		the_root_itself_is_no_mount_point,
		links_without_end_are_refused,
		links_into_proc_are_refused,
		a_file_where_a_folder_belongs_is_refused,
		links_in_the_images_dev_are_not_followed,
		the_console_does_not_go_where_the_image_says,
		a_terminal_of_the_images_own_making_is_refused,
		masks_are_the_hosts_null_whatever_the_image_calls_so,
		parameters_are_set_in_the_kernel_and_not_in_what_covers_it,
		a_chroot_out_of_a_chroot_ends_at_the_containers_root,
		device_nodes_of_a_layer_open_nothing,
		device_nodes_of_a_single_layer_open_nothing,
		device_nodes_of_a_root_open_nothing_for_ids_of_ones_own,
		folders_that_become_links_meanwhile_lead_nowhere,
		a_dev_that_becomes_a_link_meanwhile_leads_nowhere,
		a_volume_that_others_have_too_is_filled_without_following_their_links,
	};

	for (size_t i = 0; i < co_countof(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, BOX_KINDS);
	tcase_add_test(tc, such_images_are_refused_before_another_runtime_has_them);
	tcase_set_timeout(tc, 60);
	return run_tests(tc);
}
