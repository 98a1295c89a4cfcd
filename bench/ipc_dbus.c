/* SPDX-License-Identifier: MIT */
/*
 * HOST.  D-Bus: a method call with an array of bytes and its reply, by libdbus, through a
 * dbus-daemon that is started for this.
 */
#include "ipc.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { METHOD_CALL = 1, ARRAY = 'a', BYTE = 'y', FOREVER = -1, PATIENCE_MS = 20000 };

struct connection;
struct message;

static struct {
	struct connection *(*open)(const char *address, void *error);
	unsigned (*enter)(struct connection *, void *error);
	const char *(*name)(struct connection *);
	unsigned (*read_write)(struct connection *, int milliseconds);
	struct message *(*pop)(struct connection *);
	int (*type)(struct message *);
	struct message *(*new_call)(const char *to, const char *path,
				    const char *interface, const char *member);
	struct message *(*new_return)(struct message *);
	unsigned (*append)(struct message *, int first, ...);
	unsigned (*get)(struct message *, void *error, int first, ...);
	struct message *(*ask)(struct connection *, struct message *, int milliseconds,
			       void *error);
	unsigned (*send)(struct connection *, struct message *, uint32_t *serial);
	void (*flush)(struct connection *);
	void (*unref)(struct message *);
} dbus;

static char address[512], server_name[128];
static struct connection *client;
static int told[2];

/* Its address is its first line. */
static void start_daemon(void)
{
	int out[2];
	FILE *lines;
	pid_t child;

	if (pipe(out) != 0)
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive us */
		if (dup2(out[1], STDOUT_FILENO) < 0)
			_exit(1);
		(void) execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork",
			      "--nopidfile", "--print-address",
			      "--address=unix:tmpdir=/tmp", (char *) NULL);
		_exit(NOT_INSTALLED);
	}
	(void) close(out[1]);
	lines = fdopen(out[0], "r");
	if (!lines || !fgets(address, sizeof(address), lines)) {
		fputs("bench-ipc: dbus-daemon does not start; apt install dbus\n",
		      stderr);
		exit(NOT_INSTALLED);
	}
	address[strcspn(address, "\n")] = 0;
	(void) fclose(lines); /* it says nothing more */
}

void dbus_prepare(void)
{
	static const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "dbus_connection_open_private", &dbus.open },
		{ "dbus_bus_register", &dbus.enter },
		{ "dbus_bus_get_unique_name", &dbus.name },
		{ "dbus_connection_read_write", &dbus.read_write },
		{ "dbus_connection_pop_message", &dbus.pop },
		{ "dbus_message_get_type", &dbus.type },
		{ "dbus_message_new_method_call", &dbus.new_call },
		{ "dbus_message_new_method_return", &dbus.new_return },
		{ "dbus_message_append_args", &dbus.append },
		{ "dbus_message_get_args", &dbus.get },
		{ "dbus_connection_send_with_reply_and_block", &dbus.ask },
		{ "dbus_connection_send", &dbus.send },
		{ "dbus_connection_flush", &dbus.flush },
		{ "dbus_message_unref", &dbus.unref },
	};
	void *library = library_open("libdbus-1.so.3", "libdbus-1-3");

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = library_function(library, functions[i].name);

		memcpy(functions[i].to, &function, sizeof(function));
	}
	start_daemon();
	if (pipe(told) != 0)
		die("pipe");
}

static struct connection *enter(void)
{
	struct connection *connection = dbus.open(address, NULL);

	if (!connection || !dbus.enter(connection, NULL))
		die("dbus-daemon lets nobody in");
	return connection;
}

static void put(struct message *message, size_t size)
{
	const uint8_t *bytes = buffer;

	touch(size);
	if (!message ||
	    (size && !dbus.append(message, ARRAY, BYTE, &bytes, (int) size, 0)))
		die("a D-Bus message");
}

static void take(struct message *message, size_t size)
{
	const uint8_t *bytes;
	int got = 0;

	if (!size)
		return;
	if (!dbus.get(message, NULL, ARRAY, BYTE, &bytes, &got, 0) ||
	    (size_t) got != size)
		die("a D-Bus message");
	memcpy(buffer, bytes, size);
}

void dbus_serve(size_t size)
{
	struct connection *connection = enter();
	const char *name = dbus.name(connection);

	if (write(told[1], name, strlen(name) + 1) < 0)
		die("write");
	while (dbus.read_write(connection, FOREVER)) {
		struct message *message;

		while ((message = dbus.pop(connection)) != NULL) {
			if (dbus.type(message) == METHOD_CALL) {
				struct message *answer = dbus.new_return(message);

				take(message, size);
				put(answer, size);
				if (!dbus.send(connection, answer, NULL))
					die("dbus_connection_send");
				dbus.flush(connection);
				dbus.unref(answer);
			}
			dbus.unref(message);
		}
	}
	die("the D-Bus server's connection has ended");
}

void dbus_begin(void)
{
	if (read(told[0], server_name, sizeof(server_name) - 1) <= 0)
		die("read");
	client = enter();
}

void dbus_call(size_t size)
{
	struct message *message =
		dbus.new_call(server_name, "/bench", "cloudos.Bench", "Call");
	struct message *answer;

	put(message, size);
	answer = dbus.ask(client, message, PATIENCE_MS, NULL);
	if (!answer)
		die("no answer through dbus-daemon");
	take(answer, size);
	dbus.unref(answer);
	dbus.unref(message);
}
