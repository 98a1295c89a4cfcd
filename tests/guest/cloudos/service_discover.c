/* SPDX-License-Identifier: MIT */
/* service_discover, through libcloudos and raw. */
#include "guest.h"
#include "net.h"

static int begin_register(void *registration)
{
	return cloudos_service_register(registration);
}

static void counts_are_right(void)
{
	service_registration_t r = a_service("disc.three");
	service_registration_t found[4];
	struct helper one = helper_start(begin_register, &r);
	struct helper two = helper_start(begin_register, &r);
	size_t count = 0;

	check_number(cloudos_service_register(&r), 0,
		     "three processes register a name");
	check_number(cloudos_service_discover("disc.three", NULL, &count), 0,
		     "with no room, only the number is asked for");
	check_number((long) count, 3, "which is three");
	memset(found, 0x55, sizeof(found));
	count = 1;
	check_number(cloudos_service_discover("disc.three", found, &count), 0,
		     "with room for one");
	check_number((long) count, 3, "the number is three");
	check(found[0].port == 4711 && found[1].port == 0x55555555,
	      "and one is written, no more");
	count = 4;
	check_number(cloudos_service_discover("disc.three", found, &count), 0,
		     "with room for four");
	check(count == 3 && found[2].port == 4711 && found[3].port == 0x55555555,
	      "three are written");
	check(found[0].pid == (uint32_t) one.pid &&
		      found[1].pid == (uint32_t) two.pid &&
		      found[2].pid == (uint32_t) getpid(),
	      "the oldest comes first, each with its pid");
	helper_end(&one, 0);
	helper_end(&two, 0);
	check(becomes("disc.three", 1), "two of them end");
	count = (size_t) 1 << 40;
	check_number(cloudos_service_discover("disc.three", found, &count), 0,
		     "room that is larger than any memory is no trouble");
	check_number((long) count, 1, "there is one left");
	check_number(others_see("disc.nobody"), 0, "nobody's name is found zero times");
}

static void healthy_ones_come_first(void)
{
	service_registration_t sick =
		a_checked_service("disc.order", "tcp://127.0.0.1:%u", silent_port());
	service_registration_t well = a_service("disc.order");
	service_registration_t found[2];
	struct helper first = helper_start(begin_register, &sick);
	size_t count = 2;

	check_number(first.result, 0, "one instance whose check will fail");
	check_number(settled_health("disc.order"), SERVICE_HEALTH_CRITICAL,
		     "is critical");
	check_number(cloudos_service_register(&well), 0, "a younger one is healthy");
	check_number(cloudos_service_discover("disc.order", found, &count), 0,
		     "both are discovered");
	check(count == 2 && found[0].pid == (uint32_t) getpid() &&
		      found[1].pid == (uint32_t) first.pid,
	      "the healthy one first, although it is younger");
	helper_end(&first, 0);
}

static void bad_arguments_are_refused(void)
{
	service_registration_t room[2];
	size_t count = 2;

	check_refused(RAW(service_discover, WORD(""), WORD(room), WORD(&count)),
		      CLOUDOS_EINVAL, "an empty name is refused");
	check_refused(RAW(service_discover, WORD("a b"), WORD(room), WORD(&count)),
		      CLOUDOS_EINVAL, "a name with a space is refused");
	check_refused(RAW(service_discover, 0, WORD(room), WORD(&count)),
		      CLOUDOS_EFAULT, "a name that is NULL is refused");
	check_refused(RAW(service_discover, WORD(unmapped()), WORD(room), WORD(&count)),
		      CLOUDOS_EFAULT, "a name that is nowhere is refused");
	check_refused(RAW(service_discover, WORD("disc.three"), WORD(room), 0),
		      CLOUDOS_EFAULT, "a count that is NULL is refused");
	check_refused(
		RAW(service_discover, WORD("disc.three"), WORD(room), WORD(unmapped())),
		CLOUDOS_EFAULT, "a count that is nowhere is refused");
	check_refused(RAW(service_discover, WORD("disc.three"), WORD(room),
			  WORD(read_only())),
		      CLOUDOS_EFAULT, "a count that cannot be written is refused");
	check_refused(RAW(service_discover, WORD("disc.three"), 0, WORD(&count)),
		      CLOUDOS_EFAULT, "room that is NULL is refused");
	check_refused(RAW(service_discover, WORD("disc.three"), WORD(unmapped()),
			  WORD(&count)),
		      CLOUDOS_EFAULT, "room that is nowhere is refused");
	check_refused(RAW(service_discover, WORD("disc.three"), WORD(read_only()),
			  WORD(&count)),
		      CLOUDOS_EFAULT, "room that cannot be written is refused");
	check_number((long) count, 2, "and the count is as it was");
}

int main(void)
{
	counts_are_right();
	healthy_ones_come_first();
	bad_arguments_are_refused();
	return done();
}
