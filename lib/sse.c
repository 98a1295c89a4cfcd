/* SPDX-License-Identifier: MIT */
/* Writing server-sent events.  HOST. */
#include "lib/sse.h"

static bool is_end(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_id(struct co_span id)
{
	if (!id.data)
		return false;
	for (size_t i = 0; i < id.size; i++)
		if (is_end(id.data[i]) || !id.data[i])
			return false;
	return true;
}

/* The first line, without its end; *rest without data when that was the last one. */
static struct co_span first_line(struct co_span *rest)
{
	struct co_span line = { rest->data, 0 };
	size_t skip;

	while (line.size < rest->size && !is_end(rest->data[line.size]))
		line.size++;
	if (line.size == rest->size) {
		*rest = (struct co_span){ 0 };
		return line;
	}
	skip = line.size + 1;
	if (rest->data[line.size] == '\r' && skip < rest->size &&
	    rest->data[skip] == '\n')
		skip++;
	*rest = (struct co_span){ rest->data + skip, rest->size - skip };
	return line;
}

void co_sse_frame(struct co_buf *out, struct co_span id, struct co_span data)
{
	if (is_id(id)) {
		co_buf_text(out, "id: ");
		co_buf_span(out, id);
		co_buf_char(out, '\n');
	}
	do {
		struct co_span line = first_line(&data);

		co_buf_text(out, "data: ");
		co_buf_span(out, line);
		co_buf_char(out, '\n');
	} while (data.data);
	co_buf_char(out, '\n');
}

void co_sse_comment(struct co_buf *out, struct co_span text)
{
	co_buf_text(out, ": ");
	for (size_t i = 0; i < text.size; i++)
		co_buf_char(out, is_end(text.data[i]) ? ' ' : text.data[i]);
	co_buf_text(out, "\n\n");
}
