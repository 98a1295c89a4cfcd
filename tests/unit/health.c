/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/health.h: a virtual clock, real loopback servers.  HOST. */
#include "cloudosd/service/health.h"

#include <check.h>
#include <co/limits.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/service/https.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/loopback.h"

#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct fake_host fake;
static struct health *health;

struct watched {
	struct health_check *check;
	enum health_state state;
	char reason[256];
	size_t changes;
	bool free_at_change;
};

static void set_up(void)
{
	fake_init(&fake);
	health = health_new(&fake.host, NULL);
	ck_assert_ptr_nonnull(health);
}

static void tear_down(void)
{
	health = health_free(health);
	fake_done(&fake);
}

static void on_change(void *arg, enum health_state state, const char *reason)
{
	struct watched *watched = arg;

	watched->state = state;
	watched->changes++;
	(void) snprintf(watched->reason, sizeof(watched->reason), "%s", reason);
	if (watched->free_at_change)
		watched->check = health_check_free(watched->check);
}

static void start(struct watched *watched, const char *text)
{
	struct co_err err = { 0 };

	*watched = (struct watched){ .free_at_change = watched->free_at_change };
	ck_assert_msg(health_check_new(health, text, on_change, watched,
				       &watched->check, &err) == 0,
		      "%s", err.message);
	health_check_start(watched->check);
	ck_assert_uint_eq(watched->changes, 0);
}

static void stop(struct watched *watched)
{
	watched->check = health_check_free(watched->check);
}

static void expect(struct watched *watched, enum health_state state, const char *part)
{
	ck_assert_str_eq(health_state_name(watched->state), health_state_name(state));
	ck_assert_msg(strstr(watched->reason, part) != NULL, "reason is \"%s\"",
		      watched->reason);
}

/* ---- what may be written ---- */

START_TEST(the_documented_forms_are_taken)
{
	static const char *const good[] = {
		"",
		"tcp://127.0.0.1:80",
		"tcp://[::1]:65535",
		"tcp://db-1.local_net:5432",
		"http://localhost",
		"http://127.0.0.1:8080/health?x=1#part",
		"http://localhost?x",
		"https://example.org/",
		"http://[::1]/",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct co_err err = { 0 };

		ck_assert_msg(health_check_parse(good[i], &err) == 0, "%s: %s", good[i],
			      err.message);
	}
}
END_TEST

START_TEST(anything_else_is_refused_with_a_sentence)
{
	static const char *const bad[] = {
		"curl localhost",
		"/bin/true",
		"cmd:true",
		"tcp:127.0.0.1:80",
		"tcp://127.0.0.1",
		"tcp://127.0.0.1:",
		"tcp://127.0.0.1:0",
		"tcp://127.0.0.1:65536",
		"tcp://127.0.0.1:999999",
		"tcp://:80",
		"tcp://",
		"tcp://127.0.0.1:80/path",
		"http://",
		"http:///path",
		"http://a b/",
		"http://user@host/",
		"http://host:80x/",
		"http://[::1",
		"http://[nine]/",
		"http://host/\r\nX: y",
		"http://h\xc3\xa9/",
		"ftp://host/",
		"HTTP://host/",
		"http://host:-1/",
		"file:///etc/passwd",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct co_err err = { 0 };

		ck_assert_msg(health_check_parse(bad[i], &err) == CO_INVALID, "%s",
			      bad[i]);
		ck_assert_str_ne(err.message, "");
	}
}
END_TEST

START_TEST(a_check_too_long_is_refused)
{
	char text[300] = "http://host/";

	memset(text + 12, 'a', sizeof(text) - 13);
	ck_assert_int_eq(health_check_parse(text, NULL), CO_INVALID);
	text[255] = 0;
	ck_assert_int_eq(health_check_parse(text, NULL), 0);
}
END_TEST

START_TEST(options_out_of_bounds_are_refused_by_name)
{
	struct health_options options;
	struct co_err err = { 0 };

	health_options_default(&options);
	ck_assert_int_eq(health_options_check(&options, &err), 0);
	options.rise = 0;
	ck_assert_int_eq(health_options_check(&options, &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "rise"));
	health_options_default(&options);
	options.interval_ms = 99;
	ck_assert_int_eq(health_options_check(&options, &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "interval"));
	health_options_default(&options);
	memset(options.ca_file, 'a', sizeof(options.ca_file));
	ck_assert_int_eq(health_options_check(&options, &err), CO_INVALID);
}
END_TEST

START_TEST(nothing_to_check_is_refused)
{
	struct health_check *check = NULL;

	ck_assert_int_eq(health_check_new(health, "", on_change, NULL, &check, NULL),
			 CO_INVALID);
	ck_assert_ptr_null(check);
}
END_TEST

/* ---- tcp ---- */

START_TEST(tcp_is_healthy_when_a_connection_is_accepted)
{
	struct loopback server;
	struct watched w = { 0 };

	loopback_start(&server, &fake, NULL);
	start(&w, loopback_url(&server, "tcp", ""));
	fake_settle(&fake);
	expect(&w, HEALTH_HEALTHY, "accepted");
	ck_assert_uint_eq(w.changes, 1);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(tcp_is_critical_at_once_when_the_first_connection_is_refused)
{
	char url[64];
	unsigned int port;
	int fd = loopback_closed_port(&port);
	struct watched w = { 0 };

	(void) snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", port);
	start(&w, url);
	fake_settle(&fake);
	expect(&w, HEALTH_CRITICAL, "Connection refused");
	stop(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_name_is_resolved_by_a_worker)
{
	struct loopback server;
	struct watched w = { 0 };
	char url[64];

	loopback_start(&server, &fake, NULL);
	(void) snprintf(url, sizeof(url), "tcp://localhost:%u", server.port);
	fake.hold_work = true;
	start(&w, url);
	fake_settle(&fake);
	ck_assert_uint_eq(w.changes, 0);
	fake.hold_work = false;
	fake_settle(&fake); /* also if ::1 comes first and is refused */
	expect(&w, HEALTH_HEALTHY, "accepted");
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_critical)
{
	struct watched w = { 0 };

	/* A label of more than 63 bytes: refused before anybody is asked. */
	start(&w,
	      "tcp://0123456789012345678901234567890123456789012345678901234567890123"
	      "456789.invalid:80");
	fake_settle(&fake);
	expect(&w, HEALTH_CRITICAL, "cannot be resolved");
	stop(&w);
}
END_TEST

START_TEST(a_check_without_a_free_worker_is_tried_again)
{
	struct loopback server;
	struct watched w = { 0 };
	char url[64];

	loopback_start(&server, &fake, NULL);
	(void) snprintf(url, sizeof(url), "tcp://localhost:%u", server.port);
	fake.refuse_work = CO_BUSY;
	start(&w, url);
	fake_settle(&fake);
	ck_assert_uint_eq(w.changes, 0);
	fake.refuse_work = 0;
	fake_advance(&fake, 1000);
	expect(&w, HEALTH_HEALTHY, "accepted");
	stop(&w);
	loopback_stop(&server);
}
END_TEST

/* ---- http ---- */

static void expect_at(const char *path, const char *answer, enum health_state state,
		      const char *part)
{
	struct loopback server;
	struct watched w = { 0 };

	loopback_start(&server, &fake, answer);
	start(&w, loopback_url(&server, "http", path));
	fake_settle(&fake);
	expect(&w, state, part);
	stop(&w);
	loopback_stop(&server);
}

static void expect_http(const char *answer, enum health_state state, const char *part)
{
	expect_at("/health?a=b#c", answer, state, part);
}

START_TEST(what_is_optional_may_be_missing_but_not_broken)
{
	static const char path[] = "/health#optional";

	expect_at(path, OK200, HEALTH_HEALTHY, "200");
	expect_at(path, "HTTP/1.1 404 Not Found\r\n\r\n", HEALTH_HEALTHY,
		  "need not be");
	expect_at(path, "HTTP/1.1 405 No\r\n\r\n", HEALTH_HEALTHY, "need not be");
	expect_at(path, "HTTP/1.1 501 No\r\n\r\n", HEALTH_HEALTHY, "need not be");
	expect_at(path, "HTTP/1.1 503 No\r\n\r\n", HEALTH_CRITICAL, "503");
	expect_at(path, "", HEALTH_CRITICAL, "without an answer");
}
END_TEST

START_TEST(http_is_healthy_with_2xx_and_3xx)
{
	expect_http(OK200, HEALTH_HEALTHY, "200");
	expect_http("HTTP/1.0 204 No Content\r\n\r\n", HEALTH_HEALTHY, "204");
	expect_http("HTTP/1.1 302 Found\nLocation: /\n\n", HEALTH_HEALTHY, "302");
	expect_http("HTTP/1.1 399\r\n\r\n", HEALTH_HEALTHY, "399");
}
END_TEST

START_TEST(http_is_critical_with_everything_else)
{
	expect_http("HTTP/1.1 404 Not Found\r\n\r\n", HEALTH_CRITICAL, "404");
	expect_http("HTTP/1.1 500 Oh\r\n\r\n", HEALTH_CRITICAL, "500");
	expect_http("HTTP/1.1 199 What\r\n\r\n", HEALTH_CRITICAL, "199");
	expect_http("HTTP/1.1 2000 What\r\n\r\n", HEALTH_CRITICAL,
		    "does not speak HTTP");
	expect_http("HTTP/2 200\r\n\r\n", HEALTH_CRITICAL, "does not speak HTTP");
	expect_http("SSH-2.0-OpenSSH\r\n", HEALTH_CRITICAL, "does not speak HTTP");
	expect_http("", HEALTH_CRITICAL, "without an answer");
}
END_TEST

START_TEST(a_status_line_without_end_is_bounded)
{
	static char endless[4096] = "HTTP/1.1 200 ";

	memset(endless + 13, 'x', sizeof(endless) - 14);
	expect_http(endless, HEALTH_HEALTHY, "200");
	memset(endless, 'x', 13);
	expect_http(endless, HEALTH_CRITICAL, "does not speak HTTP");
}
END_TEST

START_TEST(http_sends_one_plain_get)
{
	struct loopback server;
	struct watched w = { 0 };
	char host[64];

	loopback_start(&server, &fake, OK200);
	start(&w, loopback_url(&server, "http", "/health?a=b#c"));
	fake_settle(&fake);
	(void) snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", server.port);
	ck_assert_ptr_eq(strstr(server.request, "GET /health?a=b HTTP/1.1\r\n"),
			 server.request);
	ck_assert_ptr_nonnull(strstr(server.request, host));
	ck_assert_ptr_nonnull(strstr(server.request, "\r\nConnection: close\r\n"));
	ck_assert_uint_eq(server.requests, 1);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(no_answer_within_the_time_limit_is_critical)
{
	struct loopback server;
	struct watched w = { 0 };

	loopback_start(&server, &fake, NULL);
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	ck_assert_uint_eq(server.requests, 1);
	fake_advance(&fake, 1999);
	ck_assert_uint_eq(w.changes, 0);
	fake_advance(&fake, 1);
	expect(&w, HEALTH_CRITICAL, "within 2000 ms");
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(a_slow_name_look_up_is_critical_and_keeps_its_place)
{
	struct watched w = { 0 };

	fake.hold_work = true;
	start(&w, "tcp://localhost:1");
	fake_advance(&fake, 2000);
	expect(&w, HEALTH_CRITICAL, "within 2000 ms");
	stop(&w);
	fake.hold_work = false; /* the worker comes back to nobody */
	fake_settle(&fake);
	ck_assert_uint_eq(w.changes, 1);
}
END_TEST

/* ---- rise, fall, interval ---- */

/* Checks take no time on the fake clock, so that one interval is one check. */
static void steady(void)
{
	struct health_options options;

	health_options_default(&options);
	options.jitter_percent = 0;
	health_configure(health, &options);
}

START_TEST(three_failures_in_a_row_make_critical_two_successes_healthy)
{
	struct loopback server;
	struct watched w = { 0 };

	steady();
	loopback_start(&server, &fake, OK200);
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	server.answer = "HTTP/1.1 503 Busy\r\n\r\n";
	fake_advance(&fake, 20000);
	ck_assert_uint_eq(server.requests, 3);
	expect(&w, HEALTH_HEALTHY, "200");
	fake_advance(&fake, 10000);
	expect(&w, HEALTH_CRITICAL, "503");
	server.answer = OK200;
	fake_advance(&fake, 10000);
	expect(&w, HEALTH_CRITICAL, "503");
	fake_advance(&fake, 10000);
	expect(&w, HEALTH_HEALTHY, "200");
	ck_assert_uint_eq(w.changes, 3);
	ck_assert_uint_eq(server.requests, 6);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(a_success_in_between_starts_the_count_again)
{
	struct loopback server;
	struct watched w = { 0 };

	steady();
	loopback_start(&server, &fake, OK200);
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	for (int i = 0; i < 3; i++) {
		server.answer = "HTTP/1.1 503 Busy\r\n\r\n";
		fake_advance(&fake, 20000);
		server.answer = OK200;
		fake_advance(&fake, 10000);
	}
	expect(&w, HEALTH_HEALTHY, "200");
	ck_assert_uint_eq(w.changes, 1);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(the_interval_varies_by_the_jitter_and_no_more)
{
	struct loopback server;
	struct watched w = { 0 };

	loopback_start(&server, &fake, OK200);
	fake.random_next = 0; /* the shortest: 9000 ms */
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	fake_advance(&fake, 8999);
	ck_assert_uint_eq(server.requests, 1);
	fake.random_next = 2000; /* the longest, for the next one: 11000 ms */
	fake_advance(&fake, 1);
	ck_assert_uint_eq(server.requests, 2);
	fake_advance(&fake, 10999);
	ck_assert_uint_eq(server.requests, 2);
	fake_advance(&fake, 1);
	ck_assert_uint_eq(server.requests, 3);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

START_TEST(new_options_hold_for_the_next_checks)
{
	struct loopback server;
	struct watched w = { 0 };
	struct health_options options;

	steady();
	loopback_start(&server, &fake, OK200);
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	health_options_default(&options);
	options.jitter_percent = 0;
	options.interval_ms = 1000;
	options.fall = 1;
	health_configure(health, &options);
	fake_advance(&fake, 10000); /* the one that was arranged already */
	server.answer = "HTTP/1.1 503 Busy\r\n\r\n";
	fake_advance(&fake, 1000);
	expect(&w, HEALTH_CRITICAL, "503");
	ck_assert_uint_eq(server.requests, 3);
	stop(&w);
	loopback_stop(&server);
}
END_TEST

/* ---- ends ---- */

START_TEST(a_check_may_be_freed_inside_its_callback)
{
	struct loopback server;
	struct watched w = { .free_at_change = true };

	loopback_start(&server, &fake, OK200);
	start(&w, loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	ck_assert_uint_eq(w.changes, 1);
	ck_assert_ptr_null(w.check);
	ck_assert_uint_eq(fake_timers(&fake), 0);
	loopback_stop(&server);
}
END_TEST

START_TEST(a_check_is_cancelled_at_every_step)
{
	struct loopback server;

	loopback_start(&server, &fake, NULL);
	for (int steps = 0; steps < 12; steps++) {
		struct watched w = { 0 };

		start(&w, loopback_url(&server, "http", "/"));
		for (int i = 0; i < steps; i++)
			(void) fake_turn(&fake); /* however far that is */
		stop(&w);
		fake_settle(&fake);
		ck_assert_uint_eq(w.changes, 0);
		ck_assert_uint_eq(fake_timers(&fake), 0);
	}
	loopback_stop(&server);
}
END_TEST

START_TEST(a_worker_outlives_its_check_and_all_checks)
{
	struct watched w = { 0 };

	fake.hold_work = true;
	start(&w, "tcp://localhost:1");
	fake_settle(&fake);
	stop(&w);
	health = health_free(health);
	fake.hold_work = false;
	fake_settle(&fake);
	ck_assert_uint_eq(w.changes, 0);
}
END_TEST

START_TEST(no_more_than_the_limit_run_at_a_time)
{
	enum { MANY = CO_LIMIT_HEALTH_CHECKS + 20 };
	static struct watched w[MANY];
	struct loopback server;
	size_t finished = 0;

	loopback_start(&server, &fake, NULL);
	for (size_t i = 0; i < MANY; i++)
		start(&w[i], loopback_url(&server, "http", "/"));
	fake_settle(&fake);
	ck_assert_uint_eq(server.requests, CO_LIMIT_HEALTH_CHECKS);
	stop(&w[MANY - 1]); /* from the queue */
	stop(&w[0]);        /* running: makes room for one */
	fake_settle(&fake);
	ck_assert_uint_eq(server.requests, CO_LIMIT_HEALTH_CHECKS + 1);
	fake_advance(&fake, 4000); /* every one times out, the queue moves up */
	for (size_t i = 0; i < MANY; i++)
		finished += w[i].changes;
	ck_assert_uint_eq(finished, MANY - 2);
	for (size_t i = 0; i < MANY; i++)
		stop(&w[i]);
	loopback_stop(&server);
}
END_TEST

START_TEST(a_slow_worker_keeps_its_place_among_the_running)
{
	enum { MANY = CO_LIMIT_HEALTH_CHECKS };
	static struct watched w[MANY];
	struct loopback server;
	struct watched late = { 0 };

	loopback_start(&server, &fake, OK200);
	fake.hold_work = true;
	for (size_t i = 0; i < MANY; i++)
		start(&w[i], "tcp://localhost:1");
	fake_settle(&fake);
	start(&late, loopback_url(&server, "http", "/"));
	for (size_t i = 0; i < MANY; i++)
		stop(&w[i]);
	fake_settle(&fake);
	ck_assert_uint_eq(late.changes, 0);
	fake.hold_work = false;
	fake_settle(&fake);
	expect(&late, HEALTH_HEALTHY, "200");
	stop(&late);
	loopback_stop(&server);
}
END_TEST

/* ---- https ---- */

struct tls_server {
	char folder[64], ca[96];
	unsigned int port;
	pid_t pid;
};

static void tls_start(struct tls_server *server)
{
	char command[512], line[128] = "";
	const char *base = getenv("TMPDIR");
	int out[2];
	FILE *lines;

	(void) snprintf(server->folder, sizeof(server->folder), "%.40s/health-XXXXXX",
			base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(server->folder));
	(void) snprintf(server->ca, sizeof(server->ca), "%s/cert.pem", server->folder);
	(void) snprintf(
		command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		"-nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 "
		"-keyout %s/key.pem -out %s 2>/dev/null",
		server->folder, server->ca);
	ck_assert_int_eq(system(command), 0);
	(void) snprintf(command, sizeof(command),
			"exec openssl s_server -accept 127.0.0.1:0 -www -cert %s -key "
			"%s/key.pem 2>/dev/null",
			server->ca, server->folder);
	ck_assert_int_eq(pipe(out), 0);
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (server->pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* tidy if the test dies */
		(void) dup2(out[1], STDOUT_FILENO); /* if not, no ACCEPT line comes */
		(void) close(out[0]);
		(void) close(out[1]);
		(void) execl("/bin/sh", "sh", "-c", command, (char *) NULL);
		_exit(127);
	}
	ck_assert_int_eq(close(out[1]), 0);
	lines = fdopen(out[0], "r");
	ck_assert_ptr_nonnull(lines);
	while (fgets(line, sizeof(line), lines) &&
	       sscanf(line, "ACCEPT 127.0.0.1:%u", &server->port) != 1)
		continue;
	ck_assert_int_eq(fclose(lines), 0);
	ck_assert_uint_ne(server->port, 0);
}

static void tls_stop(struct tls_server *server)
{
	char path[128];

	ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
	(void) snprintf(path, sizeof(path), "%s/key.pem", server->folder);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(server->ca), 0);
	ck_assert_int_eq(rmdir(server->folder), 0);
}

START_TEST(https_is_healthy_with_a_trusted_certificate_only)
{
	struct tls_server server = { 0 };
	struct health_options options;
	struct watched w = { 0 };
	char url[64];

	tls_start(&server);
	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%u/", server.port);
	start(&w, url);
	fake_settle(&fake);
	expect(&w, HEALTH_CRITICAL, "certificate");
	stop(&w);

	health_options_default(&options);
	(void) snprintf(options.ca_file, sizeof(options.ca_file), "%s", server.ca);
	health_configure(health, &options);
	start(&w, url);
	fake_settle(&fake);
	expect(&w, HEALTH_HEALTHY, "200");
	stop(&w);
	tls_stop(&server);
}
END_TEST

START_TEST(https_to_nobody_is_critical)
{
	char url[64];
	unsigned int port;
	int fd = loopback_closed_port(&port);
	struct watched w = { 0 };

	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port);
	start(&w, url);
	fake_settle(&fake);
	expect(&w, HEALTH_CRITICAL, "connect");
	stop(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(https_without_libcurl_is_refused_and_names_the_package)
{
	struct health_check *check = NULL;
	struct co_err err = { 0 };

	https_library("libcurl-is-not-here.so.4");
	ck_assert_int_eq(health_check_new(health, "https://localhost/", on_change, NULL,
					  &check, &err),
			 CO_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, "libcurl4"));
	https_library("libm.so.6"); /* loads, and is another */
	ck_assert_int_eq(health_check_new(health, "https://localhost/", on_change, NULL,
					  &check, &err),
			 CO_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, "libcurl4"));
	ck_assert_ptr_null(check);
}
END_TEST

static TCase *form_tests(void)
{
	TCase *tests = tcase_create("forms");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, the_documented_forms_are_taken);
	tcase_add_test(tests, anything_else_is_refused_with_a_sentence);
	tcase_add_test(tests, a_check_too_long_is_refused);
	tcase_add_test(tests, options_out_of_bounds_are_refused_by_name);
	tcase_add_test(tests, nothing_to_check_is_refused);
	return tests;
}

static TCase *result_tests(void)
{
	TCase *tests = tcase_create("results");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, tcp_is_healthy_when_a_connection_is_accepted);
	tcase_add_test(tests,
		       tcp_is_critical_at_once_when_the_first_connection_is_refused);
	tcase_add_test(tests, a_name_is_resolved_by_a_worker);
	tcase_add_test(tests, a_name_that_does_not_resolve_is_critical);
	tcase_add_test(tests, a_check_without_a_free_worker_is_tried_again);
	tcase_add_test(tests, what_is_optional_may_be_missing_but_not_broken);
	tcase_add_test(tests, http_is_healthy_with_2xx_and_3xx);
	tcase_add_test(tests, http_is_critical_with_everything_else);
	tcase_add_test(tests, a_status_line_without_end_is_bounded);
	tcase_add_test(tests, http_sends_one_plain_get);
	tcase_add_test(tests, no_answer_within_the_time_limit_is_critical);
	tcase_add_test(tests, a_slow_name_look_up_is_critical_and_keeps_its_place);
	return tests;
}

static TCase *course_tests(void)
{
	TCase *tests = tcase_create("course");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests,
		       three_failures_in_a_row_make_critical_two_successes_healthy);
	tcase_add_test(tests, a_success_in_between_starts_the_count_again);
	tcase_add_test(tests, the_interval_varies_by_the_jitter_and_no_more);
	tcase_add_test(tests, new_options_hold_for_the_next_checks);
	tcase_add_test(tests, a_check_may_be_freed_inside_its_callback);
	tcase_add_test(tests, a_check_is_cancelled_at_every_step);
	tcase_add_test(tests, a_worker_outlives_its_check_and_all_checks);
	tcase_add_test(tests, no_more_than_the_limit_run_at_a_time);
	tcase_add_test(tests, a_slow_worker_keeps_its_place_among_the_running);
	return tests;
}

/* What is missing for the https tests; NULL if nothing is. */
static const char *https_lacks(void)
{
	if (https_load(NULL) < 0)
		return "libcurl4";
	return system("openssl version >/dev/null 2>&1") == 0 ? NULL : "openssl";
}

static TCase *https_tests(void)
{
	TCase *tests = tcase_create("https");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 300);
	tcase_add_test(tests, https_is_healthy_with_a_trusted_certificate_only);
	tcase_add_test(tests, https_to_nobody_is_critical);
	return tests;
}

static TCase *library_tests(void)
{
	TCase *tests = tcase_create("library");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, https_without_libcurl_is_refused_and_names_the_package);
	return tests;
}

static int skip(const char *package)
{
	const char *strict = getenv("CO_STRICT");
	bool is_strict = strict && strcmp(strict, "1") == 0;

	(void) fprintf(stderr,
		       "%s: 2 tests of https checks: the package %s is missing\n",
		       is_strict ? "FAIL" : "SKIP", package);
	return is_strict ? EXIT_FAILURE : 77;
}

int main(void)
{
	Suite *suite = suite_create("health");
	SRunner *runner = srunner_create(suite);
	const char *lacking = https_lacks();
	int failed;

	suite_add_tcase(suite, form_tests());
	suite_add_tcase(suite, result_tests());
	suite_add_tcase(suite, course_tests());
	if (!lacking)
		suite_add_tcase(suite, https_tests());
	suite_add_tcase(suite, library_tests());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (failed)
		return EXIT_FAILURE;
	return lacking ? skip(lacking) : EXIT_SUCCESS;
}
