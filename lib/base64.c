/* SPDX-License-Identifier: MIT */
/* Bytes as text.  HOST. */
#include "lib/base64.h"

void co_base64(struct co_buf *out, struct co_span bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = (const unsigned char *) bytes.data;

	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t left = bytes.size - i;
		uint32_t three = (uint32_t) in[i] << 16;

		if (left > 1)
			three |= (uint32_t) in[i + 1] << 8;
		if (left > 2)
			three |= in[i + 2];
		co_buf_char(out, digits[three >> 18]);
		co_buf_char(out, digits[three >> 12 & 63]);
		co_buf_char(out, left > 1 ? digits[three >> 6 & 63] : '=');
		co_buf_char(out, left > 2 ? digits[three & 63] : '=');
	}
}
