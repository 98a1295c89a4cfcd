/* SPDX-License-Identifier: MIT */
/* ipc_register_service, through libcloudos and raw. */
#include "guest.h"

static int child_finds(void *name)
{
	service_registration_t got;
	uint32_t pid = 0;
	size_t count = 1;

	if (cloudos_ipc_discover_service(name, &pid) != 0 ||
	    pid != (uint32_t) getppid())
		return 1;
	if (cloudos_service_discover(name, &got, &count) != 0 || count != 1)
		return 2;
	if (got.pid != (uint32_t) getppid() || got.port != 0 || got.ttl != 0 ||
	    got.endpoint[0] != '\0')
		return 3;
	return 0;
}

static int begin_register(void *name)
{
	return cloudos_ipc_register_service(name);
}

int main(void)
{
	static char name[] = "ipcreg";
	static char other_name[] = "ipcreg.other";
	struct helper other;

	check_number(cloudos_ipc_register_service(name), 0,
		     "a process registers a name");
	check_number(in_child(child_finds, name), 0,
		     "another one finds its pid, and the service in the registry");
	check_number(cloudos_ipc_register_service(name), 0, "it registers again");
	check_number(others_see(name), 1, "and is one instance");
	check_number(cloudos_service_deregister(name), 0,
		     "service_deregister takes it back");
	check_number(others_see(name), 0, "and it is gone");

	other = helper_start(begin_register, other_name);
	check_number(others_see(other_name), 1, "a second process has its own");
	helper_end(&other, SIGKILL);
	check(becomes(other_name, 0), "which ends when it is killed");

	check_refused(RAW(ipc_register_service, WORD("")), CLOUDOS_EINVAL,
		      "an empty name is refused");
	check_refused(RAW(ipc_register_service, WORD("..")), CLOUDOS_EINVAL,
		      "a name of two dots is refused");
	check_refused(RAW(ipc_register_service,
			  WORD("0123456789012345678901234567890123456789"
			       "012345678901234567890123")),
		      CLOUDOS_ENAMETOOLONG, "a name of 64 bytes is refused");
	check_refused(RAW(ipc_register_service, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(ipc_register_service, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a name that is nowhere is refused");
	check_refused(RAW(ipc_register_service, WORD(unterminated(5))), CLOUDOS_EFAULT,
		      "a name that ends with its mapping is refused");
	return done();
}
