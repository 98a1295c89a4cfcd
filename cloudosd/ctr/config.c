/* SPDX-License-Identifier: MIT */
/* config.json: the whole file.  HOST. */
#include "cloudosd/ctr/config.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cloudosd/ctr/config_read.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

struct owned {
	struct ctr_config config;
	struct ctr_heap heap;
};

static char *no_texts[1];

/* ---- mounts ---- */

static int read_mount(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_mount, "destination", ctr_read_text, destination),
		CTR_FIELD(struct ctr_mount, "type", ctr_read_text, type),
		CTR_FIELD(struct ctr_mount, "source", ctr_read_text, source),
		CTR_FIELD(struct ctr_mount, "options", ctr_read_texts, options),
		CTR_FIELD(struct ctr_mount, "uidMappings", ctr_read_id_maps, uids),
		CTR_FIELD(struct ctr_mount, "gidMappings", ctr_read_id_maps, gids),
	};
	static char bind[] = "bind";
	struct ctr_mount *m = out;
	int rc;

	m->options.at = no_texts;
	rc = CTR_READ_OBJECT(r, value, fields, out);
	if (rc < 0)
		return rc;
	if (!m->destination || m->destination[0] != '/')
		return ctr_read_fail(r, "has no absolute destination");
	for (size_t i = 0; i < m->options.count; i++)
		if (strcmp(m->options.at[i], "bind") == 0 ||
		    strcmp(m->options.at[i], "rbind") == 0)
			m->type = bind;
	return 0;
}

static int read_mounts(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_config *c = out;
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(struct ctr_mount), read_mount, &list);

	if (rc == 0) {
		c->mounts = list.at;
		c->mount_count = list.count;
	}
	return rc;
}

/* ---- hooks ---- */

static int read_hook(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_hook, "path", ctr_read_text, path),
		CTR_FIELD(struct ctr_hook, "args", ctr_read_texts, args),
		CTR_FIELD(struct ctr_hook, "env", ctr_read_texts, env),
		CTR_FIELD(struct ctr_hook, "timeout", ctr_read_int, timeout_s),
	};
	struct ctr_hook *h = out;
	int rc;

	h->args.at = no_texts;
	h->env.at = no_texts;
	rc = CTR_READ_OBJECT(r, value, fields, out);
	if (rc < 0)
		return rc;
	if (!h->path || h->path[0] != '/')
		return ctr_read_fail(r, "has no absolute path");
	if (h->timeout_s < 0)
		return ctr_read_fail(r, "has a timeout below 0");
	return 0;
}

static int read_hook_list(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_hooks *hooks = out;
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(struct ctr_hook), read_hook, &list);

	if (rc == 0)
		*hooks = (struct ctr_hooks){ .at = list.at, .count = list.count };
	return rc;
}

static int read_hooks(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
#define FIELD(name, member) CTR_FIELD(struct ctr_config, name, read_hook_list, member)
		FIELD("prestart", prestart),
		FIELD("createRuntime", create_runtime),
		FIELD("createContainer", create_container),
		FIELD("startContainer", start_container),
		FIELD("poststart", poststart),
		FIELD("poststop", poststop),
#undef FIELD
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

/* ---- what is ours ---- */

static int read_network(struct ctr_read *r, struct co_span value, void *out)
{
	struct co_span raw;
	int rc = ctr_read_raw(r, value, &raw);

	if (rc < 0)
		return rc;
	*(char **) out = ctr_heap_text(r->heap, raw.data, raw.size);
	return *(char **) out ? 0 : co_fail(r->err, CO_NO_MEMORY, "out of memory");
}

static int read_joined(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_extension, "pid", ctr_read_i64, joined_pid),
		CTR_FIELD(struct ctr_extension, "start", ctr_read_u64, joined_start),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_extension(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
#define FIELD(name, read, member) CTR_FIELD(struct ctr_extension, name, read, member)
		FIELD("layers", ctr_read_texts, layers),
		FIELD("upper", ctr_read_text, upper),
		FIELD("work", ctr_read_text, work),
		FIELD("scratch", ctr_read_bool, scratch),
		FIELD("idmap", ctr_read_bool, idmap),
		FIELD("init", ctr_read_bool, init),
		FIELD("calls", ctr_read_bool, calls),
		FIELD("confined", ctr_read_bool, confined),
		FIELD("network", read_network, network),
		{ "joined", read_joined, 0 },
		FIELD("cgroupParent", ctr_read_text, cgroup_parent),
		FIELD("socket", ctr_read_text, socket),
		FIELD("name", ctr_read_text, name),
		FIELD("allowUnenforcedLimits", ctr_read_bool, allow_unenforced_limits),
#undef FIELD
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

/* ---- the file ---- */

static int read_process_member(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_config *c = out;

	c->has_process = true;
	return ctr_read_process(r, value, &c->process);
}

static int read_root(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_config, "path", ctr_read_text, root),
		CTR_FIELD(struct ctr_config, "readonly", ctr_read_bool, root_readonly),
	};
	struct ctr_config *c = out;
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc < 0)
		return rc;
	if (!c->root || c->root[0] == '\0')
		return ctr_read_fail(r, "has no path");
	return 0;
}

static int read_version(struct ctr_read *r, struct co_span value, void *out)
{
	const char *version;
	int rc = ctr_read_text(r, value, out);

	if (rc < 0)
		return rc;
	version = *(char **) out;
	if (strncmp(version, "1.", 2) != 0)
		return ctr_read_fail(r, "is not of a version 1.x of the specification");
	return 0;
}

static int read_config(struct ctr_read *r, struct ctr_config *c)
{
	static const struct ctr_field fields[] = {
#define FIELD(name, read, member) CTR_FIELD(struct ctr_config, name, read, member)
		FIELD("ociVersion", read_version, version),
		{ "root", read_root, 0 },
		FIELD("hostname", ctr_read_text, hostname),
		FIELD("domainname", ctr_read_text, domainname),
		{ "process", read_process_member, 0 },
		{ "mounts", read_mounts, 0 },
		{ "linux", ctr_read_linux, 0 },
		{ "hooks", read_hooks, 0 },
		FIELD("annotations", ctr_read_pairs, annotations),
		FIELD("cloudos", read_extension, cloudos),
#undef FIELD
	};
	int rc = CTR_READ_OBJECT(r, c->json, fields, c);

	if (rc == 0 && !c->version)
		return ctr_read_fail(r, "has no ociVersion");
	return rc;
}

static void set_defaults(struct ctr_config *c)
{
	struct ctr_texts *lists[] = { &c->process.args, &c->process.env,
				      &c->masked_paths, &c->readonly_paths,
				      &c->cloudos.layers };

	for (size_t i = 0; i < co_countof(lists); i++)
		lists[i]->at = no_texts;
	c->process.user.umask = -1;
	c->process.io_class = -1;
	c->process.io_priority = -1;
	c->personality = UINT64_MAX;
	ctr_resources_unset(&c->resources);
}

/* root.path is relative to the bundle. */
static int absolute_root(struct owned *o, struct ctr_read *r)
{
	struct ctr_config *c = &o->config;
	autobuf struct co_buf path = { 0 };

	if (!c->root || c->root[0] == '/')
		return 0;
	co_buf_text(&path, c->bundle);
	co_buf_char(&path, '/');
	co_buf_text(&path, c->root);
	c->root = path.failed ? NULL : ctr_heap_text(&o->heap, path.data, path.size);
	return c->root ? 0 : co_fail(r->err, CO_NO_MEMORY, "out of memory");
}

static int check_whole(struct ctr_config *c, struct ctr_read *r)
{
	const struct ctr_namespace *uts = ctr_config_namespace(c, CLONE_NEWUTS);

	if ((c->hostname || c->domainname) && !uts)
		return ctr_read_fail(
			r,
			"has a hostname or a domainname, but no uts name space for it");
	if ((c->uids.count || c->gids.count) && !ctr_config_namespace(c, CLONE_NEWUSER))
		return ctr_read_fail(r, "maps ids, but has no user name space");
	if (c->cloudos.upper && !c->cloudos.work)
		return ctr_read_fail(r, "has cloudos.upper without cloudos.work");
	return 0;
}

static int parse(struct owned *o, struct co_span text, const char *bundle,
		 struct co_err *err)
{
	struct ctr_config *c = &o->config;
	struct ctr_read r = { .heap = &o->heap, .err = err };
	struct co_json_fault fault;
	int rc;

	c->text = ctr_heap_text(&o->heap, text.data, text.size);
	c->bundle = ctr_heap_text(&o->heap, bundle, strlen(bundle));
	if (!c->text || !c->bundle)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	rc = co_json_check((struct co_span){ c->text, text.size }, &c->json, &fault);
	if (rc < 0)
		return co_fail(err, CO_INVALID,
			       "the configuration is not JSON: %s at byte %zu",
			       fault.what, fault.at);
	set_defaults(c);
	rc = read_config(&r, c);
	if (rc == 0) {
		const char *keep =
			ctr_config_annotation(c, "run.oci.keep_original_groups");

		c->process.user.keep_groups = keep && strcmp(keep, "1") == 0;
		rc = absolute_root(o, &r);
	}
	return rc == 0 ? check_whole(c, &r) : rc;
}

int ctr_config_parse(struct co_span text, const char *bundle, struct ctr_config **out,
		     struct co_err *err)
{
	struct owned *o;
	int rc;

	if (text.size > CO_LIMIT_CTR_CONFIG)
		return co_fail(err, CO_TOO_BIG,
			       "the configuration has more than %d bytes",
			       CO_LIMIT_CTR_CONFIG);
	o = calloc(1, sizeof(*o));
	if (!o)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	rc = parse(o, text, bundle, err);
	if (rc < 0) {
		ctr_config_free(&o->config);
		return rc;
	}
	*out = &o->config;
	return 0;
}

int ctr_file_read(const char *path, size_t max, struct co_buf *out, struct co_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return co_fail_errno(err, errno, "%s cannot be opened", path);
	for (;;) {
		char *room = co_buf_room(out, 16384);
		ssize_t n;

		if (!room)
			return co_fail(err, CO_NO_MEMORY, "out of memory");
		n = read(fd, room, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return co_fail_errno(err, errno, "%s cannot be read", path);
		if (n == 0)
			return 0;
		co_buf_wrote(out, (size_t) n);
		if (out->size > max)
			return co_fail(err, CO_TOO_BIG, "%s has more than %zu bytes",
				       path, max);
	}
}

int ctr_config_load_file(const char *path, const char *bundle, struct ctr_config **out,
			 struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	int rc = ctr_file_read(path, CO_LIMIT_CTR_CONFIG, &text, err);

	if (rc == 0)
		rc = ctr_config_parse(
			(struct co_span){ text.data ? text.data : "", text.size },
			bundle, out, err);
	if (rc == CO_INVALID)
		return co_context(err, "%s", path);
	return rc;
}

int ctr_config_load(const char *bundle, struct ctr_config **out, struct co_err *err)
{
	autofree char *folder = realpath(bundle, NULL);
	char path[PATH_MAX];

	if (!folder)
		return co_fail_errno(err, errno, "the bundle %s cannot be opened",
				     bundle);
	if ((size_t) snprintf(path, sizeof(path), "%s/config.json", folder) >=
	    sizeof(path))
		return co_fail(err, CO_NAME_TOO_LONG,
			       "the path of the bundle is too long");
	return ctr_config_load_file(path, folder, out, err);
}

void ctr_config_free(struct ctr_config *config)
{
	struct owned *o;

	if (!config)
		return;
	o = container_of(config, struct owned, config);
	ctr_heap_done(&o->heap);
	free(o);
}

/* ---- parts ---- */

static int parse_part(const char *before, struct co_span text, const char *after,
		      struct ctr_config **out, struct co_err *err)
{
	autobuf struct co_buf whole = { 0 };
	struct co_json_fault fault;
	struct co_span value;

	if (co_json_check(text, &value, &fault) < 0)
		return co_fail(err, CO_INVALID, "not JSON: %s at byte %zu", fault.what,
			       fault.at);
	co_buf_text(&whole, before);
	co_buf_span(&whole, value);
	co_buf_text(&whole, after);
	if (whole.failed)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	return ctr_config_parse((struct co_span){ whole.data, whole.size }, "/", out,
				err);
}

int ctr_process_parse(struct co_span text, struct ctr_process_spec *out,
		      struct co_err *err)
{
	struct ctr_config *c;
	int rc = parse_part("{\"ociVersion\":\"1.0.2\",\"process\":", text, "}", &c,
			    err);

	if (rc == 0) {
		*out = c->process;
		out->owner = c;
	}
	return rc;
}

void ctr_process_done(struct ctr_process_spec *p)
{
	ctr_config_free(p->owner);
	p->owner = NULL;
}

int ctr_resources_parse(struct co_span text, struct ctr_resources *out,
			struct co_err *err)
{
	struct ctr_config *c;
	int rc = parse_part("{\"ociVersion\":\"1.0.2\",\"linux\":{\"resources\":", text,
			    "}}", &c, err);

	if (rc == 0) {
		*out = c->resources;
		out->owner = c;
	}
	return rc;
}

void ctr_resources_done(struct ctr_resources *r)
{
	ctr_config_free(r->owner);
	r->owner = NULL;
}

/* ---- looking things up ---- */

const struct ctr_namespace *ctr_config_namespace(const struct ctr_config *config,
						 int kind)
{
	for (size_t i = 0; i < config->namespace_count; i++)
		if (config->namespaces[i].kind == kind)
			return &config->namespaces[i];
	return NULL;
}

const char *ctr_config_annotation(const struct ctr_config *config, const char *name)
{
	for (size_t i = 0; i < config->annotations.count; i++)
		if (strcmp(config->annotations.at[i].name, name) == 0)
			return config->annotations.at[i].value;
	return NULL;
}
