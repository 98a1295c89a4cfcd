/* SPDX-License-Identifier: MIT */
/*
 * Messages and shared memory: one program answers requests under a service name, another
 * asks it.  Short texts travel in the message; `draw` answers with the name of a segment of
 * shared memory, where the picture is.  Start them with:
 *
 *	cloudos-exec ./example-messages serve [NAME] &
 *	cloudos-exec ./example-messages ask NAME TEXT
 *	cloudos-exec ./example-messages ask NAME draw
 */
#include <cloudos/cloudos.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIDE 16
#define ROOM (sizeof(message_t) + 256)

/* Room for a message, and for its header in place. */
union buffer {
	message_t message;
	char bytes[ROOM];
};

static int complain(const char *what)
{
	error_info_t info;

	if (cloudos_get_last_error(&info) == CLOUDOS_SUCCESS && info.error_code != 0)
		fprintf(stderr, "example-messages: %s: %s\n", what, info.message);
	else
		fprintf(stderr, "example-messages: %s failed\n", what);
	return 1;
}

static char *text_of(union buffer *b)
{
	return b->bytes + sizeof(message_t);
}

/* A message with a text; sender and receiver are filled in by the system. */
static message_t *compose(union buffer *b, message_type_t type, uint32_t id,
			  const char *text)
{
	memset(&b->message, 0, sizeof(b->message));
	b->message.type = type;
	b->message.id = id;
	(void) snprintf(text_of(b), ROOM - sizeof(message_t), "%.250s", text);
	b->message.size = (uint32_t) strlen(text_of(b)) + 1;
	return &b->message;
}

/* ---- the server ---- */

/* A picture in shared memory, which outlives this function and would outlive us. */
static int draw(const char *segment)
{
	int fd = cloudos_shm_create(segment, SIDE * SIDE, 0600);
	char *p = fd < 0 ? NULL
			 : cloudos_shm_map(fd, SIDE * SIDE, PROT_READ | PROT_WRITE,
					   MAP_SHARED);

	if (fd >= 0)
		close(fd); /* the mapping does without */
	if (!p)
		return -1;
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++)
			p[y * SIDE + x] = (x ^ y) & 4 ? '#' : '.';
	return cloudos_shm_unmap(p, SIDE * SIDE);
}

static int answer(uint32_t asker, union buffer *request)
{
	uint32_t id = request->message.id;
	char text[300];
	union buffer reply;

	if (strcmp(text_of(request), "draw") == 0) {
		(void) snprintf(text, sizeof(text), "/picture-%u-%u", asker, id);
		if (draw(text) < 0)
			return cloudos_ipc_reply(
				asker, compose(&reply, MSG_ERROR, id, "no picture"));
	} else {
		(void) snprintf(text, sizeof(text), "%u says: %.200s", asker,
				text_of(request));
	}
	return cloudos_ipc_reply(asker, compose(&reply, MSG_RESPONSE, id, text));
}

static int serve(const char *name)
{
	union buffer request;
	uint32_t asker;

	if (cloudos_ipc_register_service(name) < 0)
		return complain("cannot register");
	printf("%s: registered, receiving messages\n", name);
	fflush(stdout);
	for (;;) {
		int r = cloudos_ipc_receive(&asker, &request.message, ROOM - 1);

		if (r == CLOUDOS_EBUSY)
			continue; /* a signal */
		if (r < 0)
			return complain("cannot receive");
		text_of(&request)[request.message.size] = '\0'; /* whatever it is */
		if (request.message.type == MSG_REQUEST && answer(asker, &request) < 0)
			(void) complain("cannot answer"); /* and goes on */
	}
}

/* ---- the client ---- */

static int show(const char *segment)
{
	int fd = cloudos_shm_open(segment, O_RDONLY);
	const char *p =
		fd < 0 ? NULL : cloudos_shm_map(fd, SIDE * SIDE, PROT_READ, MAP_SHARED);

	if (!p)
		return complain("cannot see the picture");
	for (int y = 0; y < SIDE; y++)
		printf("%.*s\n", SIDE, p + y * SIDE);
	return cloudos_shm_unlink(segment) < 0 ? complain("cannot unlink it") : 0;
}

static int ask(const char *name, const char *text)
{
	union buffer b;
	uint32_t server, who;

	if (cloudos_ipc_discover_service(name, &server) < 0)
		return complain(name);
	if (cloudos_ipc_send(server, compose(&b, MSG_REQUEST, 1, text)) < 0)
		return complain("cannot send");
	/* what comes is the answer, or, if the server ends before, MSG_ERROR */
	if (cloudos_ipc_receive(&who, &b.message, ROOM - 1) < 0)
		return complain("cannot receive");
	text_of(&b)[b.message.size] = '\0';
	if (b.message.type == MSG_ERROR) {
		fprintf(stderr, "example-messages: %s: %s\n", name, text_of(&b));
		return 1;
	}
	if (strcmp(text, "draw") == 0)
		return show(text_of(&b));
	printf("%s\n", text_of(&b));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "serve") == 0)
		return serve(argc > 2 ? argv[2] : "post");
	if (argc == 4 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3]);
	fprintf(stderr,
		"usage: example-messages serve [NAME] | ask NAME TEXT | ask NAME draw\n");
	return 2;
}
