/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Put before every guest file by the compiler's command line: what other files
 * define is in the same program, so that nothing is reached through a table of addresses.
 */
#pragma GCC visibility push(hidden)
