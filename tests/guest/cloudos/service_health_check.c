/* SPDX-License-Identifier: MIT */
/* service_health_check, through libcloudos and raw. */
#include "guest.h"
#include "net.h"

/* 1 healthy, 0 not, negative: the code.  The bytes beside the bool must stay. */
static int healthy(const char *name)
{
	struct {
		unsigned char before;
		bool answer;
		unsigned char after[7];
	} room;
	int r;

	memset(&room, 0xa5, sizeof(room));
	r = cloudos_service_health_check(name, &room.answer);
	if (room.before != 0xa5 || room.after[0] != 0xa5)
		return 77;
	return r < 0 ? r : room.answer;
}

static int child_healthy(void *name)
{
	return healthy(name) + 50;
}

static int begin_register(void *registration)
{
	return cloudos_service_register(registration);
}

static void tcp_is_checked(void)
{
	service_registration_t r;
	uint32_t port;
	int listener = listen_somewhere(&port);

	r = a_checked_service("health.tcp", "tcp://127.0.0.1:%u", port);
	check_number(cloudos_service_register(&r), 0, "a tcp check of an open port");
	check_number(healthy("health.tcp"), 1, "is healthy");
	check_number(in_child(child_healthy, (char[]){ "health.tcp" }), 51,
		     "for another process, too");
	r = a_checked_service("health.shut", "tcp://127.0.0.1:%u", silent_port());
	check_number(cloudos_service_register(&r), 0, "a tcp check of a closed port");
	check_number(healthy("health.shut"), 0, "is not healthy");
	close(listener);
}

static void http_is_checked(void)
{
	struct http_server good, bad;
	service_registration_t r;

	http_start(&good, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n"
			  "Connection: close\r\n\r\n");
	http_start(&bad, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
			 "Connection: close\r\n\r\n");
	r = a_checked_service("health.204", "http://127.0.0.1:%u/health", good.port);
	check_number(cloudos_service_register(&r), 0,
		     "an http check answered with 204");
	check_number(healthy("health.204"), 1, "is healthy");
	r = a_checked_service("health.503", "http://127.0.0.1:%u/health", bad.port);
	check_number(cloudos_service_register(&r), 0,
		     "an http check answered with 503");
	check_number(healthy("health.503"), 0, "is not healthy");
	http_stop(&good);
	http_stop(&bad);
}

static void one_healthy_instance_is_enough(void)
{
	service_registration_t sick =
		a_checked_service("health.any", "tcp://127.0.0.1:%u", silent_port());
	service_registration_t well = a_service("health.any");
	struct helper other = helper_start(begin_register, &well);

	check_number(cloudos_service_register(&sick), 0,
		     "one sick and one well instance");
	check_number(healthy("health.any"), 1, "are a healthy service");
	helper_end(&other, 0);
	check(becomes("health.any", 1), "when the well one has ended");
	check_number(healthy("health.any"), 0, "it is not");
}

int main(void)
{
	service_registration_t r = a_service("health.process");
	bool answer;

	check_number(cloudos_service_register(&r), 0, "a service without a check");
	check_number(healthy("health.process"), 1,
		     "is healthy while its process lives");
	tcp_is_checked();
	http_is_checked();
	one_healthy_instance_is_enough();
	check_refused(RAW(service_health_check, WORD("health.nobody"), WORD(&answer)),
		      CLOUDOS_ENOENT, "nobody's service is not there");
	check_refused(RAW(service_health_check, WORD(""), WORD(&answer)),
		      CLOUDOS_EINVAL, "an empty name is refused");
	check_refused(RAW(service_health_check, 0, WORD(&answer)), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(RAW(service_health_check, WORD(unmapped()), WORD(&answer)),
		      CLOUDOS_EFAULT, "a name that is nowhere is refused");
	check_refused(RAW(service_health_check, WORD("health.process"), 0),
		      CLOUDOS_EFAULT, "an answer that goes to NULL is refused");
	check_refused(
		RAW(service_health_check, WORD("health.process"), WORD(unmapped())),
		CLOUDOS_EFAULT, "an answer that goes nowhere is refused");
	check_refused(
		RAW(service_health_check, WORD("health.process"), WORD(read_only())),
		CLOUDOS_EFAULT, "an answer that cannot be written is refused");
	return done();
}
