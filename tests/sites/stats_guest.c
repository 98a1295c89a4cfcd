/* SPDX-License-Identifier: MIT */
/*
 * A program that looks as if engine trap had met some of its sites, or that lies about it.
 * GUEST of tests/sites/listing.py; an ordinary program.
 *
 *	stats-guest good|none|mark|wild|many|odd|stuck
 *
 * Prints the addresses of its sites and "ready", and ends with its standard input.
 */
#include <co/trap.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void *map(uint64_t at)
{
	void *p = mmap((void *) at, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED_NOREPLACE : 0), -1,
		       0);

	if (p != MAP_FAILED)
		return p;
	perror("mmap");
	_exit(2);
}

/* A page that nobody ever fills: who reads it waits. */
static void *stuck_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = map(0);

	area.range.start = (uint64_t) page;
	area.range.len = PAGE;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &area) < 0) {
		(void) printf("skip: no userfaultfd here\n");
		_exit(0);
	}
	return page;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "good";
	struct co_trap_site *sites = map(0);
	struct co_trap_stats *stats;
	char end;

	if (strcmp(mode, "none") != 0) {
		stats = map(CO_TRAP_STATS);
		*stats = (struct co_trap_stats){ .mark = CO_TRAP_STATS_MARK,
						 .personality = 0, /* cloudos */
						 .sites = (uint64_t) sites,
						 .sites_used = 3,
						 .sites_max = 64,
						 .traps = 70,
						 .patched = 1,
						 .patch_failed = 1,
						 .deferred = 5,
						 .sent = 6 };
		sites[0] = (struct co_trap_site){ .address = (uint64_t) &getpid,
						  .traps = 12,
						  .number = SYS_getpid,
						  .state = CO_SITE_PATCHED,
						  .length = 5 };
		sites[1] = (struct co_trap_site){ .address = (uint64_t) sites,
						  .traps = 57,
						  .number = 20000,
						  .state = CO_SITE_NEVER,
						  .why = 3 };
		sites[2] = (struct co_trap_site){
			.address = (uint64_t) &main, .traps = 1, .number = 20, .kind = 1
		};
		if (strcmp(mode, "mark") == 0)
			stats->mark ^= 1;
		if (strcmp(mode, "wild") == 0)
			stats->sites = 0x123456789abcdef0;
		if (strcmp(mode, "many") == 0)
			stats->sites_used = stats->sites_max = UINT32_MAX;
		if (strcmp(mode, "stuck") == 0)
			stats->sites = (uint64_t) stuck_page();
		if (strcmp(mode, "odd") == 0) {
			stats->personality = UINT32_MAX;
			sites[0].state = sites[0].why = 200;
			sites[1].number = UINT32_MAX;
			sites[2].address = UINT64_MAX;
		}
	}
	(void) printf("%d %#lx %#lx %#lx ready\n", getpid(), (unsigned long) &getpid,
		      (unsigned long) sites, (unsigned long) &main);
	(void) fflush(stdout);
	while (read(0, &end, 1) > 0)
		continue;
	return 0;
}
