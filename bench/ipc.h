/* SPDX-License-Identifier: MIT */
/* HOST.  The parts of bench-ipc: one way each to ask another process and have its answer. */
#ifndef BENCH_IPC_H
#define BENCH_IPC_H

#include <stddef.h>
#include <stdint.h>

enum { SIZE_MAX_BYTES = 4096, NOT_INSTALLED = 77 };

/* One kind: its set-up before the fork, its two sides after it. */
struct kind {
	const char *name;
	void (*prepare)(void);
	void (*serve)(size_t size); /* for ever */
	void (*begin)(void);
	void (*call)(size_t size);
};

extern uint8_t buffer[SIZE_MAX_BYTES]; /* what the process sends and has received */

/* What a program does with a message before it sends it on. */
void touch(size_t size);

_Noreturn void die(const char *what);

/* ---- ipc_library.c ---- */

/* Ends with NOT_INSTALLED, and says what to install, if it is not there. */
void *library_open(const char *file, const char *package);

/* A function of it; ends with 1 if it has none. */
void *library_function(void *library, const char *name);

/* ---- ipc_dbus.c ---- */

void dbus_prepare(void);
void dbus_serve(size_t size);
void dbus_begin(void);
void dbus_call(size_t size);

/* ---- ipc_zmq.c ---- */

void zmq_prepare(void);
void zmq_serve(size_t size);
void zmq_begin(void);
void zmq_call(size_t size);

#endif
