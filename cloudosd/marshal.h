/* SPDX-License-Identifier: MIT */
/*
 * Arguments in and results out, by the words of the row in ops.def.  HOST.  The one
 * place where a guest's pointers are followed.
 */
#ifndef CO_MARSHAL_H
#define CO_MARSHAL_H

#include "cloudosd/call.h"

/*
 * Copies every input once into the call's own memory, bounds it, and prepares outputs.
 * 0, or a negative status with a reason recorded on the call.
 */
int marshal_in(struct co_call *call);

/* Copies outputs to the guest; 0, or CO_FAULT with a reason. */
int marshal_out(struct co_call *call);

void marshal_free(struct co_call *call);

#endif
