/* SPDX-License-Identifier: MIT */
/*
 * A CloudOS program that finds a server by name and sends it a text.  The server may be a
 * program of Anos (echo.c): its answer is the value that it replies with, and the page of
 * memory that was lent to it.
 *
 *	cloudos-exec ./example-ask-echo [NAME [TEXT]]
 */
#include <cloudos/cloudos.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a program with channels answers: 8 bytes, and the page if one was sent. */
struct answer {
	uint64_t value;
	char page[4096];
};

static union { /* of a message_t and what is behind it */
	message_t message;
	char bytes[sizeof(message_t) + sizeof(struct answer)];
} buffer;

static int complain(const char *what)
{
	error_info_t info;

	if (cloudos_get_last_error(&info) == CLOUDOS_SUCCESS && info.error_code != 0)
		fprintf(stderr, "ask-echo: %s: %s\n", what, info.message);
	else
		fprintf(stderr, "ask-echo: %s failed\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "echo";
	const char *text = argc > 2 ? argv[2] : "hello from CloudOS";
	struct answer answer = { 0 };
	uint32_t server, who;

	if (cloudos_ipc_discover_service(name, &server) < 0)
		return complain(name);
	buffer.message = (message_t){ .type = MSG_REQUEST,
				      .id = 1,
				      .size = (uint32_t) strlen(text) + 1 };
	if (buffer.message.size > sizeof(answer.page))
		buffer.message.size = sizeof(answer.page);
	memcpy(buffer.message.data, text, buffer.message.size);
	if (cloudos_ipc_send(server, &buffer.message) < 0)
		return complain("cannot send");
	printf("ask-echo: sent\n");
	fflush(stdout);
	if (cloudos_ipc_receive(&who, &buffer.message, sizeof(buffer)) < 0)
		return complain("cannot receive");
	if (buffer.message.type == MSG_ERROR) {
		fprintf(stderr, "ask-echo: %s: %.*s\n", name, (int) buffer.message.size,
			(const char *) buffer.message.data);
		return 1;
	}
	if (buffer.message.type != MSG_RESPONSE || who != server ||
	    buffer.message.size != sizeof(answer)) {
		fprintf(stderr,
			"ask-echo: that is no answer of a program with channels\n");
		return 1;
	}
	memcpy(&answer, buffer.message.data, sizeof(answer));
	printf("ask-echo: answer %" PRIu64 ": %.*s\n", answer.value,
	       (int) sizeof(answer.page), answer.page);
	return 0;
}
