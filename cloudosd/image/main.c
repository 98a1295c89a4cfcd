/* SPDX-License-Identifier: MIT */
/*
 * cloudos-image: takes images of containers in, unpacks them, writes them out.  HOST.
 *
 * Started by the service of images, one for each request, and by hand: it needs no daemon.
 * What it says is in report.h.  Whatever a stranger has made is read in a process of its own
 * (sandbox.h); JSON is read here, by lib/json_scan.h.
 */
#include <co/limits.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 4,
	EXIT_REFUSED = 5,
	KEPT_MAX = 65536
};

static const struct command all[] = {
#define COMMAND(id, name, operands, least, most, use, quiet, what)                     \
	{ name, operands, what, least, most, use, command_##id, quiet },
#include "cloudosd/image/commands.def"
#undef COMMAND
};

const struct command *commands(size_t *out_count)
{
	*out_count = co_countof(all);
	return all;
}

static void usage(FILE *out)
{
	(void) fprintf(out,
		       "usage: cloudos-image --store FOLDER [OPTION...] COMMAND ...\n"
		       "\n");
	for (size_t i = 0; i < co_countof(all); i++)
		(void) fprintf(out, "  %-14s %-22s %s\n", all[i].name, all[i].operands,
			       all[i].what);
	(void) fprintf(
		out,
		"\n"
		"  --name NAME[:TAG]    what the image is to be called\n"
		"  --platform OS/ARCH   of several the one for that (linux/amd64)\n"
		"  --format FORMAT      of export: docker, oci, oci-archive, rootfs\n"
		"  --config JSON        of commit: members of \"config\" to replace\n"
		"  --id-shift N         of commit, diff: the owner who is 0 inside\n"
		"  --work FOLDER        of cp-in: for the overlay, beside UPPER\n"
		"  --pid PID            of cp-out, cp-in: the container runs, that is its "
		"process\n"
		"  --busybox PATH       of create-busybox: instead of the one in PATH\n"
		"  --max-bytes N        of one layer or archive, decompressed\n"
		"  --max-entries N      of one layer\n"
		"  --drop-setuid        set-user-id bits are not kept\n"
		"  --in-use ID          of rm, prune: an image that has to stay\n");
}

enum option_id {
	OPTION_STORE = 256,
	OPTION_NAME,
	OPTION_PLATFORM,
	OPTION_FORMAT,
	OPTION_CONFIG,
	OPTION_SHIFT,
	OPTION_WORK,
	OPTION_PID,
	OPTION_BUSYBOX,
	OPTION_BYTES,
	OPTION_ENTRIES,
	OPTION_SETUID,
	OPTION_IN_USE,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{ "store", required_argument, NULL, OPTION_STORE },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "platform", required_argument, NULL, OPTION_PLATFORM },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "id-shift", required_argument, NULL, OPTION_SHIFT },
	{ "work", required_argument, NULL, OPTION_WORK },
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "busybox", required_argument, NULL, OPTION_BUSYBOX },
	{ "max-bytes", required_argument, NULL, OPTION_BYTES },
	{ "max-entries", required_argument, NULL, OPTION_ENTRIES },
	{ "drop-setuid", no_argument, NULL, OPTION_SETUID },
	{ "in-use", required_argument, NULL, OPTION_IN_USE },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 }
};

/* false: not a whole number from 1 to most. */
static bool number(const char *text, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *text != '-' && *out && *out <= most;
}

static bool take_option(struct options *o, int id, const char **kept, size_t *nkept)
{
	uint64_t n = 0;

	switch ((enum option_id) id) {
	case OPTION_STORE:
		o->store = optarg;
		return true;
	case OPTION_NAME:
		o->name = optarg;
		return true;
	case OPTION_PLATFORM:
		o->platform = optarg;
		return strchr(optarg, '/') != NULL;
	case OPTION_FORMAT:
		o->format = optarg;
		return true;
	case OPTION_CONFIG:
		o->config = optarg;
		return true;
	case OPTION_SHIFT:
		o->id_shift = strcmp(optarg, "0") == 0 || number(optarg, UINT32_MAX, &n)
				      ? (uint32_t) n
				      : 0;
		return n || strcmp(optarg, "0") == 0;
	case OPTION_WORK:
		o->work = optarg;
		return true;
	case OPTION_PID:
		if (!number(optarg, INT32_MAX, &n))
			return false;
		o->pid = (int) n;
		return true;
	case OPTION_BUSYBOX:
		o->busybox = optarg;
		return true;
	case OPTION_BYTES:
		return number(optarg, (uint64_t) CO_LIMIT_IMAGE_BYTES << 20,
			      &o->layers.most_bytes);
	case OPTION_ENTRIES:
		return number(optarg, CO_LIMIT_IMAGE_ENTRIES, &o->layers.most_entries);
	case OPTION_SETUID:
		o->layers.drop_setuid = true;
		return true;
	case OPTION_IN_USE:
		if (*nkept >= KEPT_MAX)
			return false;
		kept[(*nkept)++] = optarg;
		return true;
	default:
		return false;
	}
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; name && i < co_countof(all); i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

static int exit_of(int status)
{
	switch (status) {
	case CO_NOT_FOUND:
		return EXIT_NOT_FOUND;
	case CO_ACCESS:
	case CO_BUSY:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

static int run(const struct command *c, const struct options *o, char **operands, int n)
{
	struct co_err err = { 0 };
	char store[PATH_MAX];
	struct depot depot = { .fd = -1, .lock = -1 };
	bool live = o->pid && (c->run == command_cp_out || c->run == command_cp_in);
	int r = 0;

	if (c->quiet)
		report_quiet();
	if (c->use == DEPOT_CHANGE && mkdir(o->store, 0700) && errno != EEXIST)
		r = co_fail_errno(&err, errno, "cannot make the folder %s", o->store);
	else if (!live && !realpath(o->store, store))
		r = co_fail_errno(&err, errno, "cannot open the images in %s",
				  o->store);
	if (!r) {
		if (!live) /* it has its files together: no image is needed */
			r = depot_open(&depot, store, c->use, &err);
		if (!r)
			r = c->run(&depot, o, operands, n, &err);
		depot_close(&depot);
	}
	if (r && !err.code)
		err = (struct co_err){ .code = r };
	if (r && !*err.message)
		(void) co_fail(&err, r, "%s", co_status_text(r)); /* reported below */
	if (r)
		report_failed(&err);
	return r ? exit_of(r) : 0;
}

/* What was half done is in tmp/ and goes with the next one: ending is no trouble. */
static void prepare(void)
{
	struct rlimit files;

	(void) setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive converts names to it */
	(void) signal(SIGPIPE, SIG_IGN);
	(void) signal(SIGXFSZ, SIG_IGN); /* a limit is an error, not an end */
	(void) umask(0077);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void) setrlimit(RLIMIT_NOFILE, &files); /* or with fewer */
	}
}

int main(int argc, char **argv)
{
	autofree const char **kept = calloc(KEPT_MAX + 1, sizeof(char *));
	struct options o = { .platform = "linux/amd64",
			     .kept = kept,
			     .layers = { .most_bytes = (uint64_t) CO_LIMIT_IMAGE_BYTES
						       << 20,
					 .most_entries = CO_LIMIT_IMAGE_ENTRIES } };
	const struct command *c;
	struct co_err err = { 0 };
	size_t nkept = 0;
	int id, n;

	if (!kept)
		return EXIT_FAILED;
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (id == OPTION_HELP) {
			usage(stdout);
			return 0;
		}
		if (id == OPTION_VERSION) {
			(void) printf("cloudos-image %s\n", PACKAGE_VERSION);
			return 0;
		}
		if (!take_option(&o, id, kept, &nkept)) {
			(void) fprintf(stderr, "cloudos-image: see --help\n");
			return EXIT_USAGE;
		}
	}
	c = find(argv[optind]);
	n = argc - optind - 1;
	if (!c || !o.store || n < c->least || (c->most >= 0 && n > c->most)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	prepare();
	if (co_fault_arm_from_environment(&err)) {
		(void) fprintf(stderr, "cloudos-image: %s\n", err.message);
		return EXIT_USAGE;
	}
	return run(c, &o, argv + optind + 1, n);
}
