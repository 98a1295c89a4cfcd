/* SPDX-License-Identifier: MIT */
/* Limits of block devices and of huge pages.  HOST. */
#include <inttypes.h>

#include "cloudosd/ctr/cgroup_inside.h"

/* The four rates, and what both versions call them. */
static const struct {
	size_t at;
	const char *v2, *v1;
} rates[] = {
	{ offsetof(struct ctr_resources, read_bps), "rbps",
	  "blkio.throttle.read_bps_device" },
	{ offsetof(struct ctr_resources, write_bps), "wbps",
	  "blkio.throttle.write_bps_device" },
	{ offsetof(struct ctr_resources, read_iops), "riops",
	  "blkio.throttle.read_iops_device" },
	{ offsetof(struct ctr_resources, write_iops), "wiops",
	  "blkio.throttle.write_iops_device" },
};

/* A rate of 0 is none. */
static int set_rate(struct group_limits *l, const char *folder, bool v2, size_t i)
{
	const struct ctr_io_rates *list =
		(const void *) ((const char *) l->r + rates[i].at);
	int rc = 0;

	for (size_t j = 0; rc == 0 && j < list->count; j++) {
		const struct ctr_io_rate *r = &list->at[j];
		char text[128], value[24] = "max";

		if (r->rate || !v2)
			(void) snprintf(value, sizeof(value), "%" PRIu64, r->rate);
		(void) snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s%s%s",
				r->major, r->minor, v2 ? rates[i].v2 : "",
				v2 ? "=" : "", value);
		rc = group_write(folder, v2 ? "io.max" : rates[i].v1, text, l->err);
	}
	return rc;
}

/* Weights of v1, 10 to 1000; io.weight has 1 to 10000. */
static int64_t weight_of(const char *file, int64_t weight)
{
	if (strcmp(file, "io.weight") != 0)
		return weight;
	return weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

static int set_weight(struct group_limits *l, const char *folder)
{
	static const char *const files[] = { "blkio.weight", "blkio.bfq.weight",
					     "io.bfq.weight", "io.weight" };

	for (size_t i = 0; i < co_countof(files); i++)
		if (group_has(folder, files[i]))
			return group_write_i64(folder, files[i],
					       weight_of(files[i], l->r->io_weight),
					       l->err);
	return group_unmet(l, "io weight", "no scheduler with weights is in use");
}

static int set_device_weights(struct group_limits *l, const char *folder)
{
	static const char *const files[] = { "blkio.weight_device",
					     "blkio.bfq.weight_device", "io.bfq.weight",
					     "io.weight" };
	const char *file = NULL;
	int rc = 0;

	for (size_t i = 0; !file && i < co_countof(files); i++)
		if (group_has(folder, files[i]))
			file = files[i];
	if (!file)
		return group_unmet(l, "io weight",
				   "no scheduler with weights is in use");
	for (size_t i = 0; rc == 0 && i < l->r->weights.count; i++) {
		const struct ctr_io_rate *w = &l->r->weights.at[i];
		char text[96];

		(void) snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRId64,
				w->major, w->minor, weight_of(file, (int64_t) w->rate));
		rc = group_write(folder, file, text, l->err);
	}
	return rc;
}

static int set_hugepages(struct group_limits *l)
{
	bool v2;
	const char *folder = group_of(l->g, GROUP_HUGETLB, &v2);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->r->hugepage_count; i++) {
		const struct ctr_hugepage_limit *h = &l->r->hugepages[i];
		char file[96], text[32];

		if (!folder)
			return group_unmet(l, "huge pages",
					   "there is no hugetlb controller for us");
		if (strchr(h->size, '/') || strlen(h->size) > 32)
			return co_fail(
				l->err, CO_INVALID,
				"linux.resources.hugepageLimits: \"%.40s\" is no size "
				"of a page",
				h->size);
		(void) snprintf(file, sizeof(file), "hugetlb.%s.%s", h->size,
				v2 ? "max" : "limit_in_bytes");
		(void) snprintf(text, sizeof(text), "%" PRIu64, h->limit);
		rc = group_write(folder, file, text, l->err);
	}
	return rc;
}

int group_set_io(struct group_limits *l)
{
	bool v2;
	const char *folder = group_of(l->g, GROUP_IO, &v2);
	int rc = 0;

	if (!folder && (group_wanted(l->r) & GROUP_IO))
		rc = group_unmet(l, "io", "there is no io controller for us");
	for (size_t i = 0; rc == 0 && folder && i < co_countof(rates); i++)
		rc = set_rate(l, folder, v2, i);
	if (rc == 0 && folder && l->r->io_weight > 0)
		rc = set_weight(l, folder);
	if (rc == 0 && folder && l->r->weights.count)
		rc = set_device_weights(l, folder);
	return rc < 0 ? rc : set_hugepages(l);
}
