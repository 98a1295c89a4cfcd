/* SPDX-License-Identifier: MIT */
/*
 * anos-crowd: many at once, many times, and who does what it may not.
 *
 *	hub MEMBERS CALLS   starts that many processes; each says that it is there, all are
 *	                    answered when the last one has, and then all talk at once
 *	opens BEFORE COUNT  makes channels, sends to them and destroys them: BEFORE of them,
 *	                    then, when somebody has registered crowd::go, COUNT more
 *	thief               starts a process that answers messages which are not its own
 *	names               what cannot be registered; and names that are easily mistaken
 *	serve               answers whatever comes, on crowd::serve
 *	pester              asks crowd::serve until somebody has registered crowd::go
 *	suffer              the same with crowd::hostile, whatever it answers
 */
#include "check.h"
#include "system.h"

enum { HELLO = 1, ECHO, DONE, WRONG, STEAL, PAUSE_NS = 20000000, MEMBERS = 2000 };

PAGE_HERE;
static uint8_t received[PAGE] __attribute__((aligned(PAGE)));
static uint8_t stack[PAGE] __attribute__((aligned(PAGE)));
static uint64_t waiting[MEMBERS];
static volatile uint64_t channel;

static uint64_t number_of(const char *text)
{
	uint64_t n = 0;

	for (; *text; text++)
		n = n * 10 + (uint64_t) (*text - '0');
	return n;
}

static int equals(const char *one, const char *two)
{
	while (*one && *one == *two)
		one++, two++;
	return *one == *two;
}

static void end_if(int wrong, const char *what)
{
	if (!wrong)
		return;
	check(what, 0);
	kill_current_task();
}

/* ---- all at once ---- */

static int member(uint64_t calls)
{
	uint64_t *words = (uint64_t *) page;
	uint64_t hub = find_named_channel("crowd::hub").value;
	uint64_t me = send_message(hub, HELLO, 0, 0).value;
	int wrong = !me;

	for (uint64_t i = 0; i < calls && !wrong; i++) {
		words[0] = me;
		words[511] = i;
		wrong = send_message(hub, ECHO, PAGE, page).value != me + i + 1 ||
			words[0] != me + 1000 || words[511] != ~i;
	}
	send_message(hub, wrong ? WRONG : DONE, 0, 0);
	return 0;
}

static void start_members(uint64_t members, const char *calls)
{
	static const uint64_t tokens_for[] = { 1, 2, 8, 15, 16 };
	const char *const words[] = { "boot:/crowd.elf", "member", calls };

	for (uint64_t i = 0; i < members; i++)
		end_if(spawn(3, words, 5, tokens_for) <= 0, "a member is started");
}

static int hub(uint64_t members, const char *calls)
{
	uint64_t *words = (uint64_t *) received;
	uint64_t here = 0, done = 0, wrong = 0, echoes = 0, tag, size;

	end_if(members > MEMBERS, "so many members");
	channel = create_channel().value;
	register_channel_name(channel, "crowd::hub");
	start_members(members, calls);
	while (done < members) {
		struct result m = recv_message(channel, &tag, &size, received);
		uint64_t value = 1;

		end_if(m.type != OK, "a message is received");
		if (tag == HELLO) {
			waiting[here++] = m.value;
			for (uint64_t i = 0; here == members && i < members; i++)
				reply_message(waiting[i], i + 1);
			continue;
		}
		if (tag == ECHO) {
			echoes++;
			value = words[0] + words[511] + 1;
			words[0] += 1000;
			words[511] = ~words[511];
		} else {
			done++;
			wrong += tag == WRONG;
		}
		reply_message(m.value, value);
	}
	check("every answer is right", !wrong);
	check("every message has come", echoes == members * number_of(calls));
	return 0;
}

/* ---- again and again ---- */

enum { NO_MORE = 1 }; /* no channel's number */

static void serve_each(void)
{
	uint64_t last = 0;

	for (;;) {
		uint64_t tag, size, now = channel;
		struct result m;

		if (now == last) {
			task_sleep_current(0); /* lets others run */
			continue;
		}
		if (now == NO_MORE)
			kill_current_task();
		m = recv_message(now, &tag, &size, received);
		if (m.type == OK)
			reply_message(m.value, size + 1);
		last = now;
	}
}

static void open_and_close(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t made = create_channel().value;

		channel = made;
		page[0] = (uint8_t) i;
		end_if(send_message(made, 1, 8, page).value != 9, "an answer");
		end_if(destroy_channel(made).type != OK, "its end");
	}
}

static int opens(uint64_t before, uint64_t count)
{
	create_thread(serve_each, stack + PAGE - 8, NORMAL);
	open_and_close(before);
	kprint("before\n");
	while (!find_named_channel("crowd::go").value)
		task_sleep_current(PAUSE_NS);
	open_and_close(count);
	kprint("behind\n");
	while (find_named_channel("crowd::go").value)
		task_sleep_current(PAUSE_NS);
	channel = NO_MORE;
	return 0;
}

/* ---- answers of others ---- */

static volatile int64_t victim_type;
static volatile uint64_t victim_value;
static volatile int victim_done;

static void victim(void)
{
	struct result r = send_message(channel, ECHO, 0, 0);

	victim_value = r.value;
	victim_type = r.type;
	victim_done = 1;
	kill_current_task();
}

/* Asks for the cookie of a message that somebody else received, and answers it. */
static int steals(void)
{
	uint64_t *words = (uint64_t *) page;
	uint64_t parent = find_named_channel("crowd::victim").value;

	send_message(parent, STEAL, 8, page);
	is("another process answers", reply_message(words[0], 666), FAILURE, 0);
	is("and once more", reply_message(words[0], 666), FAILURE, 0);
	send_message(parent, DONE, 0, 0);
	return 0;
}

static int thief(void)
{
	static const uint64_t tokens_for[] = { 1, 2, 8, 10, 15, 16 };
	static const char *const words[] = { "boot:/crowd.elf", "steals" };
	uint64_t tag, size, theirs;

	channel = create_channel().value;
	register_channel_name(channel, "crowd::victim");
	create_thread(victim, stack + PAGE - 8, NORMAL);
	theirs = recv_message(channel, &tag, &size, received).value;
	end_if(spawn(2, words, 6, tokens_for) <= 0, "the thief is started");
	do {
		struct result m = recv_message(channel, &tag, &size, received);

		copy(received, &theirs, 8);
		reply_message(m.value, 1);
	} while (tag != DONE);
	check("who waits has heard nothing", !victim_done);
	is("who has received it answers", reply_message(theirs, 5), OK, theirs);
	while (!victim_done)
		task_sleep_current(PAUSE_NS);
	check("that is the answer", victim_type == OK && victim_value == 5);
	is("nobody answers twice", reply_message(theirs, 6), FAILURE, 0);
	return 0;
}

/* ---- names ---- */

/* The hash by which Anos knows a name. */
static uint64_t sdbm(const char *text)
{
	uint64_t hash = 0;

	while (*text)
		hash = (uint8_t) *text++ + (hash << 6) + (hash << 16) - hash;
	return hash;
}

static void put_name(char *to, uint64_t number)
{
	copy(to, "crowd::name00000", 17);
	for (int i = 15; number; i--, number /= 10)
		to[i] = (char) ('0' + number % 10);
}

static int names(void)
{
	static const char *const twins[] = { "!C((-I1\"6]j", "#8]r>r0*>D2",
					     "#=WXLY`{T&)", "#ZzjfCG%TbD" };
	static char huge[65536 + 1];
	uint64_t vfs = find_named_channel("SYSTEM::VFS").value, made[4];
	uint64_t registered = 0, wrong = 0, many;
	char name[17];

	for (int i = 0; i < 4; i++) {
		made[i] = create_channel().value;
		wrong |= sdbm(twins[i]) != sdbm("SYSTEM::VFS");
		wrong |= register_channel_name(made[i], twins[i]).type != OK;
	}
	check("names with the hash of SYSTEM::VFS are registered", !wrong);
	is("SYSTEM::VFS is what it was", find_named_channel("SYSTEM::VFS"), OK, vfs);
	for (int i = 0; i < 4; i++)
		wrong |= find_named_channel(twins[i]).value != made[i];
	check("each of them is found", !wrong);
	is("one is removed", remove_channel_name(twins[0]), OK, 0);
	check("and it alone", !find_named_channel(twins[0]).value &&
				      find_named_channel(twins[1]).value == made[1] &&
				      find_named_channel("SYSTEM::VFS").value == vfs);

	for (int i = 0; i < 65536; i++)
		huge[i] = 'x';
	is("a name of 64 KiB is its first 255 bytes",
	   register_channel_name(made[0], huge), OK, 0);
	huge[255] = 0;
	is("by these it is found", find_named_channel(huge), OK, made[0]);
	is("an empty name", register_channel_name(made[0], ""), BAD_NUMBER, 0);
	is("is not found", find_named_channel(""), OK, 0);

	many = create_channel().value;
	for (uint64_t i = 0; i < 10000; i++) {
		put_name(name, i);
		registered +=
			register_channel_name(i % 2 ? many : made[0], name).type == OK;
		wrong |= i < 900 && registered != i + 1;
	}
	check("of 10 000 names some are registered",
	      registered > 900 && registered < 10000);
	for (uint64_t i = 0; i < 10000; i++) {
		uint64_t found;

		put_name(name, i);
		found = find_named_channel(name).value;
		wrong |=
			i < registered ? found != (i % 2 ? many : made[0]) : found != 0;
	}
	check("these are found, and no others", !wrong);
	destroy_channel(many);
	put_name(name, 1);
	is("its channel is gone, and a name with it", find_named_channel(name), OK, 0);
	put_name(name, 2);
	is("another is not", find_named_channel(name), OK, made[0]);
	return 0;
}

/* ---- for those who write what they like ---- */

enum { SERVE_TIMES = 3, MANY = 1000, GUARD = 0x5a };

static _Noreturn void serve(void)
{
	uint64_t tag, size;

	channel = create_channel().value;
	register_channel_name(channel, "crowd::serve");
	kprint("serves\n");
	for (;;) {
		struct result m = recv_message(channel, &tag, &size, received);

		end_if(m.type != OK, "a message is received");
		end_if(size > PAGE, "a message has a page at most");
		received[7]++;
		reply_message(m.value, tag * SERVE_TIMES);
	}
}

static int pester(void)
{
	uint64_t hub = find_named_channel("crowd::serve").value, wrong = 0, calls = 0;

	kprint("pesters\n");
	while (!find_named_channel("crowd::go").value)
		for (int i = 0; i < MANY; i++) {
			page[7] = (uint8_t) ++calls;
			page[PAGE - 1] = (uint8_t) i;
			wrong += send_message(hub, calls, PAGE, page).value !=
					 calls * SERVE_TIMES ||
				 page[7] != (uint8_t) (calls + 1) ||
				 page[PAGE - 1] != (uint8_t) i;
		}
	check("every answer is right", !wrong && calls);
	return 0;
}

static int suffer(void)
{
	static uint8_t pages[3][PAGE] __attribute__((aligned(PAGE)));
	int wrong = 0, begun = 0;

	for (int i = 0; i < PAGE; i++)
		pages[0][i] = pages[2][i] = GUARD;
	while (!find_named_channel("crowd::go").value) {
		uint64_t hostile = find_named_channel("crowd::hostile").value;

		if (hostile && !begun++)
			kprint("suffers\n");
		if (!hostile || send_message(hostile, 1, PAGE, pages[1]).type != OK)
			task_sleep_current(PAUSE_NS);
	}
	for (int i = 0; i < PAGE; i++)
		wrong |= pages[0][i] != GUARD || pages[2][i] != GUARD;
	check("nothing but the page of the message has changed", begun && !wrong);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (equals(what, "hub") && argc == 4)
		return hub(number_of(argv[2]), argv[3]);
	if (equals(what, "member") && argc == 3)
		return member(number_of(argv[2]));
	if (equals(what, "opens") && argc == 4)
		return opens(number_of(argv[2]), number_of(argv[3]));
	if (equals(what, "thief"))
		return thief();
	if (equals(what, "steals"))
		return steals();
	if (equals(what, "names"))
		return names();
	if (equals(what, "serve"))
		serve();
	if (equals(what, "pester"))
		return pester();
	if (equals(what, "suffer"))
		return suffer();
	check("the arguments are known", 0);
	return 1;
}
