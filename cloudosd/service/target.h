/* SPDX-License-Identifier: MIT */
/* What a health check string means.  HOST.  Who calls it: health.c, probe.c, https.c. */
#ifndef CO_SERVICE_TARGET_H
#define CO_SERVICE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

enum target_kind { TARGET_NONE, TARGET_TCP, TARGET_HTTP, TARGET_HTTPS };

struct target {
	enum target_kind kind;
	char url[256];  /* as it was given, without a fragment */
	char host[256]; /* without brackets */
	char path[256]; /* with the query; "/" if there is none */
	uint16_t port;
	bool optional; /* "#optional": 404, 405 and 501 are as good */
};

/* CO_INVALID with a sentence.  "" is TARGET_NONE. */
int target_parse(const char *check, struct target *out, struct co_err *err);

#endif
