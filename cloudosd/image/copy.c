/* SPDX-License-Identifier: MIT */
/* Copying out of and into stopped containers.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/layer.h"
#include "cloudosd/image/merged.h"
#include "cloudosd/image/pack.h"
#include "cloudosd/image/report.h"
#include "cloudosd/image/sandbox.h"
#include "cloudosd/image/tree.h"
#include "cloudosd/image/unpack.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- in the process ---- */

/* The archive's names begin with the last part of the path, as those of docker cp do. */
static int pack_path(const struct merged *m, int root, struct co_err *err)
{
	struct pack pack = { .fd = m->fd, .what = m->what };
	autoclose int folder = -1;
	struct tree_place place;
	struct tree tree;
	struct stat st;
	int r;

	tree_init(&tree, root);
	tree.mounts = m->live > 0;
	r = tree_place(&tree, m->path ? m->path : "", false, &place, err);
	if (!r && !tree_look(&place, &st))
		r = co_fail(err, CO_NOT_FOUND, "there is no %s in the container",
			    m->path);
	if (!r) {
		folder = openat(place.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			r = co_fail_errno(err, errno, "cannot open %s", m->path);
	}
	pack.only = *place.name ? place.name : NULL;
	if (!r)
		r = pack_folder(&pack, folder, NULL, err);
	tree_done(&tree);
	return r;
}

static int pack_job(void *arg, int root, FILE *out, struct co_err *err)
{
	(void) out;
	return pack_path(arg, root, err);
}

static int unpack_here(void *arg, int root, FILE *out, struct co_err *err)
{
	const struct merged *m = arg;
	struct unpack unpack = { .fd = m->fd,
				 .what = "the archive",
				 .lowest =
					 true, /* the overlay makes its marks itself */
				 .plain = true,
				 .strict = true,
				 .keep_owners = m->keep_owners,
				 .most_bytes = m->most_bytes,
				 .most_entries = m->most_entries };
	struct tree_place place;
	autoclose int folder = -1;
	struct tree tree;
	int r;

	tree_init(&tree, root);
	tree.mounts = m->live > 0;
	r = tree_place(&tree, m->path, false, &place, err);
	if (!r) {
		folder = openat(place.folder, *place.name ? place.name : ".",
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder < 0)
			r = co_fail_errno(err, errno, "cannot open the folder %s",
					  m->path);
	}
	tree_done(&tree);
	return r ? r : unpack_job(&unpack, folder, out, err);
}

static int pass_over(void *arg, struct co_span line, struct co_err *err)
{
	(void) arg;
	(void) line;
	(void) err;
	return 0;
}

/* ---- outside ---- */

static char **texts_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
	return NULL;
}

static char **paths_of(const struct depot *d, const struct co_image_record *image,
		       struct co_err *err)
{
	char **paths = calloc(image->layer_count + 1, sizeof(char *));

	for (size_t i = 0; paths && i < image->layer_count; i++) {
		char path[PATH_MAX];
		size_t from = image->layer_count - 1 - i;

		if (layer_path(d, image->layers[from].chain, path, err) ||
		    !(paths[i] = strdup(path)))
			return texts_free(paths);
	}
	return paths;
}

static int run_live(const struct merged *m,
		    int (*job)(void *arg, int root, FILE *out, struct co_err *err),
		    struct co_err *err)
{
	struct merged copy = *m;

	return sandbox_run(&(struct sandbox){ .fds = { m->fd, -1 },
					      .job = job,
					      .line = pass_over,
					      .arg = &copy,
					      .live = m->live },
			   err);
}

static int run_in(struct depot *d, const struct merged *m,
		  int (*job)(void *arg, int root, FILE *out, struct co_err *err),
		  struct co_err *err)
{
	struct merged copy = *m;
	struct sandbox box = { .fds = { m->fd, -1 },
			       .job = job,
			       .line = pass_over,
			       .arg = &copy,
			       .upper = m->work ? m->upper : NULL,
			       .work = m->work };
	char **paths = paths_of(d, m->image, err), **with;
	char folder[PATH_MAX] = "";
	size_t n = m->image->layer_count;
	int r = 0;

	if (!paths)
		return co_fail(err, CO_NO_MEMORY, "no memory for layers");
	/* read-only, what the container has changed is one more layer */
	with = calloc(n + 2, sizeof(char *));
	if (!with)
		r = co_fail(err, CO_NO_MEMORY, "no memory for layers");
	for (size_t i = 0; with && i < n; i++)
		with[i + (m->upper && !m->work)] = paths[i];
	if (with && m->upper && !m->work) {
		with[0] = (char *) m->upper;
		n++;
	}
	box.layers = (const char *const *) with;
	box.layer_count = n;
	if (!r)
		r = depot_path(d, "mnt", folder, err);
	box.folder = folder;
	if (!r && mkdir(folder, 0700) && errno != EEXIST)
		r = co_fail_errno(err, errno, "cannot make %s", folder);
	if (n == 1 && !box.upper) { /* an overlay has two */
		box.folder = with[0];
		box.layers = NULL;
	}
	if (!r)
		r = sandbox_run(&box, err);
	free(with);
	(void) texts_free(paths);
	return r;
}

int merged_pack(struct depot *d, const struct merged *m, struct co_err *err)
{
	return m->live ? run_live(m, pack_job, err) : run_in(d, m, pack_job, err);
}

int merged_unpack(struct depot *d, const struct merged *m, struct co_err *err)
{
	return m->live ? run_live(m, unpack_here, err) : run_in(d, m, unpack_here, err);
}

/* ---- the commands ---- */

/* --pid: of the container, which then need not be told by image and folder. */
static int find_container(const struct depot *d, const struct options *o,
			  const char *image, struct merged *m, struct co_err *err)
{
	size_t at;
	int r;

	if (o->pid) {
		m->live = (int) syscall(SYS_pidfd_open, o->pid, 0);
		return m->live < 0 ? co_fail_errno(err, errno, "there is no process %d",
						   o->pid)
				   : 0;
	}
	r = co_image_index_find(&d->index, co_span(image), &at, err);
	if (!r)
		m->image = &d->index.at[at];
	return r;
}

int command_cp_out(struct depot *d, const struct options *o, char **argv, int argc,
		   struct co_err *err)
{
	struct merged m = {
		.upper = argv[1], .path = argv[2], .what = argv[1], .fd = STDOUT_FILENO
	};
	int r = find_container(d, o, argv[0], &m, err);

	(void) argc;
	if (!r)
		r = merged_pack(d, &m, err);
	if (m.live > 0)
		(void) close(m.live); /* was only a handle */
	return r;
}

int command_cp_in(struct depot *d, const struct options *o, char **argv, int argc,
		  struct co_err *err)
{
	struct merged m = { .upper = argv[1],
			    .work = o->work,
			    .path = argv[2],
			    .what = argv[1],
			    .fd = STDIN_FILENO,
			    .most_bytes = o->layers.most_bytes,
			    .most_entries = o->layers.most_entries,
			    .keep_owners = geteuid() == 0 };
	int r = find_container(d, o, argv[0], &m, err);

	(void) argc;
	if (!r && !o->work && !o->pid)
		r = co_fail(err, CO_INVALID,
			    "cp-in needs --work, the folder beside UPPER that belongs "
			    "to its overlay");
	if (!r)
		r = merged_unpack(d, &m, err);
	if (m.live > 0)
		(void) close(m.live); /* was only a handle */
	return r ? r : report_done(NULL);
}
