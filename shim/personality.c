/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Which personalities have a part in the guest, and the one that changes
 * nothing.  Asked once, when a program starts.
 */
#include <shim/guest.h>

static enum co_plane kernel_answers(uint32_t number)
{
	(void) number; /* every one is Linux's own */
	return CO_PLANE_KERNEL;
}

const struct shim_personality linux_guest = { .name = "linux",
					      .plane = kernel_answers };

static const struct shim_personality *const here[] = { &linux_guest, &cloudos_guest };

/* clang-format off */
#define PERSONALITY(name, title, entry) #name,
static const char names[][16] = {
#include <personality/personalities.def>
};
#undef PERSONALITY
/* clang-format on */

static bool equal(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *left == *right;
}

const struct shim_personality *shim_personality_find(uint32_t index)
{
	if (index >= sizeof(names) / sizeof(names[0]))
		return NULL;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		if (equal(here[i]->name, names[index]))
			return here[i];
	return NULL;
}
