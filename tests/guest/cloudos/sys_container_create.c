/* SPDX-License-Identifier: MIT */
/* sys_container_create: whose name counts. */
#include "container.h"

int main(void)
{
	container_config_t c = a_container("sys.config", "sleep 1000");
	char *last = end_of_mapping() - sizeof("sys.last");
	int id;

	(void) make("sys.first", "sleep 1000");
	id = keep_id(RAW(sys_container_create, WORD("sys.argument"), WORD(&c)));
	check(id > 0, "a container is created");
	check_number(others_see_state(id), CONTAINER_CREATED, "others see it");
	check_refused(RAW(sys_container_create, WORD("sys.argument"), WORD(&c)),
		      CLOUDOS_EEXIST, "the argument is its name");
	id = keep_id(cloudos_sys_container_create(NULL, &c));
	check(id > 0, "without one it is the configuration's");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EEXIST,
		      "which is taken then");
	check_refused(RAW(sys_container_create, WORD("a/b"), WORD(&c)), CLOUDOS_EINVAL,
		      "a bad name is refused");
	check_refused(RAW(sys_container_create, WORD(unterminated(4000)), WORD(&c)),
		      CLOUDOS_ENAMETOOLONG, "as is one that is too long");
	strcpy(last, "sys.last");
	id = keep_id(RAW(sys_container_create, WORD(last), WORD(&c)));
	check(id > 0, "a name may end with its mapping");
	check_refused(RAW(sys_container_create, WORD(unmapped()), WORD(&c)),
		      CLOUDOS_EFAULT, "or nowhere");
	check_refused(RAW(sys_container_create, 0, WORD(&c)), CLOUDOS_EFAULT,
		      "or NULL");
	check_refused(RAW(sys_container_create, WORD("sys.x"), 0), CLOUDOS_EFAULT,
		      "a configuration that is NULL is refused");
	check_refused(RAW(sys_container_create, WORD("sys.x"), WORD(unmapped())),
		      CLOUDOS_EFAULT, "or nowhere");
	return done_containers();
}
