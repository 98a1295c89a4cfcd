/* SPDX-License-Identifier: MIT */
/* cloudosctl personality ...: the tables, for people, programs and documents.  HOST. */
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"
#include "personality/personality.h"

static size_t count(const struct co_personality *p, enum co_support support)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nops; i++)
		n += p->ops[i].support == support;
	return n;
}

int cmd_personality_ls(struct ctl *ctl)
{
	static const char *const columns[] = { "name",  "title",   "interfaces",
					       "full",  "partial", "absent",
					       "entry", NULL };
	struct co_print *print = co_print_new(&ctl->style, columns);
	size_t n;
	const struct co_personality *p = co_personalities(&n);

	if (!print)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++) {
		co_print_text(print, p[i].name);
		co_print_text(print, p[i].title);
		co_print_u64(print, p[i].nops);
		co_print_u64(print, count(&p[i], CO_SUPPORT_FULL));
		co_print_u64(print, count(&p[i], CO_SUPPORT_PARTIAL));
		co_print_u64(print, count(&p[i], CO_SUPPORT_ABSENT));
		co_print_text(print, p[i].entry);
	}
	return ctl_printed(ctl, co_print_end(print));
}

/* ---- show ---- */

static int find(struct ctl *ctl, const struct co_personality **out)
{
	char names[200] = "";
	size_t n, used = 0;
	const struct co_personality *p = co_personalities(&n);

	*out = co_personality_find(ctl->operands[0]);
	if (*out)
		return 0;
	for (size_t i = 0; i < n && used < sizeof(names); i++)
		used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s",
					  i ? ", " : "", p[i].name);
	return co_fail(&ctl->err, CO_NOT_FOUND,
		       "there is no personality \"%.60s\"; there are %s",
		       ctl->operands[0], names);
}

/* As a C programmer reads it: what is written by the callee is not const. */
static void put_argument(FILE *out, const struct co_arg *a)
{
	const char *type = a->kind == CO_ARG_FLAGS ? "flags" : a->type;
	bool in = a->kind == CO_ARG_CSTR || a->kind == CO_ARG_IN ||
		  a->kind == CO_ARG_SIZED_IN || a->kind == CO_ARG_BUF_IN ||
		  a->kind == CO_ARG_TAILED_IN;
	bool pointer = in || a->kind == CO_ARG_OUT || a->kind == CO_ARG_INOUT ||
		       a->kind == CO_ARG_SIZED_OUT || a->kind == CO_ARG_OUT_ARRAY ||
		       a->kind == CO_ARG_BUF_OUT || a->kind == CO_ARG_TAILED_OUT ||
		       a->kind == CO_ARG_PTR;

	(void) fprintf(out, "%s%s %s%s", in ? "const " : "", type, pointer ? "*" : "",
		       a->name);
}

static void put_arguments(FILE *out, const struct co_op *op)
{
	for (uint32_t i = 0; i < op->nargs; i++) {
		if (i)
			(void) fputs(", ", out);
		put_argument(out, &op->args[i]);
	}
}

static void show_summary(FILE *out, const struct co_personality *p)
{
	(void) fprintf(out, "%zu interfaces: %zu full, %zu partial, %zu absent",
		       p->nops, count(p, CO_SUPPORT_FULL), count(p, CO_SUPPORT_PARTIAL),
		       count(p, CO_SUPPORT_ABSENT));
}

static int show_table(struct ctl *ctl, const struct co_personality *p)
{
	static const char *const columns[] = { "name",    "key",  "plane",
					       "support", "note", NULL };
	struct co_print *print = co_print_new(&ctl->style, columns);
	int rc;

	if (!print)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < p->nops; i++) {
		const struct co_op *op = &p->ops[i];

		co_print_text(print, op->name);
		co_print_text(print, op->key);
		co_print_text(print, co_plane_name(op->plane));
		co_print_text(print, co_support_name(op->support));
		co_print_text(print, op->note);
	}
	rc = co_print_end(print);
	if (rc < 0)
		return rc;
	show_summary(ctl->style.out, p);
	(void) fputc('\n', ctl->style.out); /* its failure is asked of the flush */
	return co_print_flush(ctl->style.out);
}

static void json_pair(struct co_json *j, const char *key, const char *value)
{
	co_json_key(j, key);
	co_json_text(j, value);
}

static void json_arguments(struct co_json *j, const struct co_op *op)
{
	co_json_key(j, "arguments");
	co_json_open(j, '[');
	for (uint32_t i = 0; i < op->nargs; i++) {
		co_json_open(j, '{');
		json_pair(j, "name", op->args[i].name);
		json_pair(j, "kind", co_arg_kind_name(op->args[i].kind));
		json_pair(j, "type", op->args[i].type);
		co_json_close(j);
	}
	co_json_close(j);
}

static int show_json(struct ctl *ctl, const struct co_personality *p)
{
	struct co_json j;

	co_json_init(&j, ctl->style.out);
	co_json_open(&j, '[');
	for (size_t i = 0; i < p->nops; i++) {
		const struct co_op *op = &p->ops[i];

		co_json_open(&j, '{');
		json_pair(&j, "name", op->name);
		json_pair(&j, "key", op->key);
		json_pair(&j, "plane", co_plane_name(op->plane));
		json_pair(&j, "support", co_support_name(op->support));
		json_arguments(&j, op);
		json_pair(&j, "heading", op->heading);
		json_pair(&j, "note", op->note);
		co_json_close(&j);
	}
	co_json_close(&j);
	return co_print_flush(ctl->style.out);
}

/* A bar would end the cell; an underscore or star would not be seen as one. */
static void put_markdown(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("|_*<\\`", *text))
			(void) fputc('\\', out);
		(void) fputc(*text, out);
	}
}

static void markdown_row(FILE *out, const struct co_op *op)
{
	(void) fprintf(out, "| `%s` | %s | %s | %s | ", op->name, op->key,
		       co_plane_name(op->plane), co_support_name(op->support));
	if (op->nargs) {
		(void) fputc('`', out);
		put_arguments(out, op);
		(void) fputc('`', out);
	}
	(void) fputs(" | ", out);
	put_markdown(out, op->note);
	(void) fputs(" |\n", out);
}

static int show_markdown(struct ctl *ctl, const struct co_personality *p)
{
	FILE *out = ctl->style.out; /* failures are asked of the flush */
	const char *heading = "";

	(void) fprintf(out,
		       "<!-- Written by `cloudosctl personality show %s -o markdown`; "
		       "change personality/%s/ops.def instead. -->\n\n# %s\n\n%s.\n",
		       p->name, p->name, p->title, p->entry);
	if (p->spec)
		(void) fprintf(out,
			       "The specification is [docs/spec/%s](../spec/%s).\n\n",
			       p->spec, p->spec);
	else
		(void) fputs("Its specification is section 2 of the manual pages.\n\n",
			     out);
	show_summary(out, p);
	(void) fputs(".\n", out);
	for (size_t i = 0; i < p->nops; i++) {
		const struct co_op *op = &p->ops[i];

		if (strcmp(heading, op->heading) != 0) {
			(void) fprintf(
				out,
				"\n## %s\n\n"
				"| interface | key | plane | support | arguments | note |\n"
				"|---|---|---|---|---|---|\n",
				op->heading);
			heading = op->heading;
		}
		markdown_row(out, op);
	}
	return co_print_flush(out);
}

int cmd_personality_show(struct ctl *ctl)
{
	static int (*const show[])(struct ctl *, const struct co_personality *) = {
		[CO_FORMAT_TABLE] = show_table,
		[CO_FORMAT_JSON] = show_json,
		[CO_FORMAT_MARKDOWN] = show_markdown,
	};
	const struct co_personality *p;
	int rc = find(ctl, &p);

	return rc < 0 ? rc : ctl_printed(ctl, show[ctl->style.format](ctl, p));
}
