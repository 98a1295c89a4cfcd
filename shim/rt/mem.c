/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  memcpy, memmove, memset, memcmp; see mem.h for why they exist.  Called by
 * guest code and by the compiler.
 *
 * String instructions, not loops: a compiler may recognise a copying loop and replace it
 * by a call to memcpy, which here would be a call to itself.  The direction flag is clear
 * on every function entry (ABI) and on every signal entry (kernel).
 */
#include <shim/rt/mem.h>

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	char *at = (char *) to + size - 1;
	const char *source = (const char *) from + size - 1;

	/* Forward is right unless the target begins inside the source. */
	if ((uintptr_t) to - (uintptr_t) from >= size)
		return memcpy(to, from, size);
	__asm__ volatile("std\n\trep movsb\n\tcld"
			 : "+D"(at), "+S"(source), "+c"(size)
			 :
			 : "memory", "cc");
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
	const unsigned char *l = left;
	const unsigned char *r = right;

	for (size_t i = 0; i < size; i++)
		if (l[i] != r[i])
			return l[i] < r[i] ? -1 : 1;
	return 0;
}
