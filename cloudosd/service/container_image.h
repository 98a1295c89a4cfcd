/* SPDX-License-Identifier: MIT */
/*
 * What an image says of the containers made of it: the member "config" of its configuration,
 * as Docker and OCI have it.  HOST.  Pure.
 */
#ifndef CO_SERVICE_CONTAINER_IMAGE_H
#define CO_SERVICE_CONTAINER_IMAGE_H

#include "cloudosd/service/container_config.h"

struct container_defaults {
	struct container_texts command, entrypoint, env, volumes;
	char *working_dir, *user;            /* NULL: not said */
	int stop_signal;                     /* 0 */
	struct container_health_spec health; /* no command: none */
};

/* Of images that others have made: what is of another form is passed over.  0 or
 * CO_NO_MEMORY; `config` may be {NULL, 0}. */
int container_defaults_read(struct co_span config, struct container_defaults *out);
void container_defaults_done(struct container_defaults *d);

/* Its i-th volume is mounted in a container of that configuration, which has nothing else
 * there.  Not /proc, /sys, /dev and the root. */
bool container_image_volume(const struct container_defaults *d,
			    const struct container_settings *config, size_t i);

/* What that one is called: "anon-7-0" of container 7. */
void container_image_volume_name(char out[CONTAINER_NAME], uint32_t container,
				 size_t i);

#endif
