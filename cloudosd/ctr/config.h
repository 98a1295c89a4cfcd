/* SPDX-License-Identifier: MIT */
/*
 * What a container is to be: the OCI runtime specification's config.json (1.0, 1.1), read
 * and checked.  HOST.
 *
 * Every string is the configuration's own and lives until ctr_config_free.  What the file
 * does not say is NULL, 0, false, or the value that the member's comment names.  The
 * member "cloudos" is ours: what the specification has no words for.
 */
#ifndef CTR_CONFIG_H
#define CTR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

/* A list of strings with a NULL behind the last; never NULL itself. */
struct ctr_texts {
	char **at;
	size_t count;
};

struct ctr_id_map {
	uint32_t inside, outside, count;
};

struct ctr_id_maps {
	struct ctr_id_map *at;
	size_t count;
};

struct ctr_namespace {
	int kind;   /* CLONE_NEWNS and so on */
	char *path; /* joined; NULL: a new one */
};

struct ctr_mount {
	char *destination; /* absolute */
	char *type;        /* "bind" where an option says so; NULL: none was given */
	char *source;
	struct ctr_texts options;      /* as written; rootfs.c gives them meaning */
	struct ctr_id_maps uids, gids; /* of an idmapped mount */
};

struct ctr_device {
	char *path;
	mode_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
	int64_t major, minor;
	mode_t mode; /* 0666 */
	uint32_t uid, gid;
};

/* A rule of the devices cgroup; -1 is any. */
struct ctr_device_rule {
	bool allow;
	char type; /* 'a', 'b', 'c' */
	int64_t major, minor;
	char access[4]; /* of "rwm" */
};

struct ctr_rlimit {
	int resource; /* RLIMIT_NOFILE and so on */
	uint64_t soft, hard;
};

struct ctr_hook {
	char *path;
	struct ctr_texts args,
		env;   /* args.count 0: the path alone; env.count 0: ours */
	int timeout_s; /* 0: none */
};

struct ctr_hooks {
	struct ctr_hook *at;
	size_t count;
};

struct ctr_pair {
	char *name, *value;
};

struct ctr_pairs {
	struct ctr_pair *at;
	size_t count;
};

/* Bits of CAP_*; `given` false: the file has no capabilities. */
struct ctr_capabilities {
	bool given;
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct ctr_user {
	uint32_t uid, gid;
	uint32_t *groups;
	size_t group_count;
	int umask;        /* -1: 022 */
	bool keep_groups; /* those of the caller (run.oci.keep_original_groups) */
};

/* Also what exec is given. */
struct ctr_process_spec {
	bool terminal;
	uint16_t rows, columns; /* of the terminal; 0: not said */
	struct ctr_user user;
	struct ctr_texts args, env;
	char *cwd;
	struct ctr_capabilities capabilities;
	struct ctr_rlimit *rlimits;
	size_t rlimit_count;
	bool no_new_privileges;
	bool has_oom_score_adj;
	int oom_score_adj;
	char *apparmor_profile, *selinux_label;
	int io_class, io_priority; /* -1: not said */
	bool has_scheduler;
	struct co_span scheduler; /* raw JSON, checked by who applies it */
	struct ctr_config *owner; /* of ctr_process_parse; otherwise NULL */
};

#define CTR_UNSET INT64_MIN /* a limit that the file does not give; -1 is "no limit" */

struct ctr_io_rate {
	int64_t major, minor;
	uint64_t rate;
};

struct ctr_io_rates {
	struct ctr_io_rate *at;
	size_t count;
};

struct ctr_hugepage_limit {
	char *size; /* "2MB" */
	uint64_t limit;
};

/* Bytes, microseconds; CTR_UNSET where the file is silent. */
struct ctr_resources {
	int64_t memory, memory_reservation, memory_swap, memory_swappiness, memory_tcp;
	bool oom_kill_disabled;
	int64_t cpu_shares, cpu_quota, cpu_period, cpu_burst, cpu_rt_runtime,
		cpu_rt_period, cpu_idle;
	char *cpus, *mems;
	int64_t pids;
	int64_t io_weight;
	struct ctr_io_rates read_bps, write_bps, read_iops, write_iops, weights;
	struct ctr_hugepage_limit *hugepages;
	size_t hugepage_count;
	struct ctr_device_rule *device_rules;
	size_t device_rule_count;
	struct ctr_pairs unified; /* files of cgroup v2 and their text */
	int64_t net_classid;
	struct ctr_pairs net_priorities; /* interface, priority */
	struct ctr_config *owner;        /* of ctr_resources_parse; otherwise NULL */
};

/* The member "cloudos".  A runtime of somebody else passes over it. */
struct ctr_extension {
	/* The root file system is an overlay of these, uppermost first, mounted inside the
	 * container's mount name space; none: root.path is it. */
	struct ctr_texts layers;
	char *upper, *work; /* NULL: read-only */
	bool scratch;       /* thrown away at the end: no need to reach the disk */
	bool idmap;         /* what is uid 0 on disk is the container's root */
	bool init;          /* our init is pid 1 and reaps; the program is its child */
	bool calls;         /* calls of CloudOS and the other systems are answered */
	bool confined;      /* the strict filter of --confine */
	char *network; /* raw JSON object for network.h, checked; NULL: loopback only */
	char *cgroup_parent; /* below which its cgroup is made; NULL: chosen */
	bool allow_unenforced_limits;
	int64_t joined_pid;    /* name spaces with a path are this process's ... */
	uint64_t joined_start; /* ... if it began then (ctr_pid_start); 0: whoever's */
	char *socket;          /* the control socket of the daemon that owns it */
	char *name;            /* the container's, for people; NULL: its id */
};

struct ctr_config {
	char *text;          /* the file */
	struct co_span json; /* of it, the whole value */
	char *version;       /* ociVersion */
	char *bundle;        /* its folder, absolute */
	char *root;          /* absolute; NULL: none (exec-only files) */
	bool root_readonly;
	char *hostname, *domainname;
	struct ctr_process_spec process;
	bool has_process;
	struct ctr_mount *mounts;
	size_t mount_count;
	struct ctr_namespace *namespaces;
	size_t namespace_count;
	struct ctr_id_maps uids, gids;
	struct ctr_device *devices;
	size_t device_count;
	struct ctr_resources resources;
	char *cgroups_path;
	uint64_t rootfs_propagation; /* MS_SHARED and so on, with MS_REC; 0: not said */
	struct ctr_texts masked_paths, readonly_paths;
	struct ctr_pairs sysctl, annotations;
	struct ctr_hooks prestart, create_runtime, create_container, start_container,
		poststart, poststop;
	struct co_span
		seccomp; /* raw JSON of linux.seccomp for seccomp.h; data NULL: none */
	char *mount_label;
	uint64_t personality; /* of personality(2); UINT64_MAX: not said */
	struct ctr_extension cloudos;
};

/*
 * Reads config.json of the bundle (at most CO_LIMIT_CTR_CONFIG bytes).  CO_INVALID and a
 * sentence with the member's path ("linux.resources.pids.limit is not a number").
 */
int ctr_config_load(const char *bundle, struct ctr_config **out, struct co_err *err);

/* As that, of a text; bundle is for relative paths. */
int ctr_config_parse(struct co_span text, const char *bundle, struct ctr_config **out,
		     struct co_err *err);

/* As ctr_config_load, of a file that is not the bundle's. */
int ctr_config_load_file(const char *path, const char *bundle, struct ctr_config **out,
			 struct co_err *err);

/* A resources object alone, as `update --resources FILE` has it. */
int ctr_resources_parse(struct co_span text, struct ctr_resources *out,
			struct co_err *err);
void ctr_resources_done(struct ctr_resources *r);

/* A process object alone, as `exec --process FILE` has it. */
int ctr_process_parse(struct co_span text, struct ctr_process_spec *out,
		      struct co_err *err);
void ctr_process_done(struct ctr_process_spec *p);

/* NULL is allowed. */
void ctr_config_free(struct ctr_config *config);

/* The namespace of that kind, NULL: the container shares the caller's. */
const struct ctr_namespace *ctr_config_namespace(const struct ctr_config *config,
						 int kind);

const char *ctr_config_annotation(const struct ctr_config *config, const char *name);

/* The bytes of a file, at most max. */
int ctr_file_read(const char *path, size_t max, struct co_buf *out, struct co_err *err);

#endif
