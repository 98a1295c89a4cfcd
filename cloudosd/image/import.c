/* SPDX-License-Identifier: MIT */
/* Taking images in.  HOST. */
#include "cloudosd/image/import.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/image/report.h"
#include "cloudosd/image/sandbox.h"
#include "cloudosd/image/spool.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

const char import_default_config[] =
	"{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
	"/bin\"],\"Cmd\":[\"/bin/sh\"],\"WorkingDir\":\"/\"}";

/* ---- names ---- */

int import_name_of_path(const struct import *i, char out[CO_IMAGE_NAME_SIZE],
			struct co_err *err)
{
	static const char *const endings[] = { ".gz",  ".zst", ".xz",  ".bz2",   ".tgz",
					       ".txz", ".tar", ".oci", "-rootfs" };
	size_t end = strlen(i->path), start, n = 0;
	char text[200];

	while (end > 1 && i->path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && i->path[start - 1] != '/'; start--)
		;
	for (size_t k = 0; k < co_countof(endings); k++) {
		size_t m = strlen(endings[k]);

		if (end - start > m && memcmp(i->path + end - m, endings[k], m) == 0)
			end -= m;
	}
	for (; start < end && n < sizeof(text) - 1; start++) {
		char c = (char) tolower((unsigned char) i->path[start]);

		/* what a name cannot have becomes a line between words */
		text[n] = isalnum((unsigned char) c) || c == '.' || c == '_' ? c : '-';
		if (isalnum((unsigned char) c) ||
		    (n && isalnum((unsigned char) text[n - 1])))
			n++;
	}
	while (n && !isalnum((unsigned char) text[n - 1]))
		n--;
	if (!n || co_image_name((struct co_span){ text, n }, out, NULL))
		return co_fail(err, CO_INVALID,
			       "no name for the image can be made of %s: give one with "
			       "--name NAME[:TAG]",
			       i->path);
	return 0;
}

int import_name(const struct import *i, char out[CO_IMAGE_NAME_SIZE],
		struct co_err *err)
{
	if (i->name)
		return co_image_name(co_span(i->name), out, err);
	return import_name_of_path(i, out, err);
}

/* ---- records ---- */

int import_check_platform(const struct import *i, const struct image_config *c,
			  struct co_err *err)
{
	if (platform_is(i->platform, c->os, c->architecture, c->variant))
		return 0;
	return co_fail(err, CO_UNSUPPORTED,
		       "the image is for %s/%s and not for %s; --platform takes it all "
		       "the same",
		       *c->os ? c->os : "?", *c->architecture ? c->architecture : "?",
		       i->platform);
}

static uint64_t wall_ms(void)
{
	struct timespec t = { 0 };

	(void) clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static void tell(struct import *i, const struct co_image_record *added)
{
	const struct co_image_index *index = &i->depot->index;

	for (size_t k = 0; k < index->count; k++)
		if (strcmp(index->at[k].id, added->id) == 0) {
			if (i->images++)
				co_buf_char(&i->result, ',');
			co_image_record_json(&index->at[k], &i->result);
		}
}

int import_add(struct import *i, const struct import_image *image, struct co_err *err)
{
	struct co_image_record r = { .layers = (struct co_image_layer *) image->layers,
				     .layer_count = image->layer_count,
				     .names = (char **) image->names,
				     .name_count = image->name_count,
				     .created_ms = image->config->created_ms,
				     .imported_ms = wall_ms(),
				     .squashed = geteuid() != 0 };
	autofree char *config =
		strndup(image->config->config.data, image->config->config.size);
	int status;

	if (!config)
		return co_fail(err, CO_NO_MEMORY, "no memory for an image");
	(void) snprintf(r.id, sizeof(r.id), "%s", image->id->text);
	(void) snprintf(r.os, sizeof(r.os), "%s", image->config->os);
	(void) snprintf(r.architecture, sizeof(r.architecture), "%s",
			image->config->architecture);
	r.config = config;
	for (size_t k = 0; k < image->layer_count; k++)
		r.size += image->layers[k].size;
	status = co_image_index_add(&i->depot->index, &r, err);
	if (!status)
		tell(i, &r);
	return status;
}

static void write_config(const struct import *i, const struct import_single *single,
			 struct co_buf *out)
{
	const char *slash = strchr(i->platform, '/');

	co_buf_format(out, "{\"architecture\":\"%.*s\",\"os\":\"%.*s\"",
		      (int) strcspn(slash + 1, "/"), slash + 1,
		      (int) (slash - i->platform), i->platform);
	if (single->created_ms) {
		co_buf_text(out, ",\"created\":");
		co_buf_json_time(out, single->created_ms);
	}
	co_buf_text(out, ",\"config\":");
	co_buf_text(out, single->config);
	co_buf_text(out, ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (size_t k = 0; k < single->layer_count; k++)
		co_buf_format(out, "%s\"%s\"", k ? "," : "", single->layers[k].diff);
	co_buf_text(out, "]},\"history\":[");
	for (size_t k = 0; k < single->layer_count; k++) {
		co_buf_text(out, k ? ",{\"created_by\":" : "{\"created_by\":");
		co_buf_json_text(out, co_span(single->made_by));
		co_buf_char(out, '}');
	}
	co_buf_text(out, "]}\n");
}

int import_make(struct import *i, const struct import_single *single,
		struct co_err *err)
{
	const char *const names[] = { single->name };
	autobuf struct co_buf text = { 0 };
	struct image_config config;
	struct digest id;
	int r;

	write_config(i, single, &text);
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for an image");
	r = depot_blob_write(i->depot, text.data, text.size, &id, err);
	if (!r)
		r = image_config_parse((struct co_span){ text.data, text.size },
				       &config, err);
	if (r)
		return r;
	r = import_add(i,
		       &(struct import_image){ .id = &id,
					       .config = &config,
					       .layers = single->layers,
					       .layer_count = single->layer_count,
					       .names = names,
					       .name_count = single->name != NULL },
		       err);
	image_config_done(&config);
	return r;
}

/* ---- what is it? ---- */

struct looking {
	struct spool spool;
	bool images;
	char filter[16];
};

static int look_job(void *arg, int root, FILE *out, struct co_err *err)
{
	const struct looking *l = arg;

	return spool_look(&l->spool, root, out, err);
}

static int look_line(void *arg, struct co_span line, struct co_err *err)
{
	struct looking *l = arg;
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	l->images = co_json_member(line, "kind", &value) &&
		    co_json_string_is(value, "images");
	if (!co_json_member(line, "filter", &value) || co_json_unescape(value, &text) ||
	    text.size >= sizeof(l->filter))
		return co_fail(err, CO_PROTOCOL, "the archive's reader talks nonsense");
	(void) snprintf(l->filter, sizeof(l->filter), "%s", text.data);
	return 0;
}

static int look(struct import *i, int fd, struct looking *out, struct co_err *err)
{
	struct sandbox box = {
		.fds = { fd, -1 }, .job = look_job, .line = look_line, .arg = out
	};
	char temp[64], path[PATH_MAX];
	int r;

	*out = (struct looking){ .spool = { .fd = fd,
					    .what = i->path,
					    .most_bytes = i->layers.most_bytes } };
	r = depot_temp_folder(i->depot, temp, err);
	if (r)
		return r;
	r = depot_path(i->depot, temp, path, err);
	box.folder = path;
	if (!r)
		r = sandbox_run(&box, err);
	depot_temp_remove(i->depot, temp);
	return r;
}

static int import_images(struct import *i, struct source *s, struct co_err *err)
{
	/* docker writes both since version 25; the newer one says more */
	if (source_has(s, "oci-layout") || source_has(s, "index.json"))
		return import_oci(i, s, err);
	return import_docker(i, s, err);
}

static int import_archive(struct import *i, int fd, struct co_err *err)
{
	struct looking kind;
	struct source source;
	int r = look(i, fd, &kind, err);

	if (r)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return co_fail_errno(err, errno, "cannot read %s", i->path);
	if (!kind.images)
		return import_rootfs_archive(i, fd, kind.filter, err);
	r = source_archive(&source, i->depot, fd, i->path, i->layers.most_bytes, err);
	if (!r)
		r = import_images(i, &source, err);
	source_done(&source);
	return r;
}

static int import_folder(struct import *i, struct co_err *err)
{
	struct source source;
	int r = source_folder(&source, i->depot, i->path, err);
	bool images;

	if (r)
		return r;
	images = source_has(&source, "oci-layout");
	if (images)
		r = import_oci(i, &source, err);
	source_done(&source);
	return images ? r : import_rootfs_folder(i, err);
}

/* A pipe cannot be read twice: it is kept while it is looked at. */
static int keep_pipe(struct import *i, int *fd, struct co_err *err)
{
	struct digest digest;
	uint64_t size;
	char temp[64];
	int copy, r = depot_temp_file(i->depot, temp, &copy, err);

	if (!r)
		r = digest_stream(*fd, copy, i->layers.most_bytes, i->path, &digest,
				  &size, err);
	if (r)
		return r;
	(void) close(*fd); /* only read */
	*fd = copy;
	return lseek(copy, 0, SEEK_SET) < 0 ? CO_IO : 0;
}

static int open_file(struct import *i, int *out, struct stat *st, struct co_err *err)
{
	/* a pipe that nobody writes to must not make the next ones wait */
	if (strcmp(i->path, "-") == 0)
		*out = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		*out = open(i->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*out < 0 || fstat(*out, st))
		return co_fail_errno(err, errno, "cannot open %s", i->path);
	return 0;
}

int import_any(struct import *i, struct co_err *err)
{
	autoclose int fd = -1;
	struct stat st;
	int r = open_file(i, &fd, &st, err);

	if (r)
		return r;
	if (S_ISDIR(st.st_mode)) {
		r = import_folder(i, err);
	} else if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ||
		   S_ISSOCK(st.st_mode)) {
		if (!S_ISREG(st.st_mode))
			r = keep_pipe(i, &fd, err);
		if (!r)
			r = import_archive(i, fd, err);
	} else {
		r = co_fail(err, CO_INVALID, "%s is neither a file nor a folder",
			    i->path);
	}
	if (!r && geteuid() != 0)
		report_note("all files of the image belong to you: only root can keep "
			    "other owners");
	return r ? r : depot_save(i->depot, err);
}
