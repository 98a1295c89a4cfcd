/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The initial stack of an Anos program, from below: capc, caps, argc, argv; the
 * pointers of argv; the capabilities; the texts.  Called by guest_start.c.
 */
#include <personality/anos/guest_load.h>
#include <shim/rt/mem.h>

static uint64_t length_of(const char *text)
{
	uint64_t n = 0;

	while (text[n])
		n++;
	return n;
}

uint64_t anos_stack_make(const struct co_anos_start *start, uint64_t bottom,
			 uint64_t argc, char **argv)
{
	uint64_t text = 0, words = 4 + argc + 2 * start->capc, at, *word;
	char *to;

	for (uint64_t i = 0; i < argc; i++)
		text += length_of(argv[i]) + 1;
	words += words & 1;
	if (8 * words + text + CO_ANOS_PAGE > CO_ANOS_STACK_TOP - bottom)
		return 0;
	to = (char *) ((CO_ANOS_STACK_TOP - text) & ~15UL);
	at = (uint64_t) to - 8 * words;
	word = (uint64_t *) at;
	word[0] = start->capc;
	word[1] = start->capc ? (uint64_t) (word + 4 + argc) : 0;
	word[2] = argc;
	word[3] = (uint64_t) (word + 4);
	for (uint64_t i = 0; i < argc; i++) {
		uint64_t size = length_of(argv[i]) + 1;

		word[4 + i] = (uint64_t) to;
		memcpy(to, argv[i], size);
		to += size;
	}
	memcpy(word + 4 + argc, start->caps, start->capc * sizeof(start->caps[0]));
	return at;
}
