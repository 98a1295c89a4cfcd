/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: whoever follows a pointer of a guest, over pages that are there, are not, or
 * come and go meanwhile.  HOST.  The shim's reading and writing (shim/memory.c) and the
 * daemon's (cloudosd/memory.c), of this process, against a model: the right bytes, or
 * EFAULT; never a crash.
 *
 * Input: a byte of flags, two bytes with two bits for each of eight pages, then operations
 * of six bytes: which, offset, size, a byte.  What is read is the input itself, again and
 * again, so that strings and lists end where it has zeros.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cloudosd/daemon.h"
#include "cloudosd/link.h"
#include "cloudosd/member.h"
#include "cloudosd/memory.h"
#include "shim/shim.h"
#include "tests/fuzz/target.h"

#define TORN      1 /* a page comes and goes while others are at work */
#define THREADS   2 /* the shim has been told of several threads: it remembers nothing */
#define PAGE      4096UL
#define PAGES     8UL
#define SIZE      (PAGES * PAGE)
#define TORN_PAGE 3
#define PLACE     0x450000000000UL /* where nobody else maps anything */
#define OPERATION 6U
#define MOST      64 /* operations */

enum state { WRITABLE, READABLE, CLOSED, ABSENT };

struct shim_state shim; /* of the code under test */

static struct {
	unsigned char bytes[SIZE]; /* what must be there */
	enum state states[PAGES];
	unsigned char got[SIZE + PAGE];
	atomic_bool over;
	bool torn;
} model;

static unsigned char *const memory = (unsigned char *) PLACE;

static void demand(bool good)
{
	if (!good)
		abort();
}

/* ---- the daemon's way where it may look itself ---- */

/* Nobody looks for it: this process may be read. */
struct link *member_link(struct co_call *call)
{
	(void) call;
	abort();
}

struct link *link_ref(struct link *l)
{
	(void) l;
	abort();
}

struct link *link_unref(struct link *l)
{
	return l;
}

size_t link_chunk(const struct link *l)
{
	(void) l;
	abort();
}

int link_memory_read(struct link *l, int32_t tid, struct co_guest_ptr from, void *out,
		     size_t n)
{
	(void) l, (void) tid, (void) from, (void) out, (void) n;
	abort();
}

int link_memory_write(struct link *l, int32_t tid, struct co_guest_ptr to,
		      const void *data, size_t n)
{
	(void) l, (void) tid, (void) to, (void) data, (void) n;
	abort();
}

/* ---- pages ---- */

static void set_page(size_t page, enum state state)
{
	static const int rights[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };
	void *at = memory + page * PAGE;

	if (model.states[page] == ABSENT && state != ABSENT) {
		demand(mmap(at, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
		memcpy(at, model.bytes + page * PAGE, PAGE);
	}
	demand((state == ABSENT ? munmap(at, PAGE)
				: mprotect(at, PAGE, rights[state])) == 0);
	model.states[page] = state;
	shim_forget_pages(); /* as the handlers of such calls do */
}

static void *tears(void *unused)
{
	void *at = memory + TORN_PAGE * PAGE;

	while (!atomic_load(&model.over)) {
		demand(mprotect(at, PAGE, PROT_NONE) == 0);
		demand(mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0);
	}
	return unused;
}

/* Are those all there?  Wherever it is torn, both answers are right. */
enum answer { NO, YES, EITHER };

static enum answer there(uint64_t offset, uint64_t size, bool to_write)
{
	enum answer answer = YES;

	if (offset > SIZE || size > SIZE - offset)
		return NO; /* behind the last page there is nothing */
	for (uint64_t page = offset / PAGE; size && page <= (offset + size - 1) / PAGE;
	     page++) {
		if (model.torn && page == TORN_PAGE)
			answer = answer == NO ? NO : EITHER;
		else if (model.states[page] > (to_write ? WRITABLE : READABLE))
			answer = NO;
	}
	return answer;
}

static void demand_answer(enum answer answer, int result, int fault)
{
	demand(result == 0 || result == fault);
	demand(answer == EITHER || (result == 0) == (answer == YES));
}

/* ---- operations ---- */

static void reads(int (*f)(void *, uint64_t, size_t), uint64_t offset, size_t size)
{
	int result = f(model.got, PLACE + offset, size);

	demand_answer(there(offset, size, false), result, -EFAULT);
	if (result == 0 && size)
		demand(!memcmp(model.got, model.bytes + offset, size));
}

/* A write that fails may have written a part. */
static void look_again(uint64_t offset, size_t size)
{
	for (size_t page = offset / PAGE; page < PAGES && page * PAGE < offset + size;
	     page++)
		if (model.states[page] <= READABLE)
			memcpy(model.bytes + page * PAGE, memory + page * PAGE, PAGE);
}

static void writes(int (*f)(uint64_t, const void *, size_t), uint64_t offset,
		   size_t size, unsigned char byte)
{
	int result;

	if (model.torn)
		return; /* what is there could not be told */
	memset(model.got, byte, size);
	result = f(PLACE + offset, model.got, size);
	demand_answer(there(offset, size, true), result, -EFAULT);
	if (result != 0)
		look_again(offset, size);
	else
		memcpy(model.bytes + offset, model.got, size);
}

/* As one who reads byte by byte: the length with its end, or the error. */
static long string(uint64_t offset, size_t size, long fault, long too_long)
{
	for (size_t n = 0; n < size; n++) {
		if (there(offset + n, 1, false) == NO)
			return fault;
		if (model.bytes[offset + n] == 0)
			return (long) n + 1;
	}
	return too_long;
}

/* May the torn page be met on the way? */
static bool meets(uint64_t offset, size_t size)
{
	return model.torn && offset < (TORN_PAGE + 1) * PAGE &&
	       offset + size > TORN_PAGE * PAGE;
}

static void reads_string(uint64_t offset, size_t size)
{
	long wanted = string(offset, size, -EFAULT, -ENAMETOOLONG);
	long got = shim_read_string((char *) model.got, PLACE + offset, size);

	demand(got == wanted || (meets(offset, size) && got == -EFAULT));
	if (got > 0)
		demand(!memcmp(model.got, model.bytes + offset, (size_t) got));
}

static void reads_words(uint64_t offset)
{
	uint64_t words[SHIM_WORDS], word;
	bool ended = false;

	while (!ended) {
		int n = shim_read_words(words, PLACE + offset, &ended);

		if (n < 0) {
			/* the page of the first word is missing, or that behind it */
			demand(n == -EFAULT && there(offset, 8, false) != YES);
			return;
		}
		demand(n <= SHIM_WORDS && there(offset, (uint64_t) n * 8, false));
		demand(!memcmp(words, model.bytes + offset, (size_t) n * 8));
		offset += (uint64_t) n * 8;
		if (ended) {
			memcpy(&word, model.bytes + offset, 8);
			demand(word == 0);
		} else
			demand(n > 0);
	}
}

static void daemon_reads(struct co_call *call, uint64_t offset, size_t size)
{
	struct co_guest_ptr from = { PLACE + offset };
	int result = memory_read(call, from, model.got, size);

	demand_answer(there(offset, size, false), result, CO_FAULT);
	if (result == 0 && size)
		demand(!memcmp(model.got, model.bytes + offset, size));
}

static void daemon_reads_string(struct co_call *call, uint64_t offset, size_t size)
{
	struct co_guest_ptr from = { PLACE + offset };
	long wanted = string(offset, size, CO_FAULT, CO_NAME_TOO_LONG);
	int got = memory_read_string(call, from, (char *) model.got, size);

	demand(got == (wanted > 0 ? 0 : wanted) ||
	       (meets(offset, size) && got == CO_FAULT));
	if (got == 0)
		demand(!memcmp(model.got, model.bytes + offset, (size_t) wanted));
}

static void daemon_writes(struct co_call *call, uint64_t offset, size_t size,
			  unsigned char byte)
{
	struct co_guest_ptr to = { PLACE + offset };
	int result;

	if (model.torn)
		return;
	memset(model.got, byte, size);
	result = memory_write(call, to, model.got, size);
	demand_answer(there(offset, size, true), result, CO_FAULT);
	if (result != 0)
		look_again(offset, size);
	else
		memcpy(model.bytes + offset, model.got, size);
}

/* Where no page of anybody can be: nothing but an error comes of it. */
static void nowhere(struct co_call *call, unsigned char which, size_t size)
{
	static const uint64_t places[] = { 0,
					   8,
					   UINT64_MAX,
					   UINT64_MAX - 4095,
					   1UL << 63,
					   0x7ffffffff000,
					   0x800000000000,
					   PLACE - 1 };
	uint64_t at = places[which % 8];
	struct co_guest_ptr there_not = { at };
	bool ended;

	size = size % 4000 + 1;
	demand(shim_read(model.got, at, size) == -EFAULT);
	demand(shim_peek(model.got, at, size) == -EFAULT);
	demand(shim_read_words((uint64_t *) (void *) model.got, at, &ended) == -EFAULT);
	demand(shim_read_string((char *) model.got, at, size) == -EFAULT);
	demand(memory_read(call, there_not, model.got, size) == CO_FAULT);
	demand(memory_read_string(call, there_not, (char *) model.got, size) ==
	       CO_FAULT);
	memset(model.got, 0, size);
	demand(shim_write(at, model.got, size) == -EFAULT);
	demand(shim_poke(at, model.got, size) == -EFAULT);
	demand(memory_write(call, there_not, model.got, size) == CO_FAULT);
}

static void operation(struct co_call *call, const uint8_t *input)
{
	uint64_t offset = (input[1] | (uint64_t) input[2] << 8) % SIZE;
	size_t size = (input[3] | (size_t) input[4] << 8) % (SIZE + 1);

	if (size > SIZE - offset + PAGE)
		size = SIZE - offset + PAGE; /* a page behind, where nothing is */
	switch (input[0] % 12) {
	case 0:
		reads(shim_read, offset, size);
		break;
	case 1:
		reads(shim_peek, offset, size);
		break;
	case 2:
		reads(shim_peek, offset, size % 64); /* what it is for */
		break;
	case 3:
		writes(shim_write, offset, size, input[5]);
		break;
	case 4:
		writes(shim_poke, offset, size % 64, input[5]);
		break;
	case 5:
		reads_string(offset, size);
		break;
	case 6:
		reads_words(offset);
		break;
	case 7:
		daemon_reads(call, offset, size);
		break;
	case 8:
		daemon_reads_string(call, offset, size);
		break;
	case 9:
		daemon_writes(call, offset, size, input[5]);
		break;
	case 10:
		nowhere(call, input[5], size);
		break;
	default:
		if (!model.torn || offset / PAGE != TORN_PAGE)
			set_page(offset / PAGE, input[5] % 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session session; /* which may be looked into */
	struct co_call call = { .session = &session, .tid = gettid() };
	pthread_t thread;

	if (size < 3)
		return 0;
	model.torn = data[0] & TORN;
	shim.threads = data[0] & (TORN | THREADS);
	for (size_t i = 0; i < SIZE; i++)
		model.bytes[i] = data[i % size];
	for (size_t page = 0; page < PAGES; page++) {
		unsigned bits = data[1 + page / 4] >> page % 4 * 2 & 3;

		model.states[page] = ABSENT;
		set_page(page, model.torn && page == TORN_PAGE ? WRITABLE : bits);
	}
	atomic_store(&model.over, false);
	if (model.torn)
		demand(pthread_create(&thread, NULL, tears, NULL) == 0);
	for (size_t n = 3; n + OPERATION <= size && n < 3 + MOST * OPERATION;
	     n += OPERATION)
		operation(&call, data + n);
	atomic_store(&model.over, true);
	if (model.torn)
		demand(pthread_join(thread, NULL) == 0);
	demand(munmap(memory, SIZE) == 0);
	return 0;
}
