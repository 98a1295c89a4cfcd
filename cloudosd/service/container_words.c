/* SPDX-License-Identifier: MIT */
/* A line as words, as a shell has it; names of signals; names of containers.  HOST. */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <co/limits.h>

#include "cloudosd/service/container_config.h"
#include "lib/cleanup.h"

void container_words_free(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

/* One word from *at on, without quotes.  false: one is not closed. */
static bool take_word(const char **at, const char *end, struct co_buf *out)
{
	char quote = 0;

	for (; *at < end && (quote || !isspace((unsigned char) **at)); (*at)++) {
		char c = **at;

		if (c == '\\' && quote != '\'' && *at + 1 < end) {
			char next = (*at)[1];

			if (quote && !strchr("\"\\$`", next))
				co_buf_char(out, c);
			co_buf_char(out, next);
			(*at)++;
		} else if (quote && c == quote) {
			quote = 0;
		} else if (!quote && (c == '"' || c == '\'')) {
			quote = c;
		} else {
			co_buf_char(out, c);
		}
	}
	return !quote;
}

int container_words(struct co_span line, char ***out, size_t *out_count,
		    struct co_err *err)
{
	const char *at = line.data, *end = line.data + line.size;
	char **words = calloc(CO_LIMIT_CONTAINER_WORDS + 1, sizeof(char *));
	size_t n = 0, size;

	if (!words)
		return co_fail(err, CO_NO_MEMORY, "no memory for a command");
	for (;;) {
		struct co_buf word = { 0 };

		while (at < end && isspace((unsigned char) *at))
			at++;
		if (at == end)
			break;
		if (n == CO_LIMIT_CONTAINER_WORDS || !take_word(&at, end, &word)) {
			co_buf_done(&word);
			container_words_free(words);
			return co_fail(err, CO_INVALID,
				       n == CO_LIMIT_CONTAINER_WORDS
					       ? "command has too many words"
					       : "command has a quote that is not "
						 "closed");
		}
		co_buf_text(&word, ""); /* an empty word is one */
		words[n] = word.data ? co_buf_take(&word, &size) : strdup("");
		if (!words[n++]) {
			container_words_free(words);
			return co_fail(err, CO_NO_MEMORY, "no memory for a command");
		}
	}
	*out = words;
	*out_count = n;
	return 0;
}

bool container_name_is_good(struct co_span name)
{
	bool digits = true;

	if (!name.size || name.size >= CONTAINER_NAME ||
	    !isalnum((unsigned char) *name.data))
		return false;
	for (size_t i = 0; i < name.size; i++) {
		unsigned char c = (unsigned char) name.data[i];

		if (c >= 0x80 || (!isalnum(c) && !strchr("_.-", c)))
			return false;
		digits &= isdigit(c) != 0;
	}
	return !digits;
}

int container_signal(struct co_span text)
{
	char name[16] = "", *end;
	long number;

	if (!text.size || text.size >= sizeof(name))
		return 0;
	for (size_t i = 0; i < text.size; i++)
		name[i] = (char) toupper((unsigned char) text.data[i]);
	number = strtol(name, &end, 10);
	if (!*end)
		return number > 0 && number < NSIG ? (int) number : 0;
	if (strncmp(name, "SIG", 3) != 0) {
		memmove(name + 3, name, sizeof(name) - 3);
		memcpy(name, "SIG", 3);
		name[sizeof(name) - 1] = '\0';
	}
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcmp(known, name + 3) == 0)
			return i;
	}
	if (strncmp(name, "SIGRTMIN+", 9) == 0) {
		number = strtol(name + 9, &end, 10);
		return *end || number < 0 || SIGRTMIN + number > SIGRTMAX
			       ? 0
			       : SIGRTMIN + (int) number;
	}
	return 0;
}
