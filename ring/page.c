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
	TRY = 16      /* of those, one is compared */
};

_Static_assert(LINES == 64, "a bit for each");

/* 64-bit words that other threads may write meanwhile. */
typedef uint64_t word_of_others __attribute__((may_alias));

static uint64_t differences(const uint8_t *a, const uint8_t *b)
{
	const word_of_others *left = (const word_of_others *) a;
	const word_of_others *right = (const word_of_others *) b;
	uint64_t lines = 0;

	for (uint32_t line = 0; line < LINES; line++, left += 8, right += 8) {
		uint64_t differ = (left[0] ^ right[0]) | (left[1] ^ right[1]) |
				  (left[2] ^ right[2]) | (left[3] ^ right[3]) |
				  (left[4] ^ right[4]) | (left[5] ^ right[5]) |
				  (left[6] ^ right[6]) | (left[7] ^ right[7]);

		lines |= (uint64_t) (differ != 0) << line;
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
	lines = differences(known, buffer);
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
