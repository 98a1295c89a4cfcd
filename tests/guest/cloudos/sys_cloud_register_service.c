/* SPDX-License-Identifier: MIT */
/* sys_cloud_register_service, raw. */
#include "guest.h"

static service_config_t a_config(void)
{
	service_config_t c;

	memset(&c, 0, sizeof(c));
	c.size = sizeof(c);
	c.port = 8080;
	c.ttl = 3600;
	c.instances = 3;
	strcpy(c.version, "4.5");
	strcpy(c.endpoint, "unix:/run/thing");
	strcpy(c.metadata, "size=large");
	return c;
}

static int child_compares(void *name)
{
	service_registration_t got;
	size_t count = 1;

	if (RAW(service_discover, WORD(name), WORD(&got), WORD(&count)) != 0 ||
	    count != 1)
		return 1;
	if (strcmp(got.name, name) != 0 || got.pid != (uint32_t) getppid())
		return 2;
	if (got.port != 8080 || got.ttl != 3600 || strcmp(got.version, "4.5") != 0)
		return 3;
	if (strcmp(got.endpoint, "unix:/run/thing") != 0 ||
	    strcmp(got.metadata, "size=large") != 0)
		return 4;
	return 0;
}

static long register_with(const service_config_t *config)
{
	return RAW(sys_cloud_register_service, WORD("cloudreg"), WORD(config));
}

static void sizes_may_differ(void)
{
	service_config_t c = a_config();
	struct {
		service_config_t known;
		char later[512];
	} longer;
	service_registration_t got;
	size_t count = 1;

	memset(&longer, 0, sizeof(longer));
	longer.known = c;
	longer.known.size = sizeof(longer);
	check_number(
		RAW(sys_cloud_register_service, WORD("cloudreg.long"), WORD(&longer)),
		0, "the longer struct of a newer program works");
	check_number(in_child(child_compares, (char[]){ "cloudreg.long" }), 0,
		     "and what is known of it counts");
	c.size = 12;
	check_number(RAW(sys_cloud_register_service, WORD("cloudreg.short"), WORD(&c)),
		     0, "the shorter struct of an older program works");
	check(RAW(service_discover, WORD("cloudreg.short"), WORD(&got), WORD(&count)) ==
			      0 &&
		      got.port == 8080 && got.ttl == 3600 && got.version[0] == '\0' &&
		      got.metadata[0] == '\0',
	      "and what it does not have counts as zero");
	c.size = 3;
	check_refused(register_with(&c), CLOUDOS_EINVAL, "a size of 3 is refused");
	c.size = 0;
	check_refused(register_with(&c), CLOUDOS_EINVAL, "a size of 0 is refused");
}

int main(void)
{
	service_config_t c = a_config(), bad;
	char *end;

	strcpy(c.name, "cloudreg");
	check_number(register_with(&c), 0, "a service is registered");
	check_number(in_child(child_compares, (char[]){ "cloudreg" }), 0,
		     "another process finds it with service_discover");
	sizes_may_differ();
	bad = c;
	strcpy(bad.name, "another");
	check_refused(register_with(&bad), CLOUDOS_EINVAL,
		      "another name in the struct is refused");
	bad = c;
	memset(bad.endpoint, 'e', sizeof(bad.endpoint));
	check_refused(register_with(&bad), CLOUDOS_EINVAL,
		      "an endpoint without its NUL is refused");
	bad = c;
	bad.port = 70000;
	check_refused(register_with(&bad), CLOUDOS_EINVAL, "port 70000 is refused");
	bad = c;
	strcpy(bad.health_check, "exec:true");
	check_refused(register_with(&bad), CLOUDOS_EINVAL,
		      "a health check of another kind is refused");
	check_refused(RAW(sys_cloud_register_service, WORD(""), WORD(&c)),
		      CLOUDOS_EINVAL, "an empty name is refused");
	check_refused(RAW(sys_cloud_register_service, 0, WORD(&c)), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(RAW(sys_cloud_register_service, WORD(unmapped()), WORD(&c)),
		      CLOUDOS_EFAULT, "a name that is nowhere is refused");
	check_refused(register_with(NULL), CLOUDOS_EFAULT, "a NULL struct is refused");
	check_refused(register_with(unmapped()), CLOUDOS_EFAULT,
		      "a struct that is nowhere is refused");
	end = end_of_mapping() - 16;
	memcpy(end, &c, 16);
	check_refused(register_with((void *) end), CLOUDOS_EFAULT,
		      "a struct that goes over the end of its mapping is refused");
	check_number(in_child(child_compares, (char[]){ "cloudreg" }), 0,
		     "what was refused changed nothing");
	return done();
}
