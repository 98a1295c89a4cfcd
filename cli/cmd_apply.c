/* SPDX-License-Identifier: MIT */
/* cloudosctl apply, down, diff: what a cloudos.yaml describes.  HOST. */
#include <libgen.h>
#include <stdlib.h>

#include "cli/apply.h"
#include "cli/container.h"
#include "lib/cleanup.h"

struct described {
	struct apply_file file;
	char *text, *folder; /* owned */
};

static void described_done(struct described *d)
{
	apply_done(&d->file);
	free(d->text);
	free(d->folder);
}
#define autodescribed __attribute__((cleanup(described_done)))

/* --file, or cloudos.yaml here. */
static int read_file(struct described *d, struct ctl *ctl)
{
	const char *name = ctl_option(ctl, "file"),
		   *project = ctl_option(ctl, "project");
	autofree char *path = NULL;
	size_t n;
	int rc;

	name = name ? name : "cloudos.yaml";
	rc = co_yaml_read_text(name, &d->text, &n, &ctl->err);
	if (rc == CO_YAML_NO_FILE)
		return co_fail(&ctl->err, CO_NOT_FOUND,
			       "there is no file %s; -f names another one", name);
	if (rc < 0)
		return rc;
	path = realpath(name, NULL);
	d->folder = path ? strdup(dirname(path)) : NULL;
	if (!d->folder)
		return co_fail(&ctl->err, CO_IO, "cannot tell the folder of %s", name);
	rc = apply_parse(&d->file, name, d->folder, d->text, n, &ctl->err);
	if (rc == 0 && project &&
	    strcmp(project, d->file.project) != 0) /* it is in every label by now */
		return ctl_usage(ctl,
				 "%s is of project %s; --project is for `" CTL_PROGRAM
				 " down` without a file",
				 name, d->file.project);
	return rc < 0 ? rc : apply_order(&d->file);
}

int cmd_apply(struct ctl *ctl)
{
	struct apply_how how = { .timeout_s = 60,
				 .prune = ctl_option(ctl, "prune"),
				 .wait = ctl_option(ctl, "wait") };
	autodescribed struct described d = { 0 };
	int rc = ctl_option_number(ctl, "timeout", 1, 86400, &how.timeout_s);

	if (rc == 0)
		rc = read_file(&d, ctl);
	if (rc == 0)
		rc = container_daemon(ctl);
	if (rc == 0)
		rc = apply_plan(&d.file, ctl);
	return rc < 0 ? rc : apply_do(&d.file, ctl, &how);
}

int cmd_down(struct ctl *ctl)
{
	const char *project = ctl_option(ctl, "project");
	autodescribed struct described d = { 0 };
	int rc = 0;

	d.file.yaml = (struct co_yaml){ .name = "", .err = &ctl->err };
	if (ctl_option(ctl, "volumes") && project && !ctl_option(ctl, "file"))
		return ctl_usage(ctl, "--volumes needs the file, which says what they "
				      "are; `" CTL_PROGRAM " volume rm` removes one");
	if (project && !ctl_option(ctl, "file"))
		(void) snprintf(d.file.project, sizeof(d.file.project), "%s", project);
	else
		rc = read_file(&d, ctl);
	if (rc == 0)
		rc = apply_plan(&d.file, ctl);
	if (rc == 0)
		rc = apply_remove_all(&d.file, ctl);
	if (rc == 0 && ctl_option(ctl, "volumes"))
		rc = apply_remove_volumes(&d.file, ctl);
	return rc;
}

int cmd_diff(struct ctl *ctl)
{
	static const char *const would[] = {
		[APPLY_CREATE] = "create", [APPLY_START] = "start",
		[APPLY_UPDATE] = "update", [APPLY_RECREATE] = "recreate",
		[APPLY_REMOVE] = "remove",
	};
	static const char *const columns[] = { "kind", "name", "action", "changed",
					       NULL };
	autodescribed struct described d = { 0 };
	struct co_print *rows;
	int rc = read_file(&d, ctl), printed;

	if (rc == 0)
		rc = apply_plan(&d.file, ctl);
	if (rc < 0)
		return rc;
	rows = co_print_new(&ctl->style, columns);
	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	for (const struct apply_image *i = d.file.images; i; i = i->next) {
		if (!i->missing)
			continue;
		co_print_text(rows, "image");
		co_print_text(rows, i->name);
		co_print_text(rows, "import");
		co_print_text(rows, "");
	}
	for (const struct apply_volume *v = d.file.named; v; v = v->next) {
		if (!v->missing)
			continue;
		co_print_text(rows, "volume");
		co_print_text(rows, v->name);
		co_print_text(rows, "create");
		co_print_text(rows, "");
	}
	for (const struct apply_unit *u = d.file.units; u; u = u->next) {
		if (u->action == APPLY_NOTHING)
			continue;
		co_print_text(rows, apply_kind_name(u->kind));
		co_print_text(rows, u->name);
		co_print_text(rows, would[u->action]);
		co_print_text(rows, u->changed.size ? u->changed.data : "");
	}
	ctl->program_exit = co_print_rows(rows) > 0;
	printed = co_print_end(rows);
	return ctl_printed(ctl, printed);
}
