/* SPDX-License-Identifier: MIT */
/* Writing a container's log, and reading it at the same time.  HOST. */
#include "cloudosd/ctr/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "tests/run.h"

static char folder[64], path[80];

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/ctr-log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
}

static void teardown(void)
{
	char name[120];

	for (int n = 0; n < 120; n++) {
		snprintf(name, sizeof(name), n ? "%s/log.%d" : "%s/log", folder, n);
		(void) unlink(name); /* most are not there */
	}
	ck_assert_int_eq(rmdir(folder), 0); /* nothing else was made */
}

static struct ctr_log *opened(uint64_t bytes, unsigned files)
{
	struct ctr_log_options o = { .folder = folder,
				     .max_bytes = bytes,
				     .max_files = files };
	struct ctr_log *l = NULL;
	struct co_err err;

	if (ctr_log_open(&o, &l, &err) < 0)
		ck_abort_msg("%s", err.message);
	return l;
}

static void put(struct ctr_log *l, const char *text)
{
	ctr_log_write(l, CTR_STDOUT, text, strlen(text));
}

static struct ctr_log_reader *reader(int64_t tail, uint64_t since, bool follow)
{
	struct ctr_log_from from = {
		.path = path, .tail = tail, .since_ns = since, .follow = follow
	};
	struct ctr_log_reader *r = NULL;

	ck_assert_int_eq(ctr_log_reader_open(&from, &r, NULL), 0);
	return r;
}

/* All that there is now, "o:a line\n" for whole lines and "e:part+" for others. */
static const char *all(struct ctr_log_reader *r)
{
	static struct co_buf text;
	struct ctr_log_line line;

	co_buf_done(&text);
	co_buf_text(&text, "");
	while (ctr_log_reader_next(r, &line) == 0)
		co_buf_format(&text, "%c:%.*s%c", line.stream == CTR_STDOUT ? 'o' : 'e',
			      (int) line.text.size, line.text.data,
			      line.whole ? '\n' : '+');
	return text.data ? text.data : "";
}

static void expect(int64_t tail, const char *what)
{
	struct ctr_log_reader *r = reader(tail, 0, false);

	ck_assert_str_eq(all(r), what);
	ctr_log_reader_close(r);
}

static char *slurp(const char *name)
{
	FILE *f = fopen(name, "r");
	char *text = calloc(1, 1 << 20);

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
	fclose(f);
	return text;
}

START_TEST(a_line_has_time_stream_and_flag)
{
	struct ctr_log *l = opened(0, 0);
	time_t before = time(NULL);
	struct tm tm;
	char stream[8], flag, text[32];
	autofree char *got = NULL;

	memset(&tm, 0, sizeof(tm));
	put(l, "hello\n");
	ctr_log_close(l);
	got = slurp(path);
	ck_assert_ptr_nonnull(strptime(got, "%Y-%m-%dT%H:%M:%S", &tm));
	ck_assert_int_ge(timegm(&tm), before);
	ck_assert_int_le(timegm(&tm), time(NULL));
	ck_assert_int_eq(sscanf(got + 30, " %7s %c %31s", stream, &flag, text), 3);
	ck_assert_str_eq(stream, "stdout");
	ck_assert_int_eq(flag, 'F');
	ck_assert_str_eq(text, "hello");
	ck_assert_uint_eq(strlen(got), 40 + 6);
	ck_assert_int_eq(got[29], 'Z');
}
END_TEST

START_TEST(lines_are_put_together_from_pieces_and_streams_kept_apart)
{
	struct ctr_log *l = opened(0, 0);
	struct ctr_log_counts n;

	put(l, "on");
	ctr_log_write(l, CTR_STDERR, "bad", 3);
	put(l, "e\ntwo\n\nth");
	ctr_log_write(l, CTR_STDERR, " luck\n", 6);
	put(l, "ree");
	ctr_log_end(l, CTR_STDOUT);
	ctr_log_counts(l, &n);
	ck_assert_uint_eq(n.lines, 5);
	ck_assert_uint_eq(n.bytes, 23);
	ck_assert_uint_eq(n.lost, 0);
	ctr_log_close(l);
	expect(-1, "o:one\no:two\no:\ne:bad luck\no:three\n");
}
END_TEST

START_TEST(a_slow_line_is_written_in_parts)
{
	struct ctr_log *l = opened(0, 0);

	ck_assert_int_eq(ctr_log_due(l), -1);
	put(l, "password: ");
	ck_assert_int_ge(ctr_log_due(l), 0);
	ck_assert_int_le(ctr_log_due(l), 250);
	while (ctr_log_due(l) > 0)
		usleep((useconds_t) ctr_log_due(l) * 1000);
	expect(-1, "");
	ctr_log_tick(l);
	ck_assert_int_eq(ctr_log_due(l), -1);
	expect(-1, "o:password: +");
	put(l, "secret\n");
	expect(-1, "o:password: +o:secret\n");
	expect(1, "o:password: +o:secret\n");
	ctr_log_close(l);
}
END_TEST

START_TEST(a_long_line_is_written_in_parts_of_sixteen_kilobytes)
{
	struct ctr_log *l = opened(0, 0);
	struct ctr_log_reader *r;
	struct ctr_log_line line;
	static char text[40001];
	size_t sizes[] = { 16384, 16384, 40000 - 32768, 16384, 0 };
	bool whole[] = { false, false, true, false, true };

	memset(text, 'x', 40000);
	text[40000] = '\n';
	for (size_t at = 0; at < sizeof(text); at += 1000) /* in pieces */
		ctr_log_write(l, CTR_STDOUT, text + at,
			      at + 1000 < sizeof(text) ? 1000 : sizeof(text) - at);
	text[16384] = '\n';
	ctr_log_write(l, CTR_STDOUT, text, 16385);
	ctr_log_close(l);
	r = reader(-1, 0, false);
	for (size_t i = 0; i < co_countof(sizes); i++) {
		ck_assert_int_eq(ctr_log_reader_next(r, &line), 0);
		ck_assert_uint_eq(line.text.size, sizes[i]);
		ck_assert_int_eq(line.whole, whole[i]);
	}
	ck_assert_int_eq(ctr_log_reader_next(r, &line), 1);
	ctr_log_reader_close(r);
}
END_TEST

START_TEST(files_are_turned_over_by_size_and_the_oldest_goes)
{
	struct ctr_log *l = opened(200, 3);
	char name[120];
	struct stat st;

	for (int i = 0; i < 40; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%03d\n", i);
		put(l, text);
	}
	ctr_log_close(l);
	for (int n = 0; n < 3; n++) {
		snprintf(name, sizeof(name), n ? "%s/log.%d" : "%s/log", folder, n);
		ck_assert_int_eq(stat(name, &st), 0);
		ck_assert_int_le(st.st_size, 200);
	}
	snprintf(name, sizeof(name), "%s/log.3", folder);
	ck_assert_int_eq(stat(name, &st), -1);
	/* 44 bytes a line: four a file */
	expect(-1, "o:028\no:029\no:030\no:031\no:032\no:033\no:034\no:035\n"
		   "o:036\no:037\no:038\no:039\n");
	expect(5, "o:035\no:036\no:037\no:038\no:039\n");
	expect(0, "");
	l = opened(200, 1);
	put(l, "040\n");
	ctr_log_close(l);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 44); /* one file only: it begins anew */
}
END_TEST

START_TEST(since_leaves_out_what_is_older)
{
	struct ctr_log *l = opened(0, 0);
	struct ctr_log_reader *r;
	struct timespec now;

	put(l, "old\n");
	clock_gettime(CLOCK_REALTIME, &now);
	put(l, "new\n");
	ctr_log_close(l);
	r = reader(-1, (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec,
		   false);
	ck_assert_str_eq(all(r), "o:new\n");
	ctr_log_reader_close(r);
}
END_TEST

START_TEST(a_follower_sees_every_line_across_many_files)
{
	struct ctr_log_reader *r = reader(-1, 0, true);
	struct ctr_log *l;
	int seen = 0;

	ck_assert_str_eq(all(r), "");
	ck_assert_int_eq(ctr_log_reader_wait(r, 0), CO_TIMED_OUT);
	l = opened(1000, 4);
	for (int i = 0; i < 2000; i++) {
		char text[16], want[16];

		snprintf(text, sizeof(text), "%04d\n", i);
		put(l, text);
		if (i % 7 && i != 1999)
			continue;
		ck_assert_int_eq(ctr_log_reader_wait(r, 20000), 0);
		for (const char *at = all(r); at[0]; at += 7) {
			snprintf(want, sizeof(want), "o:%04d\n", seen++);
			ck_assert_int_eq(strncmp(at, want, 7), 0);
		}
		ck_assert_int_eq(seen, i + 1);
	}
	/* further behind than there are files: goes on with the oldest */
	for (int i = 0; i < 2000; i++)
		put(l, "flood\n");
	ck_assert_ptr_nonnull(strstr(all(r), "o:flood\n"));
	put(l, "end\n");
	ck_assert_str_eq(all(r), "o:end\n");
	ctr_log_close(l);
	ctr_log_reader_close(r);
}
END_TEST

START_TEST(a_torn_line_is_closed_and_passed_over)
{
	struct ctr_log *l = opened(0, 0);
	int fd;

	put(l, "one\n");
	ctr_log_close(l);
	fd = open(path, O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, "2026-11-20T12:00", 16), 16);
	close(fd);
	l = opened(0, 0);
	put(l, "two\n");
	ctr_log_close(l);
	expect(-1, "o:one\no:two\n");
}
END_TEST

START_TEST(what_a_full_disk_does_not_take_is_counted_and_told)
{
	struct rlimit small = { 1000, RLIM_INFINITY }, old;
	struct ctr_log *l = opened(0, 0);
	struct ctr_log_counts n;
	static char text[2001];
	struct stat st;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	put(l, "before\n");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	memset(text, 'x', 2000);
	text[2000] = '\n';
	ctr_log_write(l, CTR_STDOUT, text, sizeof(text));
	put(l, "fits\n");
	ctr_log_counts(l, &n);
	ck_assert_uint_eq(n.lost, sizeof(text));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	put(l, "after\n");
	ctr_log_counts(l, &n);
	ck_assert_uint_eq(n.lost, sizeof(text));
	ck_assert_int_eq(stat(path, &st), 0);
	ctr_log_close(l);
	expect(-1,
	       "o:before\ne:cloudos: 2001 bytes of output were lost\no:fits\no:after\n");
}
END_TEST

START_TEST(a_moved_file_is_opened_anew_when_asked)
{
	struct ctr_log *l = opened(0, 0);
	char name[120];

	put(l, "one\n");
	snprintf(name, sizeof(name), "%s/log.7", folder);
	ck_assert_int_eq(rename(path, name), 0);
	put(l, "two\n");
	ck_assert_int_eq(ctr_log_reopen(l, NULL), 0);
	put(l, "three\n");
	ctr_log_close(l);
	expect(-1, "o:three\n");
	ck_assert_int_eq(rename(name, path), 0);
	expect(-1, "o:one\no:two\n");
}
END_TEST

/* The writer is another process: what it has written by its end. */
static const char *written(void)
{
	static struct co_buf text;
	autofree char *got = slurp(path);

	co_buf_done(&text);
	co_buf_text(&text, got);
	return text.data ? text.data : "";
}

START_TEST(without_blocking_what_the_disk_is_too_slow_for_is_lost)
{
	struct ctr_log_options o = { .folder = folder, .non_blocking = true };
	struct ctr_log_counts n;
	struct ctr_log *l = NULL;
	static char text[30001];
	struct timespec from, to;
	pid_t writer;
	FILE *f;

	ck_assert_int_eq(ctr_log_open(&o, &l, NULL), 0);
	put(l, "first\n");
	while (!strstr(written(), "first\n"))
		usleep(1000);
	f = fopen("/proc/self/task/self/children", "r");
	if (!f) {
		char name[64];

		snprintf(name, sizeof(name), "/proc/self/task/%d/children", getpid());
		f = fopen(name, "r");
	}
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%d", &writer), 1);
	fclose(f);
	ck_assert_int_eq(kill(writer, SIGSTOP), 0); /* a disk that does nothing */
	memset(text, 'x', 30000);
	text[30000] = '\n';
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100; i++)
		ctr_log_write(l, CTR_STDOUT, text, sizeof(text));
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_int_lt(to.tv_sec - from.tv_sec, 5);
	ctr_log_counts(l, &n);
	ck_assert_uint_gt(n.lost, 0);
	ck_assert_uint_lt(n.lost, 100 * sizeof(text)); /* some waits */
	ck_assert_uint_eq(n.lines, 101);
	ck_assert_int_eq(kill(writer, SIGCONT), 0);
	while (!strstr(written(), "xxx"))
		usleep(1000);
	ctr_log_close(l);
	ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
	ck_assert_ptr_nonnull(strstr(written(), " bytes of output were lost\n"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ctr_log");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_line_has_time_stream_and_flag);
	tcase_add_test(tc, lines_are_put_together_from_pieces_and_streams_kept_apart);
	tcase_add_test(tc, a_slow_line_is_written_in_parts);
	tcase_add_test(tc, a_long_line_is_written_in_parts_of_sixteen_kilobytes);
	tcase_add_test(tc, files_are_turned_over_by_size_and_the_oldest_goes);
	tcase_add_test(tc, since_leaves_out_what_is_older);
	tcase_add_test(tc, a_follower_sees_every_line_across_many_files);
	tcase_add_test(tc, a_torn_line_is_closed_and_passed_over);
	tcase_add_test(tc, what_a_full_disk_does_not_take_is_counted_and_told);
	tcase_add_test(tc, a_moved_file_is_opened_anew_when_asked);
	tcase_add_test(tc, without_blocking_what_the_disk_is_too_slow_for_is_lost);
	return run_tests(tc);
}
