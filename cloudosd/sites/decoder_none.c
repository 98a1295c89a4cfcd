/* SPDX-License-Identifier: MIT */
/* No decoder: cloudos was configured without libzydis-dev.  HOST. */
#include "cloudosd/sites/decoder.h"

int decoder_available(struct co_err *err)
{
	return co_fail(
		err, CO_UNSUPPORTED,
		"cloudos was built without Zydis: apt install libzydis-dev, then "
		"configure and build again");
}

void decoder_init(struct decoder *d, unsigned bits)
{
	(void) d;
	(void) bits;
}

bool decoder_step(const struct decoder *d, const unsigned char *bytes, size_t n,
		  uint64_t at, struct decoder_step *out)
{
	(void) d;
	(void) bytes;
	(void) n;
	(void) at;
	(void) out;
	return false;
}

bool decoder_about(const struct decoder *d, const unsigned char *bytes, size_t n,
		   struct decoder_about *out)
{
	(void) d;
	(void) bytes;
	(void) n;
	(void) out;
	return false;
}
