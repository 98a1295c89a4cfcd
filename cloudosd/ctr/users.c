/* SPDX-License-Identifier: MIT */
/* Users of a container, out of its own files.  HOST. */
#include "cloudosd/ctr/users.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/cleanup.h"

enum { FILE_MAX_BYTES = 1 << 20 };

int ctr_users_open(int folder, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					   RESOLVE_NO_MAGICLINKS };
	struct stat st;
	int fd = (int) syscall(SYS_openat2, folder, name, &how, sizeof(how));

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		(void) close(fd); /* read only */
		errno = EINVAL;
		fd = -1;
	}
	return fd;
}

char *ctr_users_read(int fd)
{
	char *text = calloc(1, FILE_MAX_BYTES + 1);
	size_t size = 0;
	ssize_t n;

	while (fd >= 0 && text && size < FILE_MAX_BYTES &&
	       (n = read(fd, text + size, FILE_MAX_BYTES - size)) > 0)
		size += (size_t) n;
	return text;
}

/* The next line's fields, at most n of them; the rest are "".  false: no more lines. */
static bool next_line(char **text, char *fields[], size_t n)
{
	char *line = strsep(text, "\n");

	if (!line)
		return false;
	for (size_t i = 0; i < n; i++)
		fields[i] = line ? strsep(&line, ":") : (char *) "";
	return true;
}

static bool number_of(const char *text, uint32_t *out)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	value = strtoull(text, &end, 10);
	if (*end || value >= UINT32_MAX)
		return false;
	*out = (uint32_t) value;
	return true;
}

/* The line of that name, or of that uid; false: there is none. */
static bool find_user(char *passwd, const char *who, char name[64],
		      struct ctr_account *out)
{
	char *fields[7];
	uint32_t uid, gid, wanted = 0;
	bool by_number = number_of(who, &wanted);

	while (next_line(&passwd, fields, 7)) {
		if (!number_of(fields[2], &uid) || !number_of(fields[3], &gid) ||
		    (by_number ? uid != wanted : strcmp(fields[0], who) != 0))
			continue;
		out->uid = uid;
		out->gid = gid;
		(void) snprintf(name, 64, "%s", fields[0]); /* cut: then of no group */
		if (fields[5][0] == '/' && strlen(fields[5]) < sizeof(out->home))
			(void) snprintf(out->home, sizeof(out->home), "%s", fields[5]);
		return true;
	}
	out->uid = wanted;
	return by_number;
}

static bool is_member(char *members, const char *name)
{
	char *member;

	while ((member = strsep(&members, ",")))
		if (*name && strcmp(member, name) == 0)
			return true;
	return false;
}

static bool find_group(char *group, const char *who, uint32_t *out)
{
	char *fields[4];

	if (number_of(who, out))
		return true;
	while (next_line(&group, fields, 4))
		if (strcmp(fields[0], who) == 0 && number_of(fields[2], out))
			return true;
	return false;
}

static void find_groups(char *group, const char *name, struct ctr_account *out)
{
	char *fields[4];
	uint32_t gid;

	while (next_line(&group, fields, 4) && out->ngroups < co_countof(out->groups))
		if (number_of(fields[2], &gid) && gid != out->gid &&
		    is_member(fields[3], name))
			out->groups[out->ngroups++] = gid;
}

int ctr_users_find(const char *text, char *passwd, char *group, struct ctr_account *out,
		   struct co_err *err)
{
	autofree char *who = strdup(text && *text ? text : "0");
	char *wanted_group, name[64] = "";

	*out = (struct ctr_account){ 0 };
	if (!who)
		return co_fail(err, CO_NO_MEMORY, "no memory for the name of a user");
	wanted_group = strchr(who, ':');
	if (wanted_group)
		*wanted_group++ = '\0';
	if (!find_user(passwd, *who ? who : "0", name, out))
		return co_fail(err, CO_INVALID,
			       "the image knows no user %.64s (/etc/passwd)", who);
	if (wanted_group && *wanted_group) {
		if (!find_group(group, wanted_group, &out->gid))
			return co_fail(err, CO_INVALID,
				       "the image knows no group %.64s (/etc/group)",
				       wanted_group);
		return 0;
	}
	find_groups(group, name, out);
	return 0;
}
