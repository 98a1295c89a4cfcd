/* SPDX-License-Identifier: MIT */
/* What service/guests.h promises, of sessions and peers.  HOST. */
#ifndef CO_GUESTS_H
#define CO_GUESTS_H

#include <stddef.h>

struct daemon;
struct ipc_port;

/* Sets d->services.guests. */
void guests_start(struct daemon *d);

/* Starts the programs of cloudos.yaml again that are gone, as after a reboot. */
void guests_again(struct daemon *d);

/* "SYSTEM::VFS, boot (session 3)", as far as there is room. */
void guests_port_names(const struct ipc_port *port, char *out, size_t size);

#endif
