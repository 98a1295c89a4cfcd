/* SPDX-License-Identifier: MIT */
/*
 * What a service says about itself, and how that is stored.  HOST.
 *
 * Owns the rules for a registration's fields and the stored form of an instance.  Knows
 * no personality, no wire, no store.  Who calls it: the registry; the personalities for
 * the sizes.
 */
#ifndef CO_SERVICE_SPEC_H
#define CO_SERVICE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/process.h"
#include "lib/err.h"

#define SERVICE_NAME_SIZE     64
#define SERVICE_VERSION_SIZE  16
#define SERVICE_ENDPOINT_SIZE 256
#define SERVICE_CHECK_SIZE    256
#define SERVICE_METADATA_SIZE 1024

struct service_spec { /* every string is terminated inside its array */
	char name[SERVICE_NAME_SIZE];
	char version[SERVICE_VERSION_SIZE];
	char endpoint[SERVICE_ENDPOINT_SIZE];
	char health_check[SERVICE_CHECK_SIZE];
	char metadata[SERVICE_METADATA_SIZE];
	uint32_t port; /* 0: none; at most 65535 */
	uint32_t ttl;  /* seconds, at most SERVICE_TTL_MAX; 0: as long as its process */
	uint32_t instances; /* how many are wanted; only recorded */
};

#define SERVICE_TTL_MAX (366U * 24 * 3600)

/*
 * name: 1 to 63 bytes of valid UTF-8 without control characters, space and '/', and not
 * "." or "..".  version, endpoint: valid UTF-8 without control characters.  metadata:
 * valid UTF-8, where tab and newline are allowed too.  health_check: see health.h.
 * CO_INVALID with a sentence.  Does not say whether https can be done (health_check_new).
 */
int service_spec_check(const struct service_spec *spec, struct co_err *err);

/* The name rule alone, for look-ups. */
int service_name_check(const char *name, struct co_err *err);

bool service_spec_same(const struct service_spec *a, const struct service_spec *b);

/* A stored instance. */
struct service_record {
	struct service_spec spec;
	struct process_id owner;
	uint64_t session;
	uint64_t registered_ns; /* CLOCK_REALTIME of the first registration */
};

#define SERVICE_RECORD_MAX 2048 /* bytes of the stored form */
#define SERVICE_KEY_SIZE   128
#define SERVICE_PREFIX     "/svc/"

/* "/svc/<name>/<pid>.<start time>" */
void service_key(char out[SERVICE_KEY_SIZE], const char *name,
		 const struct process_id *owner);

/* Returns the size of the stored form. */
size_t service_record_encode(const struct service_record *record,
			     uint8_t out[SERVICE_RECORD_MAX]);

/* Every byte is checked, and that it belongs under that key.  CO_CORRUPT. */
int service_record_decode(struct service_record *out, const char *key,
			  const void *value, size_t size, struct co_err *err);

#endif
