/* SPDX-License-Identifier: MIT */
/* container_get_status: what it says, in structs of any size. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	container_status_t s = { .size = sizeof(s) };

	return RAW(container_get_status, WORD(id), WORD(&s));
}

static void sizes(void)
{
	union {
		container_status_t s;
		unsigned char bytes[sizeof(container_status_t) + 64];
	} room;

	memset(&room, 0x5a, sizeof(room));
	room.s.size = 48;
	check_number(RAW(container_get_status, WORD(id), WORD(&room)), 0,
		     "a program from before gets what it knows");
	check(room.s.size == 48 && room.s.state == CONTAINER_RUNNING &&
		      room.bytes[48] == 0x5a,
	      "and nothing behind it is touched");
	memset(&room, 0x5a, sizeof(room));
	room.s.size = sizeof(room);
	check_number(RAW(container_get_status, WORD(id), WORD(&room)), 0,
		     "one from later gets what there is");
	check_number(room.s.size, sizeof(container_status_t), "and is told how much");
	room.s.size = 3;
	check_refused(RAW(container_get_status, WORD(id), WORD(&room)), CLOUDOS_EINVAL,
		      "less than the size itself is refused");
}

static void what_cannot_be_written(void)
{
	container_status_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		die("mmap");
	s->size = sizeof(*s);
	if (mprotect(s, 4096, PROT_READ) < 0)
		die("mprotect");
	check_refused(RAW(container_get_status, WORD(id), WORD(s)), CLOUDOS_EFAULT,
		      "what cannot be written is refused");
	(void) munmap(s, 4096);
}

int main(void)
{
	container_status_t s;

	id = make("status", "sh -c 'while :; do :; done'");
	s = status_of(id);
	check(s.started == 0 && s.finished == 0 && s.created > 0, "it has not begun");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	refuses_strangers(by_stranger);
	sizes();
	what_cannot_be_written();
	s = status_of(id);
	check(s.started >= s.created && s.pid > 0 && s.processes > 0, "it runs");
	for (uint64_t end = now_ms() + PATIENCE_MS; !s.cpu_time && now_ms() < end;)
		s = status_of(id);
	check(s.cpu_time > 0, "and uses the CPU");
	check_number(s.health, CONTAINER_CHECK_NONE, "nobody looks at its health");
	check_number(cloudos_container_stop(id, 0), 0, "it is killed");
	s = status_of(id);
	check(s.state == CONTAINER_STOPPED && s.exit_status == SIGKILL && s.pid == 0 &&
		      s.finished >= s.started,
	      "it has ended, and how");
	check_refused(RAW(container_get_status, WORD(id), 0), CLOUDOS_EFAULT,
		      "NULL is refused");
	check_refused(RAW(container_get_status, WORD(id), WORD(unmapped())),
		      CLOUDOS_EFAULT, "as is what is not mapped");
	s.size = sizeof(s);
	check_refused(RAW(container_get_status, 1000000, WORD(&s)), CLOUDOS_ENOENT,
		      "there is no such container");
	s.size = sizeof(s);
	check_number(cloudos_container_get_status(id, &s), 0,
		     "libcloudos asks as well");
	return done_containers();
}
