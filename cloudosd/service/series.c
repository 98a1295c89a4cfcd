/* SPDX-License-Identifier: MIT */
/* Series of metrics.  HOST. */
#include "cloudosd/service/series.h"

#include <co/limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cloudosd/service/metrics.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { BUCKETS = 15, PIECE = 64, TAGS_MAX = 64 };

static const double bounds[BUCKETS] = { 0.001, 0.005, 0.01, 0.05, 0.1,  0.5,  1,    5,
					10,    50,    100,  500,  1000, 5000, 10000 };

struct series {
	UT_hash_handle hh;
	double last, sum;
	uint64_t count, buckets[BUCKETS]; /* each its own, not cumulative */
	size_t labels;                    /* where they begin in the key */
	char key[];                       /* name NUL labels NUL */
};

struct family {
	UT_hash_handle hh;
	struct series **series;
	size_t n;
	char name[];
};

struct series_all {
	struct series *by_key;
	struct family *by_name, **families; /* in the order in which they came */
	size_t nfamilies;
	uint64_t count, dropped;
};

/* ---- names ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void add_plain(struct co_buf *out, struct co_span name, bool colon)
{
	if (!name.size || !(is_letter(name.data[0]) || (colon && name.data[0] == ':')))
		co_buf_char(out, '_');
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];
		bool ok = is_letter(c) || (c >= '0' && c <= '9') || (colon && c == ':');

		/* a character that needs an underscore in front has had it */
		if (i > 0 || ok)
			co_buf_char(out, ok ? c : '_');
	}
}

void series_metric_name(struct co_buf *out, struct co_span name)
{
	/* what begins with cloudos_ is the daemon's own */
	if (name.size >= 8 && memcmp(name.data, "cloudos_", 8) == 0)
		co_buf_text(out, "user_");
	add_plain(out, name, true);
}

/* ---- labels, sorted by name ---- */

struct label {
	char *name;
	struct co_span value; /* a JSON string */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct label *) a)->name,
		      ((const struct label *) b)->name);
}

static bool taken(const struct label *labels, size_t n, const char *name)
{
	static const char *const own[] = { "service", "le" };

	for (size_t i = 0; i < co_countof(own); i++)
		if (strcmp(own[i], name) == 0)
			return true;
	for (size_t i = 0; i < n; i++)
		if (strcmp(labels[i].name, name) == 0)
			return true;
	return strncmp(name, "__", 2) == 0;
}

/* NULL: no memory. */
static char *label_name(const struct label *labels, size_t n, struct co_span json)
{
	autobuf struct co_buf text = { 0 };
	autobuf struct co_buf name = { 0 };
	size_t size;

	if (co_json_unescape(json, &text) < 0)
		co_buf_char(&text, '_');
	add_plain(&name, (struct co_span){ text.data, text.size }, false);
	while (!name.failed && taken(labels, n, name.data)) {
		autobuf struct co_buf other = { 0 };

		co_buf_text(&other, "tag_");
		co_buf_text(&other, name.data);
		co_buf_done(&name);
		name = other;
		other = (struct co_buf){ 0 };
	}
	return co_buf_take(&name, &size);
}

static void labels_write(struct co_buf *out, struct co_span service,
			 struct co_span tags)
{
	struct label labels[TAGS_MAX];
	struct co_json_walk walk = co_json_walk(tags.data ? tags : co_span("{}"));
	struct co_span name, value;
	size_t n = 0;

	metrics_label(out, "service", service);
	while (n < TAGS_MAX && co_json_next(&walk, &name, &value)) {
		labels[n] = (struct label){ label_name(labels, n, name), value };
		if (labels[n].name)
			n++;
		else
			out->failed = true;
	}
	qsort(labels, n, sizeof(*labels), by_name);
	for (size_t i = 0; i < n; i++) {
		autobuf struct co_buf text = { 0 };

		(void) co_json_unescape(labels[i].value, &text); /* empty then */
		metrics_label(out, labels[i].name,
			      (struct co_span){ text.data, text.size });
		free(labels[i].name);
	}
}

/* ---- noting ---- */

static struct family *family_of(struct series_all *all, const char *name)
{
	struct family *f, **grown;
	size_t size = strlen(name) + 1;

	HASH_FIND_STR(all->by_name, name, f);
	if (f)
		return f;
	grown = realloc(all->families, (all->nfamilies + 1) * sizeof(struct family *));
	if (!grown)
		return NULL;
	all->families = grown;
	f = calloc(1, sizeof(*f) + size);
	if (!f)
		return NULL;
	memcpy(f->name, name, size);
	HASH_ADD_STR(all->by_name, name, f);
	all->families[all->nfamilies++] = f;
	return f;
}

static struct series *series_add(struct series_all *all, const struct co_buf *key,
				 size_t labels)
{
	struct family *f = NULL;
	struct series *s = NULL, **grown = NULL;

	if (all->count < CO_LIMIT_TELEMETRY_SERIES)
		f = family_of(all, key->data);
	if (f)
		grown = realloc(f->series, (f->n + 1) * sizeof(struct series *));
	if (grown) {
		f->series = grown;
		s = calloc(1, sizeof(*s) + key->size + 1);
	}
	if (!s)
		return NULL;
	s->labels = labels;
	memcpy(s->key, key->data, key->size);
	HASH_ADD_KEYPTR(hh, all->by_key, s->key, key->size, s);
	f->series[f->n++] = s;
	all->count++;
	return s;
}

void series_note(struct series_all *all, struct co_span service, struct co_span name,
		 struct co_span tags, double value)
{
	autobuf struct co_buf key = { 0 };
	struct series *s = NULL;
	size_t labels;

	series_metric_name(&key, name);
	co_buf_char(&key, '\0');
	labels = key.size;
	labels_write(&key, service, tags);
	if (!key.failed) {
		HASH_FIND(hh, all->by_key, key.data, key.size, s);
		if (!s)
			s = series_add(all, &key, labels);
	}
	if (!s) {
		all->dropped++;
		return;
	}
	s->last = value;
	s->sum += value;
	s->count++;
	for (size_t i = 0; i < BUCKETS; i++) {
		if (value > bounds[i])
			continue;
		s->buckets[i]++;
		break;
	}
}

/* ---- writing ---- */

static void write_gauges(const struct family *f, size_t from, size_t to,
			 struct co_buf *out)
{
	if (from == 0)
		metrics_family(out, f->name, "gauge",
			       "Last value that a program has recorded.");
	for (size_t i = from; i < to; i++)
		metrics_sample(out, f->name, f->series[i]->key + f->series[i]->labels,
			       f->series[i]->last);
}

static void write_histogram(const struct series *s, const char *name,
			    struct co_buf *out)
{
	autobuf struct co_buf series = { 0 };
	autobuf struct co_buf labels = { 0 };
	const char *own = s->key + s->labels;
	uint64_t sum = 0;
	size_t kept;

	co_buf_format(&series, "%s_bucket", name);
	co_buf_format(&labels, "%s,", own);
	kept = labels.size;
	for (size_t i = 0; i <= BUCKETS && !labels.failed && !series.failed; i++) {
		sum += i < BUCKETS ? s->buckets[i] : 0;
		labels.size = kept;
		if (i < BUCKETS)
			co_buf_format(&labels, "le=\"%g\"", bounds[i]);
		else
			co_buf_text(&labels, "le=\"+Inf\"");
		metrics_sample(out, series.data, labels.data,
			       (double) (i < BUCKETS ? sum : s->count));
	}
	series.size = 0;
	co_buf_format(&series, "%s_sum", name);
	metrics_sample(out, series.data, own, s->sum);
	series.size = 0;
	co_buf_format(&series, "%s_count", name);
	metrics_sample(out, series.data, own, (double) s->count);
	out->failed |= series.failed || labels.failed;
}

/* Has a program named another metric as the histogram of this one would be called? */
static bool name_clash(const struct series_all *all, const char *name)
{
	static const char *const ends[] = { "", "_bucket", "_sum", "_count" };

	for (size_t i = 0; i < co_countof(ends); i++) {
		autobuf struct co_buf full = { 0 };
		struct family *f = NULL;

		co_buf_format(&full, "%s%s", name, ends[i]);
		if (full.failed)
			return true;
		HASH_FIND_STR(all->by_name, full.data, f);
		if (f)
			return true;
	}
	return false;
}

static void write_histograms(const struct series_all *all, const struct family *f,
			     size_t from, size_t to, struct co_buf *out)
{
	autobuf struct co_buf name = { 0 };

	co_buf_format(&name, "%s_observed", f->name);
	if (name.failed || name_clash(all, name.data))
		return;
	if (from == 0)
		metrics_family(out, name.data, "histogram",
			       "All values that a program has recorded.");
	for (size_t i = from; i < to; i++)
		write_histogram(f->series[i], name.data, out);
}

/*
 * `at` is family, then 1 bit: the histogram, then the series.  Series that are added
 * meanwhile come behind and so are written once or not at all.
 */
bool series_write(const struct series_all *all, uint64_t *at, struct co_buf *out)
{
	uint64_t family = *at >> 32, histogram = *at >> 31 & 1;
	size_t from = *at & 0x7fffffff, to;
	const struct family *f;

	if (family >= all->nfamilies)
		return false;
	f = all->families[family];
	to = f->n - from > PIECE ? from + PIECE : f->n;
	if (histogram)
		write_histograms(all, f, from, to, out);
	else
		write_gauges(f, from, to, out);
	if (to < f->n)
		*at += PIECE;
	else
		*at = histogram ? (family + 1) << 32 : family << 32 | 1ULL << 31;
	return *at >> 32 < all->nfamilies;
}

/* ---- the life of it ---- */

uint64_t series_count(const struct series_all *all)
{
	return all->count;
}

uint64_t series_dropped(const struct series_all *all)
{
	return all->dropped;
}

struct series_all *series_new(void)
{
	return calloc(1, sizeof(struct series_all));
}

struct series_all *series_free(struct series_all *all)
{
	if (!all)
		return NULL;
	HASH_CLEAR(hh, all->by_key);
	HASH_CLEAR(hh, all->by_name);
	for (size_t i = 0; i < all->nfamilies; i++) {
		for (size_t k = 0; k < all->families[i]->n; k++)
			free(all->families[i]->series[k]);
		free(all->families[i]->series);
		free(all->families[i]);
	}
	free(all->families);
	free(all);
	return NULL;
}
