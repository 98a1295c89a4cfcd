/* SPDX-License-Identifier: MIT */
/* The messages of wire.def in words, from their layouts.  HOST; tests and documents. */
#include "tests/wire/describe.h"

#include <string.h>

static const char *form_name(enum wire_form form)
{
	static const char *const names[] = { "request", "reply", "row", "note" };

	return names[form];
}

static const char *kind_name(enum co_field_kind kind)
{
	static const char *const names[] = {
		"i32", "u32", "i64", "u64", "text", "bytes"
	};

	return names[kind];
}

void describe_layout(FILE *to)
{
	size_t n;
	const struct co_layout *layouts = co_wire_layouts(&n);

	(void) fprintf(to, "version %u\n", CO_WIRE_VERSION); /* callers see ferror */
	for (size_t i = 0; i < n; i++) {
		const struct co_layout *l = &layouts[i];

		(void) fprintf(to, "%u %s %s size %u descriptors %u\n",
			       l->type & 0xffffff, form_name(l->form), l->name, l->size,
			       l->fds);
		for (uint32_t k = 0; k < l->nfields; k++)
			(void) fprintf(to, "\t%u %s %s\n", l->fields[k].offset,
				       kind_name(l->fields[k].kind), l->fields[k].name);
	}
}

static void markdown_message(FILE *to, const struct co_layout *l)
{
	(void) fprintf(to, "\n**%s** (type `0x%08x`, %u bytes", form_name(l->form),
		       l->type, l->size);
	if (l->fds)
		(void) fprintf(to, ", %u descriptor%s beside", l->fds,
			       l->fds > 1 ? "s" : "");
	(void) fprintf(to, ")%s\n", l->nfields ? "" : ": no fields of its own");
	if (!l->nfields)
		return;
	(void) fputs("\n| offset | type | field |\n|---:|---|---|\n", to);
	for (uint32_t k = 0; k < l->nfields; k++)
		(void) fprintf(to, "| %u | %s | %s |\n", l->fields[k].offset,
			       kind_name(l->fields[k].kind), l->fields[k].name);
}

static void markdown_head(FILE *to)
{
	(void) fprintf(
		to,
		"# The wire\n\n"
		"Generated from `include/co/wire.def` by `make update-documents`; do not edit.\n\n"
		"Version %u; versions %u to %u are spoken. A message is one datagram of a "
		"`SOCK_SEQPACKET` socket, %u bytes\nat most: header, fixed fields, tail. Host "
		"byte order, no padding.\n\n"
		"| offset | type | header |\n|---:|---|---|\n"
		"| 0 | u32 | type: number of the message, form in the highest byte (request 0, "
		"reply 1, row 2, note 3) |\n"
		"| 4 | u32 | size of the whole message |\n"
		"| 8 | u64 | tag: chosen by the requester, repeated in rows and reply; 0 in "
		"notes |\n\n"
		"A request is answered by any number of rows and one reply with its tag. A note "
		"is never answered. Every\nreply has `i32 status`, `u32 zero` and `text reason` "
		"at offsets 16, 20 and 24; with a negative status its\nother fields mean "
		"nothing.\n\n"
		"`text` and `bytes` are a u32 offset from the first byte of the message and a "
		"u32 length, pointing behind the\nfixed fields; offset 0 with length 0 is the "
		"empty one. A text has a NUL behind it that its length does not\ncount, and none "
		"inside. Descriptors travel beside the message (`SCM_RIGHTS`, %u at most).\n",
		CO_WIRE_VERSION, CO_WIRE_VERSION_MIN, CO_WIRE_VERSION, CO_WIRE_MAX,
		CO_WIRE_FDS_MAX);
}

void describe_markdown(FILE *to)
{
	size_t n;
	const struct co_layout *layouts = co_wire_layouts(&n);

	markdown_head(to);
	for (size_t i = 0; i < n; i++) {
		if (layouts[i].form != WIRE_REPLY)
			(void) fprintf(to, "\n## %u %s\n", layouts[i].type & 0xffffff,
				       layouts[i].name);
		markdown_message(to, &layouts[i]);
	}
}

void describe_fill(struct co_msg *m, const struct co_layout *layout, uint64_t tag,
		   unsigned base)
{
	unsigned char *fixed = co_msg_start(m, layout->type, tag);

	for (uint32_t k = 0; k < layout->nfields; k++) {
		const struct co_field *field = &layout->fields[k];
		unsigned char *at = fixed + field->offset;
		uint64_t value = (uint64_t) base + k;
		struct wire_span span;

		switch (field->kind) {
		case CO_FIELD_I32:
		case CO_FIELD_U32:
			memcpy(at, &value, 4); /* little end first, as on every x86 */
			break;
		case CO_FIELD_I64:
		case CO_FIELD_U64:
			memcpy(at, &value, 8);
			break;
		case CO_FIELD_TEXT:
			co_msg_text(m, &span, field->name);
			memcpy(at, &span, sizeof(span));
			break;
		case CO_FIELD_BYTES:
			(void) co_msg_bytes(m, &span, field->name, strlen(field->name));
			memcpy(at, &span, sizeof(span));
			break;
		}
	}
}
