/* SPDX-License-Identifier: MIT */
/* Capability tokens of Anos, and what a loader is handed.  HOST. */
#include "cli/anos.h"

#include <co/siphash.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int random_bytes(void *out, size_t n, struct co_err *err)
{
	if (getrandom(out, n, 0) != (ssize_t) n)
		return co_fail_errno(err, errno, "the kernel has no random numbers");
	return 0;
}

int anos_tokens_new(struct anos_tokens *out, struct co_err *err)
{
	int r = random_bytes(out, sizeof(*out), err);

	out->token[0] = 0;
	for (unsigned id = 1; !r && id < CO_ANOS_CALLS; id++)
		while (!out->token[id] && !r) /* once in 2^64 */
			r = random_bytes(&out->token[id], sizeof(out->token[id]), err);
	return r;
}

int anos_start_init(struct co_anos_start *out, const struct anos_tokens *tokens,
		    uint64_t stack_size, const struct co_anos_capability *caps,
		    uint64_t capc, struct co_err *err)
{
	*out = (struct co_anos_start){ .mark = CO_ANOS_START_MARK,
				       .size = sizeof(*out),
				       .stack_size = stack_size ? stack_size
								: CO_ANOS_STACK_SIZE,
				       .capc = capc,
				       .framebuffer = -1,
				       .log = -1 };
	if (capc > CO_ANOS_CAPS || out->stack_size >= CO_ANOS_STACK_TOP)
		return co_fail(
			err, CO_INVALID,
			"an Anos program has at most %u capabilities and a stack "
			"below %lu bytes",
			CO_ANOS_CAPS, CO_ANOS_STACK_TOP);
	if (capc)
		memcpy(out->caps, caps, capc * sizeof(*caps));
	if (random_bytes(out->key, sizeof(out->key), err))
		return err ? err->code : CO_IO;
	for (unsigned id = 1; id < CO_ANOS_CALLS; id++)
		if (tokens->token[id])
			out->hashes[id] = co_siphash(out->key, &tokens->token[id],
						     sizeof(tokens->token[id]));
	return 0;
}

int anos_start_all(struct co_anos_start *out, const struct anos_tokens *tokens,
		   struct co_err *err)
{
	struct co_anos_capability caps[CO_ANOS_CALLS];
	uint64_t n = 0;

	for (unsigned id = 1; id < CO_ANOS_CALLS; id++)
		if (tokens->token[id])
			caps[n++] =
				(struct co_anos_capability){ id, tokens->token[id] };
	return anos_start_init(out, tokens, 0, caps, n, err);
}

int anos_start_fd(const struct co_anos_start *start)
{
	autoclose int fd = memfd_create("anos start", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (write(fd, start, sizeof(*start)) != sizeof(*start))
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(fd);
}
