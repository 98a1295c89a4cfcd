/* SPDX-License-Identifier: MIT */
/* HOST test of lib/log.h. */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/run.h"

static int log_fd = -1;
static char text[1 << 20]; /* what read_log has read */

static void set_up(void)
{
	struct co_err err = { 0 };

	log_fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(log_fd, 0);
	ck_assert_msg(co_log_to(log_fd, &err) == 0, "%s", err.message);
}

static void tear_down(void)
{
	ck_assert_int_eq(close(log_fd), 0);
}

static void levels(const char *spec)
{
	struct co_log_levels l;
	struct co_err err = { 0 };

	ck_assert_msg(co_log_parse(&l, spec, &err) == 0, "%s", err.message);
	co_log_apply(&l);
}

static const char *read_log(void)
{
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = 0;
	return text;
}

static bool matches(const char *line, const char *pattern)
{
	regex_t re;
	bool yes;

	ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	yes = regexec(&re, line, 0, NULL, 0) == 0;
	regfree(&re);
	return yes;
}

static unsigned count(const char *in, const char *what)
{
	unsigned n = 0;

	for (const char *p = in; (p = strstr(p, what)); p++)
		n++;
	return n;
}

#define TIME "20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

START_TEST(a_line_has_time_level_subsystem_and_message)
{
	co_log(daemon, WARN, "started as %d", 42);
	ck_assert(matches(read_log(),
			  "^" TIME " warn daemon message=\"started as 42\"\n$"));
}
END_TEST

START_TEST(session_and_thread_stand_in_front_of_the_message)
{
	co_log_session(notify, INFO, 12, 345, "x");
	co_log_session(session, ERROR, UINT64_MAX, 0, "y");
	ck_assert(
		matches(read_log(), " info notify session=12 tid=345 message=\"x\"\n"));
	ck_assert(matches(text, " error session session=18446744073709551615 "
				"message=\"y\"\n$"));
}
END_TEST

START_TEST(a_guest_cannot_forge_a_line)
{
	co_log(session, INFO, "name %s",
	       "x\"\n2026-01-01T00:00:00.000Z error daemon message=\"owned\x1b[2J");
	ck_assert_uint_eq(count(read_log(), "\n"), 1);
	ck_assert(strstr(text,
			 "message=\"name x\\\"\\n2026-01-01T00:00:00.000Z error daemon "
			 "message=\\\"owned\\x1b[2J\"\n") != NULL);
}
END_TEST

START_TEST(a_long_message_is_cut)
{
	char message[5000];
	const char *begin;

	memset(message, 'm', sizeof(message) - 1);
	message[sizeof(message) - 1] = 0;
	co_log(daemon, INFO, "%s", message);
	begin = strstr(read_log(), "message=\"");
	ck_assert_ptr_nonnull(begin);
	ck_assert_uint_eq(strlen(begin), strlen("message=\"") + CO_LOG_PART + 2);
	ck_assert_str_eq(begin + strlen(begin) - 6, "m...\"\n");
	/* the same for bytes that grow when escaped */
	memset(message, 1, sizeof(message) - 1);
	co_log(daemon, INFO, "%s", message);
	begin = strrchr(read_log(), '=');
	ck_assert_uint_le(strlen(begin), 2 + CO_LOG_PART + 2);
	ck_assert_str_eq(begin + strlen(begin) - 9, "\\x01...\"\n");
}
END_TEST

START_TEST(a_message_that_just_fits_is_whole)
{
	char message[CO_LOG_PART + 1];

	memset(message, 'm', CO_LOG_PART);
	message[CO_LOG_PART] = 0;
	co_log(daemon, INFO, "%s", message);
	ck_assert_ptr_nonnull(strstr(read_log(), message));
	ck_assert_ptr_null(strstr(text, "..."));
}
END_TEST

START_TEST(levels_are_per_subsystem)
{
	static const char *const written[] = { "keeper", "notify", "health" };

	levels("warn,notify=debug,health=error");
	co_log(keeper, WARN, "keeper");
	co_log(keeper, INFO, "not this");
	co_log(notify, DEBUG, "notify");
	co_log(health, WARN, "not this");
	co_log(health, ERROR, "health");
	read_log();
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(strstr(text, written[i]));
	ck_assert_ptr_null(strstr(text, "not this"));
}
END_TEST

START_TEST(arguments_of_a_silent_entry_are_not_evaluated)
{
	int evaluated = 0;

	levels("error");
	co_log(daemon, INFO, "%d", ++evaluated);
	ck_assert_int_eq(evaluated, 0);
}
END_TEST

START_TEST(the_order_of_levels_does_not_matter)
{
	struct co_log_levels a, b, c;

	ck_assert_int_eq(co_log_parse(&a, "notify=debug,error", NULL), 0);
	ck_assert_int_eq(co_log_parse(&b, " error, notify=debug,", NULL), 0);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_uint_eq(a.of[CO_LOG_notify], CO_LOG_DEBUG);
	ck_assert_uint_eq(a.of[CO_LOG_daemon], CO_LOG_ERROR);
	ck_assert_int_eq(co_log_parse(&a, "", NULL), 0);
	ck_assert_int_eq(co_log_parse(&b, NULL, NULL), 0);
	ck_assert_int_eq(co_log_parse(&c, "info", NULL), 0);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_mem_eq(&a, &c, sizeof(a));
}
END_TEST

START_TEST(wrong_levels_are_refused_with_what_there_is)
{
	static const char *const wrong[] = {
		"loud",        "notify=loud", "notify=", "nothing=info",  "=info",
		"info,notify", "information", "inf",     "notify=debug=1"
	};
	struct co_log_levels levels_before, l;
	struct co_err err = { 0 };

	memset(&levels_before, 77, sizeof(levels_before));
	l = levels_before;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(co_log_parse(&l, wrong[i], &err), CO_INVALID);
		ck_assert_mem_eq(&l, &levels_before, sizeof(l));
	}
	(void) co_log_parse(&l, "nothing=info", &err); /* looked at below */
	ck_assert(strstr(err.message, "\"nothing\" is not a subsystem") &&
		  strstr(err.message, "personality"));
	(void) co_log_parse(&l, "loud", &err); /* looked at below */
	ck_assert(strstr(err.message, "error, warn, info, debug"));
}
END_TEST

static void log_again(enum co_log_level level)
{
	if (level == CO_LOG_DEBUG)
		co_log(control, DEBUG, "again");
	else
		co_log(control, WARN, "again");
}

/* The sum of all `suppressed=N` of the log. */
static unsigned told(void)
{
	unsigned sum = 0;

	for (const char *p = read_log(); (p = strstr(p, "suppressed=")); p++)
		sum += (unsigned) strtoul(p + strlen("suppressed="), NULL, 10);
	return sum;
}

START_TEST(repeats_are_counted_instead_of_written)
{
	unsigned written;
	size_t length;

	for (int i = 0; i < 1000; i++)
		log_again(CO_LOG_WARN);
	co_log(control, WARN, "another site is not affected");
	ck_assert_ptr_nonnull(strstr(read_log(), "another site"));
	/* the loop may have crossed a second or two */
	written = count(text, "\"again\"");
	ck_assert_uint_ge(written, CO_LOG_BURST);
	ck_assert_uint_le(written, 10 * CO_LOG_BURST);
	co_log_flush();
	ck_assert_uint_eq(written + told(), 1000);
	length = strlen(text);
	co_log_flush();
	ck_assert_uint_eq(strlen(read_log()), length);
}
END_TEST

START_TEST(the_next_second_tells_what_was_suppressed)
{
	unsigned calls = 0;

	/* a second passes: some 200 rounds of 5 ms, 30 s at most */
	while (told() == 0 && calls < 6000) {
		log_again(CO_LOG_WARN);
		if (++calls > 2 * CO_LOG_BURST)
			(void) usleep(5000); /* shorter is as good */
	}
	ck_assert_uint_gt(told(), 0);
	for (int i = 0; i < 3; i++, calls++)
		log_again(CO_LOG_WARN);
	co_log_flush();
	ck_assert_uint_eq(told() + count(text, "\"again\""), calls);
}
END_TEST

START_TEST(debug_entries_are_never_suppressed)
{
	levels("debug");
	for (int i = 0; i < 1000; i++)
		log_again(CO_LOG_DEBUG);
	ck_assert_uint_eq(count(read_log(), "\"again\""), 1000);
}
END_TEST

static struct {
	unsigned n;
	struct co_log_line line;
	char message[CO_LOG_PART + 1];
} sunk;

static void sink(void *ctx, const struct co_log_line *line)
{
	ck_assert_ptr_eq(ctx, &sunk);
	sunk.n++;
	sunk.line = *line;
	(void) snprintf(sunk.message, sizeof(sunk.message), "%s", line->message);
	co_log(store, ERROR, "the sink has something to say itself");
}

START_TEST(the_sink_gets_every_line_but_its_own)
{
	co_log_sink(sink, &sunk);
	levels("warn");
	co_log(daemon, INFO, "off");
	co_log_session(health, WARN, 7, 8, "a \"b\"");
	co_log_sink(NULL, NULL);
	ck_assert_uint_eq(sunk.n, 1);
	ck_assert_str_eq(sunk.message, "a \\\"b\\\"");
	ck_assert_uint_eq(sunk.line.session, 7);
	ck_assert_int_eq(sunk.line.tid, 8);
	ck_assert_int_eq(sunk.line.level, CO_LOG_WARN);
	ck_assert_int_eq(sunk.line.subsystem, CO_LOG_health);
	ck_assert_uint_gt(sunk.line.at_us, 1700000000ULL * 1000000);
	ck_assert_ptr_nonnull(strstr(read_log(), "the sink has something"));
}
END_TEST

START_TEST(the_file_can_be_changed)
{
	int first = log_fd;

	co_log(daemon, INFO, "one");
	set_up();
	co_log(daemon, INFO, "two");
	ck_assert(strstr(read_log(), "two") && !strstr(text, "one"));
	ck_assert_int_eq(close(log_fd), 0);
	log_fd = first;
	ck_assert(strstr(read_log(), "one") && !strstr(text, "two"));
}
END_TEST

START_TEST(a_descriptor_that_is_none_is_refused)
{
	struct co_err err = { 0 };

	ck_assert_int_eq(co_log_to(-1, &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "cannot send the log"));
	co_log(daemon, INFO, "still there");
	ck_assert_ptr_nonnull(strstr(read_log(), "still there"));
}
END_TEST

START_TEST(lines_that_cannot_be_written_are_counted)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(full, 0);
	ck_assert_int_eq(co_log_to(full, NULL), 0);
	co_log(daemon, INFO, "one");
	co_log(daemon, INFO, "two");
	ck_assert_int_eq(co_log_to(log_fd, NULL), 0);
	co_log(daemon, INFO, "three");
	co_log(daemon, INFO, "four");
	ck_assert(matches(read_log(), "lost=2 message=\"three\""));
	ck_assert_uint_eq(count(text, "lost="), 1);
	ck_assert_int_eq(close(full), 0);
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
	struct stat st;
	char stream[64];

	ck_assert_int_eq(fstat(log_fd, &st), 0);
	(void) snprintf(stream, sizeof(stream), "%llu:%llu",
			(unsigned long long) st.st_dev, (unsigned long long) st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	ck_assert_int_eq(co_log_to(log_fd, NULL), 0);
	levels("debug");
	co_log(daemon, ERROR, "e");
	co_log(daemon, WARN, "w");
	co_log(daemon, INFO, "i");
	co_log(daemon, DEBUG, "d");
	ck_assert(matches(read_log(),
			  "^<3>" TIME " error [^\n]*\n<4>" TIME " warn [^\n]*\n<6>" TIME
			  " info [^\n]*\n<7>" TIME " debug [^\n]*\n$"));
	/* the variable is inherited by programs whose stream is another one */
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	ck_assert_int_eq(co_log_to(log_fd, NULL), 0);
	co_log(daemon, ERROR, "plain");
	ck_assert(matches(read_log(), "\n" TIME " error daemon message=\"plain\"\n$"));
}
END_TEST

START_TEST(one_entry_is_one_write)
{
	int pair[2];
	char packet[4096];
	ssize_t n;

	/* a SEQPACKET socket keeps writes apart */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair),
			 0);
	ck_assert_int_eq(co_log_to(pair[0], NULL), 0);
	co_log_session(daemon, INFO, 1, 2, "first");
	co_log(daemon, INFO, "second");
	n = recv(pair[1], packet, sizeof(packet) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	packet[n] = 0;
	ck_assert(matches(packet, "^" TIME " [^\n]*\"first\"\n$"));
	n = recv(pair[1], packet, sizeof(packet) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	packet[n] = 0;
	ck_assert(matches(packet, "^" TIME " [^\n]*\"second\"\n$"));
	ck_assert_int_eq(co_log_to(log_fd, NULL), 0);
	ck_assert_int_eq(close(pair[0]), 0);
	ck_assert_int_eq(close(pair[1]), 0);
}
END_TEST

START_TEST(errno_survives_and_can_be_told)
{
	int full;

	errno = ENOENT;
	co_log(daemon, INFO, "open: %m");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_nonnull(strstr(read_log(), "open: No such file"));
	/* even if the line could not be written */
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(co_log_to(full, NULL), 0);
	errno = ENOENT;
	co_log(daemon, INFO, "lost");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(close(full), 0);
}
END_TEST

#define THREADS 8
#define EACH    500

static void *log_many(void *arg)
{
	int32_t tid = *(const int32_t *) arg;

	for (int i = 0; i < EACH; i++) {
		co_log_session(notify, DEBUG, 1, tid, "line %d of %d", i, tid);
		log_again(CO_LOG_WARN);
	}
	return NULL;
}

START_TEST(threads_do_not_mix_their_lines)
{
	pthread_t threads[THREADS];
	int32_t ids[THREADS];
	char *save = NULL;
	unsigned lines = 0;

	levels("debug");
	/* appending, as the daemon opens its file: otherwise writes of threads overlap */
	ck_assert_int_eq(fcntl(log_fd, F_SETFL, O_APPEND), 0);
	for (int i = 0; i < THREADS; i++) {
		ids[i] = i + 1;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many, &ids[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	read_log();
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "\"again\""))
			continue;
		ck_assert_msg(matches(line,
				      "^" TIME " debug notify session=1 tid=[1-8] "
				      "message=\"line [0-9]+ of [1-8]\"$"),
			      "%s", line);
		lines++;
	}
	ck_assert_uint_eq(lines, THREADS * EACH);
}
END_TEST

static void add_writing(TCase *tc)
{
	tcase_add_test(tc, a_line_has_time_level_subsystem_and_message);
	tcase_add_test(tc, session_and_thread_stand_in_front_of_the_message);
	tcase_add_test(tc, a_guest_cannot_forge_a_line);
	tcase_add_test(tc, a_long_message_is_cut);
	tcase_add_test(tc, a_message_that_just_fits_is_whole);
	tcase_add_test(tc, one_entry_is_one_write);
	tcase_add_test(tc, errno_survives_and_can_be_told);
	tcase_add_test(tc, threads_do_not_mix_their_lines);
	tcase_add_test(tc, repeats_are_counted_instead_of_written);
	tcase_add_test(tc, the_next_second_tells_what_was_suppressed);
	tcase_add_test(tc, debug_entries_are_never_suppressed);
}

int main(void)
{
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	add_writing(tc);
	tcase_add_test(tc, levels_are_per_subsystem);
	tcase_add_test(tc, arguments_of_a_silent_entry_are_not_evaluated);
	tcase_add_test(tc, the_order_of_levels_does_not_matter);
	tcase_add_test(tc, wrong_levels_are_refused_with_what_there_is);
	tcase_add_test(tc, the_sink_gets_every_line_but_its_own);
	tcase_add_test(tc, the_file_can_be_changed);
	tcase_add_test(tc, a_descriptor_that_is_none_is_refused);
	tcase_add_test(tc, lines_that_cannot_be_written_are_counted);
	tcase_add_test(tc, the_journal_gets_priorities);
	return run_tests(tc);
}
