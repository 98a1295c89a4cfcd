/* SPDX-License-Identifier: MIT */
/* Interface versions and the domain.  HOST.  Specification: "Interface Versioning". */
#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

static const struct {
	const char *title;
	uint32_t id, major, minor, patch;
} interfaces[] = {
#define INTERFACE(name, id, major, minor, patch, title)                                \
	{ title, id, major, minor, patch },
#include "personality/cloudos/versions.def"
#undef INTERFACE
};

static int find(struct co_call *call, uint32_t id)
{
	for (size_t i = 0; i < co_countof(interfaces); i++)
		if (interfaces[i].id == id)
			return (int) i;
	return (int) call_fail(call, CO_INVALID, "%s: there is no interface %u",
			       call_op(call)->name, id);
}

int64_t cloudos_on_interface_version(struct co_call *call,
				     const struct cloudos_interface_version_args *a)
{
	int i = find(call, a->interface);

	return i < 0 ? i
		     : (int64_t) (interfaces[i].major << 16 | interfaces[i].minor << 8 |
				  interfaces[i].patch);
}

int64_t cloudos_on_interface_require(struct co_call *call,
				     const struct cloudos_interface_require_args *a)
{
	int i = find(call, a->interface);

	if (i < 0)
		return i;
	if (a->major == interfaces[i].major && a->minor <= interfaces[i].minor)
		return 0;
	return call_fail(
		call, CO_VERSION, "the program needs %s %u.%u, this is %u.%u.%u: %s",
		interfaces[i].title, a->major, a->minor, interfaces[i].major,
		interfaces[i].minor, interfaces[i].patch,
		a->major > interfaces[i].major || (a->major == interfaces[i].major)
			? "install a newer cloudos"
			: "rebuild the program against this version's headers");
}

int64_t cloudos_on_domain(struct co_call *call, const struct cloudos_domain_args *a)
{
	(void) a;
	return (int64_t) call_services(call)->domain;
}
