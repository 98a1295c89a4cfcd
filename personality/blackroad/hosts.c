/* SPDX-License-Identifier: MIT */
/*
 * /etc/hosts of a program that can have none of its own, because mount name spaces are
 * forbidden where it runs.  HOST.
 *
 * cloudos-exec then lets the daemon see what the program opens.  For /etc/hosts it gets a
 * memory file: what is in the machine's, and the names of the registry with their front
 * addresses.  Any other path, and every flag but reading, is the kernel's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cloudosd/service/names.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "personality/blackroad/caught.h"

static const char path[] = "/etc/hosts";

static void add_host(struct co_buf *out, const char *address, const char *url)
{
	struct co_span host = names_host(url);

	if (host.size)
		co_buf_format(out, "%s\t%.*s\n", address, (int) host.size, host.data);
}

static void add_names(struct co_buf *out, const struct names *names)
{
	for (size_t i = 0; i < names_count(names); i++) {
		const struct name *name = names_at(names, i);
		struct in_addr front = names_front(names, name);
		char address[INET_ADDRSTRLEN];

		if (!front.s_addr)
			return;
		(void) inet_ntop(AF_INET, &front, address, sizeof(address));
		add_host(out, address, name->internal);
		add_host(out, address, name->cloudflare);
		add_host(out, address, name->railway);
		add_host(out, address, name->railway_development);
	}
}

/* What the machine's file has; it may have none. */
static void add_machine(struct co_buf *out)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	do {
		char *room = co_buf_room(out, 4096);

		n = fd < 0 || !room || out->size > 1 << 20 ? 0 : read(fd, room, 4096);
		if (n > 0)
			co_buf_wrote(out, (size_t) n);
	} while (n > 0);
}

static int file_of(const struct co_buf *text)
{
	autoclose int fd = memfd_create("hosts", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || text->failed ||
	    write(fd, text->data, text->size) != (ssize_t) text->size ||
	    lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -1;
	return take_fd(fd);
}

static int64_t open_hosts(struct co_call *call, uint64_t address, uint64_t flags)
{
	autobuf struct co_buf text = { 0 };
	char wanted[sizeof(path)];
	bool same;
	int fd;

	if (!call_services(call)->names || (flags & O_ACCMODE) != O_RDONLY ||
	    flags & (O_CREAT | O_PATH | O_DIRECTORY | O_TRUNC))
		return call_continue(call);
	add_names(&text, call_services(call)->names);
	call_blocking_begin(call);
	/* a path that ends with the address space is shorter than what is read, and is not
	 * this one */
	same = call_guest_bytes(call, address, wanted, sizeof(wanted)) == 0 &&
	       !memcmp(wanted, path, sizeof(path));
	if (same)
		add_machine(&text);
	fd = same ? file_of(&text) : -1;
	call_blocking_end(call);
	return fd < 0 ? call_continue(call) : call_return_fd(call, fd);
}

int64_t blackroad_do_open(struct co_call *call, const uint64_t words[6])
{
	return open_hosts(call, words[0], words[1]);
}

int64_t blackroad_do_openat(struct co_call *call, const uint64_t words[6])
{
	return open_hosts(call, words[1], words[2]);
}
