/* SPDX-License-Identifier: MIT */
/* Layers: from a blob to a folder that can lie in an overlay.  HOST. */
#include "cloudosd/image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/image/io.h"
#include "cloudosd/image/report.h"
#include "cloudosd/image/sandbox.h"
#include "cloudosd/image/spool.h"
#include "cloudosd/image/unpack.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/json_scan.h"

int layer_path(const struct depot *d, const char *chain, char out[PATH_MAX],
	       struct co_err *err)
{
	char name[128];

	(void) snprintf(name, sizeof(name), "layers/%s/fs", chain);
	return depot_path(d, name, out, err);
}

/* The chain under it; NULL: it is the lowest. */
static const char *below(const struct layer_want *want)
{
	return want->below_count ? want->below[want->below_count - 1].chain : NULL;
}

/* The identity of a layer upon others (OCI image-spec, "Layer ChainID"). */
static void chain_of(const char *under, const struct digest *diff, char out[65])
{
	struct digest chain = *diff;
	char text[256];

	if (under) {
		int n = snprintf(text, sizeof(text), "sha256:%s %s", under, diff->text);

		digest_of(text, (size_t) n, &chain);
	}
	(void) snprintf(out, 65, "%s", digest_hex(&chain));
}

/* ---- what the process says ---- */

struct taking {
	struct unpack unpack;
	struct spool spool;
	struct depot *depot;
	const struct layer_want *want;
	int folder;    /* fs of the new layer */
	uint64_t size; /* of the blob */
	struct digest diff;
	struct layer_facts facts;
	uint64_t stream;
};

static uint64_t number(struct co_span json, const char *name)
{
	struct co_span value;
	int64_t n;

	return co_json_member(json, name, &value) && co_json_whole(value, &n) && n > 0
		       ? (uint64_t) n
		       : 0;
}

/* A path of a stranger's below a folder of ours: it leads nowhere but down. */
static int open_below(int folder, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned) (flags | O_DIRECTORY | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					   RESOLVE_NO_XDEV };

	return (int) syscall(SYS_openat2, folder, *path ? path : ".", &how,
			     sizeof(how));
}

/* The mark that overlays of root look at; the process may not set it. */
static int mark(const struct taking *t, struct co_span json, struct co_err *err)
{
	autobuf struct co_buf path = { 0 };
	autoclose int fd = -1;

	if (geteuid() != 0)
		return 0;
	if (co_json_unescape(json, &path) || path.failed)
		return co_fail(err, CO_INVALID, "a folder's name is no text");
	fd = open_below(t->folder, path.size ? path.data : "", O_RDONLY);
	if (fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0))
		return co_fail_errno(err, errno, "cannot mark %.200s as opaque",
				     path.size ? path.data : "/");
	return 0;
}

/* A folder without an entry of its own is what it is below: an overlay takes the uppermost
 * one's word for owner and mode. */
static int imply(const struct taking *t, struct co_span json, struct co_err *err)
{
	autobuf struct co_buf path = { 0 };

	if (co_json_unescape(json, &path) || path.failed || !path.size)
		return 0; /* not to be found */
	for (size_t i = t->want->below_count; i > 0; i--) {
		autoclose int layer = -1, from = -1, to = -1;
		char name[PATH_MAX];
		struct stat st;
		int r = layer_path(t->depot, t->want->below[i - 1].chain, name, err);

		if (r)
			return r;
		layer = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		from = layer < 0 ? -1 : open_below(layer, path.data, O_RDONLY);
		if (from < 0 || fstat(from, &st))
			continue;
		to = open_below(t->folder, path.data, O_RDONLY);
		if (to < 0 || fchmod(to, st.st_mode & 07777) ||
		    (geteuid() == 0 && fchown(to, st.st_uid, st.st_gid)) ||
		    futimens(to, (struct timespec[2]){ { 0, UTIME_OMIT }, st.st_mtim }))
			return co_fail_errno(
				err, errno, "cannot set the mode of %.200s", path.data);
		return 0;
	}
	return 0;
}

static int take_line(void *arg, struct co_span line, struct co_err *err)
{
	struct taking *t = arg;
	autobuf struct co_buf diff = { 0 };
	struct co_span value;

	if (co_json_member(line, "opaque", &value))
		return mark(t, value, err);
	if (co_json_member(line, "implied", &value))
		return imply(t, value, err);
	if (co_json_member(line, "unpacked", &value)) {
		report_progress("unpack", t->unpack.what, number(line, "unpacked"), 0);
		return 0;
	}
	if (!co_json_member(line, "diff", &value) || co_json_unescape(value, &diff))
		return co_fail(err, CO_PROTOCOL, "the layer's reader talks nonsense");
	t->stream = number(line, "stream");
	t->facts = (struct layer_facts){ .bytes = number(line, "bytes"),
					 .entries = number(line, "entries"),
					 .devices = number(line, "devices"),
					 .setuid = number(line, "setuid"),
					 .attributes = number(line, "attributes"),
					 .squashed = geteuid() != 0 };
	return digest_parse((struct co_span){ diff.data, diff.size }, &t->diff, err);
}

static int unpack(void *arg, int root, FILE *out, struct co_err *err)
{
	const struct taking *t = arg;

	return unpack_job(&t->unpack, root, out, err);
}

static int plain(void *arg, int root, FILE *out, struct co_err *err)
{
	const struct taking *t = arg;

	return spool_plain(&t->spool, root, out, err);
}

/* ---- decompressing alone ---- */

int layer_plain(struct depot *d, const struct digest *blob, int fd, uint64_t most_bytes,
		struct digest *out_diff, uint64_t *out_size, struct co_err *err)
{
	struct taking t = { .folder = -1 };
	struct sandbox box = { .job = plain, .line = take_line, .arg = &t };
	char temp[64], path[PATH_MAX];
	autoclose int from = -1;
	int r = depot_blob_open(d, blob, &from, err);

	if (!r)
		r = depot_temp_folder(d, temp, err);
	if (r)
		return r;
	t.unpack.what = blob->text;
	t.spool = (struct spool){
		.fd = from, .what = blob->text, .most_bytes = most_bytes, .copy = fd
	};
	box.fds[0] = from;
	box.fds[1] = fd;
	box.fds[2] = -1;
	r = depot_path(d, temp, path, err);
	box.folder = path;
	if (!r)
		r = sandbox_run(&box, err);
	depot_temp_remove(d, temp);
	*out_diff = t.diff;
	*out_size = t.stream;
	return r;
}

/* ---- unpacking ---- */

static int write_facts(struct depot *d, const char *temp, const struct taking *t,
		       const char *walls, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	autoclose int fd = -1;
	char name[96];
	int r;

	co_buf_format(&text,
		      "{\"bytes\":%llu,\"entries\":%llu,\"devices\":%llu,"
		      "\"setuid\":%llu,\"attributes\":%llu,\"squashed\":%s,"
		      "\"walls\":\"%s\"}\n",
		      (unsigned long long) t->facts.bytes,
		      (unsigned long long) t->facts.entries,
		      (unsigned long long) t->facts.devices,
		      (unsigned long long) t->facts.setuid,
		      (unsigned long long) t->facts.attributes,
		      t->facts.squashed ? "true" : "false", walls);
	(void) snprintf(name, sizeof(name), "%s/layer.json", temp);
	fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0        ? -errno
	    : text.failed ? -ENOMEM
			  : io_write(fd, text.data, text.size);
	return r ? co_fail_errno(err, -r, "cannot write %s/%s", d->path, name) : 0;
}

static void tell_facts(const struct taking *t)
{
	if (t->facts.devices)
		report_note("%llu device nodes of the image were left out: containers "
			    "get their own",
			    (unsigned long long) t->facts.devices);
	if (t->facts.attributes)
		report_note("%llu access lists and extended attributes were left out",
			    (unsigned long long) t->facts.attributes);
	if (t->facts.setuid && !t->unpack.keep_owners)
		report_note("%llu set-user-id programs lost that bit: their owners are "
			    "not kept",
			    (unsigned long long) t->facts.setuid);
}

static int unpack_into(struct depot *d, const char *temp, struct taking *t,
		       struct co_err *err)
{
	struct sandbox box = {
		.fds = { t->unpack.fd, -1 }, .job = unpack, .line = take_line, .arg = t
	};
	char name[96], path[PATH_MAX];
	int r;

	(void) snprintf(name, sizeof(name), "%s/fs", temp);
	r = depot_path(d, name, path, err);
	if (r)
		return r;
	if (mkdirat(d->fd, name, 0755) || chmod(path, 0755))
		return co_fail_errno(err, errno, "cannot make %s", path);
	t->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (t->folder < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	box.folder = path;
	r = sandbox_run(&box, err);
	(void) close(t->folder);           /* only read */
	(void) co_fault("image.unpacked"); /* a place to be killed at */
	return r;
}

static int not_it(const struct layer_want *want, const struct digest *is,
		  struct co_err *err)
{
	return co_fail(
		err, CO_CORRUPT,
		"the layer %.30s... is not what the image says: decompressed its "
		"digest is %s and not %s",
		want->blob->text, is->text, want->diff->text);
}

static int unpack_new(struct depot *d, const struct layer_want *want,
		      const struct layer_options *options, struct taking *t,
		      char chain[65], struct co_err *err)
{
	autoclose int fd = -1;
	char temp[64];
	int r = depot_blob_open(d, want->blob, &fd, err);

	if (!r)
		r = depot_temp_folder(d, temp, err);
	if (r)
		return r;
	t->unpack = (struct unpack){ .fd = fd,
				     .what = want->blob->text,
				     .lowest = !want->below_count,
				     .keep_owners = geteuid() == 0,
				     .drop_setuid = options->drop_setuid,
				     .strict = !want->diff,
				     .plain = want->plain,
				     .most_bytes = options->most_bytes,
				     .most_entries = options->most_entries };
	r = unpack_into(d, temp, t, err);
	if (!r && want->diff && !digest_equal(want->diff, &t->diff))
		r = not_it(want, &t->diff, err);
	chain_of(below(want), &t->diff, chain);
	if (!r && !depot_has_layer(d, chain)) {
		tell_facts(t);
		r = write_facts(d, temp, t, sandbox_walls(), err);
		if (!r)
			r = depot_layer_keep(d, temp, chain, err);
		if (!r)
			return 0;
	}
	depot_temp_remove(d, temp);
	return r;
}

/* Has somebody seen that this blob is that layer? */
static bool seen(const struct depot *d, const struct layer_want *want,
		 const char *chain)
{
	for (size_t i = 0; i < d->index.count; i++)
		for (size_t k = 0; k < d->index.at[i].layer_count; k++) {
			const struct co_image_layer *l = &d->index.at[i].layers[k];

			if (strcmp(l->chain, chain) == 0 &&
			    strcmp(l->digest, want->blob->text) == 0)
				return true;
		}
	return false;
}

int layer_take(struct depot *d, const struct layer_want *want,
	       const struct layer_options *options, struct co_image_layer *out,
	       struct co_err *err)
{
	struct taking t = { .folder = -1, .depot = d, .want = want };
	char chain[65] = "";
	int r = 0;

	*out = (struct co_image_layer){ 0 };
	if (want->diff)
		chain_of(below(want), want->diff, chain);
	if (!*chain || !depot_has_layer(d, chain)) {
		r = unpack_new(d, want, options, &t, chain, err);
	} else if (!seen(d, want, chain)) {
		/* another blob, said to have the same in it */
		r = layer_plain(d, want->blob, -1, options->most_bytes, &t.diff,
				&t.stream, err);
		if (!r && !digest_equal(&t.diff, want->diff))
			r = not_it(want, &t.diff, err);
	} else {
		t.diff = *want->diff;
	}
	if (!r)
		r = depot_layer_facts(d, chain, &t.facts, err);
	if (r)
		return r;
	(void) snprintf(out->chain, sizeof(out->chain), "%s", chain);
	(void) snprintf(out->diff, sizeof(out->diff), "%s", t.diff.text);
	(void) snprintf(out->digest, sizeof(out->digest), "%s", want->blob->text);
	(void) snprintf(out->media_type, sizeof(out->media_type), "%s",
			want->media_type);
	out->size = t.facts.bytes;
	return depot_blob_size(d, want->blob, &out->blob_size) ? 0 : CO_IO;
}
