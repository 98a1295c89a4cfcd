/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the calls in seccomp.def, in its order, as text: "0", or the name of the
 * macro where an architecture has no such call.  HOST.  Inside libctr only.
 *
 * They are the kernel's own headers'.  Asking libseccomp for 740 names takes 0.2 ms, at
 * each start of a container.
 */
#ifndef CTR_SECCOMP_NUMBERS_H
#define CTR_SECCOMP_NUMBERS_H

#define SECCOMP_TEXT_OF(number) #number
#define SECCOMP_TEXT(number)    SECCOMP_TEXT_OF(number)

extern const char *const ctr_numbers_x86_64[], *const ctr_numbers_i386[];

#endif
