/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The one way from guest code into the kernel.  No errno, no cancellation, no
 * restart: the kernel's own result comes back.  Unused arguments are 0.
 */
#ifndef SHIM_RT_SYSCALL_X86_64_H
#define SHIM_RT_SYSCALL_X86_64_H

static inline long shim_syscall(long number, long a, long b, long c, long d, long e,
				long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#endif
