/* SPDX-License-Identifier: MIT */
/*
 * All of CloudOS for a C or C++ program: compile and link with
 *
 *	cc program.c $(pkg-config --cflags --libs cloudos)
 *
 * and run it with `cloudos-exec ./program`.  The functions carry the specification's
 * names with cloudos_ before them; <cloudos/seed-names.h> gives the bare names.
 */
#ifndef CLOUDOS_CLOUDOS_H
#define CLOUDOS_CLOUDOS_H

#include <cloudos/ai.h>
#include <cloudos/base.h>
#include <cloudos/cloud.h>
#include <cloudos/container.h>
#include <cloudos/device.h>
#include <cloudos/error.h>
#include <cloudos/ipc.h>
#include <cloudos/lb.h>
#include <cloudos/network.h>
#include <cloudos/numbers.h>
#include <cloudos/posix.h>
#include <cloudos/security.h>
#include <cloudos/service.h>
#include <cloudos/version.h>
#include <cloudos/vfs.h>

#endif
