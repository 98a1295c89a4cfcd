/* SPDX-License-Identifier: MIT */
/* CONFIG and what an image says, as config.json.  HOST. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_spec.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "tests/run.h"

static struct co_buf text;
static struct co_err err;

static struct container_place place_of_root(void)
{
	static const char *const layers[] = { "/upper layer", "/lower", NULL };

	return (struct container_place){ .bundle = "/b",
					 .layers = layers,
					 .volumes = "/v",
					 .hostname = "box",
					 .name = "a_name",
					 .socket = "/run/control.sock",
					 .cgroup = "c/1",
					 .uids = { { 0, 165536, 65536 } },
					 .gids = { { 0, 165536, 65536 } },
					 .network_mode = "none",
					 .root = true,
					 .capabilities = UINT64_MAX };
}

static int make_at(const char *config, const char *image,
		   const struct container_place *place)
{
	struct container_defaults defaults;
	struct container_settings *settings;
	struct co_json_fault fault;
	struct co_span value;
	int r;

	co_buf_done(&text);
	r = container_config_parse(co_span(config), &settings, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	ck_assert_int_eq(container_defaults_read(co_span(image), &defaults), 0);
	r = container_spec(settings, &defaults, place, &text, &err);
	(void) container_config_free(settings); /* NULL */
	container_defaults_done(&defaults);
	if (r == 0)
		ck_assert_msg(co_json_check((struct co_span){ text.data, text.size },
					    &value, &fault) == 0,
			      "%s at %zu of %s", fault.what, fault.at, text.data);
	return r;
}

static void make(const char *config, const char *image)
{
	struct container_place place = place_of_root();

	ck_assert_msg(make_at(config, image, &place) == 0, "%s", err.message);
}

#define ROOT         "{\"rootfs\":\"/r\",\"command\":\"x\""
#define has(part)    ck_assert_msg(strstr(text.data, part), "%s: %s", part, text.data)
#define has_no(part) ck_assert_msg(!strstr(text.data, part), "%s: %s", part, text.data)

START_TEST(what_is_said_goes_before_the_image)
{
	static const char image[] =
		"{\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"],\"Env\":[\"A=1\",\"B=2\",\"A=3\","
		"\"bad\"],\"WorkingDir\":\"/w\"}";

	make("{\"rootfs\":\"/r\"}", image);
	has("\"args\":[\"e\",\"c\"]");
	has("\"cwd\":\"/w\"");
	has("\"B=2\",\"A=3\"]"); /* the last of a name */
	has_no("bad");
	make("{\"rootfs\":\"/r\",\"command\":\"x 'y z'\",\"env\":{\"A\":\"new\"},"
	     "\"workingDir\":\"/n\"}",
	     image);
	has("\"args\":[\"e\",\"x\",\"y z\"]");
	has("\"B=2\",\"A=new\"]");
	has("\"cwd\":\"/n\"");
	make("{\"rootfs\":\"/r\",\"entrypoint\":[\"n\"]}", image);
	has("\"args\":[\"n\"]"); /* another program has not the image's arguments */
	make("{\"rootfs\":\"/r\",\"command\":\"x\",\"env\":[\"PATH=/p\"]}", "");
	has("\"PATH=/p\"");
	has_no("/usr/local/sbin");
}
END_TEST

START_TEST(without_a_program_there_is_no_container)
{
	struct container_place place = place_of_root();

	ck_assert_int_eq(make_at("{\"rootfs\":\"/r\"}", "{}", &place), CO_INVALID);
	ck_assert_int_eq(make_at("{\"rootfs\":\"/r\"}", "no json", &place), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "command"));
}
END_TEST

START_TEST(capabilities_are_dockers_and_can_be_changed)
{
	struct container_place place = place_of_root();

	make(ROOT "}", "");
	has("\"bounding\":[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_FSETID\","
	    "\"CAP_KILL\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETPCAP\","
	    "\"CAP_NET_BIND_SERVICE\",\"CAP_NET_RAW\",\"CAP_SYS_CHROOT\",\"CAP_MKNOD\","
	    "\"CAP_AUDIT_WRITE\",\"CAP_SETFCAP\"]");
	has("\"noNewPrivileges\":true");
	make(ROOT ",\"capDrop\":[\"all\"],\"capAdd\":[\"net_admin\",\"CAP_BPF\"]}", "");
	has("\"bounding\":[\"CAP_NET_ADMIN\",\"CAP_BPF\"]");
	make(ROOT ",\"capDrop\":[\"MKNOD\"]}", "");
	has_no("CAP_MKNOD");
	make(ROOT ",\"capAdd\":[\"ALL\"],\"capDrop\":[\"SYS_ADMIN\"]}", "");
	has("CAP_CHECKPOINT_RESTORE");
	has_no("CAP_SYS_ADMIN");
	ck_assert_int_eq(make_at(ROOT ",\"capAdd\":[\"FLY\"]}", "", &place),
			 CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "FLY"));
	/* without a user name space no more than the daemon itself has */
	place.uids[0].count = place.gids[0].count = 0;
	place.capabilities = 1;
	ck_assert_int_eq(make_at(ROOT ",\"privileged\":true}", "", &place), 0);
	has("\"bounding\":[\"CAP_CHOWN\"]");
}
END_TEST

START_TEST(limits_have_the_units_of_the_kernel)
{
	make(ROOT ",\"memoryLimit\":64,\"cpuLimit\":150,\"pidsLimit\":9}", "");
	has("\"memory\":{\"limit\":67108864,\"swap\":67108864}");
	has("\"cpu\":{\"quota\":150000,\"period\":100000}");
	has("\"pids\":{\"limit\":9}");
	make(ROOT "}", "");
	has("\"resources\":{}"); /* a group for each limit costs time */
}
END_TEST

START_TEST(without_a_limit_a_fork_bomb_has_a_bound)
{
	struct container_place place = place_of_root();

	make(ROOT "}", "");
	has("\"rlimits\":[{\"type\":\"RLIMIT_NPROC\",\"soft\":2048,\"hard\":2048}]");
	make(ROOT ",\"pidsLimit\":7,\"allowUnenforcedLimits\":true}", "");
	has("\"soft\":7,\"hard\":7}]");
	/* an enforced one can be changed while it runs, and this could not */
	make(ROOT ",\"pidsLimit\":7}", "");
	has_no("rlimits");
	make(ROOT ",\"privileged\":true}", "");
	has_no("rlimits");
	/* the users of the machine are counted all over the machine */
	place.uids[0].count = place.gids[0].count = 0;
	ck_assert_int_eq(make_at(ROOT "}", "", &place), 0);
	has_no("rlimits");
}
END_TEST

START_TEST(what_is_privileged_has_no_masks)
{
	struct container_place place = place_of_root();

	make(ROOT "}", "");
	has("\"maskedPaths\":[\"/proc/acpi\"");
	has("\"type\":\"user\"");
	has_no("\"seccomp\"");
	place.uids[0].count = place.gids[0].count = 0;
	ck_assert_int_eq(make_at(ROOT ",\"privileged\":true}", "", &place), 0);
	has("\"maskedPaths\":[],\"readonlyPaths\":[]");
	has("SCMP_ACT_ALLOW");
	has("\"noNewPrivileges\":false");
	has_no("\"type\":\"user\"");
}
END_TEST

START_TEST(volumes_and_files_are_mounted)
{
	make(ROOT
	     ",\"volumes\":[\"/h:/in:ro\",\"data:/d\"],\"tmpfs\":[\"/t\",\"/s:64m\",\"/b:4096\"],"
	     "\"shmSize\":8,\"readOnly\":true}",
	     "");
	has("{\"destination\":\"/in\",\"type\":\"bind\",\"source\":\"/h\",\"options\":"
	    "[\"rbind\",\"ro\",\"rprivate\"]}");
	has("{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/v/data\",\"options\":"
	    "[\"bind\",\"rw\",\"rprivate\",\"nosuid\",\"nodev\",\"idmap\"]}");
	has("{\"destination\":\"/t\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["
	    "\"nosuid\",\"nodev\",\"mode=1777\"]");
	has("{\"destination\":\"/s\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["
	    "\"nosuid\",\"nodev\",\"mode=1777\",\"size=67108864\"]");
	has("\"size=4096\"]");
	has("size=8m");
	has("\"readonly\":true");
	has("\"source\":\"/b/resolv.conf\"");
	has("\"socket\":\"/run/control.sock\",\"name\":\"a_name\"");
	has("\"layers\":[\"/upper layer\",\"/lower\"],\"upper\":\"/b/upper\"");
}
END_TEST

START_TEST(name_spaces_follow_the_network)
{
	struct container_place place = place_of_root();

	make(ROOT "}", "");
	has("{\"type\":\"network\"}");
	place.network_mode = "host";
	ck_assert_int_eq(make_at(ROOT "}", "", &place), 0);
	has_no("\"network\"");
	has("\"destination\":\"/sys\",\"type\":\"bind\""); /* of the host's network */
	place.network_mode = "container";
	place.network_path = "/proc/7/ns/net";
	place.joined = 7;
	place.joined_start = 99;
	ck_assert_int_eq(make_at(ROOT "}", "", &place), 0);
	has("{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"}");
	has("\"joined\":{\"pid\":7,\"start\":99}");
}
END_TEST

START_TEST(words_are_split_as_a_shell_does)
{
	static const struct {
		const char *line, *words;
	} lines[] = {
		{ "", "" },
		{ "  a  b\t", "a|b|" },
		{ "'a b' \"c d\" e\\ f", "a b|c d|e f|" },
		{ "a'b'c\"d\"", "abcd|" },
		{ "'' \"\"", "||" },
		{ "\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d|" },
		{ "'a\\b' $HOME *", "a\\b|$HOME|*|" },
	};

	for (size_t i = 0; i < co_countof(lines); i++) {
		autobuf struct co_buf joined = { 0 };
		char **words;
		size_t n;

		ck_assert_int_eq(
			container_words(co_span(lines[i].line), &words, &n, NULL), 0);
		for (size_t k = 0; k < n; k++)
			co_buf_format(&joined, "%s|", words[k]);
		ck_assert_str_eq(joined.data ? joined.data : "", lines[i].words);
		container_words_free(words);
	}
	ck_assert_int_eq(container_words(co_span("a 'b"), &(char **){ NULL },
					 &(size_t){ 0 }, NULL),
			 CO_INVALID);
}
END_TEST

START_TEST(signals_have_names_and_numbers)
{
	ck_assert_int_eq(container_signal(co_span("SIGTERM")), SIGTERM);
	ck_assert_int_eq(container_signal(co_span("hup")), SIGHUP);
	ck_assert_int_eq(container_signal(co_span("9")), SIGKILL);
	ck_assert_int_eq(container_signal(co_span("SIGRTMIN+3")), SIGRTMIN + 3);
	ck_assert_int_eq(container_signal(co_span("0")), 0);
	ck_assert_int_eq(container_signal(co_span("65")), 0);
	ck_assert_int_eq(container_signal(co_span("SIGNONE")), 0);
	ck_assert_int_eq(container_signal(co_span("")), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("container_spec");
	int failed;

	tcase_add_test(tests, what_is_said_goes_before_the_image);
	tcase_add_test(tests, without_a_program_there_is_no_container);
	tcase_add_test(tests, capabilities_are_dockers_and_can_be_changed);
	tcase_add_test(tests, limits_have_the_units_of_the_kernel);
	tcase_add_test(tests, without_a_limit_a_fork_bomb_has_a_bound);
	tcase_add_test(tests, what_is_privileged_has_no_masks);
	tcase_add_test(tests, volumes_and_files_are_mounted);
	tcase_add_test(tests, name_spaces_follow_the_network);
	tcase_add_test(tests, words_are_split_as_a_shell_does);
	tcase_add_test(tests, signals_have_names_and_numbers);
	failed = run_tests(tests);
	co_buf_done(&text);
	return failed;
}
