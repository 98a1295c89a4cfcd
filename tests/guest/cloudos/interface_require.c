/* SPDX-License-Identifier: MIT */
/* interface_require, raw and through libcloudos. */
#include "guest.h"

static const struct {
	const char *title;
	uint32_t id, major, minor;
} interfaces[] = {
#define INTERFACE(name, id, major, minor, patch, title) { title, id, major, minor },
#include "personality/cloudos/versions.def"
#undef INTERFACE
};

static void is_required(uint32_t id, uint32_t major, uint32_t minor)
{
	check_number(RAW(interface_require, id, major, minor), 0,
		     "its version is there");
	if (minor > 0)
		check_number(RAW(interface_require, id, major, minor - 1), 0,
			     "an older minor version is there");
	check_refused(RAW(interface_require, id, major, minor + 1), CLOUDOS_EINVAL,
		      "a newer minor version is refused");
	check_refused(RAW(interface_require, id, major + 1, 0), CLOUDOS_EINVAL,
		      "another major version is refused");
}

int main(void)
{
	uint32_t versions[] = { CLOUDOS_VERSION(1, 0, 0), CLOUDOS_VERSION(2, 0, 0) };
	error_info_t info;

	for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
		printf("# %s\n", interfaces[i].title);
		is_required(interfaces[i].id, interfaces[i].major, interfaces[i].minor);
	}
	check_number(RAW(interface_require, CLOUDOS_INTERFACE_SERVICE, 3, 7),
		     RAW_CODE(CLOUDOS_EINVAL),
		     "version 3.7 of the services is refused");
	info = last_error();
	check(strstr(info.message, "3.7") && strstr(info.message, "1.0"),
	      "the sentence names both versions: %s", info.message);
	check_refused(RAW(interface_require, 0, 1, 0), CLOUDOS_EINVAL,
		      "interface 0 does not exist");
	check_refused(RAW(interface_require, 7, 0, 0), CLOUDOS_EINVAL,
		      "interface 7 does not exist");

	check_number(CLOUDOS_REQUIRE(), 0, "this program is welcome");
	check_number(cloudos_require_versions(versions, 1), 0,
		     "one that needs one interface is");
	check_number(cloudos_require_versions(versions, 2), CLOUDOS_EINVAL,
		     "one that needs another major version is not");
	return done();
}
