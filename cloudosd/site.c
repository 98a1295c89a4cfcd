/* SPDX-License-Identifier: MIT */
/*
 * Making site tables.  HOST.
 *
 * sites_wanted queues a descriptor; a detached thread takes it through fstat, the exported
 * tables, the store and the scanner, and posts what became of it.  Such a thread never
 * logs and uses the store only under `lock`, with `stopping` looked at: one that is stuck
 * in a read is left behind when the daemon ends.
 */
#include "cloudosd/site.h"

#include <co/limits.h>
#include <co/wire.h>
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/site_file.h"
#include "cloudosd/sites/decoder.h"
#include "cloudosd/sites/scan.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"

_Static_assert(CO_SITES_WANTED_TYPE == WIRE_site_wanted_note,
	       "co/sites.h and wire.def");
_Static_assert(sizeof(struct co_sites_wanted) == sizeof(struct wire_site_wanted_note) &&
		       CO_WIRE_FDS_MAX >= 1,
	       "co/sites.h and wire.def");

enum {
	NICE = 10,
	SETTLE_MS = 20,   /* two ticks of the slowest kernel */
	STUCK_MS = 5000,  /* a thread that takes longer does not hold up the others */
	THREADS_MAX = 16, /* with those */
	STACK = 512 * 1024
};

enum outcome {
	OUTCOME_FAILED,  /* err says why; it may be asked for again */
	OUTCOME_BLIND,   /* there is no decoder, and there will be none */
	OUTCOME_HAVE,    /* exported before */
	OUTCOME_STORED,  /* exported from the store */
	OUTCOME_SCANNED, /* scanned and exported */
	OUTCOME_REFUSED  /* an empty table is exported; err says why */
};

struct job {
	struct job *prev, *next;
	struct sites *sites;
	int fd;
	uint64_t started_ms;
	bool running;

	/* of its thread, then of finished() */
	struct stat st;
	enum outcome outcome;
	struct sites_found found;
	struct co_err err;

	/* the answer of the store */
	pthread_mutex_t mutex;
	pthread_cond_t told;
	bool answered;
	void *stored;
	size_t stored_size;
};

struct sites {
	struct daemon *daemon;
	uint8_t secret[16];
	atomic_bool stop;

	/* core lock */
	struct job
		*jobs; /* in the order of asking; those that run and those that wait */
	unsigned count, threads;
	bool blind; /* no decoder: nobody needs to ask */
	struct co_timer *again;

	pthread_mutex_t lock; /* between threads: the store and the folder */
	bool stopping;
	struct site_folder folder;
};

/* ---- on a thread of the job ---- */

static int read_file(void *ctx, uint64_t offset, void *to, size_t n)
{
	const struct job *j = ctx;

	for (size_t done = 0; done < n;) {
		ssize_t got = pread(j->fd, (char *) to + done, n - done,
				    (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? co_status_from_errno(errno) : CO_IO;
		done += (size_t) got;
	}
	return 0;
}

/*
 * The kernel's time of change goes by ticks: a file that changes twice within one looks
 * the same.  So what has just changed is looked at when that tick is over.
 */
static void let_settle(const struct stat *st)
{
	struct timespec now, tick = { .tv_nsec = SETTLE_MS * 1000000L };
	int64_t age;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* always there */
	age = (now.tv_sec - st->st_ctim.tv_sec) * 1000 +
	      (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
	if (age >= 0 && age < SETTLE_MS)
		(void) nanosleep(&tick, NULL); /* a signal would only make it shorter */
}

/*
 * A file system in a user's process can answer fstat with any other file's identity, and
 * so put its own table in the place of that file's.
 */
static int look(struct job *j)
{
	struct statfs fs;

	if (fstat(j->fd, &j->st) == 0)
		let_settle(&j->st);
	if (fstat(j->fd, &j->st) < 0 || fstatfs(j->fd, &fs) < 0)
		return co_fail_errno(&j->err, errno, "cannot look at the file");
	if (!S_ISREG(j->st.st_mode) || j->st.st_size <= 0)
		return co_fail(&j->err, CO_INVALID, "it is not a file with contents");
	if (fs.f_type == FUSE_SUPER_MAGIC)
		return co_fail(&j->err, CO_UNSUPPORTED,
			       "it lies in a file system of user space");
	return 0;
}

static bool unchanged(struct job *j)
{
	struct stat now;

	if (fstat(j->fd, &now) == 0 && now.st_dev == j->st.st_dev &&
	    now.st_ino == j->st.st_ino && now.st_size == j->st.st_size &&
	    now.st_ctim.tv_sec == j->st.st_ctim.tv_sec &&
	    now.st_ctim.tv_nsec == j->st.st_ctim.tv_nsec)
		return true;
	(void) co_fail(&j->err, CO_BUSY, "it was changed while it was read");
	return false;
}

/* Under the core lock. */
static void on_stored(void *arg, const void *rows, size_t size)
{
	struct job *j = arg;

	(void) pthread_mutex_lock(&j->mutex); /* ours, never locked twice */
	if (rows && (j->stored = malloc(size ? size : 1))) {
		memcpy(j->stored, rows, size);
		j->stored_size = size;
	}
	j->answered = true;
	(void) pthread_cond_signal(&j->told);   /* cannot fail */
	(void) pthread_mutex_unlock(&j->mutex); /* held */
}

static struct store_sites store_key(const struct sites_image *image)
{
	return (struct store_sites){ .build_id = image->build_id,
				     .build_id_size = image->build_id_size,
				     .digest = { image->digest[0], image->digest[1] } };
}

/* What the store keeps: the header without the file's name, then the rows. */
static bool ask_store(struct job *j, const struct sites_image *image)
{
	struct store_sites key = store_key(image);
	struct sites *s = j->sites;
	const struct co_sites_header *head;
	int rc;

	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	rc = s->stopping ? CO_GONE
			 : store_sites_get(s->daemon->store, &key, on_stored, j);
	(void) pthread_mutex_unlock(&s->lock); /* held */
	if (rc)
		return false;
	(void) pthread_mutex_lock(&j->mutex); /* ours, never locked twice */
	while (!j->answered)
		(void) pthread_cond_wait(&j->told, &j->mutex); /* looked at again */
	(void) pthread_mutex_unlock(&j->mutex);                /* held */
	head = j->stored;
	return head && j->stored_size >= sizeof(*head) && head->count <= CO_SITES_MAX &&
	       j->stored_size ==
		       sizeof(*head) + head->count * sizeof(struct co_sites_row);
}

static void tell_store(struct job *j, const struct sites_image *image,
		       const struct co_sites_header *head)
{
	struct store_sites all = store_key(image);
	size_t rows = head->count * sizeof(struct co_sites_row);
	autofree unsigned char *bytes = malloc(sizeof(*head) + rows);
	struct sites *s = j->sites;

	if (!bytes)
		return;
	memcpy(bytes, head, sizeof(*head));
	if (rows)
		memcpy(bytes + sizeof(*head), j->found.rows, rows);
	all.rows = bytes;
	all.size = sizeof(*head) + rows;
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	if (!s->stopping)                    /* what cannot be kept is scanned again */
		(void) store_sites_put(s->daemon->store, &all);
	(void) pthread_mutex_unlock(&s->lock); /* held */
}

static int export(struct job *j, const struct co_sites_header *head,
		  const struct co_sites_row *rows)
{
	struct sites *s = j->sites;
	int rc;

	if (!unchanged(j))
		return j->err.code;
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	rc = s->stopping ? co_fail(&j->err, CO_GONE, "the daemon ends")
			 : site_folder_put(&s->folder, &j->st, *head, rows, &j->err);
	(void) pthread_mutex_unlock(&s->lock); /* held */
	return rc;
}

static struct co_sites_header head_of(const struct sites_image *image, uint32_t count)
{
	struct co_sites_header head = { .count = count, .bits = image->bits };

	if (image->ncode) {
		const struct sites_range *last = &image->code[image->ncode - 1];

		head.first = (uint32_t) image->code[0].offset;
		head.end = (uint32_t) (last->offset + last->size);
	}
	return head;
}

static enum outcome scan(struct job *j, const struct sites_image *image)
{
	struct co_sites_header head;
	int rc = sites_scan(&j->found, image, &j->sites->stop, &j->err);

	if (rc)
		return rc == CO_UNSUPPORTED ? OUTCOME_REFUSED : OUTCOME_FAILED;
	(void) co_fault("site.scanned"); /* a place to be killed at */
	head = head_of(image, j->found.count);
	tell_store(j, image, &head);
	return export(j, &head, j->found.rows) ? OUTCOME_FAILED : OUTCOME_SCANNED;
}

static enum outcome make(struct job *j, struct sites_image *image)
{
	const struct sites_source source = { .read = read_file,
					     .ctx = j,
					     .size = (uint64_t) j->st.st_size,
					     .stop = &j->sites->stop };
	int rc = sites_image_read(image, &source, j->sites->secret, &j->err);

	if (rc)
		return rc == CO_UNSUPPORTED ? OUTCOME_REFUSED : OUTCOME_FAILED;
	if (ask_store(j, image)) {
		const struct co_sites_header *head = j->stored;

		return export(j, head, (const struct co_sites_row *) (head + 1))
			       ? OUTCOME_FAILED
			       : OUTCOME_STORED;
	}
	return scan(j, image);
}

static bool exported(struct job *j)
{
	struct sites *s = j->sites;
	bool have;

	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	have = site_folder_has(&s->folder, &j->st);
	(void) pthread_mutex_unlock(&s->lock); /* held */
	return have;
}

static enum outcome run(struct job *j)
{
	struct sites_image image = { 0 };
	enum outcome outcome;

	if (look(j))
		return OUTCOME_FAILED;
	if (decoder_available(&j->err))
		return OUTCOME_BLIND;
	if (exported(j))
		return OUTCOME_HAVE;
	outcome = make(j, &image);
	if (outcome == OUTCOME_REFUSED) {
		struct co_sites_header head = { .bits = image.bits };
		struct co_err why = j->err;

		/* so that it is not read again each time it is mapped */
		if (export(j, &head, NULL))
			outcome = OUTCOME_FAILED;
		else
			j->err = why;
	}
	sites_image_done(&image);
	return outcome;
}

static void finished(void *arg);

static void *thread_main(void *arg)
{
	struct job *j = arg;
	const struct co_host *host = j->sites->daemon->host;

	(void) setpriority(PRIO_PROCESS, (id_t) gettid(), NICE); /* only a courtesy */
	j->outcome = run(j);
	host->post(host->ctx, finished, j);
	return NULL;
}

/* ---- under the core lock ---- */

static void job_free(struct job *j)
{
	DL_DELETE(j->sites->jobs, j);
	j->sites->count--;
	sites_found_done(&j->found);
	free(j->stored);
	(void) pthread_mutex_destroy(&j->mutex); /* nobody has it */
	(void) pthread_cond_destroy(&j->told);   /* nobody waits */
	(void) close(j->fd);
	free(j);
}

static void tell(const struct job *j)
{
	char name[CO_SITES_NAME_SIZE] = "";

	(void) co_sites_name(name, j->st.st_dev, j->st.st_ino, (uint64_t) j->st.st_size,
			     0); /* always fits */
	switch (j->outcome) {
	case OUTCOME_HAVE:
		co_log(site, DEBUG, "%s is exported already", name);
		break;
	case OUTCOME_STORED:
		co_log(site, DEBUG, "%s is exported from the store", name);
		break;
	case OUTCOME_SCANNED:
		co_log(site, DEBUG, "%s is scanned: %u of %u sites have a row", name,
		       j->found.count, j->found.sites);
		break;
	case OUTCOME_REFUSED:
		co_log(site, DEBUG, "%s has no sites: %s", name, j->err.message);
		break;
	case OUTCOME_BLIND:
		if (!j->sites->blind)
			co_log(site, WARN, "there will be no site tables: %s",
			       j->err.message);
		j->sites->blind = true;
		break;
	case OUTCOME_FAILED:
		co_log(site, DEBUG, "no site table for a file (%s): %s", name,
		       j->err.message);
		break;
	}
}

static void start_thread(struct job *j)
{
	struct sites *s = j->sites;
	pthread_attr_t attr;
	pthread_t thread;

	(void) pthread_attr_init(&attr); /* cannot fail, nor can these */
	(void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void) pthread_attr_setstacksize(&attr, STACK);
	j->started_ms = s->daemon->host->now_ms(s->daemon->host->ctx);
	j->running = true;
	if (pthread_create(&thread, &attr, thread_main, j) == 0) {
		s->threads++;
	} else {
		co_log(site, WARN, "no thread for a site table");
		job_free(j);
	}
	(void) pthread_attr_destroy(&attr); /* cannot fail */
}

/* Starts what may run now; looks again later if something has to wait. */
static void start_jobs(struct sites *s)
{
	const struct co_host *host = s->daemon->host;
	uint64_t now = host->now_ms(host->ctx);
	unsigned busy = 0, waiting = 0;
	struct job *j, *next;

	DL_FOREACH (s->jobs, j)
		busy += j->running && now - j->started_ms < STUCK_MS;
	DL_FOREACH_SAFE (s->jobs, j, next) {
		if (j->running)
			continue;
		if (busy >= CO_LIMIT_SITES_SCANS || s->threads >= THREADS_MAX) {
			waiting++;
			continue;
		}
		start_thread(j);
		busy++;
	}
	if (waiting)
		host->timer_start(s->again, STUCK_MS);
}

static void look_again(void *arg)
{
	start_jobs(arg);
}

static void finished(void *arg)
{
	struct job *j = arg;
	struct sites *s = j->sites;

	s->threads--;
	tell(j);
	job_free(j);
	start_jobs(s);
}

void sites_wanted(struct sites *s, int fd)
{
	struct job *j;

	core_assert_locked();
	if (fd < 0)
		return;
	if (s->blind || s->folder.fd < 0 || s->count >= CO_LIMIT_SITES_QUEUE ||
	    !(j = calloc(1, sizeof(*j)))) {
		co_log(site, DEBUG, "a file is not looked at: %s",
		       s->blind ? "there is no decoder" : "too many wait");
		(void) close(fd);
		return;
	}
	j->sites = s;
	j->fd = fd;
	(void) pthread_mutex_init(&j->mutex, NULL); /* default attributes: */
	(void) pthread_cond_init(&j->told, NULL);   /* cannot fail */
	DL_APPEND(s->jobs, j);
	s->count++;
	start_jobs(s);
}

int sites_new(struct sites **out, struct daemon *d, struct co_err *err)
{
	struct sites *s = calloc(1, sizeof(*s));
	struct co_err why = { 0 };

	if (!s || !(s->again = d->host->timer_new(d->host->ctx, look_again, s))) {
		free(s);
		return co_fail(err, CO_NO_MEMORY, "no memory for site tables");
	}
	s->daemon = d;
	memcpy(s->secret, store_sites_secret(d->store), sizeof(s->secret));
	(void) pthread_mutex_init(&s->lock, NULL); /* default: cannot fail */
	if (site_folder_open(&s->folder, d->paths.run, &why))
		co_log(site, WARN, "there will be no site tables: %s", why.message);
	*out = s;
	return 0;
}

void sites_stop(struct sites *s)
{
	if (!s)
		return;
	atomic_store(&s->stop, true);
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	s->stopping = true;
	(void) pthread_mutex_unlock(&s->lock); /* held */
}
