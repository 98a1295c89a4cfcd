/* SPDX-License-Identifier: MIT */
/*
 * bench-message direct|call SIZE: what cloudos_ipc_send and cloudos_ipc_receive of a message
 * of SIZE bytes cost, half of a round trip between two processes: through memory that they
 * share, or by system call.  GUEST; bench/ipc.py starts it under cloudos-exec.
 */
#include "loop.h"

#include <cloudos/cloudos.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WARM = 2000, DIRECT_TRIPS = 1000, CALL_TRIPS = 50, MOST = 65536 };

static message_t *buffer;
static bool direct;

static _Noreturn void die(const char *what)
{
	error_info_t info = { 0 };

	(void) cloudos_get_last_error(&info); /* then it says nothing */
	fprintf(stderr, "bench-message: %s: %s\n", what, info.message);
	exit(1);
}

static void begin(void)
{
	buffer = calloc(1, sizeof(*buffer) + MOST);
	if (!buffer || (direct && cloudos_ipc_direct() != CLOUDOS_SUCCESS))
		die("cannot begin");
}

static void say(uint32_t to, uint32_t size)
{
	buffer->type = MSG_NOTIFICATION;
	buffer->size = size;
	if (cloudos_ipc_send(to, buffer) != CLOUDOS_SUCCESS)
		die("ipc_send");
}

static uint32_t hear(void)
{
	uint32_t sender;

	if (cloudos_ipc_receive(&sender, buffer, sizeof(*buffer) + MOST) !=
	    CLOUDOS_SUCCESS)
		die("ipc_receive");
	return sender;
}

static _Noreturn void echo(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		die("prctl");
	begin();
	for (;;) {
		uint32_t sender = hear();

		say(sender, buffer->size);
	}
}

int main(int argc, char **argv)
{
	static double wall[LOOP_BATCHES], cpu[LOOP_BATCHES];
	struct loop_times times;
	uint32_t size;
	pid_t child;
	int trips;

	if (argc != 3) {
		fputs("usage: bench-message direct|call SIZE\n", stderr);
		return 2;
	}
	direct = strcmp(argv[1], "direct") == 0;
	size = (uint32_t) atoi(argv[2]);
	trips = direct ? DIRECT_TRIPS : CALL_TRIPS;
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		echo();
	begin();
	for (int i = 0; i < WARM; i++) {
		say((uint32_t) child, size);
		(void) hear();
	}
	for (int b = 0; b < LOOP_BATCHES; b++) {
		double from = loop_wall_ns(), used = loop_cpu_ns();

		for (int i = 0; i < trips; i++) {
			say((uint32_t) child, size);
			(void) hear(); /* it is the child's */
		}
		wall[b] = (loop_wall_ns() - from) / trips / 2;
		cpu[b] = (loop_cpu_ns() - used) / trips / 2;
	}
	times.wall_ns = loop_median(wall, LOOP_BATCHES);
	times.cpu_ns = loop_median(cpu, LOOP_BATCHES);
	loop_print(&times);
	(void) kill(child, SIGKILL); /* it is ours */
	return 0;
}
