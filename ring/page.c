/* SPDX-License-Identifier: MIT */
/*
 * Whole pages, there and back.  SHARED by guest and host.
 *
 * A page that travels from one processor to another costs a microsecond each way; to compare
 * two pages that are in the own cache costs a tenth of that.  So the sender leaves alone
 * what its page in the segment holds already, and the receiver sends back only lines that
 * differ from the request.  Where nearly everything changes each time comparing is wasted:
 * then it is but tried now and then.
 *
 * A receiver that lies about lines harms its caller no more than one that answers nonsense.
 */
#include <ring/words.h>

enum {
	LINE = 64,
	LINES = CO_RING_PAGE / LINE,
	MANY = 40,    /* lines changed of a page: it might as well be copied */
	SHORT = 8,    /* lines in a row for which a string instruction does not pay */
	CHANGING = 2, /* such pages in a row, and the next are copied */
	TRY = 16,     /* of those, one is compared */
	SAME = 0xffff /* all 16 bytes of a vector */
};

_Static_assert(LINES == 64, "a bit for each");

/* 64-bit words that other threads may write meanwhile. */
typedef uint64_t word_of_others __attribute__((may_alias));

/*
 * Borrows xmm0 to xmm3, as reading twice 4 KiB through general registers takes nearly twice
 * as long.  A compiler that may use them itself is told; guest code, whose compiler may not,
 * puts back what its program had there (ring.h).
 */
#ifdef __SSE2__
#define BORROWED "xmm0", "xmm1", "xmm2", "xmm3"
#else
#define BORROWED "memory"
#endif

/* xmm0 to xmm3: which bytes of a line are the same; then, of all four, in `same`. */
#define COMPARE(at, same)                                                              \
	"movdqu " #at "(%2), %%xmm0\n\t"                                               \
	"movdqu " #at "+16(%2), %%xmm1\n\t"                                            \
	"movdqu " #at "+32(%2), %%xmm2\n\t"                                            \
	"movdqu " #at "+48(%2), %%xmm3\n\t"                                            \
	"pcmpeqb " #at "(%3), %%xmm0\n\t"                                              \
	"pcmpeqb " #at "+16(%3), %%xmm1\n\t"                                           \
	"pcmpeqb " #at "+32(%3), %%xmm2\n\t"                                           \
	"pcmpeqb " #at "+48(%3), %%xmm3\n\t"                                           \
	"pand %%xmm1, %%xmm0\n\t"                                                      \
	"pand %%xmm3, %%xmm2\n\t"                                                      \
	"pand %%xmm2, %%xmm0\n\t"                                                      \
	"pmovmskb %%xmm0, " same "\n\t"

/* `known` is a page in a segment: aligned.  Two lines a turn. */
static uint64_t differences(const uint8_t *buffer, const uint8_t *known)
{
	typedef const uint8_t two_lines[2 * LINE];
	uint64_t lines = 0;

	for (uint32_t line = 0; line < LINES; line += 2) {
		const uint8_t *left = buffer + line * LINE;
		const uint8_t *right = known + line * LINE;
		uint32_t first, second;

		__asm__ volatile(COMPARE(0, "%0") COMPARE(64, "%1")
				 : "=&r"(first), "=&r"(second)
				 : "r"(left), "r"(right), "m"(*(two_lines *) left),
				   "m"(*(two_lines *) right)
				 : BORROWED);
		if (first != SAME)
			lines |= 1UL << line;
		if (second != SAME)
			lines |= 2UL << line;
	}
	return lines;
}

static void copy_line(uint8_t *to, const uint8_t *from)
{
	word_of_others *out = (word_of_others *) to;
	const word_of_others *in = (const word_of_others *) from;

	for (int i = 0; i < 8; i++)
		out[i] = in[i];
}

static void copy_lines(uint8_t *to, const uint8_t *from, uint64_t lines)
{
	while (lines) {
		uint32_t first = (uint32_t) __builtin_ctzl(lines);
		uint64_t gap = ~(lines >> first);
		uint32_t count = gap ? (uint32_t) __builtin_ctzl(gap) : LINES;
		uint8_t *out = to + first * LINE;
		const uint8_t *in = from + first * LINE;

		if (count > SHORT) {
			ring_copy(out, in, count * LINE);
		} else {
			for (uint32_t i = 0; i < count; i++)
				copy_line(out + i * LINE, in + i * LINE);
		}
		if (first + count >= LINES)
			return;
		lines &= ~0UL << (first + count);
	}
}

/*
 * Which lines of `buffer` to write, since they are not as in `known`.  A page that has to be
 * copied anyway is written whole.
 */
static uint64_t changed(uint32_t *changing, const uint8_t *known, const uint8_t *buffer)
{
	uint32_t before = ring_look(changing);
	uint64_t lines;

	if (before >= CHANGING && before % TRY) {
		ring_note(changing, before + 1);
		return ~0UL;
	}
	lines = differences(buffer, known);
	if (ring_bits(lines) > MANY) {
		ring_note(changing, before + 1);
		return ~0UL;
	}
	if (before)
		ring_note(changing, 0U);
	return lines;
}

void ring_page_post(struct ring_client *client, struct ring_call *call,
		    const uint8_t *buffer)
{
	copy_lines(call->page, buffer, changed(&client->changing, call->page, buffer));
}

void ring_page_answer(struct ring_reply *reply, const uint8_t *buffer)
{
	struct ring_server *server = reply->server;

	reply->lines =
		changed(&server->changing, server->client->pages[reply->slot], buffer);
	copy_lines(reply->page, buffer, reply->lines);
	reply->flags |= CO_RING_PAYLOAD | CO_RING_WHOLE;
	reply->size = CO_RING_PAGE;
}

void ring_page_back(uint8_t *buffer, const struct ring_answer *answer)
{
	copy_lines(buffer, answer->page, answer->lines);
}
