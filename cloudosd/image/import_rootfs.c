/* SPDX-License-Identifier: MIT */
/* Root file systems: archives of them, and folders.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/image/import.h"
#include "cloudosd/image/pack.h"
#include "lib/cleanup.h"

static uint64_t changed_ms(int fd)
{
	struct stat st;

	return fstat(fd, &st) || st.st_mtim.tv_sec < 0
		       ? 0
		       : (uint64_t) st.st_mtim.tv_sec * 1000;
}

/* One layer, which is all of it, and a configuration that starts a shell. */
static int make(struct import *i, const struct digest *blob, const char *media_type,
		uint64_t created_ms, struct co_err *err)
{
	struct layer_want want = { .blob = blob,
				   .media_type = media_type,
				   .plain = true };
	struct co_image_layer layer;
	char name[CO_IMAGE_NAME_SIZE];
	int r = import_name(i, name, err);

	if (!r)
		r = layer_take(i->depot, &want, &i->layers, &layer, err);
	if (!r)
		r = import_make(i,
				&(struct import_single){
					.layers = &layer,
					.layer_count = 1,
					.config = import_default_config,
					.made_by =
						"cloudos-image import of a root file "
						"system",
					.name = name,
					.created_ms = created_ms },
				err);
	return r;
}

/* As it came, if layers are kept like that; otherwise decompressed. */
static int keep(struct import *i, int fd, const char *filter, struct digest *out,
		const char **out_type, struct co_err *err)
{
	bool gzip = strcmp(filter, "gzip") == 0, zstd = strcmp(filter, "zstd") == 0;
	struct digest first = { "" }, diff = { "" };
	autoclose int to = -1, plain = -1;
	uint64_t size;
	char temp[64];
	int r = depot_temp_file(i->depot, temp, &to, err);

	*out_type = gzip   ? "application/vnd.oci.image.layer.v1.tar+gzip"
		    : zstd ? "application/vnd.oci.image.layer.v1.tar+zstd"
			   : "application/vnd.oci.image.layer.v1.tar";
	if (!r)
		r = digest_stream(fd, to, i->layers.most_bytes, i->path, &first, &size,
				  err);
	if (!r)
		r = depot_blob_keep(i->depot, temp, to, &first, err);
	*out = first;
	if (r || gzip || zstd || strcmp(filter, "none") == 0)
		return r;
	r = depot_temp_file(i->depot, temp, &plain, err);
	if (!r)
		r = layer_plain(i->depot, &first, plain, i->layers.most_bytes, &diff,
				&size, err);
	*out = diff;
	return r ? r : depot_blob_keep(i->depot, temp, plain, &diff, err);
}

int import_rootfs_archive(struct import *i, int fd, const char *filter,
			  struct co_err *err)
{
	const char *type;
	struct digest blob;
	int r = keep(i, fd, filter, &blob, &type, err);

	return r ? r : make(i, &blob, type, changed_ms(fd), err);
}

int import_rootfs_folder(struct import *i, struct co_err *err)
{
	autoclose int root = open(i->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pack pack = { .what = i->path, .gzip = true };
	autoclose int fd = -1;
	struct digest blob;
	uint64_t size;
	char temp[64];
	int r;

	if (root < 0)
		return co_fail_errno(err, errno, "cannot open %s", i->path);
	r = depot_temp_file(i->depot, temp, &fd, err);
	pack.fd = fd;
	if (!r)
		r = pack_folder(&pack, root, NULL, err);
	if (!r && lseek(fd, 0, SEEK_SET) < 0)
		r = co_fail_errno(err, errno, "cannot read what was packed");
	if (!r)
		r = digest_stream(fd, -1, i->layers.most_bytes, i->path, &blob, &size,
				  err);
	if (!r)
		r = depot_blob_keep(i->depot, temp, fd, &blob, err);
	return r ? r
		 : make(i, &blob, "application/vnd.oci.image.layer.v1.tar+gzip",
			changed_ms(root), err);
}
