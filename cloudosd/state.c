/* SPDX-License-Identifier: MIT */
/*
 * Starts the state of services, and emits state:changed.  HOST.
 *
 * An event is a row on the disk, and state may change many thousand times a second: it is
 * recorded only while somebody follows events, or did within LISTENED_MS.  So who comes
 * back after a break finds what it missed, and who never listens costs nobody anything.
 */
#include "cloudosd/state.h"

#include "cloudosd/daemon.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/expiry.h"
#include "cloudosd/service/idempotency.h"
#include "cloudosd/service/state.h"
#include "lib/buf.h"

enum { LISTENED_MS = 10 * 60 * 1000 };

/* One daemon, one bus; since when nobody listens. */
static struct {
	bool ever;
	uint64_t at_ms;
} heard;

static bool somebody_listens(const struct daemon *d)
{
	struct feed_numbers numbers;
	uint64_t now = d->host->now_ms(d->host->ctx);

	feed_numbers(events_feed(d->services.events), &numbers);
	if (numbers.readers) {
		heard.ever = true;
		heard.at_ms = now;
	}
	return heard.ever && now - heard.at_ms < LISTENED_MS;
}

static void changed(void *arg, const struct state_change *change)
{
	static const char *const words[] = { [STATE_WAS_PUT] = "put",
					     [STATE_WAS_DELETED] = "delete",
					     [STATE_HAS_EXPIRED] = "expire" };
	autobuf struct co_buf data = { 0 };
	const struct daemon *d = arg;

	if (!d->services.events || !somebody_listens(d))
		return;
	co_buf_text(&data, "{\"key\":");
	co_buf_json_text(&data, change->key);
	co_buf_format(&data, ",\"op\":\"%s\",\"version\":", words[change->what]);
	co_buf_u64(&data, change->version);
	co_buf_char(&data, '}');
	if (!data.failed) /* what cannot be kept is counted by the bus */
		(void) events_emit(d->services.events,
				   &(struct event){ .service = change->service,
						    .name = co_span("state:changed"),
						    .data = { data.data, data.size } },
				   NULL, NULL);
}

int state_start(struct daemon *d, struct co_err *err)
{
	struct state_options options = { .changed = changed, .arg = d };

	d->services.expiry = expiry_new(d->host, d->store);
	if (d->services.expiry)
		d->services.state =
			state_new(d->host, d->store, d->services.expiry, &options);
	if (d->services.expiry)
		d->services.idempotency =
			idempotency_new(d->host, d->store, d->services.expiry);
	return d->services.state && d->services.idempotency
		       ? 0
		       : co_fail(err, CO_NO_MEMORY, "no memory for the services");
}
