/* SPDX-License-Identifier: MIT */
/* service_deregister, raw. */
#include "guest.h"

static int begin_register(void *name)
{
	service_registration_t r = a_service(name);

	return (int) RAW(service_register, WORD(&r));
}

static int child_deregisters(void *name)
{
	return RAW(service_deregister, WORD(name)) == RAW_CODE(CLOUDOS_ENOENT) ? 0 : 1;
}

int main(void)
{
	static char name[] = "dereg.mine";
	char longest[64];
	struct helper other;

	check_refused(RAW(service_deregister, WORD(name)), CLOUDOS_ENOENT,
		      "what was never registered is not there");
	check_number(begin_register(name), 0, "it is registered");
	check_number(others_see(name), 1, "another process sees it");
	check_number(in_child(child_deregisters, name), 0,
		     "a child cannot remove its parent's instance");
	other = helper_start(begin_register, name);
	check_number(others_see(name), 2, "a second process registers it, too");
	check_number(RAW(service_deregister, WORD(name)), 0, "the first deregisters");
	check_number(others_see(name), 1, "the other instance stays");
	check_refused(RAW(service_deregister, WORD(name)), CLOUDOS_ENOENT,
		      "the first cannot deregister twice");
	helper_end(&other, 0);
	check(becomes(name, 0), "the second one ends");
	check_number(begin_register(name), 0, "the name can be registered again");
	check_number(others_see(name), 1, "and is seen again");

	memset(longest, 'x', 63);
	longest[63] = '\0';
	check_number(begin_register(longest), 0, "a name of 63 bytes is registered");
	check_number(RAW(service_deregister, WORD(longest)), 0, "and deregistered");
	check_refused(RAW(service_deregister, WORD("")), CLOUDOS_EINVAL,
		      "an empty name is refused");
	check_refused(RAW(service_deregister, WORD("a/b")), CLOUDOS_EINVAL,
		      "a name with a slash is refused");
	check_refused(
		RAW(service_deregister, WORD("0123456789012345678901234567890123456789"
					     "012345678901234567890123")),
		CLOUDOS_ENAMETOOLONG, "a name of 64 bytes is refused");
	check_refused(RAW(service_deregister, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(service_deregister, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a pointer to nothing is refused");
	check_refused(RAW(service_deregister, WORD(unterminated(10))), CLOUDOS_EFAULT,
		      "a name that ends with its mapping is refused");
	return done();
}
