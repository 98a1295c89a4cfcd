/* SPDX-License-Identifier: MIT */
/* cloudosctl surface: displays of Anos programs.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"
#include "personality/anos/system/surface.h"

/* One display; of the launcher, which has it open as long as the session lasts. */
struct display {
	uint64_t session;
	char name[64];
	int32_t launcher;
	int fd;
	uint32_t width, height;
};

struct displays {
	struct display *all;
	size_t count;
	uint64_t wanted;  /* session; 0: all */
	const char *name; /* NULL: all */
};

static int look_at(struct ctl *ctl, void *data)
{
	const struct wire_session_row *row = (const void *) ctl->client->in->bytes;
	struct displays *found = data;
	const char *name = co_msg_get(ctl->client->in, row->name);
	struct display d = { .session = row->id, .launcher = row->launcher_pid };
	struct display *all;

	if (row->h.type != WIRE_session_row)
		return co_fail(
			&ctl->err, CO_PROTOCOL,
			"the daemon sent a row of type %#x in a list of sessions",
			(unsigned) row->h.type);
	if ((found->wanted && found->wanted != row->id) ||
	    (found->name && strcmp(found->name, name) != 0) ||
	    anos_surface_find(row->launcher_pid, &d.fd, &d.width, &d.height, NULL))
		return 0;
	(void) snprintf(d.name, sizeof(d.name), "%s", name); /* shown only */
	all = realloc(found->all, (found->count + 1) * sizeof(*all));
	if (!all) {
		(void) close(d.fd); /* it was only looked at */
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	}
	found->all = all;
	found->all[found->count++] = d;
	return 0;
}

static int find(struct ctl *ctl, struct displays *found)
{
	const char *operand = ctl->noperands ? ctl->operands[0] : NULL;
	char *end = NULL;

	if (operand) {
		found->wanted = strtoull(operand, &end, 10);
		if (*end || end == operand) {
			found->wanted = 0;
			found->name = operand;
		}
	}
	if (!ctl_request(ctl, WIRE_session_list_req))
		return ctl->err.code;
	return ctl_stream(ctl, look_at, found);
}

static void forget(struct displays *found)
{
	for (size_t i = 0; i < found->count; i++)
		(void) close(found->all[i].fd); /* they were only read */
	free(found->all);
}

int cmd_surface_ls(struct ctl *ctl)
{
	static const char *const columns[] = { "session", "name",   "launcher_pid",
					       "width",   "height", NULL };
	struct displays found = { 0 };
	int rc = find(ctl, &found);
	struct co_print *p = rc < 0 ? NULL : co_print_new(&ctl->style, columns);

	for (size_t i = 0; p && i < found.count; i++) {
		co_print_u64(p, found.all[i].session);
		co_print_text(p, found.all[i].name);
		co_print_i64(p, found.all[i].launcher);
		co_print_u64(p, found.all[i].width);
		co_print_u64(p, found.all[i].height);
	}
	if (p)
		rc = ctl_printed(ctl, co_print_end(p));
	else if (!rc)
		rc = co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	forget(&found);
	return rc;
}

static int shoot(struct ctl *ctl, const struct display *display)
{
	autofree char *made = NULL;
	const char *path = ctl->image;
	autofclose FILE *out = NULL;
	int rc;

	if (!path) {
		if (asprintf(&made, "%" PRIu64 ".png", display->session) < 0)
			made = NULL;
		path = made;
	}
	out = path ? fopen(path, "we") : NULL;
	if (!out)
		return co_fail_errno(&ctl->err, path ? errno : ENOMEM,
				     "cannot write %s", path ? path : "an image");
	rc = anos_surface_png(display->fd, display->width, display->height, out,
			      &ctl->err);
	if (rc)
		return rc;
	if (fclose(take(out)))
		return co_fail_errno(&ctl->err, errno, "cannot write %s", path);
	return ctl_say(ctl, "%s: %u x %u pixels of session %" PRIu64, path,
		       display->width, display->height, display->session);
}

int cmd_surface_shot(struct ctl *ctl)
{
	struct displays found = { 0 };
	int rc = find(ctl, &found);

	if (!rc && !found.count)
		rc = co_fail(&ctl->err, CO_NOT_FOUND,
			     "there is no such display; `" CTL_PROGRAM
			     " surface ls` lists them");
	if (!rc && found.count > 1)
		rc = ctl_usage(ctl, "there are %zu displays; say of which session",
			       found.count);
	if (!rc)
		rc = shoot(ctl, &found.all[0]);
	forget(&found);
	return rc;
}
