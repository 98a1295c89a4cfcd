/* SPDX-License-Identifier: MIT */
/* Site tables of what a program is about to map.  HOST. */
#include "cli/prefetch.h"

#include <co/sites.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { SEGMENTS_MAX = 64 };

static bool has_table(const struct co_client *client, int fd)
{
	char path[CO_PATH_SIZE + CO_SITES_NAME_SIZE + 16], name[CO_SITES_NAME_SIZE];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true; /* and will never have one */
	(void) co_sites_name(name, st.st_dev, st.st_ino, (uint64_t) st.st_size,
			     (uint64_t) st.st_ctim.tv_sec * 1000000000U +
				     (uint64_t) st.st_ctim.tv_nsec); /* always fits */
	(void) snprintf(path, sizeof(path), "%s/" CO_SITES_FOLDER "/%s", client->folder,
			name);
	return access(path, F_OK) == 0;
}

/* Opens a file and asks for its table; the descriptor stays with the caller. */
static int want(struct co_client *client, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && !has_table(client, fd)) {
		(void) co_msg_start(client->out, WIRE_site_wanted_note, 0);
		/* what is not asked for now, the program asks for */
		(void) co_msg_send(client->out, client->fd, &fd, 1);
	}
	return fd;
}

/* PT_INTERP of a 64-bit program. */
static bool interpreter(int fd, char *out, size_t n)
{
	Elf64_Phdr all[SEGMENTS_MAX];
	Elf64_Ehdr head;
	size_t size;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phnum > SEGMENTS_MAX ||
	    head.e_phentsize != sizeof(all[0]))
		return false;
	size = head.e_phnum * sizeof(all[0]);
	if (pread(fd, all, size, (off_t) head.e_phoff) != (ssize_t) size)
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++)
		if (all[i].p_type == PT_INTERP && all[i].p_filesz > 1 &&
		    all[i].p_filesz <= n)
			return pread(fd, out, all[i].p_filesz,
				     (off_t) all[i].p_offset) ==
				       (ssize_t) all[i].p_filesz &&
			       out[all[i].p_filesz - 1] == 0;
	return false;
}

void prefetch_sites(struct co_client *client, const char *program)
{
	autoclose int fd = want(client, program), loader = -1, library = -1;
	char path[PATH_MAX], beside[PATH_MAX + 16];
	autofree char *real = NULL;
	char *slash;

	if (fd < 0 || !interpreter(fd, path, sizeof(path)))
		return;
	loader = want(client, path);
	real = realpath(path, NULL);
	slash = real ? strrchr(real, '/') : NULL;
	if (!slash)
		return;
	*slash = 0;
	(void) snprintf(beside, sizeof(beside), "%s/libc.so.6", real);
	library = want(client, beside); /* musl has it in its interpreter */
}
