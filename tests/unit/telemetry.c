/* SPDX-License-Identifier: MIT */
/* Logs, metrics and events as services: what they take, say and come to.  HOST. */
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/events.h"
#include "cloudosd/service/logs.h"
#include "cloudosd/service/metrics.h"
#include "cloudosd/service/series.h"
#include "lib/err.h"
#include "tests/run.h"
#include "tests/unit/fake_rows.h"

static struct fake_host fake;
static struct store store;
static struct logs *logs;
static struct metrics *metrics;
static struct events *events;

/* ---- the answer, and the newest rows as JSON ---- */

static struct {
	size_t n;
	int status;
	char id[FEED_ID_MAX];
	uint64_t at_ms;
} got;

static void done(void *arg, int status, const char *reason, const char *id,
		 uint64_t at_ms)
{
	(void) arg;
	(void) reason;
	got.n++;
	got.status = status;
	(void) snprintf(got.id, sizeof(got.id), "%s", id);
	got.at_ms = at_ms;
}

static struct feed_reader *reader;
static char told[8][65536];
static size_t ntold;

static bool hear(void *arg, const struct feed_item *item)
{
	(void) arg;
	(void) snprintf(told[ntold++ % 8], sizeof(told[0]), "%.*s",
			(int) item->json.size, item->json.data);
	return true;
}

static void listen_to(struct feed *feed)
{
	ck_assert_int_eq(
		feed_begin(&reader, feed, &(struct feed_want){ 0 }, hear, NULL), 0);
}

static void setup(void)
{
	fake_init(&fake);
	fake_rows_init(&store, &fake);
	memset(&got, 0, sizeof(got));
	reader = NULL;
	ntold = 0;
}

static void teardown(void)
{
	reader = feed_end(reader);
	fake_settle(&fake);
	logs = logs_free(logs);
	metrics = metrics_free(metrics);
	events = events_free(events);
	fake_rows_done(&store);
	fake_done(&fake);
}

/* ---- events ---- */

static int emit(const char *name, const char *source, const char *data)
{
	return events_emit(events,
			   &(struct event){ .service = "core",
					    .name = co_span(name),
					    .source = co_span(source),
					    .data = co_span(data) },
			   done, NULL);
}

START_TEST(an_event_is_answered_with_its_id_after_it_was_told)
{
	events = events_new(&fake.host, &store);
	listen_to(events_feed(events));
	ck_assert_int_eq(emit("user:created", "operator", "{\"n\":9007199254740993}"),
			 0);
	ck_assert_uint_eq(got.n, 0);
	fake_settle(&fake);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_str_eq(got.id, "1700001000000-1");
	ck_assert_uint_eq(got.at_ms, 1700001000000);
	ck_assert_str_eq(told[0],
			 "{\"id\":\"1700001000000-1\",\"event\":\"user:created\","
			 "\"timestamp\":\"2023-11-14T22:30:00.000Z\",\"source\":"
			 "\"operator\",\"data\":{\"n\":9007199254740993}}");
	ck_assert_int_eq(emit("a", NULL, NULL), 0);
	fake_settle(&fake);
	ck_assert_str_eq(told[1], "{\"id\":\"1700001000000-2\",\"event\":\"a\","
				  "\"timestamp\":\"2023-11-14T22:30:00.000Z\","
				  "\"source\":\"core\"}");
}
END_TEST

START_TEST(names_that_are_none_are_refused_with_a_sentence)
{
	char longest[CO_LIMIT_TELEMETRY_NAME + 2] = "";

	events = events_new(&fake.host, &store);
	memset(longest, 'x', CO_LIMIT_TELEMETRY_NAME);
	ck_assert_int_eq(emit(longest, NULL, NULL), 0);
	longest[CO_LIMIT_TELEMETRY_NAME] = 'x';
	ck_assert_int_eq(emit(longest, NULL, NULL), CO_TOO_BIG);
	ck_assert_ptr_nonnull(strstr(events_reason(events), "256"));
	ck_assert_int_eq(emit("", NULL, NULL), CO_INVALID);
	ck_assert_int_eq(emit("a\nb", NULL, NULL), CO_INVALID);
	ck_assert_int_eq(emit("a\xff", NULL, NULL), CO_INVALID);
	ck_assert_int_eq(emit("a\xc2\x85", NULL, NULL), CO_INVALID);
	ck_assert_int_eq(emit("gr\xc3\xbc\xc3\x9f", NULL, NULL), 0);
	ck_assert_int_eq(emit("a", "b\r", NULL), CO_INVALID);
	store.refuse = CO_BUSY;
	ck_assert_int_eq(emit("a", NULL, NULL), CO_BUSY);
	ck_assert_ptr_nonnull(strstr(events_reason(events), "again"));
	fake_settle(&fake);
	ck_assert_uint_eq(got.n, 2);
}
END_TEST

START_TEST(a_failed_commit_is_answered_as_a_failure)
{
	events = events_new(&fake.host, &store);
	store.fail = CO_NO_SPACE;
	ck_assert_int_eq(emit("a", NULL, NULL), 0);
	fake_settle(&fake);
	ck_assert_int_eq(got.status, CO_NO_SPACE);
	ck_assert_str_eq(got.id, "");
}
END_TEST

/* ---- logs ---- */

START_TEST(a_log_entry_has_one_of_five_levels)
{
	static const struct {
		const char *level;
		int status;
	} cases[] = { { "debug", 0 },       { "info", 0 },
		      { "warn", 0 },        { "error", 0 },
		      { "fatal", 0 },       { "INFO", CO_INVALID },
		      { "", CO_INVALID },   { "infos", CO_INVALID },
		      { "inf", CO_INVALID } };

	logs = logs_new(&fake.host, &store);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(
			logs_add(logs,
				 &(struct log_entry){ .service = "core",
						      .level = co_span(cases[i].level),
						      .message = co_span("m") },
				 done, NULL) == cases[i].status,
			"%s", cases[i].level);
	fake_settle(&fake);
	ck_assert_uint_eq(got.n, 5);
}
END_TEST

static void print(bool standard_error, const char *text)
{
	ck_assert_int_eq(
		logs_add_output(logs,
				&(struct log_output){ .service = "core",
						      .pid = 7,
						      .standard_error = standard_error,
						      .text = co_span(text) },
				done, NULL),
		0);
	fake_settle(&fake);
}

static bool has(size_t at, const char *part)
{
	return strstr(told[at], part) != NULL;
}

START_TEST(each_printed_line_is_an_entry)
{
	logs = logs_new(&fake.host, &store);
	listen_to(logs_feed(logs));
	print(false, "one\r\ntwo\n\nrest");
	ck_assert_uint_eq(got.n, 1);
	ck_assert_uint_eq(ntold, 4);
	ck_assert(has(0, "\"level\":\"info\",\"message\":\"one\",\"service\":\"core\","
			 "\"meta\":{\"stream\":\"stdout\",\"pid\":7}"));
	ck_assert(has(1, "\"message\":\"two\""));
	ck_assert(has(2, "\"message\":\"\""));
	ck_assert(has(3, "\"message\":\"rest\""));
	print(true, "bad \xff\n");
	ck_assert(has(4, "\"level\":\"warn\",\"message\":\"bad \xef\xbf\xbd\""));
	ck_assert(has(4, "\"stream\":\"stderr\""));
}
END_TEST

START_TEST(a_printed_object_with_a_level_speaks_for_itself)
{
	logs = logs_new(&fake.host, &store);
	listen_to(logs_feed(logs));
	print(false, "{\"level\":\"error\",\"message\":\"a\\nb\",\"meta\":{\"x\":1}}\n"
		     "{\"level\":\"loud\",\"message\":\"x\"}\n"
		     "{\"message\":\"x\"}\n{\"level\":\"info\",\"message\":\n");
	ck_assert(has(0, "\"level\":\"error\",\"message\":\"a\\nb\""));
	ck_assert(has(0, "\"meta\":{\"x\":1}"));
	for (size_t i = 1; i < 4; i++)
		ck_assert(has(i, "\"level\":\"info\",\"message\":\"{"));
}
END_TEST

START_TEST(a_long_line_becomes_several_cut_between_characters)
{
	static char text[2 * CO_LIMIT_TELEMETRY_LINE + 8];

	for (size_t i = 0; i < sizeof(text) - 2; i += 2)
		memcpy(text + i, "\xc3\xbc", 3);
	text[0] = 'x'; /* so that the limit is inside a character */
	memmove(text + 1, text + 2, strlen(text + 2) + 1);
	logs = logs_new(&fake.host, &store);
	listen_to(logs_feed(logs));
	print(false, text);
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert(!has(i, "\xef\xbf\xbd"));
}
END_TEST

START_TEST(output_without_room_is_offered_again)
{
	struct log_output output = { .service = "core", .text = co_span("a\nb\n") };

	logs = logs_new(&fake.host, &store);
	store.refuse = CO_BUSY;
	ck_assert_int_eq(logs_add_output(logs, &output, done, NULL), CO_BUSY);
	store.refuse = 0;
	ck_assert_int_eq(logs_add_output(logs, &output, done, NULL), 0);
	fake_settle(&fake);
	ck_assert_uint_eq(store.n, 2);
	ck_assert_uint_eq(got.n, 1);
}
END_TEST

/* ---- metrics ---- */

static int sample(const char *name, const char *value, const char *tags)
{
	int status = metrics_add(metrics,
				 &(struct metric_sample){ .service = "core",
							  .name = co_span(name),
							  .value = co_span(value),
							  .tags = co_span(tags) },
				 done, NULL);

	fake_settle(&fake);
	return status;
}

static char *exposition(void)
{
	struct co_buf out = { 0 };
	uint64_t at = 0;
	size_t size;

	while (metrics_exposition(metrics, &at, &out))
		;
	return co_buf_take(&out, &size);
}

static void make_metrics(void)
{
	metrics = metrics_new(&fake.host, &store);
}

START_TEST(a_sample_keeps_its_number_as_it_was_written)
{
	make_metrics();
	listen_to(metrics_feed(metrics));
	ck_assert_int_eq(sample("cpu", "0.10", "{\"b\": \"1\"}"), 0);
	ck_assert(has(0, "\"name\":\"cpu\",\"value\":0.10,\"tags\":{\"b\": \"1\"}"));
	ck_assert_int_eq(sample("n", "123456789012345678901234567890", NULL), 0);
	ck_assert(has(1, "\"value\":123456789012345678901234567890}"));
}
END_TEST

START_TEST(values_and_tags_that_are_none_are_refused)
{
	make_metrics();
	ck_assert_int_eq(sample("x", "1e400", NULL), CO_INVALID);
	ck_assert_int_eq(sample("x", "\"1\"", NULL), CO_INVALID);
	ck_assert_int_eq(sample("x", "null", NULL), CO_INVALID);
	ck_assert_int_eq(sample("", "1", NULL), CO_INVALID);
	ck_assert_int_eq(sample("x", "1", "[]"), CO_INVALID);
	ck_assert_int_eq(sample("x", "1", "{\"a\":1}"), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(metrics_reason(metrics), "\"a\""));
	ck_assert_uint_eq(store.n, 0);
}
END_TEST

static void check_lines(const char *const *lines, size_t n)
{
	char *text = exposition();

	for (size_t i = 0; i < n; i++)
		ck_assert_msg(strstr(text, lines[i]), "%s is not in\n%s", lines[i],
			      text);
	free(text);
}

START_TEST(samples_come_to_last_sum_count_and_histogram)
{
	static const char *const lines[] = {
		"# TYPE http_request_duration gauge\n",
		"http_request_duration{service=\"core\",method=\"GET\"} 0.5\n",
		"# TYPE http_request_duration_observed histogram\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"0.1\"} 0\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"0.5\"} 1\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"100\"} 1\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"500\"} 2\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"10000\"} 2\n",
		"_observed_bucket{service=\"core\",method=\"GET\",le=\"+Inf\"} 3\n",
		"_observed_sum{service=\"core\",method=\"GET\"} 20125.5\n",
		"_observed_count{service=\"core\",method=\"GET\"} 3\n",
	};

	make_metrics();
	sample("http.request.duration", "125", "{\"method\":\"GET\"}");
	sample("http.request.duration", "2e4", "{\"method\":\"GET\"}");
	sample("http.request.duration", "0.5", "{\"method\":\"GET\"}");
	check_lines(lines, sizeof(lines) / sizeof(lines[0]));
}
END_TEST

START_TEST(names_and_labels_are_what_prometheus_takes)
{
	static const char *const lines[] = {
		"_1st_x{service=\"core\"} 1\n",
		"user_cloudos_up{service=\"core\"} 2\n",
		/* order of tags and ways to write them make no other series */
		"t{service=\"core\",a=\"q\\\"\\\\\\n\",b=\"2\"} 4\n",
		"t_observed_count{service=\"core\",a=\"q\\\"\\\\\\n\",b=\"2\"} 2\n",
		/* labels of ours and those that would be equal have other names */
		"u{service=\"core\",a_b=\"1\",tag_a_b=\"2\",tag_le=\"3\","
		"tag_service=\"4\"} 5\n",
		/* a metric that is called as the histogram of another keeps its name */
		"v_observed{service=\"core\"} 7\n",
	};
	char *text;

	make_metrics();
	sample("1st.x", "1", NULL);
	sample("cloudos_up", "2", NULL);
	sample("t", "3", "{\"b\":\"2\",\"a\":\"q\\\"\\\\\\n\"}");
	sample("t", "4", "{ \"a\" : \"\\u0071\\\"\\\\\\u000a\", \"b\":\"2\" }");
	sample("u", "5",
	       "{\"a.b\":\"1\",\"a-b\":\"2\",\"le\":\"3\",\"service\":\"4\"}");
	sample("v", "6", NULL);
	sample("v.observed", "7", NULL);
	check_lines(lines, sizeof(lines) / sizeof(lines[0]));
	text = exposition();
	ck_assert_ptr_null(strstr(text, "# TYPE v_observed histogram"));
	free(text);
}
END_TEST

START_TEST(series_beyond_the_limit_are_counted_and_no_others_harmed)
{
	struct series_all *all = series_new();
	struct co_buf out = { 0 };
	uint64_t at = 0;
	char tags[64];
	size_t lines = 0;

	for (int i = 0; i < CO_LIMIT_TELEMETRY_SERIES + 50; i++) {
		(void) snprintf(tags, sizeof(tags), "{\"id\":\"%d\"}", i);
		series_note(all, co_span("core"), co_span("x"), co_span(tags), 1);
	}
	series_note(all, co_span("core"), co_span("x"), co_span("{\"id\":\"7\"}"), 2);
	ck_assert_uint_eq(series_count(all), CO_LIMIT_TELEMETRY_SERIES);
	ck_assert_uint_eq(series_dropped(all), 50);
	while (series_write(all, &at, &out))
		;
	ck_assert(!out.failed);
	ck_assert_ptr_nonnull(strstr(out.data, "\nx{service=\"core\",id=\"7\"} 2\n"));
	for (const char *p = out.data; (p = strstr(p, "x_observed_count{")); p++)
		lines++;
	ck_assert_uint_eq(lines, CO_LIMIT_TELEMETRY_SERIES); /* each once, in pieces */
	co_buf_done(&out);
	series_free(all);
}
END_TEST

static void own_number(void *arg, struct co_buf *out)
{
	metrics_family(out, arg, "counter", "Test.");
	metrics_sample(out, arg, "", 3);
}

START_TEST(other_parts_of_the_daemon_add_their_numbers)
{
	static char first[] = "cloudos_first", second[] = "cloudos_second";
	static const char *const lines[] = {
		"cloudos_loop_lag_seconds 0\n",
		"# HELP cloudos_first Test.\n# TYPE cloudos_first counter\n"
		"cloudos_first 3\n",
		"cloudos_second 3\n",
	};

	make_metrics();
	metrics_source(metrics, own_number, first);
	metrics_source(metrics, own_number, second);
	check_lines(lines, 3);
	sample("x", "1", NULL);
	check_lines(lines, 3);
}
END_TEST

START_TEST(the_lag_of_the_loop_is_seen_and_forgotten)
{
	make_metrics();
	fake_advance(&fake, 2000);
	ck_assert_uint_eq(metrics_loop_lag(metrics).worst_ms, 0);
	fake.now_ms += 700; /* nobody turned the loop */
	fake_advance(&fake, 1);
	ck_assert_uint_ge(metrics_loop_lag(metrics).worst_ms, 200);
	fake_advance(&fake, 20000);
	ck_assert_uint_eq(metrics_loop_lag(metrics).last_ms, 0);
	ck_assert_uint_ge(metrics_loop_lag(metrics).worst_ms, 200);
	fake_advance(&fake, 60000);
	ck_assert_uint_eq(metrics_loop_lag(metrics).worst_ms, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("telemetry");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_event_is_answered_with_its_id_after_it_was_told);
	tcase_add_test(tcase, names_that_are_none_are_refused_with_a_sentence);
	tcase_add_test(tcase, a_failed_commit_is_answered_as_a_failure);
	tcase_add_test(tcase, a_log_entry_has_one_of_five_levels);
	tcase_add_test(tcase, each_printed_line_is_an_entry);
	tcase_add_test(tcase, a_printed_object_with_a_level_speaks_for_itself);
	tcase_add_test(tcase, a_long_line_becomes_several_cut_between_characters);
	tcase_add_test(tcase, output_without_room_is_offered_again);
	tcase_add_test(tcase, a_sample_keeps_its_number_as_it_was_written);
	tcase_add_test(tcase, values_and_tags_that_are_none_are_refused);
	tcase_add_test(tcase, samples_come_to_last_sum_count_and_histogram);
	tcase_add_test(tcase, names_and_labels_are_what_prometheus_takes);
	tcase_add_test(tcase, series_beyond_the_limit_are_counted_and_no_others_harmed);
	tcase_add_test(tcase, other_parts_of_the_daemon_add_their_numbers);
	tcase_add_test(tcase, the_lag_of_the_loop_is_seen_and_forgotten);
	return run_tests(tcase);
}
