/* SPDX-License-Identifier: MIT */
/* ipc_discover_service, through libcloudos and raw. */
#include "guest.h"
#include "net.h"

static int begin_register(void *registration)
{
	return cloudos_service_register(registration);
}

int main(void)
{
	service_registration_t sick =
		a_checked_service("ipcdisc", "tcp://127.0.0.1:%u", silent_port());
	service_registration_t well = a_service("ipcdisc");
	struct {
		uint32_t before, pid, after;
	} room = { 1, 2, 3 };
	struct helper first, second;

	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), WORD(&room.pid)),
		      CLOUDOS_ENOENT, "nobody's service is not there");
	check_number(room.pid, 2, "and the pid is as it was");
	first = helper_start(begin_register, &sick);
	check_number(settled_health("ipcdisc"), SERVICE_HEALTH_CRITICAL,
		     "an instance is critical");
	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), WORD(&room.pid)),
		      CLOUDOS_ENOENT, "which is as good as none");
	second = helper_start(begin_register, &well);
	check_number(cloudos_ipc_discover_service("ipcdisc", &room.pid), 0,
		     "a healthy one is found");
	check_number(room.pid, second.pid, "by its pid");
	check(room.before == 1 && room.after == 3, "and nothing beside it is written");
	helper_end(&second, SIGKILL);
	check(becomes("ipcdisc", 1), "it is killed");
	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), WORD(&room.pid)),
		      CLOUDOS_ENOENT, "and not found any more");
	helper_end(&first, 0);

	check_number(cloudos_service_register(&well), 0, "this process registers");
	check_refused(RAW(ipc_discover_service, WORD(""), WORD(&room.pid)),
		      CLOUDOS_EINVAL, "an empty name is refused");
	check_refused(RAW(ipc_discover_service, 0, WORD(&room.pid)), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(RAW(ipc_discover_service, WORD(unmapped()), WORD(&room.pid)),
		      CLOUDOS_EFAULT, "a name that is nowhere is refused");
	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), 0), CLOUDOS_EFAULT,
		      "a pid that goes to NULL is refused");
	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), WORD(unmapped())),
		      CLOUDOS_EFAULT, "a pid that goes nowhere is refused");
	check_refused(RAW(ipc_discover_service, WORD("ipcdisc"), WORD(read_only())),
		      CLOUDOS_EFAULT, "a pid that cannot be written is refused");
	return done();
}
