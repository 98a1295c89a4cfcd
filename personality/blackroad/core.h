/* SPDX-License-Identifier: MIT */
/* What the core endpoints share.  HOST, core.c and checkup.c only. */
#ifndef CO_BLACKROAD_CORE_H
#define CO_BLACKROAD_CORE_H

#include "personality/http.h"

struct name;

/* The service that a call is for, as it presents itself; nothing of it is NULL but known. */
struct core_service {
	const char *name, *role, *version, *environment;
	const char *cloudflare, *railway, *internal;
	unsigned port;
	int32_t pid;
	uint64_t up_ms;
	const struct name *known; /* in the registry of names, or NULL */
};

struct core_service core_service(const struct http_call *call);

/* "12.345" */
void core_seconds(struct co_buf *b, uint64_t ms);

/* "healthy", "degraded", "unhealthy" as of the last check-up; begins the next one when that
 * was too long ago, and does not wait for it. */
const char *checkup_status(struct http_call *call);

/* When it was, in milliseconds since the epoch; 0: never yet. */
uint64_t checkup_at_ms(void);

#endif
