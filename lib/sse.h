/* SPDX-License-Identifier: MIT */
/*
 * Writing server-sent events (HTML, "event stream interpretation").  HOST.
 *
 * Only id: and data: fields.  Never event:, which would keep frames from the onmessage of
 * a browser's EventSource.
 */
#ifndef CO_SSE_H
#define CO_SSE_H

#include "lib/buf.h"
#include "lib/span.h"

/*
 * One frame.  What a client reads is `data` with each line end (CR LF, CR or LF) as one
 * LF.  An id with a line end or a NUL in it is left out, {NULL, 0} too.
 */
void co_sse_frame(struct co_buf *out, struct co_span id, struct co_span data);

/* A line that clients skip; line ends become spaces. */
void co_sse_comment(struct co_buf *out, struct co_span text);

#endif
