/* SPDX-License-Identifier: MIT */
/*
 * Images of containers: what there is, who uses it, and the requests that change it.  HOST.
 *
 * The truth is a folder (state/images) with an index that only the program cloudos-image
 * writes: names and layers cannot come apart, and a daemon that dies leaves nothing half
 * done.  This service has the index in memory, so that looking up is immediate, starts
 * cloudos-image for what changes it, one after the other, and reads the index again.
 * Under the core lock.  Who calls it: personality/blackroad/images.c, container.c.
 */
#ifndef CO_SERVICE_IMAGE_H
#define CO_SERVICE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "cloudosd/service/spawn.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

struct images;

/* What an image says about programs started from it.  Lists end with NULL and are never
 * NULL themselves; a text that is not given is "". */
struct image_config {
	const char *const *env; /* "NAME=value" */
	const char *const *entrypoint, *const *command;
	const char *const *volumes; /* folders of the image */
	const char *const *ports;   /* "80/tcp" */
	const char *working_dir, *user, *stop_signal;
	struct co_span labels; /* a JSON object; {NULL, 0}: none */
	struct co_span
		healthcheck; /* {"Test":[...],"Interval":ns,...}; {NULL, 0}: none */
};

/* Valid until control goes back to the loop. */
struct image {
	const char *id;           /* "sha256:" and 64 digits: of its configuration */
	const char *const *names; /* "busybox:latest"; NULL ends */
	const char *const
		*layers; /* folders from the root, uppermost first; NULL ends */
	size_t nlayers;
	struct image_config config;
	struct co_span
		raw_config;  /* the "config" member of the OCI configuration; "{}" */
	struct co_span json; /* the whole record, as the endpoints show it */
	uint64_t size;       /* of its layers, unpacked */
	uint64_t created_ms, imported_ms;
	bool squashed; /* unpacked by a user who could not keep its owners */
};

/*
 * By name ("busybox" is "busybox:latest"), by id, or by four or more digits that only one
 * id begins with.  CO_NOT_FOUND or CO_INVALID and a sentence.
 */
int images_find(const struct images *images, struct co_span name,
		const struct image **out, struct co_err *err);

/* One after the other, in no order; *cursor is 0 at first.  NULL: that was all. */
const struct image *images_next(const struct images *images, size_t *cursor);

/*
 * A container that exists keeps the layers of its image: rm and prune leave out what is in
 * use.  Counted by id, also of images that are not there (any more).  CO_NO_MEMORY.
 */
int images_use(struct images *images, const char *id);
void images_unuse(struct images *images, const char *id);
bool images_used(const struct images *images, const char *id);

/* ---- requests ---- */

/* How one has ended; valid during `done`. */
struct images_answer {
	int status;          /* 0, or a co_status */
	const char *reason;  /* a sentence if it is not 0 */
	struct co_span json; /* the result, an object; {NULL, 0} if status is not 0 */
};

struct images_listener {
	/* JSON objects as the work goes on ({"phase":"unpack","done":n,"total":n,...}); may
	 * be NULL. */
	void (*progress)(void *arg, struct co_span json);
	void (*done)(void *arg, const struct images_answer *answer); /* once, later */
	void *arg;
};

struct images_request; /* until `done` */

/* Nobody listens any more; what has begun goes on and is committed or is not. */
void images_forget(struct images_request *request);

/*
 * {"images":[record,...]}: one for each image in the file, with the names that it gives them
 * or `name`.  path is absolute.  0, or done does not run: CO_BUSY, CO_INVALID, CO_NO_MEMORY
 * (also of all below).
 */
int images_import(struct images *images, struct co_span path, struct co_span name,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err);

/* From this machine's static busybox; name {NULL, 0}: busybox:latest. */
int images_busybox(struct images *images, struct co_span name,
		   const struct images_listener *listener, struct images_request **out,
		   struct co_err *err);

int images_tag(struct images *images, struct co_span name, struct co_span tag,
	       const struct images_listener *listener, struct images_request **out,
	       struct co_err *err);

/* A name; the image itself goes with its last one.  CO_BUSY while a container uses it. */
int images_remove(struct images *images, struct co_span name,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err);

/* Images without a name that nobody uses, and what nothing refers to any more.
 * {"removed":[id,...],"freed":bytes} */
int images_prune(struct images *images, const struct images_listener *listener,
		 struct images_request **out, struct co_err *err);

/* format: "docker", "oci", "oci-archive", "rootfs". */
int images_export(struct images *images, struct co_span name, struct co_span path,
		  struct co_span format, const struct images_listener *listener,
		  struct images_request **out, struct co_err *err);

/* A new image: `name`'s layers and, above them, what a container has changed. */
struct images_commit {
	struct co_span image;  /* whose layers are below */
	struct co_span upper;  /* folder from the root */
	struct co_span name;   /* of the new one */
	struct co_span config; /* members that replace those of the old one's config */
	uint32_t id_shift;     /* what is uid 0 inside is this on the disk */
};
int images_commit(struct images *images, const struct images_commit *commit,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err);

/* ---- life ---- */

struct images_options {
	const struct co_host *host;
	const struct co_spawner *spawner;
	const char *program; /* cloudos-image, a path from the root */
	const char *folder;  /* state/images */
	/* "image:imported", "image:tagged", "image:removed", after the commit */
	void (*emit)(void *arg, const char *event, struct co_span data);
	void (*changed)(void *arg); /* there is work, or none any more */
	void *arg;
};

struct images *images_new(const struct images_options *options); /* NULL: no memory */
struct images *images_free(struct images *images);               /* returns NULL */

/* Reads the index; before that images_find answers CO_BUSY.  An index that cannot be read
 * is no images and a reason, not an end. */
int images_load(struct images *images,
		void (*done)(void *arg, int status, const char *reason), void *arg);

/* Is a request under way? */
bool images_busy(const struct images *images);

#endif
