/* SPDX-License-Identifier: MIT */
/* Bytes as text (RFC 4648).  HOST. */
#ifndef CO_BASE64_H
#define CO_BASE64_H

#include "lib/buf.h"

/* With padding, on one line. */
void co_base64(struct co_buf *out, struct co_span bytes);

#endif
