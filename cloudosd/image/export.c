/* SPDX-License-Identifier: MIT */
/*
 * export: an image as a docker archive, an OCI layout (folder or archive) or one archive of
 * its root file system.  HOST.
 *
 * Written under another name beside the path and renamed when it is complete.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/merged.h"
#include "cloudosd/image/remove.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"

enum { CHUNK = 262144 };

/* Where files go: into an archive or into a folder. */
struct target {
	const char *path;
	struct archive *archive; /* NULL: a folder */
	int folder;
};

struct exporting {
	struct depot *depot;
	const struct options *options;
	const struct co_image_record *image;
	const char *name; /* asked for, in full; "" if by id */
	struct target target;
};

/* ---- targets ---- */

static int cannot(const struct target *t, const char *name, struct co_err *err)
{
	if (t->archive && archive_error_string(t->archive))
		return co_fail_errno(err, archive_errno(t->archive) ?: EIO,
				     "cannot write %s into %s", name, t->path);
	return co_fail_errno(err, errno, "cannot write %s into %s", name, t->path);
}

static int begin_file(struct target *t, const char *name, uint64_t size, int *out,
		      struct co_err *err)
{
	struct archive_entry *e;
	int r;

	*out = -1;
	if (!t->archive) {
		*out = openat(t->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			      0644);
		return *out < 0 ? cannot(t, name, err) : 0;
	}
	e = archive_entry_new();
	if (!e)
		return co_fail(err, CO_NO_MEMORY, "no memory to write %s", t->path);
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, S_IFREG | 0644);
	archive_entry_set_size(e, (la_int64_t) size);
	archive_entry_set_mtime(e, 0, 0);
	r = archive_write_header(t->archive, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : cannot(t, name, err);
}

static int write_some(struct target *t, int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = t->archive ? archive_write_data(t->archive, data, n)
					  : write(fd, data, n);

		if (done < 0 && !t->archive && errno == EINTR)
			continue;
		if (done <= 0)
			return CO_IO;
		data += done;
		n -= (size_t) done;
	}
	return 0;
}

static int put_text(struct target *t, const char *name, const struct co_buf *text,
		    struct co_err *err)
{
	autoclose int fd = -1;
	int r = text->failed ? co_fail(err, CO_NO_MEMORY, "no memory for %s", name)
			     : begin_file(t, name, text->size, &fd, err);

	if (!r && write_some(t, fd, text->data, text->size))
		r = cannot(t, name, err);
	return r;
}

static int put_folder(struct target *t, const char *name, struct co_err *err)
{
	if (!t->archive && mkdirat(t->folder, name, 0755) && errno != EEXIST)
		return cannot(t, name, err);
	return 0; /* archives need none */
}

static int put_file(struct target *t, const char *name, int from, struct co_err *err)
{
	autofree char *chunk = malloc(CHUNK);
	autoclose int fd = -1;
	struct stat st;
	off_t at = 0;
	int r;

	if (!chunk || fstat(from, &st))
		return co_fail(err, CO_NO_MEMORY, "no memory to write %s", name);
	r = begin_file(t, name, (uint64_t) st.st_size, &fd, err);
	while (!r && at < st.st_size) {
		ssize_t n = pread(from, chunk, CHUNK, at);

		if (n <= 0)
			return co_fail_errno(err, n ? errno : EIO, "cannot read %s",
					     name);
		if (write_some(t, fd, chunk, (size_t) n))
			return cannot(t, name, err);
		at += n;
		report_progress("write", name, (uint64_t) at, (uint64_t) st.st_size);
	}
	return r;
}

static int put_blob(struct exporting *e, const char *digest, struct co_err *err)
{
	struct digest d;
	autoclose int fd = -1;
	char name[128];
	int r = digest_parse(co_span(digest), &d, err);

	if (!r)
		r = depot_blob_open(e->depot, &d, &fd, err);
	(void) snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&d));
	return r ? r : put_file(&e->target, name, fd, err);
}

/* A layer without compression, in a file that is nobody's. */
static int put_plain(struct exporting *e, const struct co_image_layer *layer,
		     const char *name, struct co_err *err)
{
	struct digest blob, diff;
	autoclose int fd = -1;
	uint64_t size;
	char temp[PATH_MAX];
	int r = digest_parse(co_span(layer->digest), &blob, err);

	if (!r)
		r = depot_path(e->depot, "tmp", temp, err);
	if (r)
		return r;
	fd = open(temp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make a file in %s", temp);
	r = layer_plain(e->depot, &blob, fd, e->options->layers.most_bytes, &diff,
			&size, err);
	if (!r && strcmp(diff.text, layer->diff) != 0)
		r = co_fail(err, CO_CORRUPT, "the layer %s is damaged", layer->digest);
	return r ? r : put_file(&e->target, name, fd, err);
}

/* ---- docker ---- */

static void write_names(const struct exporting *e, struct co_buf *out)
{
	if (*e->name) {
		co_buf_json_text(out, co_span(e->name));
		return;
	}
	for (size_t i = 0; i < e->image->name_count; i++) {
		co_buf_text(out, i ? "," : "");
		co_buf_json_text(out, co_span(e->image->names[i]));
	}
}

static int put_config(struct exporting *e, const char *name, struct co_err *err)
{
	struct digest id;
	autoclose int fd = -1;
	int r = digest_parse(co_span(e->image->id), &id, err);

	if (!r)
		r = depot_blob_open(e->depot, &id, &fd, err);
	return r ? r : put_file(&e->target, name, fd, err);
}

static int export_docker(struct exporting *e, struct co_err *err)
{
	const struct co_image_record *image = e->image;
	autobuf struct co_buf manifest = { 0 };
	const char *hex = image->id + strlen("sha256:");
	char name[128];
	int r;

	(void) snprintf(name, sizeof(name), "%s.json", hex);
	r = put_config(e, name, err);
	co_buf_format(&manifest, "[{\"Config\":\"%s.json\",\"RepoTags\":[", hex);
	write_names(e, &manifest);
	co_buf_text(&manifest, "],\"Layers\":[");
	for (size_t i = 0; !r && i < image->layer_count; i++) {
		(void) snprintf(name, sizeof(name), "%zu-%.64s.tar", i,
				image->layers[i].diff + strlen("sha256:"));
		co_buf_format(&manifest, "%s\"%s\"", i ? "," : "", name);
		r = put_plain(e, &image->layers[i], name, err);
	}
	co_buf_text(&manifest, "]}]\n");
	return r ? r : put_text(&e->target, "manifest.json", &manifest, err);
}

/* ---- OCI ---- */

/* Types of docker's are those of the OCI under other names. */
static const char *oci_type(const char *type)
{
	if (strstr(type, "gzip"))
		return "application/vnd.oci.image.layer.v1.tar+gzip";
	if (strstr(type, "zst"))
		return "application/vnd.oci.image.layer.v1.tar+zstd";
	return "application/vnd.oci.image.layer.v1.tar";
}

static int write_manifest(struct exporting *e, struct co_buf *out, struct co_err *err)
{
	struct digest id;
	uint64_t size;
	int r = digest_parse(co_span(e->image->id), &id, err);

	if (r)
		return r;
	if (!depot_blob_size(e->depot, &id, &size))
		return co_fail(err, CO_CORRUPT, "the configuration %s is missing",
			       id.text);
	co_buf_format(out,
		      "{\"schemaVersion\":2,\"mediaType\":\"application/"
		      "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
		      "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
		      "\"size\":%llu},\"layers\":[",
		      id.text, (unsigned long long) size);
	for (size_t i = 0; i < e->image->layer_count; i++) {
		const struct co_image_layer *l = &e->image->layers[i];

		co_buf_format(out,
			      "%s{\"mediaType\":\"%s\",\"digest\":\"%s\","
			      "\"size\":%llu}",
			      i ? "," : "", oci_type(l->media_type), l->digest,
			      (unsigned long long) l->blob_size);
	}
	co_buf_text(out, "]}");
	return 0;
}

static int put_index(struct exporting *e, const struct digest *manifest, size_t size,
		     struct co_err *err)
{
	const char *name = *e->name               ? e->name
			   : e->image->name_count ? e->image->names[0]
						  : ":latest";
	autobuf struct co_buf index = { 0 };

	co_buf_format(&index,
		      "{\"schemaVersion\":2,\"mediaType\":\"application/"
		      "vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":"
		      "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":"
		      "\"%s\",\"size\":%zu,\"annotations\":{"
		      "\"org.opencontainers.image.ref.name\":",
		      manifest->text, size);
	co_buf_json_text(&index, co_span(strrchr(name, ':') + 1));
	co_buf_text(&index, "},\"platform\":{\"os\":");
	co_buf_json_text(&index, co_span(e->image->os));
	co_buf_text(&index, ",\"architecture\":");
	co_buf_json_text(&index, co_span(e->image->architecture));
	co_buf_text(&index, "}}]}\n");
	return put_text(&e->target, "index.json", &index, err);
}

/* Is it a blob that has been written already?  Layers may be the same. */
static bool again(const struct co_image_record *image, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(image->layers[i].digest, image->layers[at].digest) == 0)
			return true;
	return false;
}

static int export_oci(struct exporting *e, struct co_err *err)
{
	autobuf struct co_buf layout = { 0 };
	autobuf struct co_buf manifest = { 0 };
	struct digest digest;
	char name[128];
	int r;

	co_buf_text(&layout, "{\"imageLayoutVersion\":\"1.0.0\"}\n");
	r = put_text(&e->target, "oci-layout", &layout, err);
	if (!r)
		r = put_folder(&e->target, "blobs", err);
	if (!r)
		r = put_folder(&e->target, "blobs/sha256", err);
	if (!r)
		r = put_blob(e, e->image->id, err);
	for (size_t i = 0; !r && i < e->image->layer_count; i++)
		if (!again(e->image, i))
			r = put_blob(e, e->image->layers[i].digest, err);
	if (!r)
		r = write_manifest(e, &manifest, err);
	if (r)
		return r;
	digest_of(manifest.data, manifest.size, &digest);
	(void) snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&digest));
	r = put_text(&e->target, name, &manifest, err);
	return r ? r : put_index(e, &digest, manifest.size, err);
}

/* ---- the root file system ---- */

static int export_rootfs(struct exporting *e, int fd, struct co_err *err)
{
	return merged_pack(
		e->depot,
		&(struct merged){ .image = e->image, .fd = fd, .what = e->target.path },
		err);
}

/* ---- the command ---- */

static int write_archive(struct exporting *e, int fd, bool oci, struct co_err *err)
{
	struct archive *a = archive_write_new();
	int r = 0;

	e->target.archive = a;
	if (!a || archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
	    archive_write_open_fd(a, fd) != ARCHIVE_OK)
		r = co_fail(err, CO_NO_MEMORY, "cannot begin the archive %s",
			    e->target.path);
	if (!r)
		r = oci ? export_oci(e, err) : export_docker(e, err);
	if (!r && archive_write_close(a) != ARCHIVE_OK)
		r = cannot(&e->target, "the end", err);
	if (a)
		(void) archive_write_free(a); /* closed, or failed already */
	return r;
}

static int to_folder(struct exporting *e, const char *temp, struct co_err *err)
{
	int r;

	if (mkdir(temp, 0755))
		return co_fail_errno(err, errno, "cannot make %s", temp);
	e->target.folder = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->target.folder < 0)
		return co_fail_errno(err, errno, "cannot open %s", temp);
	r = export_oci(e, err);
	if (!r && syncfs(e->target.folder))
		r = co_fail_errno(err, errno, "cannot write %s", temp);
	(void) close(e->target.folder); /* synced */
	return r;
}

static int to_file(struct exporting *e, const char *temp, const char *format,
		   struct co_err *err)
{
	autoclose int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make %s", temp);
	if (strcmp(format, "rootfs") == 0)
		r = export_rootfs(e, fd, err);
	else
		r = write_archive(e, fd, strcmp(format, "oci-archive") == 0, err);
	if (!r && fsync(fd))
		r = co_fail_errno(err, errno, "cannot write %s", temp);
	return r;
}

static bool is_empty_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	bool empty = folder;

	while (empty && (entry = readdir(folder)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (folder)
		(void) closedir(folder); /* was only read from */
	return empty;
}

static int export(struct exporting *e, const char *format, struct co_err *err)
{
	bool folder = strcmp(format, "oci") == 0;
	char temp[PATH_MAX];
	struct stat st;
	int r;

	if (snprintf(temp, sizeof(temp), "%s.%d.part", e->target.path, getpid()) >=
	    (int) sizeof(temp))
		return co_fail(err, CO_NAME_TOO_LONG, "%s is too long a path",
			       e->target.path);
	/* files are replaced, as programs do; a folder may be somebody's work */
	if (stat(e->target.path, &st) == 0 &&
	    (folder ? !is_empty_folder(e->target.path) : !S_ISREG(st.st_mode)))
		return co_fail(err, CO_EXISTS, "%s is there already", e->target.path);
	r = folder ? to_folder(e, temp, err) : to_file(e, temp, format, err);
	if (!r && rename(temp, e->target.path))
		r = co_fail_errno(err, errno, "cannot make %s", e->target.path);
	if (r)
		(void) remove_tree(AT_FDCWD, temp,
				   NULL); /* failing that, it says .part */
	return r;
}

int command_export(struct depot *d, const struct options *o, char **argv, int argc,
		   struct co_err *err)
{
	static const char *const formats[] = { "docker", "oci", "oci-archive",
					       "rootfs" };
	struct exporting e = { .depot = d,
			       .options = o,
			       .target = { .path = argv[1], .folder = -1 } };
	const char *format = o->format ? o->format : "docker";
	autobuf struct co_buf members = { 0 };
	char name[CO_IMAGE_NAME_SIZE] = "";
	bool known = false;
	size_t at;
	int r = co_image_index_find(&d->index, co_span(argv[0]), &at, err);

	(void) argc;
	if (r)
		return r;
	for (size_t i = 0; i < co_countof(formats); i++)
		known = known || strcmp(format, formats[i]) == 0;
	if (!known)
		return co_fail(
			err, CO_INVALID,
			"\"%s\" is no format: docker, oci, oci-archive or rootfs",
			format);
	e.image = &d->index.at[at];
	if (co_image_is_digest(co_span(argv[0])) ||
	    co_image_name(co_span(argv[0]), name, NULL))
		*name = '\0';
	e.name = "";
	for (size_t i = 0; i < e.image->name_count; i++)
		if (strcmp(e.image->names[i], name) == 0)
			e.name = name;
	(void) umask(022); /* it is for others */
	r = export(&e, format, err);
	if (r)
		return r;
	co_buf_text(&members, "\"path\":");
	co_buf_json_text(&members, co_span(argv[1]));
	co_buf_format(&members, ",\"format\":\"%s\",\"id\":\"%s\"", format,
		      e.image->id);
	return report_done(&members);
}
