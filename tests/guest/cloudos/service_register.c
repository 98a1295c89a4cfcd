/* SPDX-License-Identifier: MIT */
/* service_register, through libcloudos and raw. */
#include "guest.h"

static int child_compares(void *arg)
{
	const service_registration_t *want = arg;
	service_registration_t got;
	size_t count = 1;

	memset(&got, 0x55, sizeof(got));
	if (cloudos_service_discover(want->name, &got, &count) != 0 || count != 1)
		return 1;
	if (strcmp(got.name, want->name) != 0 ||
	    strcmp(got.version, want->version) != 0)
		return 2;
	if (got.pid != (uint32_t) getppid())
		return 3;
	if (got.port != want->port || got.ttl != want->ttl)
		return 4;
	if (strcmp(got.endpoint, want->endpoint) != 0 ||
	    strcmp(got.health_check, want->health_check) != 0 ||
	    strcmp(got.metadata, want->metadata) != 0)
		return 5;
	return 0;
}

static int begin_register(void *registration)
{
	return cloudos_service_register(registration);
}

static void is_seen_and_replaced(void)
{
	service_registration_t r = a_service("reg.seen");

	check_number(cloudos_service_register(&r), 0, "a service is registered");
	check_number(in_child(child_compares, &r), 0,
		     "another process discovers it with every field and the right pid");
	r.port = 65535;
	strcpy(r.version, "2");
	memset(r.metadata, 'm', sizeof(r.metadata) - 1);
	memset(r.endpoint, 'e', sizeof(r.endpoint) - 1);
	r.pid = (uint32_t) getpid();
	check_number(cloudos_service_register(&r), 0,
		     "it is registered again with its own pid and full arrays");
	check_number(in_child(child_compares, &r), 0,
		     "another process sees the new fields, in one instance");
}

static void instances_belong_to_processes(void)
{
	service_registration_t r = a_service("reg.many");
	struct helper one = helper_start(begin_register, &r);
	struct helper two = helper_start(begin_register, &r);
	uint64_t killed;

	check(one.result == 0 && two.result == 0,
	      "two processes register the same name");
	check_number(others_see("reg.many"), 2, "a third one sees two instances");
	helper_end(&one, SIGKILL);
	killed = now_ms();
	check(becomes("reg.many", 1),
	      "the instance of a killed process is out of discovery");
	printf("# after %lu ms\n", (unsigned long) (now_ms() - killed));
	helper_end(&two, 0);
	check(becomes("reg.many", 0), "and that of one which ended is, too");
}

static void bad_fields_are_refused(void)
{
	service_registration_t good = a_service("reg.bad"), r;

	check_number(cloudos_service_register(&good), 0, "a good one to begin with");
	r = good;
	r.name[0] = '\0';
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "an empty name is refused");
	r = good;
	strcpy(r.name, "a/b");
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a name with a slash is refused");
	r = good;
	memset(r.name, 'n', sizeof(r.name));
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a name without its NUL is refused");
	r = good;
	memset(r.version, 'v', sizeof(r.version));
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a version without its NUL is refused");
	r = good;
	memset(r.endpoint, 'e', sizeof(r.endpoint));
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "an endpoint without its NUL is refused");
	r = good;
	memset(r.health_check, 'h', sizeof(r.health_check));
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a health check without its NUL is refused");
	r = good;
	memset(r.metadata, 'm', sizeof(r.metadata));
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "metadata without its NUL is refused");
	r = good;
	r.port = 65536;
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "port 65536 is refused");
	r = good;
	strcpy(r.health_check, "rm -rf /");
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a health check that is a command is refused");
	r = good;
	strcpy(r.health_check, "tcp://127.0.0.1");
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EINVAL,
		      "a tcp check without a port is refused");
	r = good;
	r.pid = (uint32_t) getppid();
	check_refused(RAW(service_register, WORD(&r)), CLOUDOS_EACCES,
		      "a registration for another process is refused");
	check_number(in_child(child_compares, &good), 0,
		     "what was refused changed nothing");
}

static uint32_t health_of(const char *name)
{
	service_info_t info = { .size = sizeof(info) };

	if (cloudos_sys_cloud_discover_service(name, &info) < 0 || info.listed < 1)
		return 99;
	return info.list[0].health;
}

static void a_ttl_lapses(void)
{
	service_registration_t r = a_service("reg.ttl");
	uint64_t began, looked, deadline;
	uint32_t health;

	r.ttl = 1;
	began = now_ms();
	check_number(cloudos_service_register(&r), 0,
		     "a service with a ttl of a second");
	health = health_of("reg.ttl");
	check(health == SERVICE_HEALTH_HEALTHY || now_ms() - began > 1000,
	      "is healthy");
	deadline = began + 600;
	while (now_ms() < deadline)
		breathe();
	began = looked = now_ms();
	check_number(cloudos_service_register(&r), 0, "renewed in time");
	deadline = began + PATIENCE_MS;
	while ((health = health_of("reg.ttl")) == SERVICE_HEALTH_HEALTHY &&
	       now_ms() < deadline) {
		looked = now_ms();
		breathe();
	}
	/* unless this process was away for as long as it is critical */
	check(health == SERVICE_HEALTH_CRITICAL || now_ms() - looked > 1000,
	      "one missed ttl makes it critical");
	check(now_ms() - began >= 950, "and not before the second is over");
	check(becomes("reg.ttl", 0), "two missed ones remove it");
	check(now_ms() - began >= 1900, "and not before two seconds are over");
}

int main(void)
{
	is_seen_and_replaced();
	instances_belong_to_processes();
	bad_fields_are_refused();
	a_ttl_lapses();
	check_refused(RAW(service_register, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(service_register, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a pointer to nothing is refused");
	check_refused(RAW(service_register, WORD(end_of_mapping() - 100)),
		      CLOUDOS_EFAULT,
		      "a struct that goes over the end of its mapping is refused");
	return done();
}
