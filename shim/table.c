/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Site tables (co/sites.h): found where the daemon has put them, or asked for.
 * Called by patch.c, under the lock.
 *
 * Asking is one message that nobody waits for.  The table is there for the next program, or
 * for this one when a site of that file has trapped some more.
 */
#include <shim/guest.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

enum { SCM_RIGHTS = 1, SOL_SOCKETS = 1, MSG_NOSIGNAL = 0x4000 };

/* for a path, or lines of /proc/self/maps: under the lock */
#define text shim_spare_text

_Static_assert(sizeof(text) >= 4096 + CO_SITES_NAME_SIZE + 256, "a path may not fit");

static bool same_file(long fd, const struct shim_image *image, struct stat *out)
{
	return shim_syscall(__NR_fstat, fd, (long) out, 0, 0, 0, 0) == 0 &&
	       out->st_dev == image->file.device && out->st_ino == image->file.inode;
}

static void close_fd(long fd)
{
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
}

/* ---- asking ---- */

static uint64_t hex(const char **at)
{
	uint64_t value = 0;

	for (;; (*at)++) {
		char c = **at;

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t) (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t) (c - 'a' + 10);
		else
			return value;
	}
}

/* "START-END PERMS OFFSET DEVICE INODE   PATH": the path, if the address is in it. */
static const char *path_in(const char *line, uint64_t address)
{
	const char *at = line;
	uint64_t start = hex(&at), end;

	if (*at++ != '-')
		return NULL;
	end = hex(&at);
	if (address < start || address >= end)
		return NULL;
	while (*at && *at != '/')
		at++;
	return *at ? at : NULL;
}

const char *shim_mapped_path(uint64_t address)
{
	long fd = shim_syscall(__NR_open, (long) "/proc/self/maps", O_RDONLY | O_CLOEXEC,
			       0, 0, 0, 0);
	const char *path = NULL;
	long have = 0, n;

	while (fd >= 0 && !path &&
	       (n = shim_syscall(__NR_read, fd, (long) text + have,
				 (long) sizeof(text) - 1 - have, 0, 0, 0)) > 0) {
		char *line = text, *end;

		text[have + n] = '\0';
		for (end = line; *end && !path; end++) {
			if (*end != '\n')
				continue;
			*end = '\0';
			path = path_in(line, address);
			line = end + 1;
		}
		have = end - line;
		if (have == (long) sizeof(text) - 1)
			break; /* no line is that long */
		if (!path)
			memmove(text, line, (size_t) have);
	}
	if (fd >= 0)
		close_fd(fd);
	return path;
}

static void send(long to, long file)
{
	struct co_sites_wanted wanted = { .type = CO_SITES_WANTED_TYPE,
					  .size = sizeof(wanted) };
	struct {
		uint64_t base, length;
	} bytes = { (uint64_t) &wanted, sizeof(wanted) };
	struct {
		uint64_t length;
		int32_t level, type, fd, padding;
	} rights = { 20, SOL_SOCKETS, SCM_RIGHTS, (int32_t) file, 0 };
	struct {
		uint64_t name, name_size, vector, vectors, control, control_size, flags;
	} message = { .vector = (uint64_t) &bytes,
		      .vectors = 1,
		      .control = (uint64_t) &rights,
		      .control_size = sizeof(rights) };

	(void) shim_syscall(__NR_sendmsg, to, (long) &message, MSG_NOSIGNAL, 0, 0, 0);
}

static void ask(const struct shim_image *image, uint64_t address)
{
	struct stat st;
	const char *path = shim_mapped_path(address);
	long file = -1, to;

	if (path)
		file = shim_syscall(__NR_open, (long) path, O_RDONLY | O_CLOEXEC, 0, 0, 0,
				    0);
	if (file < 0)
		return;
	to = same_file(file, image, &st) ? shim_daemon_socket() : -ENOENT;
	if (to >= 0) {
		send(to, file);
		close_fd(to);
	}
	close_fd(file);
}

/* ---- finding ---- */

static const struct co_sites_header *map(const struct shim_image *image, long fd)
{
	struct stat st;
	long at;

	if (shim_syscall(__NR_fstat, fd, (long) &st, 0, 0, 0, 0) != 0 ||
	    st.st_size < (long) sizeof(struct co_sites_header))
		return NULL;
	at = shim_syscall(__NR_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at < 0 && at > -4096)
		return NULL;
	if (co_sites_check((const struct co_sites_header *) at, (uint64_t) st.st_size,
			   image->file.device, image->file.inode, image->file.size,
			   image->file.changed_ns))
		return (const struct co_sites_header *) at;
	(void) shim_syscall(__NR_munmap, at, st.st_size, 0, 0, 0, 0);
	return NULL;
}

void shim_table_forget(struct shim_image *image)
{
	const struct co_sites_header *table = image->table;

	if (!table)
		return;
	image->table = NULL;
	image->asked = 0;
	(void) shim_syscall(__NR_munmap, (long) table,
			    (long) (sizeof(*table) +
				    table->count * sizeof(struct co_sites_row)),
			    0, 0, 0, 0);
}

const struct co_sites_header *shim_table_of(struct shim_image *image, uint64_t address)
{
	struct shim_fmt out = shim_fmt_init(text, sizeof(text));
	char name[CO_SITES_NAME_SIZE];
	long fd;

	if (image->table || image->file.inode == 0)
		return image->table;
	/* the 1st, 2nd, 4th, 8th ... time */
	image->asked++;
	if (image->asked & (image->asked - 1))
		return NULL;
	(void) co_sites_name(name, image->file.device, image->file.inode,
			     image->file.size, image->file.changed_ns);
	shim_fmt_text(&out, shim.config.folder);
	shim_fmt_text(&out, "/" CO_SITES_FOLDER "/");
	shim_fmt_text(&out, name);
	fd = shim_syscall(__NR_open, (long) text, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
	if (fd >= 0) {
		image->table = map(image, fd);
		close_fd(fd);
	} else if (image->asked == 1) {
		ask(image, address);
	}
	return image->table;
}
