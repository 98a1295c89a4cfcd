/* SPDX-License-Identifier: MIT */
/* HOST test of roots made of layers (cloudosd/ctr/rootfs.h): overlays and what stands in. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"
#include "lib/cleanup.h"
#include "tests/containers/box.h"

static int layers_are_merged(void)
{
	struct stat st;
	int fd;

	LOOK(look_text("/low", "low") && look_text("/both", "high"));
	LOOK(look_text("/high", "high"));
	LOOK(stat("/low", &st) == 0 && st.st_uid == 0);
	fd = open("/low", O_WRONLY | O_TRUNC | O_CLOEXEC);
	LOOK(fd >= 0 && write(fd, "changed", 7) == 7);
	LOOK(unlink("/high") == 0);
	LOOK(mkdir("/new", 0700) == 0);
	LOOK(look_mount("/", "overlay", "rw,nodev"));
	return 0;
}

static void make_layers(struct box *b, char *layers[3], char paths[4][256])
{
	static const char *const names[] = { "high", "low", "upper", "work" };

	for (size_t i = 0; i < 4; i++) {
		box_make_folder(b, names[i]);
		box_path(b, names[i], paths[i]);
	}
	box_make_file(b, "low/low", "low");
	box_make_file(b, "low/both", "low");
	box_make_file(b, "high/both", "high");
	box_make_file(b, "high/high", "high");
	layers[0] = paths[0];
	layers[1] = paths[1];
	layers[2] = NULL;
	b->config.cloudos.layers = (struct ctr_texts){ .at = layers, .count = 2 };
	b->config.cloudos.upper = paths[2];
	b->config.cloudos.work = paths[3];
}

START_TEST(layers_make_one_root_and_changes_go_to_upper)
{
	struct box b;
	struct stat st;
	char *layers[3], paths[4][256], path[256];

	if (!box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	make_layers(&b, layers, paths);
	RUN(&b, layers_are_merged);
	box_path(&b, "upper/new", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, _i == BOX_ROOTLESS ? b.uid.outside : 0);
	box_path(&b, "upper/high", path);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	box_path(&b, "low/low", path);
	ck_assert(look_text(path, "low"));
	box_done(&b);
}
END_TEST

START_TEST(layers_make_one_root_on_kernels_that_want_names)
{
	struct box b;
	struct stat st;
	char *layers[3], paths[4][256], path[256];

	if (!box_can((enum box_kind) _i))
		return;
	rootfs_overlay_by_name = true;
	box_init(&b, (enum box_kind) _i);
	make_layers(&b, layers, paths);
	b.config.cloudos.scratch = true;
	RUN(&b, layers_are_merged);
	ck_assert_str_eq(b.notes, "");
	box_path(&b, "upper/new", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, _i == BOX_ROOTLESS ? b.uid.outside : 0);
	box_done(&b);
}
END_TEST

/* What this box is in is an overlay itself, as in somebody else's container. */
static bool mount_overlay_on(const struct box *b, char folder[64])
{
	static const char *const names[] = { "low", "up", "work" };
	char options[512], path[80];

	(void) snprintf(folder, 64, "/var/tmp/cloudos-box.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (size_t i = 0; i < co_countof(names); i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	(void) snprintf(options, sizeof(options),
			"lowerdir=%s,upperdir=%s/up,workdir=%s/work", b->folder, folder,
			folder);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	if (mount("o", b->folder, "overlay", 0, options) == 0)
		return true;
	printf("SKIP what stands in for overlays: none can be had on /var/tmp (%s)\n",
	       strerror(errno));
	return false;
}

static int copies_are_merged(void)
{
	struct stat st;

	LOOK(look_text("/low", "low") && look_text("/both", "high"));
	LOOK(access("/opaque/low", F_OK) < 0);
	LOOK(look_text("/opaque/high", "high") && look_text("/deep/er/low", "low"));
	LOOK(stat("/low", &st) == 0 && st.st_uid == 0);
	LOOK(open("/new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) >= 0);
	LOOK(look_mount("/", NULL, "nodev"));
	return 0;
}

static int copy_is_kept(void)
{
	LOOK(look_text("/low", "low"));
	LOOK(access("/new", F_OK) == 0);
	return 0;
}

START_TEST(layers_are_copied_where_no_overlay_can_be)
{
	struct box b, outer;
	char *layers[3], paths[4][256], path[256], folder[64];

	if (geteuid() != 0 || !box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	make_layers(&b, layers, paths);
	box_make_folder(&b, "low/opaque");
	box_make_file(&b, "low/opaque/low", "low");
	box_make_folder(&b, "low/deep");
	box_make_folder(&b, "low/deep/er");
	box_make_file(&b, "low/deep/er/low", "low");
	box_make_folder(&b, "high/deep");
	box_make_folder(&b, "high/opaque");
	box_make_file(&b, "high/opaque/high", "high");
	box_path(&b, "high/opaque", path);
	ck_assert_int_eq(setxattr(path, "user.overlay.opaque", "y", 1, 0), 0);
	outer = b;
	if (!mount_overlay_on(&outer, folder))
		return;
	RUN(&b, copies_are_merged);
	ck_assert_ptr_nonnull(strstr(_i == BOX_ROOTLESS ? b.notes : b.outside_note,
				     "the image was copied"));
	RUN(&b, copy_is_kept);
	ck_assert_int_eq(umount2(b.folder, MNT_DETACH), 0);
	(void) snprintf(b.root, sizeof(b.root), "%s/work/work", folder);
	(void) chmod(b.root, 0700); /* if it is there */
	box_done(&b);
	memcpy(outer.folder, folder, sizeof(folder));
	outer.config.mount_count = 0;
	box_done(&outer);
}
END_TEST

START_TEST(a_layer_that_is_copied_takes_away_what_it_hides)
{
	static const struct rootfs_copying how = { .is_layer = true };
	struct box b;
	struct co_err err = { 0 };
	char path[256];
	int from, to;

	if (!box_can(BOX_ROOT))
		return;
	box_init(&b, BOX_ROOT);
	box_make_folder(&b, "layer");
	box_path(&b, "layer/file", path);
	ck_assert_int_eq(mknod(path, S_IFCHR, 0), 0);
	box_path(&b, "layer/folder", path);
	ck_assert_int_eq(mknod(path, S_IFCHR, 0), 0);
	box_make_file(&b, "layer/kind", "a file now");
	box_make_file(&b, "root/file", "file");
	box_make_folder(&b, "root/folder");
	box_make_file(&b, "root/folder/file", "file");
	box_make_folder(&b, "root/kind");
	box_make_link(&b, "root/kind/link", "/etc");
	box_path(&b, "layer", path);
	from = open(path, O_RDONLY | O_CLOEXEC);
	to = open(b.root, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(rootfs_copy(&how, from, to, "it", &err) == 0, "%s", err.message);
	ck_assert_int_lt(faccessat(to, "file", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_lt(faccessat(to, "folder", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	box_path(&b, "root/kind", path);
	ck_assert(look_text(path, "a file now"));
	ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
	box_done(&b);
}
END_TEST

START_TEST(layers_are_mounted_for_another_runtime)
{
	struct box b;
	struct co_err err = { 0 };
	struct stat st;
	char *layers[3], paths[4][256], path[256], note[256];
	int signal = 0;

	if (_i == BOX_ROOTLESS || !box_can((enum box_kind) _i))
		return;
	box_init(&b, (enum box_kind) _i);
	make_layers(&b, layers, paths);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	ck_assert_int_eq(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	ck_assert_msg(ctr_rootfs_mount(&b.config, b.root, note, &err) == 0, "%s",
		      err.message);
	/* the caller is as it was */
	ck_assert_int_eq(prctl(PR_GET_PDEATHSIG, &signal), 0);
	ck_assert_int_eq(signal, SIGUSR1);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
	ck_assert_str_eq(note, "");
	ck_assert(look_mount(b.root, "overlay", "rw,nodev"));
	box_path(&b, "root/both", path);
	ck_assert(look_text(path, "high"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, _i == BOX_MAPPED ? 100000 : 0);
	ck_assert_int_eq(umount2(b.root, 0), 0);
	box_make_link(&b, "high/dev", "/etc");
	ck_assert_int_eq(ctr_rootfs_mount(&b.config, b.root, note, &err), CO_ACCESS);
	ck_assert(!look_mount(b.root, "overlay", "rw"));
	box_done(&b);
}
END_TEST

static int layers_without_upper(void)
{
	LOOK(look_text("/low", "low") && look_text("/both", "high"));
	LOOK(open("/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == EROFS);
	return 0;
}

START_TEST(layers_without_upper_cannot_be_written_to)
{
	struct box b;
	char *layers[3], paths[4][256];

	if (!box_can((enum box_kind) _i))
		return;
	for (size_t count = 1; count <= 2; count++) {
		box_init(&b, (enum box_kind) _i);
		make_layers(&b, layers, paths);
		b.config.cloudos.upper = b.config.cloudos.work = NULL;
		box_make_folder(&b, "high/dev");
		box_make_folder(&b, "high/proc");
		box_make_folder(&b, "high/sys");
		if (count == 1) {
			box_make_file(&b, "high/low", "low");
			b.config.cloudos.layers.count = 1;
		}
		RUN(&b, layers_without_upper);
		box_done(&b);
	}
}
END_TEST

static int unmapped(void)
{
	struct stat st;

	LOOK(stat("/volume/file", &st) == 0 && st.st_uid == 65534);
	return 0;
}

START_TEST(a_volume_that_cannot_be_mapped_is_mounted_and_said)
{
	struct ctr_id_map own = { .inside = 0, .outside = 100007, .count = 1 };
	struct box b, outer;
	struct ctr_mount *m;
	char volume[256], root[64], folder[64];

	if (!box_can(BOX_MAPPED))
		return;
	box_init(&b, BOX_MAPPED);
	box_init(&outer, BOX_ROOT);
	box_make_folder(&outer, "volume");
	box_make_file(&outer, "volume/file", "x");
	box_path(&outer, "volume", volume);
	memcpy(root, outer.folder, sizeof(root));
	if (!mount_overlay_on(&outer, folder))
		return;
	m = box_mount(&b, "/volume", "bind", volume, "bind", "idmap", NULL);
	RUN(&b, unmapped);
	ck_assert_ptr_nonnull(
		strstr(b.outside_note, "the files in /volume belong to nobody"));
	/* what was spelled out is demanded */
	m->uids = m->gids = (struct ctr_id_maps){ &own, 1 };
	ck_assert(box_is_refused(&b, "cannot map the ids"));
	box_done(&b);
	ck_assert_int_eq(umount2(root, MNT_DETACH), 0);
	box_done(&outer);
	memcpy(outer.folder, folder, sizeof(folder));
	outer.config.mount_count = 0;
	box_path(&outer, "work/work", volume);
	(void) chmod(volume, 0700); /* if it is there */
	box_done(&outer);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("layers");

	tcase_add_loop_test(tc, layers_make_one_root_and_changes_go_to_upper, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc, layers_make_one_root_on_kernels_that_want_names, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc, layers_are_copied_where_no_overlay_can_be, 0,
			    BOX_KINDS);
	tcase_add_loop_test(tc, layers_without_upper_cannot_be_written_to, 0,
			    BOX_KINDS);
	tcase_add_test(tc, a_layer_that_is_copied_takes_away_what_it_hides);
	tcase_add_test(tc, a_volume_that_cannot_be_mapped_is_mounted_and_said);
	tcase_add_loop_test(tc, layers_are_mounted_for_another_runtime, 0, BOX_KINDS);
	return run_tests(tc);
}
