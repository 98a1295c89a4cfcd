/* SPDX-License-Identifier: MIT */
/* Archives of docker save and podman save.  HOST. */
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/image/import.h"
#include "lib/cleanup.h"

/* The digest that a file's name claims, as "HEX.json" and "blobs/sha256/HEX" do. */
static bool claims(const char *name, struct digest *out)
{
	const char *slash = strrchr(name, '/');
	char text[CO_IMAGE_ID_SIZE];
	size_t n;

	name = slash ? slash + 1 : name;
	n = strspn(name, "0123456789abcdef");
	if (n != 64 || (name[n] && strcmp(name + n, ".json") != 0))
		return false;
	(void) snprintf(text, sizeof(text), "sha256:%.64s", name);
	return digest_parse(co_span(text), out, NULL) == 0;
}

/* podman names layers by what they have decompressed, docker by the file's own digest:
 * layers are known by the configuration, which is known by its name. */
static int take_layers(struct import *i, struct source *s,
		       const struct docker_image *image,
		       const struct image_config *config, struct co_image_layer *out,
		       struct co_err *err)
{
	for (size_t k = 0; k < image->layer_count; k++) {
		struct layer_want want = { .diff = &config->diffs[k],

					   .below = out,
					   .below_count = k };
		struct digest blob;
		bool known;
		int r = source_blob(s, image->layers[k], NULL, NULL, &blob, &known,
				    err);

		want.blob = &blob;
		want.media_type =
			digest_equal(&blob, want.diff)
				? "application/vnd.oci.image.layer.v1.tar"
				: "application/vnd.oci.image.layer.v1.tar+gzip";
		if (!r)
			r = layer_take(i->depot, &want, &i->layers, &out[k], err);
		if (r)
			return r;
	}
	return 0;
}

static int add(struct import *i, const struct docker_image *image,
	       struct import_image *add, struct co_err *err)
{
	autofree char(*full)[CO_IMAGE_NAME_SIZE] =
		calloc(image->tag_count + 1, sizeof(*full));
	autofree const char **names = calloc(image->tag_count + 1, sizeof(char *));
	int r = 0;

	if (!full || !names)
		return co_fail(err, CO_NO_MEMORY, "no memory for an image");
	if (i->name || !image->tag_count) {
		r = import_name(i, full[0], err);
		names[add->name_count++] = full[0];
	}
	for (size_t k = 0; !r && !i->name && k < image->tag_count; k++) {
		r = co_image_name(co_span(image->tags[k]), full[k], err);
		names[add->name_count++] = full[k];
	}
	add->names = names;
	return r ? r : import_add(i, add, err);
}

static int take_image(struct import *i, struct source *s,
		      const struct docker_image *image, struct co_err *err)
{
	autofree struct co_image_layer *layers =
		calloc(image->layer_count + 1, sizeof(*layers));
	autobuf struct co_buf text = { 0 };
	struct image_config config;
	struct digest id, claim;
	int r = source_text(s, image->config, &text, err);

	if (!r)
		r = image_config_parse((struct co_span){ text.data, text.size },
				       &config, err);
	if (r || !layers)
		return r ? r : CO_NO_MEMORY;
	digest_of(text.data, text.size, &id);
	if (claims(image->config, &claim) && !digest_equal(&claim, &id))
		r = co_fail(err, CO_CORRUPT,
			    "%s is not what its name says: its digest is %s",
			    image->config, id.text);
	else if (config.diff_count != image->layer_count)
		r = co_fail(err, CO_INVALID,
			    "%s has %zu layers and its configuration %zu", i->path,
			    image->layer_count, config.diff_count);
	if (!r)
		r = import_check_platform(i, &config, err);
	if (!r)
		r = take_layers(i, s, image, &config, layers, err);
	if (!r)
		r = depot_blob_write(i->depot, text.data, text.size, &id, err);
	if (!r)
		r = add(i, image,
			&(struct import_image){ .id = &id,
						.config = &config,
						.layers = layers,
						.layer_count = image->layer_count },
			err);
	image_config_done(&config);
	return r;
}

int import_docker(struct import *i, struct source *s, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	struct docker_list list;
	int r = source_text(s, "manifest.json", &text, err);

	if (!r)
		r = docker_list_parse((struct co_span){ text.data, text.size }, &list,
				      err);
	if (r)
		return r;
	if (list.count > 1 && i->name)
		r = co_fail(
			err, CO_INVALID,
			"%s has %zu images: one name cannot be given to all of them",
			i->path, list.count);
	for (size_t k = 0; !r && k < list.count; k++)
		r = take_image(i, s, &list.at[k], err);
	docker_list_done(&list);
	return r;
}
