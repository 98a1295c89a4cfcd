/* SPDX-License-Identifier: MIT */
/* sys_cloud_discover_service, raw. */
#include "guest.h"
#include "net.h"

static long discover(const char *name, void *info)
{
	return RAW(sys_cloud_discover_service, WORD(name), WORD(info));
}

static int begin_register(void *registration)
{
	return cloudos_service_register(registration);
}

static int child_compares(void *arg)
{
	const service_registration_t *want = arg;
	service_info_t info;

	memset(&info, 0x55, sizeof(info));
	info.size = sizeof(info);
	if (discover(want->name, &info) != 0 || info.size != sizeof(info))
		return 1;
	if (strcmp(info.name, want->name) != 0 ||
	    strcmp(info.version, want->version) != 0 ||
	    strcmp(info.endpoint, want->endpoint) != 0 ||
	    strcmp(info.metadata, want->metadata) != 0)
		return 2;
	if (info.port != want->port || info.ttl != 0 || info.health_check[0] != '\0')
		return 3;
	if (info.instances != 1 || info.healthy != 1 || info.listed != 1)
		return 4;
	if (info.list[0].pid != (uint32_t) getppid() ||
	    info.list[0].port != want->port ||
	    info.list[0].health != SERVICE_HEALTH_HEALTHY ||
	    strcmp(info.list[0].endpoint, want->endpoint) != 0 ||
	    strcmp(info.list[0].version, want->version) != 0)
		return 5;
	return 0;
}

static void instances_are_listed(void)
{
	service_registration_t sick = a_checked_service(
		"clouddisc.list", "tcp://127.0.0.1:%u", silent_port());
	service_registration_t well = a_service("clouddisc.list");
	struct helper first = helper_start(begin_register, &sick);
	service_info_t info = { .size = sizeof(info) };

	check_number(settled_health("clouddisc.list"), SERVICE_HEALTH_CRITICAL,
		     "one instance is critical");
	check_number(cloudos_service_register(&well), 0, "a younger one is healthy");
	check_number(discover("clouddisc.list", &info), 0, "both are discovered");
	check(info.instances == 2 && info.healthy == 1 && info.listed == 2,
	      "two instances, one of them healthy, two listed");
	check(info.list[0].pid == (uint32_t) getpid() &&
		      info.list[0].health == SERVICE_HEALTH_HEALTHY,
	      "the healthy one is listed first");
	check(info.list[1].pid == (uint32_t) first.pid &&
		      info.list[1].health == SERVICE_HEALTH_CRITICAL,
	      "the critical one second");
	helper_end(&first, 0);
}

static void more_instances_than_room(void)
{
	service_registration_t r = a_service("clouddisc.many");
	struct helper helpers[CLOUDOS_INFO_INSTANCES + 2];
	service_info_t info = { .size = sizeof(info) };

	for (size_t i = 0; i < CLOUDOS_INFO_INSTANCES + 2; i++)
		helpers[i] = helper_start(begin_register, &r);
	check_number(discover("clouddisc.many", &info), 0,
		     "18 processes offer a service");
	check(info.instances == CLOUDOS_INFO_INSTANCES + 2 &&
		      info.listed == CLOUDOS_INFO_INSTANCES,
	      "18 are counted and 16 listed");
	for (size_t i = 0; i < CLOUDOS_INFO_INSTANCES + 2; i++)
		helper_end(&helpers[i], 0);
}

static void sizes_may_differ(void)
{
	union {
		service_info_t info;
		unsigned char bytes[sizeof(service_info_t) + 64];
	} room;

	memset(&room, 0xa5, sizeof(room));
	room.info.size = 16;
	check_number(discover("clouddisc", &room), 0, "a short struct works");
	check(room.info.port == 4711 && room.info.instances == 1,
	      "what it has room for is there");
	check(room.info.size == 16 && room.bytes[16] == 0xa5,
	      "nothing is written behind its end");
	memset(&room, 0xa5, sizeof(room));
	room.info.size = sizeof(room);
	check_number(discover("clouddisc", &room), 0, "a longer struct works");
	check(room.info.size == sizeof(service_info_t) && room.info.listed == 1,
	      "size says what was filled");
	check(room.bytes[sizeof(room) - 1] == 0xa5, "and the rest is left alone");
	room.info.size = 3;
	check_refused(discover("clouddisc", &room), CLOUDOS_EINVAL,
		      "a size of 3 is refused");
}

int main(void)
{
	service_registration_t r = a_service("clouddisc");
	service_info_t info = { .size = sizeof(info) };

	check_number(cloudos_service_register(&r), 0, "a service is registered");
	check_number(in_child(child_compares, &r), 0,
		     "another process discovers it with every field");
	instances_are_listed();
	more_instances_than_room();
	sizes_may_differ();
	check_refused(discover("clouddisc.nobody", &info), CLOUDOS_ENOENT,
		      "nobody's service is not there");
	check_refused(discover("", &info), CLOUDOS_EINVAL, "an empty name is refused");
	check_refused(discover(NULL, &info), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(discover(unmapped(), &info), CLOUDOS_EFAULT,
		      "a name that is nowhere is refused");
	check_refused(discover("clouddisc", NULL), CLOUDOS_EFAULT,
		      "a NULL struct is refused");
	check_refused(discover("clouddisc", unmapped()), CLOUDOS_EFAULT,
		      "a struct that is nowhere is refused");
	{
		/* The size can be read, the rest cannot be written. */
		service_info_t *fixed = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (fixed == MAP_FAILED)
			die("mmap");
		fixed->size = sizeof(*fixed);
		if (mprotect(fixed, 8192, PROT_READ) < 0)
			die("mprotect");
		check_refused(discover("clouddisc", fixed), CLOUDOS_EFAULT,
			      "a struct that cannot be written is refused");
	}
	return done();
}
