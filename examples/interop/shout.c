/* SPDX-License-Identifier: MIT */
/*
 * A CloudOS service that answers texts in capitals: registers "shout", or its first
 * argument, and receives messages.  It does not see what system the sender is of;
 * examples/anos/ask.c is a program of Anos that calls it.  A text that begins with "hold" is kept
 * without an answer.
 *
 *	cloudos-exec ./example-shout [NAME]
 */
#include <cloudos/cloudos.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static union { /* of a message_t and what is behind it */
	message_t message;
	char bytes[sizeof(message_t) + 4096];
} buffer;

static int complain(const char *what)
{
	error_info_t info;

	if (cloudos_get_last_error(&info) == CLOUDOS_SUCCESS && info.error_code != 0)
		fprintf(stderr, "shout: %s: %s\n", what, info.message);
	else
		fprintf(stderr, "shout: %s failed\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "shout";
	message_t *message = &buffer.message;
	uint32_t who;

	if (cloudos_ipc_register_service(name) < 0)
		return complain("cannot register");
	printf("shout: registered\n");
	for (;;) {
		int r;

		fflush(stdout);
		r = cloudos_ipc_receive(&who, message, sizeof(buffer));
		if (r == CLOUDOS_EBUSY)
			continue; /* a signal */
		if (r < 0)
			return complain("cannot receive");
		printf("shout: asked by %u, request %u: %.*s\n", who, message->id,
		       (int) message->size, (const char *) message->data);
		if (message->type != MSG_REQUEST ||
		    strncmp((const char *) message->data, "hold", 4) == 0)
			continue;
		for (uint32_t i = 0; i < message->size; i++)
			message->data[i] = (uint8_t) toupper(message->data[i]);
		message->type = MSG_RESPONSE;
		if (cloudos_ipc_reply(who, message) < 0)
			(void) complain("cannot answer"); /* and goes on */
	}
}
