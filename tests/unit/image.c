/* SPDX-License-Identifier: MIT */
/* Tests of the service of images on a fake host and a fake cloudos-image; of names, the
 * index, and the filter under which images are read.  HOST. */
#include "cloudosd/service/image.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/image/sandbox.h"
#include "lib/cleanup.h"
#include "lib/image_index.h"
#include "tests/run.h"
#include "tests/unit/fake_host.h"

#define A           "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B           "sha256:aaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CHAIN       "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define UPPER_CHAIN "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define LAYER(chain)                                                                   \
	"{\"chain\":\"" chain "\",\"diff\":\"" A "\",\"digest\":\"" A "\","            \
	"\"mediaType\":\"x\",\"blobSize\":1,\"size\":2}"
#define RECORD(id, names, config)                                                      \
	"{\"id\":\"" id "\",\"names\":[" names "],\"os\":\"linux\",\"architecture\":"  \
	"\"amd64\",\"created\":0,\"imported\":5000,\"size\":4,\"squashed\":true,"      \
	"\"layers\":[" LAYER(CHAIN) "," LAYER(UPPER_CHAIN) "],\"config\":" config "}"
#define INDEX(records) "{\"version\":1,\"images\":[" records "]}"

static const char two[] = INDEX(RECORD(
	A, "\"box:latest\",\"box:1\"",
	"{\"Env\":[\"A=b\",\"C=d\"],\"Entrypoint\":[\"/init\"],\"Cmd\":[\"sh\",\"-c\"],"
	"\"User\":\"www\",\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/data\":{}},"
	"\"StopSignal\":\"SIGINT\",\"Labels\":{\"l\":\"m\"},\"Healthcheck\":{\"Test\":"
	"[\"CMD\",\"x\"]}}") "," RECORD(B, "", "{\"Cmd\":null,\"Env\":7}"));

/* ---- a cloudos-image that a test speaks for ---- */

static struct {
	struct fake_host host;
	struct images *images;
	char folder[64];
	struct spawn_listener listener;
	char command[1024];
	unsigned begun;
	int refuse;
	char events[512];
	/* of the requests */
	int status;
	unsigned done, progress;
	char reason[512], json[512];
} t;

static int begin(void *ctx, const struct spawn_spec *spec,
		 const struct spawn_listener *listener, struct spawned **out)
{
	size_t n = 0;

	(void) ctx;
	if (t.refuse)
		return t.refuse;
	*t.command = '\0';
	for (const char *const *p = spec->argv; *p; p++)
		n += (size_t) snprintf(t.command + n, sizeof(t.command) - n, "%s%s",
				       n ? " " : "", *p);
	t.listener = *listener;
	t.begun++;
	*out = (struct spawned *) &t;
	return 0;
}

static void says(const char *text)
{
	t.listener.printed(t.listener.arg, co_span(text));
}

static void ends(int code, int signal)
{
	struct spawn_end end = { .exit = code, .signal = signal };

	t.listener.done(t.listener.arg, &end);
	fake_settle(&t.host);
}

static void write_index(const char *text)
{
	char path[80];
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/index.json", t.folder);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void note_event(void *arg, const char *event, struct co_span data)
{
	size_t n = strlen(t.events);

	(void) arg;
	(void) snprintf(t.events + n, sizeof(t.events) - n, "%s%.*s;", event,
			(int) data.size, data.data);
}

static void on_progress(void *arg, struct co_span json)
{
	(void) arg;
	(void) json;
	t.progress++;
}

static void on_done(void *arg, const struct images_answer *a)
{
	(void) arg;
	t.done++;
	t.status = a->status;
	(void) snprintf(t.reason, sizeof(t.reason), "%s", a->reason ? a->reason : "");
	(void) snprintf(t.json, sizeof(t.json), "%.*s", (int) a->json.size,
			a->json.data ? a->json.data : "");
}

static const struct images_listener listener = { on_progress, on_done, NULL };

static void loaded(void *arg, int status, const char *reason)
{
	(void) reason;
	*(int *) arg = status;
}

static int load(void)
{
	int status = 1;

	ck_assert_int_eq(images_load(t.images, loaded, &status), 0);
	fake_settle(&t.host);
	return status;
}

static void setup(void)
{
	static const struct co_spawner spawner = { .begin = begin };
	struct images_options options = { .host = &t.host.host,
					  .spawner = &spawner,
					  .program = "/x/cloudos-image",
					  .emit = note_event };

	memset(&t, 0, sizeof(t));
	fake_init(&t.host);
	(void) snprintf(t.folder, sizeof(t.folder), "/tmp/images.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t.folder));
	options.folder = t.folder;
	t.images = images_new(&options);
	ck_assert_ptr_nonnull(t.images);
	write_index(two);
	ck_assert_int_eq(load(), 0);
}

static void teardown(void)
{
	char path[80];

	t.images = images_free(t.images);
	fake_done(&t.host);
	(void) snprintf(path, sizeof(path), "%s/index.json", t.folder);
	(void) unlink(path); /* a test may have removed it */
	ck_assert_int_eq(rmdir(t.folder), 0);
}

/* ---- names ---- */

START_TEST(a_name_is_completed_or_refused)
{
	static const struct {
		const char *text, *full;
	} names[] = { { "busybox", "busybox:latest" },
		      { "docker.io/library/busybox:1", "busybox:1" },
		      { "library/library/x", "x:latest" },
		      { "Host.example:5000/team/app",
			"Host.example:5000/team/app:latest" },
		      { "a/b-c_d.e:V.1-x", "a/b-c_d.e:V.1-x" },
		      { "", NULL },
		      { ":x", NULL },
		      { "x:", NULL },
		      { "Upper", NULL },
		      { "a//b", NULL },
		      { "/a", NULL },
		      { "a/", NULL },
		      { "../a", NULL },
		      { "a:b:c", NULL },
		      { "a:.x", NULL },
		      { "a b", NULL } };

	for (size_t i = 0; i < co_countof(names); i++) {
		char full[CO_IMAGE_NAME_SIZE];
		struct co_err err = { 0 };
		int r = co_image_name(co_span(names[i].text), full, &err);

		ck_assert_msg((r == 0) == (names[i].full != NULL), "%s", names[i].text);
		if (!r)
			ck_assert_str_eq(full, names[i].full);
		else
			ck_assert(*err.message);
	}
}
END_TEST

/* ---- looking up ---- */

START_TEST(an_image_is_found_by_name_and_by_id)
{
	static const char *const good[] = { "box", "box:1",    "docker.io/library/box",
					    A,     "aaaaaaaa", "sha256:aaaaaaaa" };
	const struct image *image = NULL;
	struct co_err err = { 0 };

	for (size_t i = 0; i < co_countof(good); i++) {
		ck_assert_int_eq(images_find(t.images, co_span(good[i]), &image, &err),
				 0);
		ck_assert_str_eq(image->id, A);
	}
	ck_assert_int_eq(images_find(t.images, co_span("aaaab"), &image, &err), 0);
	ck_assert_str_eq(image->id, B);
	ck_assert_int_eq(images_find(t.images, co_span("aaaa"), &image, &err),
			 CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "2 images"));
	ck_assert_int_eq(images_find(t.images, co_span("no"), &image, &err),
			 CO_NOT_FOUND);
	ck_assert_int_eq(images_find(t.images, co_span("NO"), &image, &err),
			 CO_INVALID);
}
END_TEST

START_TEST(it_says_what_a_container_needs)
{
	const struct image *image = NULL;
	char upper[256];

	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL), 0);
	(void) snprintf(upper, sizeof(upper), "%s/layers/" UPPER_CHAIN "/fs", t.folder);
	ck_assert_uint_eq(image->nlayers, 2);
	ck_assert_str_eq(image->layers[0], upper);
	ck_assert_ptr_null(image->layers[2]);
	ck_assert_str_eq(image->config.env[1], "C=d");
	ck_assert_ptr_null(image->config.env[2]);
	ck_assert_str_eq(image->config.entrypoint[0], "/init");
	ck_assert_str_eq(image->config.command[1], "-c");
	ck_assert_str_eq(image->config.volumes[0], "/data");
	ck_assert_str_eq(image->config.ports[0], "80/tcp");
	ck_assert_str_eq(image->config.user, "www");
	ck_assert_str_eq(image->config.stop_signal, "SIGINT");
	ck_assert_str_eq(image->config.working_dir, "");
	ck_assert(co_span_is(image->config.labels, "{\"l\":\"m\"}"));
	ck_assert_ptr_nonnull(image->config.healthcheck.data);
	ck_assert(image->squashed);
	/* what is of another kind than it should be is not there */
	ck_assert_int_eq(images_find(t.images, co_span(B), &image, NULL), 0);
	ck_assert_ptr_null(image->config.env[0]);
	ck_assert_ptr_null(image->config.command[0]);
	ck_assert_ptr_null(image->config.labels.data);
}
END_TEST

START_TEST(a_damaged_index_leaves_the_old_one)
{
	const struct image *image;

	write_index("{\"images\":[{}]}");
	ck_assert_int_eq(load(), CO_CORRUPT);
	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL), 0);
	write_index("");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL),
			 CO_NOT_FOUND);
}
END_TEST

/* ---- requests ---- */

START_TEST(a_request_is_a_process_and_then_the_index_anew)
{
	struct images_request *r;
	const struct image *image;

	ck_assert_int_eq(images_import(t.images, co_span("/f.tar"), co_span("n:1"),
				       &listener, &r, NULL),
			 0);
	ck_assert_ptr_nonnull(strstr(t.command, "--name n:1 import /f.tar"));
	ck_assert(images_busy(t.images));
	says("{\"event\":\"progress\",\"done\":1}\n{\"event\":\"no");
	says("te\",\"message\":\"x\"}\n");
	ck_assert_uint_eq(t.progress, 2);
	write_index(INDEX(RECORD(B, "\"n:1\"", "{}")));
	says("{\"event\":\"done\",\"images\":[{\"id\":\"" B
	     "\",\"names\":[\"n:1\"]}]}\n");
	ck_assert_uint_eq(t.done, 0);
	ends(0, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_int_eq(t.status, 0);
	ck_assert_str_eq(t.events,
			 "image:imported{\"id\":\"" B "\",\"names\":[\"n:1\"]};");
	ck_assert_int_eq(images_find(t.images, co_span("n:1"), &image, NULL), 0);
	ck_assert(!images_busy(t.images));
}
END_TEST

START_TEST(a_failure_has_its_status_and_sentence_and_no_event)
{
	struct images_request *r;

	ck_assert_int_eq(
		images_busybox(t.images, (struct co_span){ 0 }, &listener, &r, NULL),
		0);
	says("{\"event\":\"failed\",\"status\":\"NO_SPACE\",\"message\":\"full\"}\n");
	ends(1, 0);
	ck_assert_int_eq(t.status, CO_NO_SPACE);
	ck_assert_str_eq(t.reason, "full");
	ck_assert_str_eq(t.events, "");
}
END_TEST

START_TEST(whatever_ends_the_process_is_an_answer)
{
	static const struct {
		const char *text;
		int code, signal, status;
	} ways[] = { { "", 0, 0, CO_IO },
		     { "", 0, SIGKILL, CO_IO },
		     { "{\"event\":\"done\"}\n", 3, 0, CO_IO },
		     { "nonsense\n", 0, 0, CO_PROTOCOL },
		     { "{\"no\":1}\n", 0, 0, CO_PROTOCOL },
		     { "{\"event\":\"done\"", 0, 0, CO_IO } };

	for (size_t i = 0; i < co_countof(ways); i++) {
		struct images_request *r;

		ck_assert_int_eq(images_prune(t.images, &listener, &r, NULL), 0);
		if (*ways[i].text)
			says(ways[i].text);
		ends(ways[i].code, ways[i].signal);
		ck_assert_uint_eq(t.done, i + 1);
		ck_assert_int_eq(t.status, ways[i].status);
		ck_assert(*t.reason);
	}
	t.refuse = CO_BUSY;
	struct images_request *r;

	ck_assert_int_eq(images_prune(t.images, &listener, &r, NULL), 0);
	fake_settle(&t.host);
	ck_assert_int_eq(t.status, CO_BUSY);
}
END_TEST

START_TEST(requests_come_one_after_the_other)
{
	struct images_request *r[3];

	ck_assert_int_eq(images_tag(t.images, co_span("box"), co_span("other"),
				    &listener, &r[0], NULL),
			 0);
	ck_assert_int_eq(images_prune(t.images, &listener, &r[1], NULL), 0);
	ck_assert_int_eq(images_export(t.images, co_span("box"), co_span("/x"),
				       co_span("oci"), &listener, &r[2], NULL),
			 0);
	ck_assert_uint_eq(t.begun, 1);
	ck_assert_ptr_nonnull(strstr(t.command, " tag box other"));
	says("{\"event\":\"done\"}\n");
	ends(0, 0);
	ck_assert_uint_eq(t.begun, 2);
	ck_assert_ptr_nonnull(strstr(t.command, " prune"));
	images_forget(r[1]);
	says("{\"event\":\"done\",\"removed\":[\"" B "\"]}\n");
	ends(0, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_ptr_nonnull(strstr(t.events, "image:removed{\"id\":\"" B "\"};"));
	ck_assert_ptr_nonnull(strstr(t.command, "--format oci export box /x"));
	says("{\"event\":\"done\"}\n");
	ends(0, 0);
	ck_assert_uint_eq(t.done, 2);
}
END_TEST

START_TEST(what_is_in_use_stays)
{
	const struct image *image;
	struct images_request *r;
	struct co_err err = { 0 };

	ck_assert_int_eq(images_use(t.images, B), 0);
	ck_assert_int_eq(images_use(t.images, B), 0);
	ck_assert_int_eq(images_remove(t.images, co_span("aaaab"), &listener, &r, &err),
			 CO_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "container"));
	ck_assert_int_eq(images_prune(t.images, &listener, &r, NULL), 0);
	ck_assert_ptr_nonnull(strstr(t.command, "--in-use " B " prune"));
	ck_assert_int_eq(images_find(t.images, co_span(B), &image, NULL), 0);
	says("{\"event\":\"done\"}\n");
	ends(0, 0);
	images_unuse(t.images, B);
	ck_assert(images_used(t.images, B));
	images_unuse(t.images, B);
	ck_assert(!images_used(t.images, B));
	images_unuse(t.images, B);
	/* a name of two goes, whoever uses the image */
	ck_assert_int_eq(images_use(t.images, A), 0);
	ck_assert_int_eq(images_remove(t.images, co_span("box:1"), &listener, &r, NULL),
			 0);
	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL), 0);
	says("{\"event\":\"done\"}\n");
	ends(0, 0);
	ck_assert_int_eq(images_remove(t.images, co_span(A), &listener, &r, NULL),
			 CO_BUSY);
}
END_TEST

START_TEST(what_is_being_removed_is_found_by_nobody)
{
	const struct image *image;
	struct images_request *r;

	ck_assert_int_eq(images_remove(t.images, co_span(A), &listener, &r, NULL), 0);
	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL),
			 CO_NOT_FOUND);
	says("{\"event\":\"failed\",\"status\":\"IO\",\"message\":\"no\"}\n");
	ends(1, 0);
	ck_assert_int_eq(images_find(t.images, co_span("box"), &image, NULL), 0);
}
END_TEST

START_TEST(what_cannot_be_is_refused_at_once)
{
	struct images_request *r;

	ck_assert_int_eq(images_import(t.images, co_span("f.tar"),
				       (struct co_span){ 0 }, &listener, &r, NULL),
			 CO_INVALID);
	ck_assert_int_eq(images_import(t.images, co_span("/f"), co_span("A B"),
				       &listener, &r, NULL),
			 CO_INVALID);
	ck_assert_int_eq(
		images_tag(t.images, co_span("no"), co_span("x"), &listener, &r, NULL),
		CO_NOT_FOUND);
	ck_assert_uint_eq(t.begun, 0);
	ck_assert_int_eq(images_prune(t.images, &listener, &r, NULL), 0);
	for (int i = 1; i < CO_LIMIT_IMAGE_REQUESTS; i++)
		ck_assert_int_eq(images_prune(t.images, &listener, &r, NULL), 0);
	{
		struct co_err err = { 0 };

		ck_assert_int_eq(images_prune(t.images, &listener, &r, &err), CO_BUSY);
	}
	for (int i = 0; i < CO_LIMIT_IMAGE_REQUESTS; i++) {
		says("{\"event\":\"done\"}\n");
		ends(0, 0);
	}
	ck_assert_uint_eq(t.done, CO_LIMIT_IMAGE_REQUESTS);
}
END_TEST

/* ---- the filter ---- */

/* 0: all is as it has to be; otherwise which was not. */
static int under_filter(void)
{
	static char *const argv[] = { (char *) "/bin/true", NULL };
	int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_filter())
		return 1;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 2;
	if (execve(argv[0], argv, NULL) == 0 || errno != EPERM)
		return 3;
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 || errno != EPERM)
		return 4;
	if (kill(getppid(), 0) == 0 || errno != EPERM)
		return 5;
	if (syscall(SYS_tgkill, 1, 1, 0) == 0 || errno != EPERM)
		return 6;
	if (mknodat(folder, "image-filter-device", S_IFCHR | 0600, 0x103) == 0 ||
	    errno != EPERM)
		return 7;
	if (mknodat(folder, "image-filter-device", S_IFBLK | 0600, 0) == 0 ||
	    errno != EPERM)
		return 8;
	if (syscall(SYS_mmap, NULL, 4096, 5, 0x22, -1, 0) != -1 || errno != EPERM)
		return 9;
	if (syscall(SYS_ptrace, 0, 0, 0, 0) == 0 || errno != EPERM)
		return 10;
	if (syscall(SYS_pivot_root, ".", ".") == 0 || errno != EPERM)
		return 11;
	return fcntl(folder, F_GETFD) < 0 ? 12 : 0;
}

START_TEST(under_the_filter_there_is_nothing_but_files)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(under_filter());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("image");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_name_is_completed_or_refused);
	tcase_add_test(tc, under_the_filter_there_is_nothing_but_files);
	tcase_add_test(tc, an_image_is_found_by_name_and_by_id);
	tcase_add_test(tc, it_says_what_a_container_needs);
	tcase_add_test(tc, a_damaged_index_leaves_the_old_one);
	tcase_add_test(tc, a_request_is_a_process_and_then_the_index_anew);
	tcase_add_test(tc, a_failure_has_its_status_and_sentence_and_no_event);
	tcase_add_test(tc, whatever_ends_the_process_is_an_answer);
	tcase_add_test(tc, requests_come_one_after_the_other);
	tcase_add_test(tc, what_is_in_use_stays);
	tcase_add_test(tc, what_is_being_removed_is_found_by_nobody);
	tcase_add_test(tc, what_cannot_be_is_refused_at_once);
	return run_tests(tc);
}
