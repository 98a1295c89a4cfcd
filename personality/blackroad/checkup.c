/* SPDX-License-Identifier: MIT */
/*
 * How the daemon is: GET /health and GET /v1/sys/health.  HOST.
 *
 * A check-up commits a small write, looks at disk and memory on a worker thread and sees how
 * late the loop is.  It begins when somebody asks and the last one is older than a second,
 * and takes WAIT_MS at most, whatever the disk does: an answer about health that hangs is
 * none.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/core.h"

enum { FRESH_MS = 1000, WAIT_MS = 50, LAG_MS = 50, LAG_DOWN_MS = 5000, SLOW_MS = 1000 };

#define PROBE    "/health/probe"
#define DISK_LOW (64ULL << 20)
#define DISK_OUT (4ULL << 20)

enum state { OK, DEGRADED, DOWN };

static const char *const state_names[] = { "ok", "degraded", "down" };
static const char *const overall_names[] = { "healthy", "degraded", "unhealthy" };

struct check {
	enum state state;
	uint64_t latency_ms;
	char message[256];
};

struct waiter {
	struct http_call *call;
	struct waiter *next;
};

struct look { /* what a worker thread finds */
	char folder[4096];
	uint64_t free_bytes, done_ns;
	uint64_t rss, heap_total, heap_used;
	int error;
};

/* There is one daemon in a process. */
static struct {
	const struct co_services *services;
	struct co_timer *timer;
	struct waiter *waiters;
	bool running, probing, looking;
	uint64_t probe_began_ms, probe_ms, look_began_ms;
	int probe_status;
	char probe_reason[192];
	struct look look, seen;
	uint64_t lag_ms;

	uint64_t at_ms, fresh_until_ms; /* wall clock; host clock */
	struct check database, disk, loop;
	enum state worst;
} checkup;

static uint64_t now_ms(void)
{
	return checkup.services->host->now_ms(checkup.services->host->ctx);
}

/* ---- what is looked at ---- */

static void judge_database(void)
{
	struct check *c = &checkup.database;
	uint64_t age =
		checkup.probing ? now_ms() - checkup.probe_began_ms : checkup.probe_ms;

	*c = (struct check){ .latency_ms = age };
	if (!checkup.probing && checkup.probe_status) {
		c->state = DOWN;
		(void) snprintf(c->message, sizeof(c->message), "it does not write: %s",
				checkup.probe_reason);
	} else if (age > SLOW_MS * 10) {
		c->state = DOWN;
		(void) snprintf(c->message, sizeof(c->message),
				"a write has not been answered for %llu ms",
				(unsigned long long) age);
	} else if (age > SLOW_MS) {
		c->state = DEGRADED;
		(void) snprintf(c->message, sizeof(c->message), "a write takes %llu ms",
				(unsigned long long) age);
	}
}

static void judge_disk(void)
{
	struct check *c = &checkup.disk;
	const struct look *seen = &checkup.seen;

	uint64_t age = checkup.looking ? now_ms() - checkup.look_began_ms : 0;

	*c = (struct check){ 0 };
	if (age > SLOW_MS) {
		c->state = DEGRADED;
		(void) snprintf(c->message, sizeof(c->message),
				"the file system has not answered for %llu ms",
				(unsigned long long) age);
		return;
	}
	if (!seen->done_ns)
		return; /* the first look is still going on */
	if (seen->error) {
		c->state = DEGRADED;
		(void) snprintf(c->message, sizeof(c->message),
				"the state folder cannot be looked at");
		return;
	}
	if (seen->free_bytes < DISK_OUT)
		c->state = DOWN;
	else if (seen->free_bytes < DISK_LOW)
		c->state = DEGRADED;
	(void) snprintf(c->message, sizeof(c->message), "%llu MiB free",
			(unsigned long long) seen->free_bytes >> 20);
}

static void judge_loop(void)
{
	struct check *c = &checkup.loop;

	*c = (struct check){ .latency_ms = checkup.lag_ms };
	if (checkup.lag_ms > LAG_DOWN_MS)
		c->state = DOWN;
	else if (checkup.lag_ms > LAG_MS)
		c->state = DEGRADED;
	if (c->state)
		(void) snprintf(c->message, sizeof(c->message), "it is %llu ms late",
				(unsigned long long) checkup.lag_ms);
}

/* Of the addressed service, or of all. */
struct dependencies {
	unsigned all, critical;
	char first[448];
};

static void count_dependency(void *arg, const struct service_instance *instance)
{
	struct dependencies *d = arg;

	d->all++;
	if (instance->health != HEALTH_CRITICAL)
		return;
	if (!d->critical++)
		(void) snprintf(d->first, sizeof(d->first), "%s: %s",
				instance->spec.name, instance->reason);
}

static struct check judge_dependencies(const struct http_call *call)
{
	const char *service = http_service(call);
	struct dependencies d = { 0 };
	struct check c = { 0 };

	registry_each(checkup.services->registry,
		      strcmp(service, "cloudosd") == 0 ? NULL : service,
		      count_dependency, &d);
	if (!d.critical) {
		(void) snprintf(c.message, sizeof(c.message),
				"All dependencies healthy");
		return c;
	}
	c.state = DEGRADED;
	(void) snprintf(c.message, sizeof(c.message), "%u of %u critical; %.200s",
			d.critical, d.all, d.first);
	return c;
}

/* ---- answers ---- */

static void add_check(struct co_buf *b, const char *name, const struct check *c,
		      bool latency)
{
	co_buf_format(b, "%s\"%s\":{\"status\":\"%s\"",
		      b->data && b->data[b->size - 1] == '{' ? "" : ",", name,
		      state_names[c->state]);
	if (latency)
		co_buf_format(b, ",\"latency\":%llu",
			      (unsigned long long) c->latency_ms);
	if (*c->message) {
		co_buf_text(b, ",\"message\":");
		co_buf_json_text(b, co_span(c->message));
	}
	co_buf_char(b, '}');
}

static void answer(struct http_call *call)
{
	const struct look *seen = &checkup.seen;
	struct check dependencies = judge_dependencies(call);
	enum state worst =
		dependencies.state > checkup.worst ? dependencies.state : checkup.worst;
	struct co_buf b = { 0 };

	co_buf_format(&b, "{\"status\":\"%s\",\"timestamp\":", overall_names[worst]);
	co_buf_json_time(&b, checkup.at_ms);
	co_buf_text(&b, ",\"uptime\":");
	core_seconds(&b, core_service(call).up_ms);
	co_buf_format(&b,
		      ",\"memory\":{\"rss\":%llu,\"heapTotal\":%llu,\"heapUsed\":%llu,"
		      "\"external\":0},\"checks\":{",
		      (unsigned long long) seen->rss,
		      (unsigned long long) seen->heap_total,
		      (unsigned long long) seen->heap_used);
	add_check(&b, "database", &checkup.database, true);
	add_check(&b, "disk", &checkup.disk, false);
	add_check(&b, "loop", &checkup.loop, true);
	add_check(&b, "dependencies", &dependencies, false);
	co_buf_text(&b, "}}");
	http_answer(call, worst == OK ? 200 : 503, &b);
}

static void finish(void *arg)
{
	const struct co_host *host = checkup.services->host;
	struct waiter *waiting = checkup.waiters;

	(void) arg;
	if (!checkup.running)
		return;
	checkup.running = false;
	host->timer_stop(checkup.timer);
	judge_database();
	judge_disk();
	judge_loop();
	checkup.worst = checkup.database.state;
	if (checkup.disk.state > checkup.worst)
		checkup.worst = checkup.disk.state;
	if (checkup.loop.state > checkup.worst)
		checkup.worst = checkup.loop.state;
	checkup.at_ms = host->wall_ns(host->ctx) / 1000000;
	checkup.fresh_until_ms = now_ms() + FRESH_MS;
	checkup.waiters = NULL;
	while (waiting) {
		struct waiter *next = waiting->next;

		answer(waiting->call);
		free(waiting);
		waiting = next;
	}
}

static void finish_if_done(void)
{
	if (!checkup.probing && !checkup.looking)
		finish(NULL);
}

/* ---- the work ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

/* On a worker thread: the disk may take its time. */
static void look(void *arg)
{
	struct look *l = arg;
	autofclose FILE *f = fopen("/proc/self/statm", "re");
	struct mallinfo2 heap = mallinfo2();
	unsigned long pages = 0;
	struct statvfs st;

	l->error = statvfs(l->folder, &st) < 0;
	if (!l->error)
		l->free_bytes = (uint64_t) st.f_bavail * st.f_frsize;
	if (f && fscanf(f, "%*u %lu", &pages) == 1)
		l->rss = (uint64_t) pages * (uint64_t) sysconf(_SC_PAGESIZE);
	l->heap_total = heap.arena + heap.hblkhd;
	l->heap_used = heap.uordblks + heap.hblkhd;
	l->done_ns = monotonic_ns();
}

static void looked(void *arg)
{
	(void) arg;
	checkup.looking = false;
	checkup.seen = checkup.look;
	checkup.lag_ms = (monotonic_ns() - checkup.look.done_ns) / 1000000;
	finish_if_done();
}

static void probed(void *arg, const struct store_result *result)
{
	(void) arg;
	checkup.probing = false;
	checkup.probe_status = result->status;
	checkup.probe_ms = now_ms() - checkup.probe_began_ms;
	(void) snprintf(checkup.probe_reason, sizeof(checkup.probe_reason), "%s",
			result->reason ? result->reason : "");
	finish_if_done();
}

static void probe(void)
{
	static const struct store_op put = {
		.kind = STORE_PUT, .key = PROBE, .value = "1", .size = 1, .brief = true
	};
	struct store_txn txn = { .then = &put, .nthen = 1 };
	int r;

	if (checkup.probing)
		return; /* how old it is says enough */
	checkup.probing = true;
	checkup.probe_began_ms = now_ms();
	r = store_txn(checkup.services->store, &txn, probed, NULL);
	if (!r)
		return;
	checkup.probing = false;
	checkup.probe_status = r;
	(void) snprintf(checkup.probe_reason, sizeof(checkup.probe_reason), "%s",
			co_status_text(r));
}

/* Begins a check-up unless one is going on. */
static void begin(const struct http_call *call)
{
	const struct co_services *services = http_services(call);
	const struct co_host *host = services->host;

	if (checkup.running)
		return;
	checkup.services = services;
	if (!checkup.timer)
		checkup.timer = host->timer_new(host->ctx, finish, NULL);
	if (!checkup.timer)
		return; /* without memory the last one has to do */
	checkup.running = true;
	host->timer_start(checkup.timer, WAIT_MS);
	probe();
	if (!checkup.looking) {
		(void) snprintf(checkup.look.folder, sizeof(checkup.look.folder), "%s",
				http_vitals(call).state_folder);
		checkup.looking = true;
		checkup.look_began_ms = now_ms();
		if (host->offload(host->ctx, look, looked, &checkup.look))
			checkup.looking = false; /* too much is going on: as it was */
	}
}

static bool is_fresh(const struct http_call *call)
{
	const struct co_host *host = http_services(call)->host;

	return checkup.at_ms && host->now_ms(host->ctx) < checkup.fresh_until_ms;
}

const char *checkup_status(struct http_call *call)
{
	if (!is_fresh(call))
		begin(call);
	return overall_names[checkup.worst];
}

uint64_t checkup_at_ms(void)
{
	return checkup.at_ms;
}

/* ---- endpoints ---- */

void blackroad_on_health(struct http_call *call,
			 const struct blackroad_health_args *args)
{
	const char *status = checkup_status(call);
	struct co_buf b = { 0 };

	(void) args;
	co_buf_text(&b, "{\"status\":\"");
	co_buf_text(&b, status);
	co_buf_text(&b, "\"}");
	http_answer(call, status == overall_names[DOWN] ? 503 : 200, &b);
}

static void forget(struct http_call *call, void *arg)
{
	struct waiter **at = &checkup.waiters;

	(void) arg;
	while (*at && (*at)->call != call)
		at = &(*at)->next;
	if (*at) {
		struct waiter *gone = *at;

		*at = gone->next;
		free(gone);
	}
}

void blackroad_on_sys_health(struct http_call *call,
			     const struct blackroad_sys_health_args *args)
{
	struct waiter *waiter;

	(void) args;
	if (is_fresh(call)) {
		answer(call);
		return;
	}
	waiter = malloc(sizeof(*waiter));
	if (!waiter) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	*waiter = (struct waiter){ .call = call, .next = checkup.waiters };
	checkup.waiters = waiter;
	http_pend(call, forget, NULL);
	begin(call);
	if (!checkup.timer) {
		forget(call, NULL);
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	finish_if_done();
}
