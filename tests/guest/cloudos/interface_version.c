/* SPDX-License-Identifier: MIT */
/* interface_version, raw and through libcloudos. */
#include "guest.h"

static const struct {
	const char *title;
	uint32_t id;
	long packed;
} interfaces[] = {
#define INTERFACE(name, id, major, minor, patch, title)                                \
	{ title, id, (long) CLOUDOS_VERSION(major, minor, patch) },
#include "personality/cloudos/versions.def"
#undef INTERFACE
};

static int child_asks(void *arg)
{
	return RAW(interface_version, WORD(*(uint32_t *) arg)) == 0x000900 ? 0 : 1;
}

int main(void)
{
	uint32_t container = CLOUDOS_INTERFACE_CONTAINER;

	for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
		check_number(RAW(interface_version, interfaces[i].id),
			     interfaces[i].packed, interfaces[i].title);
		check_number(cloudos_interface_version(interfaces[i].id),
			     interfaces[i].packed, "the same by libcloudos");
	}
	check_number(in_child(child_asks, &container), 0, "a child is told the same");
	check_refused(RAW(interface_version, 0), CLOUDOS_EINVAL,
		      "interface 0 does not exist");
	check_refused(RAW(interface_version, 7), CLOUDOS_EINVAL,
		      "interface 7 does not exist");
	check_refused(RAW(interface_version, 0xffffffff), CLOUDOS_EINVAL,
		      "the last one of 32 bits does not exist");
	return done();
}
