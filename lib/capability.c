/* SPDX-License-Identifier: MIT */
/* Capabilities by name.  HOST. */
#include "lib/capability.h"

#include <linux/capability.h>
#include <stddef.h>
#include <strings.h>

#include "lib/cleanup.h"

static const char *const names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};
_Static_assert(co_countof(names) == CAP_CHECKPOINT_RESTORE + 1,
	       "a capability without a name");

const char *co_capability_name(int number)
{
	if (number < 0 || (size_t) number >= co_countof(names))
		return NULL;
	return names[number];
}

int co_capability_number(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < co_countof(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return (int) i;
	return -1;
}
