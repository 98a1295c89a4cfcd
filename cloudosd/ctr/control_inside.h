/* SPDX-License-Identifier: MIT */
/* What only the monitor's side of control.h needs.  HOST. */
#ifndef CTR_CONTROL_INSIDE_H
#define CTR_CONTROL_INSIDE_H

#include "cloudosd/ctr/control.h"

/* Listens at folder/ctl.sock (0600, non-blocking, close-on-exec); one that is there already
 * is removed: the caller holds the container's lock. */
int ctr_control_listen(const char *folder, int *out_fd, struct co_err *err);

/* Sends one packet: type 0, 1, 2 and data, or -1 and a JSON object.  As ctr_control_send. */
int ctr_control_packet(int fd, int type, const void *data, size_t size,
		       struct co_err *err);

/* The code whose name that JSON string has; CO_IO for what nobody knows. */
int ctr_status_of_name(struct co_span string);

#endif
