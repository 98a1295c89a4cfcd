/* SPDX-License-Identifier: MIT */
/* config.json as the engine reads it.  HOST. */
#include "cloudosd/ctr/config.h"
#include "lib/capability.h"

#include <check.h>
#include <co/limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "tests/run.h"

static struct co_err err;

static int parse(const char *text, struct ctr_config **out)
{
	err = (struct co_err){ 0 };
	*out = NULL;
	return ctr_config_parse(co_span(text), "/bundle", out, &err);
}

/* What it says of a configuration that has this inside. */
static int parse_with(const char *members, struct ctr_config **out)
{
	char text[4096];

	ck_assert_int_lt(
		snprintf(text, sizeof(text), "{\"ociVersion\":\"1.0.2\",%s}", members),
		(int) sizeof(text));
	return parse(text, out);
}

START_TEST(a_file_that_says_little_has_defaults)
{
	struct ctr_config *c;

	ck_assert_int_eq(parse("{\"ociVersion\":\"1.1.0\"}", &c), 0);
	ck_assert_str_eq(c->version, "1.1.0");
	ck_assert_str_eq(c->bundle, "/bundle");
	ck_assert_ptr_null(c->root);
	ck_assert(!c->has_process);
	ck_assert_ptr_nonnull(c->process.args.at);
	ck_assert_ptr_null(c->process.args.at[0]);
	ck_assert_ptr_nonnull(c->masked_paths.at);
	ck_assert_int_eq(c->process.user.umask, -1);
	ck_assert_int_eq(c->process.io_class, -1);
	ck_assert_uint_eq(c->personality, UINT64_MAX);
	ck_assert_int_eq(c->resources.memory, CTR_UNSET);
	ck_assert_int_eq(c->resources.pids, CTR_UNSET);
	ck_assert_ptr_null(c->seccomp.data);
	ck_assert(!c->cloudos.init);
	ctr_config_free(c);
}
END_TEST

START_TEST(a_process_is_read_with_all_that_it_has)
{
	const struct ctr_process_spec *p;
	struct ctr_config *c;

	ck_assert_int_eq(
		parse_with(
			"\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":25,"
			"\"width\":80},\"user\":{\"uid\":7,\"gid\":4294967295,\"umask\":63,"
			"\"additionalGids\":[1,2]},\"args\":[\"sh\",\"-c\",\"\\u00e9\"],"
			"\"env\":[\"A=b\"],\"cwd\":\"/x\",\"noNewPrivileges\":true,"
			"\"oomScoreAdj\":-5,\"capabilities\":{\"bounding\":[\"CAP_CHOWN\","
			"\"CAP_NOT_YET\"],\"ambient\":[\"CAP_BPF\"]},\"rlimits\":[{\"type\":"
			"\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615}],"
			"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\",\"priority\":3}}",
			&c),
		0);
	p = &c->process;
	ck_assert(c->has_process && p->terminal && p->no_new_privileges);
	ck_assert_int_eq(p->rows, 25);
	ck_assert_int_eq(p->columns, 80);
	ck_assert_uint_eq(p->user.gid, UINT32_MAX);
	ck_assert_int_eq(p->user.umask, 63);
	ck_assert_int_eq((int) p->user.group_count, 2);
	ck_assert_str_eq(p->args.at[2], "\xc3\xa9");
	ck_assert_ptr_null(p->args.at[3]);
	ck_assert_uint_eq(p->capabilities.bounding, 1ULL << CAP_CHOWN);
	ck_assert_uint_eq(p->capabilities.ambient, 1ULL << CAP_BPF);
	ck_assert_int_eq(p->rlimits[0].resource, RLIMIT_NOFILE);
	ck_assert_uint_eq(p->rlimits[0].hard, UINT64_MAX);
	ck_assert_int_eq(p->oom_score_adj, -5);
	ck_assert_int_eq(p->io_class, 3);
	ctr_config_free(c);
}
END_TEST

START_TEST(name_spaces_mounts_and_limits_are_read)
{
	struct ctr_config *c;

	ck_assert_int_eq(
		parse_with(
			"\"root\":{\"path\":\"r\",\"readonly\":true},\"hostname\":\"h\","
			"\"mounts\":[{\"destination\":\"/a\",\"type\":\"none\",\"source\":"
			"\"/b\",\"options\":[\"ro\",\"rbind\"]}],\"linux\":{\"namespaces\":["
			"{\"type\":\"uts\"},{\"type\":\"network\",\"path\":\"/n\"},{\"type\":"
			"\"user\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,"
			"\"size\":65536}],\"resources\":{\"memory\":{\"limit\":-1},\"pids\":{"
			"\"limit\":5},\"devices\":[{\"allow\":false}],\"unified\":{\"a.b\":"
			"\"c\"}},\"rootfsPropagation\":\"rslave\",\"seccomp\":{\"x\":[1]}},"
			"\"cloudos\":{\"init\":true,\"layers\":[\"/l\"],\"network\":{\"mode\":"
			"\"none\"}}",
			&c),
		0);
	ck_assert_str_eq(c->root, "/bundle/r");
	ck_assert_str_eq(c->mounts[0].type, "bind");
	ck_assert_ptr_nonnull(ctr_config_namespace(c, CLONE_NEWUTS));
	ck_assert_ptr_null(ctr_config_namespace(c, CLONE_NEWPID));
	ck_assert_str_eq(ctr_config_namespace(c, CLONE_NEWNET)->path, "/n");
	ck_assert_uint_eq(c->uids.at[0].outside, 100000);
	ck_assert_int_eq(c->resources.memory, -1);
	ck_assert_int_eq(c->resources.pids, 5);
	ck_assert_int_eq(c->resources.device_rules[0].type, 'a');
	ck_assert_str_eq(c->resources.device_rules[0].access, "rwm");
	ck_assert_str_eq(c->resources.unified.at[0].name, "a.b");
	ck_assert_uint_eq(c->rootfs_propagation, MS_SLAVE | MS_REC);
	ck_assert(co_span_is(c->seccomp, "{\"x\":[1]}"));
	ck_assert(c->cloudos.init);
	ck_assert_str_eq(c->cloudos.network, "{\"mode\":\"none\"}");
	ctr_config_free(c);
}
END_TEST

/* Members that do not fit, and how the sentence begins. */
static const struct {
	const char *members, *sentence;
} wrong[] = {
	{ "\"process\":5", "process is not an object" },
	{ "\"process\":{\"args\":\"sh\"}", "process.args is not an array" },
	{ "\"process\":{\"args\":[\"a\",1]}", "process.args[1] is not a string" },
	{ "\"process\":{\"env\":[\"a\\u0000b\"]}", "process.env[0] has a NUL" },
	{ "\"process\":{\"cwd\":\"x\"}", "process has a cwd that is not absolute" },
	{ "\"process\":{\"terminal\":1}",
	  "process.terminal is neither true nor false" },
	{ "\"process\":{\"user\":{\"uid\":-1}}", "process.user.uid is not between" },
	{ "\"process\":{\"user\":{\"uid\":4294967296}}",
	  "process.user.uid is not between" },
	{ "\"process\":{\"user\":{\"uid\":1.5}}",
	  "process.user.uid is not a whole number" },
	{ "\"process\":{\"user\":{\"umask\":512}}", "process.user.umask is no umask" },
	{ "\"process\":{\"oomScoreAdj\":2000}", "process.oomScoreAdj is not between" },
	{ "\"process\":{\"rlimits\":[{\"soft\":1,\"hard\":2}]}",
	  "process.rlimits[0] has no type" },
	{ "\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_X\"}]}",
	  "process.rlimits[0].type is \"RLIMIT_X\"" },
	{ "\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_AS\",\"soft\":3,\"hard\":2}]}",
	  "process.rlimits[0] has a soft limit above" },
	{ "\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_AS\"},{\"type\":\"RLIMIT_AS\"}]}",
	  "process.rlimits names one limit twice" },
	{ "\"process\":{\"capabilities\":{\"bounding\":[7]}}",
	  "process.capabilities.bounding[0] is not a string" },
	{ "\"root\":{}", "root has no path" },
	{ "\"mounts\":[{\"type\":\"proc\"}]", "mounts[0] has no absolute destination" },
	{ "\"mounts\":[{\"destination\":\"x\"}]",
	  "mounts[0] has no absolute destination" },
	{ "\"linux\":{\"namespaces\":[{\"type\":\"x\"}]}",
	  "linux.namespaces[0].type is \"x\"" },
	{ "\"linux\":{\"namespaces\":[{}]}", "linux.namespaces[0] has no type" },
	{ "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}",
	  "linux.namespaces names one kind twice" },
	{ "\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]}",
	  "linux.namespaces[0] has a path that is not absolute" },
	{ "\"linux\":{\"uidMappings\":[{\"size\":0}]}",
	  "linux.uidMappings[0] maps no id" },
	{ "\"linux\":{\"uidMappings\":[{\"hostID\":4294967290,\"size\":10}]}",
	  "linux.uidMappings[0] maps ids above" },
	{ "\"linux\":{\"uidMappings\":[{\"size\":1}]}", "the configuration maps ids" },
	{ "\"linux\":{\"resources\":{\"pids\":{\"limit\":\"5\"}}}",
	  "linux.resources.pids.limit is not a whole number" },
	{ "\"linux\":{\"resources\":{\"memory\":{\"limit\":1e30}}}",
	  "linux.resources.memory.limit is not a whole number" },
	{ "\"linux\":{\"resources\":{\"devices\":[{\"access\":\"rx\"}]}}",
	  "linux.resources.devices[0].access is made of other letters" },
	{ "\"linux\":{\"devices\":[{\"path\":\"/d\"}]}",
	  "linux.devices[0] has no type" },
	{ "\"linux\":{\"sysctl\":{\"a\":1}}", "linux.sysctl.a is not a string" },
	{ "\"linux\":{\"seccomp\":[]}", "linux.seccomp is not an object" },
	{ "\"hooks\":{\"prestart\":[{\"path\":\"x\"}]}",
	  "hooks.prestart[0] has no absolute path" },
	{ "\"hooks\":{\"poststop\":[{\"path\":\"/x\",\"timeout\":-1}]}",
	  "hooks.poststop[0] has a timeout" },
	{ "\"annotations\":{\"a\":{}}", "annotations.a is not a string" },
	{ "\"hostname\":\"h\"", "the configuration has a hostname" },
	{ "\"cloudos\":{\"upper\":\"/u\"}", "the configuration has cloudos.upper" },
	{ "\"cloudos\":{\"layers\":{}}", "cloudos.layers is not an array" },
};

START_TEST(what_does_not_fit_is_named_by_its_path)
{
	struct ctr_config *c;

	ck_assert_int_eq(parse_with(wrong[_i].members, &c), CO_INVALID);
	ck_assert_ptr_null(c);
	ck_assert_msg(strncmp(err.message, wrong[_i].sentence,
			      strlen(wrong[_i].sentence)) == 0,
		      "%s: %s", wrong[_i].members, err.message);
}
END_TEST

START_TEST(null_is_as_good_as_not_there)
{
	struct ctr_config *c;

	ck_assert_int_eq(parse_with("\"process\":null,\"linux\":{\"resources\":null,"
				    "\"maskedPaths\":null},\"hooks\":null",
				    &c),
			 0);
	ck_assert(!c->has_process);
	ctr_config_free(c);
}
END_TEST

START_TEST(a_version_that_is_not_1_is_refused)
{
	struct ctr_config *c;

	ck_assert_int_eq(parse("{\"ociVersion\":\"2.0.0\"}", &c), CO_INVALID);
	ck_assert_int_eq(parse("{}", &c), CO_INVALID);
	ck_assert_str_eq(err.message, "the configuration has no ociVersion");
}
END_TEST

START_TEST(what_is_not_json_is_refused_with_its_place)
{
	struct ctr_config *c;

	ck_assert_int_eq(parse("{\"ociVersion\":", &c), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "is not JSON"));
	ck_assert_int_eq(parse("", &c), CO_INVALID);
	ck_assert_int_eq(parse("[]", &c), CO_INVALID);
	ck_assert_str_eq(err.message, "the configuration is not an object");
}
END_TEST

START_TEST(nesting_and_size_are_bounded)
{
	autofree char *deep = malloc(200001), *large = malloc(CO_LIMIT_CTR_CONFIG + 2);
	struct ctr_config *c;

	ck_assert(deep && large);
	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	deep[200000] = '\0';
	ck_assert_int_eq(parse(deep, &c), CO_INVALID);
	memset(large, ' ', CO_LIMIT_CTR_CONFIG + 1);
	large[CO_LIMIT_CTR_CONFIG + 1] = '\0';
	ck_assert_int_eq(parse(large, &c), CO_TOO_BIG);
}
END_TEST

START_TEST(a_process_alone_is_read_for_exec)
{
	struct ctr_process_spec p;

	ck_assert_int_eq(ctr_process_parse(co_span("{\"args\":[\"a\"]}"), &p, &err), 0);
	ck_assert_str_eq(p.args.at[0], "a");
	ctr_process_done(&p);
	ck_assert_int_eq(ctr_process_parse(co_span("{\"args\":1}"), &p, &err),
			 CO_INVALID);
	ck_assert_str_eq(err.message, "process.args is not an array");
	/* no way to close the object and go on with another member */
	ck_assert_int_eq(
		ctr_process_parse(co_span("{}},\"root\":{\"path\":\"/\"}"), &p, &err),
		CO_INVALID);
}
END_TEST

START_TEST(resources_alone_are_read_for_update)
{
	struct ctr_resources r;

	ck_assert_int_eq(
		ctr_resources_parse(co_span("{\"pids\":{\"limit\":3}}"), &r, &err), 0);
	ck_assert_int_eq(r.pids, 3);
	ck_assert_int_eq(r.memory, CTR_UNSET);
	ctr_resources_done(&r);
	ck_assert_int_eq(ctr_resources_parse(co_span("{\"pids\":3}"), &r, &err),
			 CO_INVALID);
	ck_assert_str_eq(err.message, "linux.resources.pids is not an object");
}
END_TEST

START_TEST(a_bundle_without_a_file_is_told)
{
	struct ctr_config *c;

	ck_assert_int_eq(ctr_config_load("/nowhere", &c, &err), CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "the bundle /nowhere"));
	ck_assert_int_eq(ctr_config_load("/", &c, &err), CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "config.json"));
}
END_TEST

START_TEST(every_capability_has_its_name_both_ways)
{
	for (int i = 0; i <= CAP_LAST_CAP; i++) {
		char name[64];

		ck_assert_ptr_nonnull(co_capability_name(i));
		(void) snprintf(name, sizeof(name), "CAP_%s", co_capability_name(i));
		ck_assert_int_eq(co_capability_number(name), i);
		ck_assert_int_eq(co_capability_number(name + 4), i);
	}
	ck_assert_int_eq(co_capability_number("CAP_"), -1);
	ck_assert_ptr_null(co_capability_name(-1));
	ck_assert_ptr_null(co_capability_name(64));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("config");

	tcase_add_test(tc, a_file_that_says_little_has_defaults);
	tcase_add_test(tc, a_process_is_read_with_all_that_it_has);
	tcase_add_test(tc, name_spaces_mounts_and_limits_are_read);
	tcase_add_loop_test(tc, what_does_not_fit_is_named_by_its_path, 0,
			    (int) co_countof(wrong));
	tcase_add_test(tc, null_is_as_good_as_not_there);
	tcase_add_test(tc, a_version_that_is_not_1_is_refused);
	tcase_add_test(tc, what_is_not_json_is_refused_with_its_place);
	tcase_add_test(tc, nesting_and_size_are_bounded);
	tcase_add_test(tc, a_process_alone_is_read_for_exec);
	tcase_add_test(tc, resources_alone_are_read_for_update);
	tcase_add_test(tc, a_bundle_without_a_file_is_told);
	tcase_add_test(tc, every_capability_has_its_name_both_ways);
	return run_tests(tc);
}
