/* SPDX-License-Identifier: MIT */
/* Messages of a container's monitor, its exit record, detach keys.  HOST. */
#include "cloudosd/ctr/control.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/ctr/control_inside.h"
#include "lib/cleanup.h"
#include "tests/run.h"

static struct ctr_message message; /* too large for a stack */

/* What the keys leave of the text; *left: did it find them? */
static const char *fed(const char *keys, const char *text, size_t step, bool *left)
{
	static char out[256];
	struct ctr_detach d;
	autobuf struct co_buf b = { 0 };

	ck_assert_int_eq(ctr_detach_init(&d, keys, NULL), 0);
	*left = false;
	for (size_t at = 0; at < strlen(text) && !*left; at += step)
		*left = ctr_detach_feed(&d, text + at, strnlen(text + at, step), &b);
	snprintf(out, sizeof(out), "%.*s", (int) b.size, b.data ? b.data : "");
	return out;
}

START_TEST(detach_keys_are_found_wherever_the_input_is_cut)
{
	bool left;

	for (size_t step = 1; step < 8; step++) {
		ck_assert_str_eq(fed("ctrl-p,ctrl-q", "ab\x10\x11zz", step, &left),
				 "ab");
		ck_assert(left);
		ck_assert_str_eq(
			fed("ctrl-p,ctrl-q", "a\x10x\x11\x10\x10\x11", step, &left),
			"a\x10x\x11\x10");
		ck_assert(left);
		ck_assert_str_eq(fed("a,a,b", "aaab", step, &left), "a");
		ck_assert(left);
		ck_assert_str_eq(fed("a,b,a,c", "ababac", step, &left), "ab");
		ck_assert(left);
		ck_assert_str_eq(fed("a,b", "a", step, &left), "");
		ck_assert(!left);
		ck_assert_str_eq(fed("", "a\x10\x11", step, &left), "a\x10\x11");
		ck_assert(!left);
	}
}
END_TEST

START_TEST(wrong_detach_keys_are_refused)
{
	struct ctr_detach d;
	struct co_err err;

	ck_assert_int_eq(ctr_detach_init(&d, "ctrl-", &err), CO_INVALID);
	ck_assert_int_eq(ctr_detach_init(&d, "ctrl-1", &err), CO_INVALID);
	ck_assert_int_eq(ctr_detach_init(&d, "ab", &err), CO_INVALID);
	ck_assert_int_eq(ctr_detach_init(&d, "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", &err),
			 CO_TOO_BIG);
	ck_assert_int_eq(ctr_detach_init(&d, ",", &err), 0);
	ck_assert_uint_eq(d.keys[0], ',');
}
END_TEST

START_TEST(an_exit_record_comes_back_as_it_was_saved)
{
	char folder[] = "/tmp/ctr-control.XXXXXX", path[64];
	struct ctr_exit e = { .code = 137,
			      .signal = 9,
			      .oom_killed = true,
			      .started = 1700000000123,
			      .finished = 1700000000999,
			      .error = "no \"sh\"\n" };
	struct ctr_exit got;
	struct co_err err;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 1);
	ck_assert_int_eq(ctr_exit_save(folder, &e, &err), 0);
	e.code = 3;
	e.signal = 0;
	ck_assert_int_eq(ctr_exit_save(folder, &e, &err), 0);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 0);
	ck_assert_int_eq(got.code, 3);
	ck_assert_int_eq(got.signal, 0);
	ck_assert(got.oom_killed);
	ck_assert_uint_eq(got.started, e.started);
	ck_assert_uint_eq(got.finished, e.finished);
	ck_assert_str_eq(got.error, e.error);
	snprintf(path, sizeof(path), "%s/exit.json", folder);
	ck_assert_int_eq(truncate(path, 7), 0);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), CO_CORRUPT);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left in it */
	ck_assert_int_lt(ctr_exit_save(folder, &e, &err), 0);
}
END_TEST

START_TEST(a_reserved_record_is_none_until_it_is_written_and_outlives_a_lost_name)
{
	char folder[] = "/tmp/ctr-control.XXXXXX", path[64], reserved[64];
	struct ctr_exit e = { .code = 3, .started = 1, .finished = 2 }, got;
	struct co_err err;
	int fd = -1;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/exit.json", folder);
	snprintf(reserved, sizeof(reserved), "%s/.exit.json.new", folder);
	ck_assert_int_eq(ctr_exit_save(folder, &e, &err), 0);
	ck_assert_int_eq(ctr_exit_reserve(folder, &fd, &err), 0);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 1); /* not the old one */
	e.code = 4;
	ck_assert_int_eq(ctr_exit_write(folder, fd, &e), 0);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 0);
	ck_assert_int_eq(got.code, 4);
	/* what a disk has when the machine ends before the rename is on it */
	ck_assert_int_eq(rename(path, reserved), 0);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 0);
	ck_assert_int_eq(got.code, 4);
	ctr_exit_unreserve(folder, &fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(ctr_exit_load(folder, &got, &err), 1);
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_lt(ctr_exit_reserve(folder, &fd, &err), 0);
}
END_TEST

static void answer(int fd, const char *text)
{
	ck_assert_int_eq(ctr_control_packet(fd, -1, text, strlen(text), NULL), 0);
}

START_TEST(messages_are_told_apart)
{
	int mine, monitors;

	ck_assert_int_eq(ctr_control_pair(&mine, &monitors, NULL), 0);
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), 1);
	answer(monitors, "{\"tag\":7,\"ok\":true,\"state\":\"running\",\"pid\":12}");
	answer(monitors,
	       "{\"tag\":8,\"ok\":false,\"code\":\"NOT_TTY\",\"message\":\"no\"}");
	answer(monitors, "{\"event\":\"oom\",\"kills\":2}");
	ck_assert_int_eq(ctr_control_packet(monitors, 2, "hi", 2, NULL), 0);
	answer(monitors, "{\"what\":1}");
	answer(monitors, "[]");

	struct ctr_status s;
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), 0);
	ck_assert_int_eq(message.kind, CTR_REPLY);
	ck_assert_uint_eq(message.tag, 7);
	ck_assert_int_eq(message.status, 0);
	ck_assert(ctr_status_parse(message.json, &s));
	ck_assert_int_eq(s.state, CTR_RUNNING);
	ck_assert_int_eq(s.pid, 12);
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), 0);
	ck_assert_int_eq(message.status, CO_NOT_TTY);
	ck_assert_str_eq(message.failed.message, "no");
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), 0);
	ck_assert_int_eq(message.kind, CTR_EVENT);
	ck_assert_str_eq(message.event, "oom");
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), 0);
	ck_assert_int_eq(message.kind, CTR_ERROR_OUTPUT);
	ck_assert_uint_eq(message.data.size, 2);
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), CO_PROTOCOL);
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), CO_PROTOCOL);
	close(monitors);
	ck_assert_int_eq(ctr_control_receive(mine, &message, NULL), CO_GONE);
	close(mine);
}
END_TEST

START_TEST(a_call_gets_its_own_reply_or_says_why_not)
{
	autobuf struct co_buf out = { 0 };
	char got[128];
	struct co_err err;
	int mine, monitors;
	ssize_t n;

	ck_assert_int_eq(ctr_control_pair(&mine, &monitors, NULL), 0);
	ck_assert_int_eq(
		ctr_control_call(mine, "signal", "\"signal\":15", 20, &out, &err),
		CO_TIMED_OUT);
	n = recv(monitors, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = 0;
	ck_assert_str_eq(got, "{\"op\":\"signal\",\"tag\":4294967297,\"signal\":15}");
	/* late, and then that of the second */
	answer(monitors, "{\"tag\":4294967297,\"ok\":true,\"late\":1}");
	answer(monitors, "{\"event\":\"started\"}");
	answer(monitors, "{\"tag\":4294967298,\"ok\":true,\"x\":1}");
	ck_assert_int_eq(ctr_control_call(mine, "status", "", 20000, &out, &err), 0);
	ck_assert_str_eq(out.data, "{\"tag\":4294967298,\"ok\":true,\"x\":1}");
	close(monitors);
	ck_assert_int_eq(ctr_control_call(mine, "status", "", 20000, &out, &err),
			 CO_GONE);
	close(mine);
}
END_TEST

START_TEST(what_does_not_fit_or_is_not_read_is_refused)
{
	static char large[CO_LIMIT_CTR_MESSAGE];
	int mine, monitors, rc;

	ck_assert_int_eq(ctr_control_pair(&mine, &monitors, NULL), 0);
	ck_assert_int_eq(ctr_control_input(mine, large, sizeof(large), NULL),
			 CO_TOO_BIG);
	for (int i = 0; i < 10000; i++) {
		rc = ctr_control_input(mine, large, sizeof(large) - 1, NULL);
		if (rc < 0)
			break;
	}
	ck_assert_int_eq(rc, CO_BUSY);
	close(mine);
	close(monitors);
}
END_TEST

START_TEST(a_monitor_is_reached_below_a_long_path)
{
	char folder[300], *at;
	struct co_err err;
	int listener, fd;

	snprintf(folder, sizeof(folder), "/tmp/ctr-control.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	at = folder + strlen(folder);
	ck_assert_int_eq(ctr_control_connect("/tmp/none-such", &fd, &err), CO_GONE);
	ck_assert_int_eq(ctr_control_connect(folder, &fd, &err), CO_GONE);
	*at = '/';
	memset(at + 1, 'x', 200);
	at[201] = 0;
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(ctr_control_listen(folder, &listener, &err), 0);
	ck_assert_int_eq(ctr_control_connect(folder, &fd, &err), 0);
	close(fd);
	close(listener);
	ck_assert_int_eq(ctr_control_connect(folder, &fd, &err), CO_GONE);
	ck_assert_int_eq(ctr_control_listen(folder, &listener, &err), 0); /* again */
	close(listener);
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(unlink("ctl.sock"), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	*at = 0;
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ctr_control");

	tcase_add_test(tc, detach_keys_are_found_wherever_the_input_is_cut);
	tcase_add_test(tc, wrong_detach_keys_are_refused);
	tcase_add_test(tc, an_exit_record_comes_back_as_it_was_saved);
	tcase_add_test(
		tc,
		a_reserved_record_is_none_until_it_is_written_and_outlives_a_lost_name);
	tcase_add_test(tc, messages_are_told_apart);
	tcase_add_test(tc, a_call_gets_its_own_reply_or_says_why_not);
	tcase_add_test(tc, what_does_not_fit_or_is_not_read_is_refused);
	tcase_add_test(tc, a_monitor_is_reached_below_a_long_path);
	return run_tests(tc);
}
