/* SPDX-License-Identifier: MIT */
/*
 * HOST test of building and checking messages: every layout of wire.def there and back,
 * the golden layout, and every way for a message to be wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/run.h"
#include "tests/wire/describe.h"

static const struct co_layout *layouts;
static size_t nlayouts;
static struct co_msg *m;

static void set_up(void)
{
	m = co_msg_new();
	ck_assert_ptr_nonnull(m);
}

static void tear_down(void)
{
	m = co_msg_free(m);
}

/* Checks n bytes that end where their allocation ends, so that a sanitizer sees more. */
static int check_bytes(const void *bytes, size_t n, uint32_t nfds, struct co_err *err)
{
	autofree unsigned char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, n);
	return co_wire_check(copy, n, nfds, err);
}

static int check_message(uint32_t nfds)
{
	struct co_err err = { 0 };
	int rc = check_bytes(m->bytes, m->header->size, nfds, &err);

	ck_assert_int_eq(rc, err.code);
	ck_assert(rc == 0 || (rc == CO_PROTOCOL && err.message[0]));
	return rc;
}

static struct wire_span span_at(uint32_t offset)
{
	struct wire_span span;

	memcpy(&span, m->bytes + offset, sizeof(span));
	return span;
}

static void set_span(uint32_t offset, uint32_t to, uint32_t length)
{
	struct wire_span span = { to, length };

	memcpy(m->bytes + offset, &span, sizeof(span));
}

/* ---- the table ---- */

START_TEST(a_layout_is_dense_and_named)
{
	const struct co_layout *l = &layouts[_i];
	uint32_t at = l->form == WIRE_REPLY ? 32 : 16;

	ck_assert_ptr_eq(co_wire_layout(l->type), l);
	ck_assert_uint_eq(l->type >> 24, l->form);
	ck_assert_uint_le(l->fds, CO_WIRE_FDS_MAX);
	for (uint32_t k = 0; k < l->nfields; k++) {
		bool small = l->fields[k].kind == CO_FIELD_I32 ||
			     l->fields[k].kind == CO_FIELD_U32;

		ck_assert_uint_eq(l->fields[k].offset, at);
		ck_assert_uint_eq(
			at % (small ? 4 : 8) && l->fields[k].kind < CO_FIELD_TEXT, 0);
		ck_assert(l->fields[k].name[0]);
		at += small ? 4 : 8;
	}
	ck_assert_uint_eq(at, l->size);
}
END_TEST

START_TEST(offsets_are_those_of_the_structs)
{
	const struct co_layout *l = co_wire_layout(WIRE_service_row);

	ck_assert_str_eq(l->name, "service");
	ck_assert_uint_eq(l->size, sizeof(struct wire_service_row));
	for (uint32_t k = 0; k < l->nfields; k++)
		if (strcmp(l->fields[k].name, "reason") == 0)
			ck_assert_uint_eq(l->fields[k].offset,
					  offsetof(struct wire_service_row, reason));
	l = co_wire_layout(WIRE_status_rep);
	ck_assert_str_eq(l->fields[l->nfields - 1].name, "threads");
	ck_assert_uint_eq(l->fields[l->nfields - 1].offset,
			  offsetof(struct wire_status_rep, threads));
}
END_TEST

START_TEST(the_committed_layout_is_current)
{
	const char *srcdir = getenv("srcdir");
	autofree char *now = NULL, *committed = NULL;
	char path[4096];
	unsigned version = 0;
	size_t n = 0, size = 1 << 20;
	autofclose FILE *file = NULL;
	FILE *f = open_memstream(&now, &n);

	ck_assert_ptr_nonnull(f);
	describe_layout(f);
	ck_assert_int_eq(fclose(f), 0);
	(void) snprintf(path, sizeof(path), "%s/tests/wire/layout.txt",
			srcdir ? srcdir : ".");
	file = fopen(path, "r");
	committed = malloc(size);
	ck_assert_msg(file && committed, "cannot read %s", path);
	committed[fread(committed, 1, size - 1, file)] = 0;
	ck_assert_int_eq(sscanf(committed, "version %u\n", &version), 1);
	if (strcmp(now, committed) == 0)
		return;
	if (version == CO_WIRE_VERSION)
		ck_abort_msg(
			"the layout of messages has changed: raise CO_WIRE_VERSION in "
			"include/co/wire.h, then make update-documents");
	ck_abort_msg("tests/wire/layout.txt is of version %u, the wire is %u: make "
		     "update-documents",
		     version, CO_WIRE_VERSION);
}
END_TEST

/* ---- there and back ---- */

START_TEST(a_message_comes_back_as_it_was_built)
{
	const struct co_layout *l = &layouts[_i];

	describe_fill(m, l, 99, 1000);
	ck_assert(!m->overflow);
	ck_assert_int_eq(check_message(l->fds), 0);
	ck_assert_uint_eq(m->header->type, l->type);
	ck_assert_uint_eq(m->header->tag, 99);
	for (uint32_t k = 0; k < l->nfields; k++) {
		const struct co_field *field = &l->fields[k];
		struct wire_span span;
		uint64_t value = 0;

		if (field->kind >= CO_FIELD_TEXT) {
			span = span_at(field->offset);
			ck_assert_uint_eq(span.length, strlen(field->name));
			ck_assert_mem_eq(co_msg_get(m, span), field->name, span.length);
			if (field->kind == CO_FIELD_TEXT)
				ck_assert_str_eq(co_msg_get(m, span), field->name);
			continue;
		}
		memcpy(&value, m->bytes + field->offset,
		       field->kind == CO_FIELD_I32 || field->kind == CO_FIELD_U32 ? 4
										  : 8);
		ck_assert_uint_eq(value, 1000 + k);
	}
}
END_TEST

START_TEST(an_empty_message_of_each_kind_is_proper)
{
	const struct co_layout *l = &layouts[_i];

	co_msg_start(m, l->type, 1);
	ck_assert_uint_eq(m->header->size, l->size);
	ck_assert_int_eq(check_message(0), 0);
	for (uint32_t k = 0; k < l->nfields; k++)
		if (l->fields[k].kind == CO_FIELD_TEXT)
			ck_assert_str_eq(co_msg_get(m, span_at(l->fields[k].offset)),
					 "");
}
END_TEST

START_TEST(a_refusal_carries_its_sentence)
{
	struct wire_session_kill_rep *rep = co_msg_reply(
		m, WIRE_session_kill_rep, 5, CO_NOT_FOUND, "no such program");

	ck_assert_int_eq(check_message(0), 0);
	ck_assert_int_eq(rep->r.status, CO_NOT_FOUND);
	ck_assert_str_eq(co_msg_get(m, rep->r.reason), "no such program");
}
END_TEST

START_TEST(starting_again_forgets_what_was_there)
{
	struct wire_hello_req *req;

	describe_fill(m, co_wire_layout(WIRE_hello_req), 1, 77);
	m->overflow = true;
	req = co_msg_start(m, WIRE_hello_req, 2);
	ck_assert(!m->overflow);
	ck_assert_uint_eq(req->h.size, sizeof(*req));
	ck_assert_uint_eq(req->version_min, 0);
	ck_assert_uint_eq(req->program.offset, 0);
}
END_TEST

START_TEST(a_message_can_be_filled_to_the_last_byte)
{
	struct wire_memory_read_rep *rep = co_msg_start(m, WIRE_memory_read_rep, 1);
	size_t room = CO_WIRE_MAX - sizeof(*rep);

	ck_assert_ptr_nonnull(co_msg_bytes(m, &rep->data, NULL, room));
	ck_assert(!m->overflow);
	ck_assert_uint_eq(m->header->size, CO_WIRE_MAX);
	ck_assert_int_eq(check_message(0), 0);
	/* nothing more fits, and asking for it changes nothing */
	ck_assert_ptr_null(co_msg_bytes(m, &rep->r.reason, "x", 1));
	ck_assert(m->overflow);
	ck_assert_uint_eq(m->header->size, CO_WIRE_MAX);
	ck_assert_uint_eq(rep->r.reason.offset, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_an_overflow)
{
	struct wire_trace_line_note *note = co_msg_start(m, WIRE_trace_line_note, 0);
	size_t room = CO_WIRE_MAX - sizeof(*note);
	autofree char *text = malloc(room + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', room);
	text[room] = 0; /* one too long: its NUL has no place */
	co_msg_text(m, &note->line, text);
	ck_assert(m->overflow);
	ck_assert_uint_eq(note->line.offset, 0);
	note = co_msg_start(m, WIRE_trace_line_note, 0);
	text[room - 1] = 0;
	co_msg_text(m, &note->line, text);
	ck_assert(!m->overflow);
	ck_assert_int_eq(check_message(0), 0);
	ck_assert_str_eq(co_msg_get(m, note->line), text);
	/* sizes whose sum wraps around */
	note = co_msg_start(m, WIRE_trace_line_note, 0);
	ck_assert_ptr_null(co_msg_bytes(m, &note->line, NULL, SIZE_MAX));
	ck_assert(m->overflow);
}
END_TEST

/* ---- hostile ---- */

START_TEST(no_truncation_is_accepted)
{
	const struct co_layout *l = &layouts[_i];
	uint32_t size;

	describe_fill(m, l, 1, 1);
	size = m->header->size;
	for (uint32_t n = 0; n < size; n++) {
		/* the datagram is short, the header still says the old size */
		ck_assert_int_eq(check_bytes(m->bytes, n, 0, NULL), CO_PROTOCOL);
	}
	for (uint32_t n = 0; n < l->size; n++) {
		/* the header agrees, the fixed part is not whole */
		m->header->size = n;
		ck_assert_int_eq(check_bytes(m->bytes, n, 0, NULL), CO_PROTOCOL);
	}
}
END_TEST

START_TEST(a_size_that_is_not_the_datagrams_is_refused)
{
	static const uint32_t sizes[] = {
		0, 1, 15, 0x7fffffff, 0x80000000, UINT32_MAX
	};
	const struct co_layout *l = &layouts[_i];
	uint32_t size;

	describe_fill(m, l, 1, 1);
	size = m->header->size;
	for (size_t i = 0; i < co_countof(sizes); i++) {
		m->header->size = sizes[i];
		ck_assert_int_eq(check_bytes(m->bytes, size, 0, NULL), CO_PROTOCOL);
	}
	m->header->size = size + 1;
	ck_assert_int_eq(check_bytes(m->bytes, size, 0, NULL), CO_PROTOCOL);
	m->header->size = size - 1;
	ck_assert_int_eq(check_bytes(m->bytes, size, 0, NULL), CO_PROTOCOL);
}
END_TEST

START_TEST(a_message_beyond_the_limit_is_refused)
{
	size_t n = CO_WIRE_MAX + 1;
	autofree unsigned char *big = calloc(1, n);
	struct wire_header header = { WIRE_trace_line_note, (uint32_t) n, 0 };

	ck_assert_ptr_nonnull(big);
	memcpy(big, &header, sizeof(header));
	ck_assert_int_eq(co_wire_check(big, n, 0, NULL), CO_PROTOCOL);
	header.size = CO_WIRE_MAX;
	memcpy(big, &header, sizeof(header));
	ck_assert_int_eq(co_wire_check(big, CO_WIRE_MAX, 0, NULL), 0);
}
END_TEST

START_TEST(nothing_is_not_a_message)
{
	struct co_err err = { 0 };

	ck_assert_int_eq(co_wire_check(NULL, 0, 0, &err), CO_PROTOCOL);
	ck_assert_str_eq(err.message, "a message of 0 bytes has no header");
}
END_TEST

static bool type_exists(uint32_t type)
{
	for (size_t i = 0; i < nlayouts; i++)
		if (layouts[i].type == type)
			return true;
	return false;
}

START_TEST(only_types_of_the_table_are_accepted)
{
	struct wire_header *header = m->header;

	memset(m->bytes, 0, CO_WIRE_MAX);
	header->size = 4096; /* larger than any fixed part */
	for (uint32_t form = 0; form < 6; form++)
		for (uint32_t id = 0; id < 300; id++) {
			header->type = WIRE_TYPE(id, form);
			ck_assert_int_eq(check_bytes(m->bytes, 4096, 0, NULL),
					 type_exists(header->type) ? 0 : CO_PROTOCOL);
		}
	for (unsigned bit = 8; bit < 32; bit++) {
		header->type = WIRE_hello_req ^ (uint32_t) 1 << bit;
		if (!type_exists(header->type))
			ck_assert_int_eq(check_message(0), CO_PROTOCOL);
	}
}
END_TEST

START_TEST(more_descriptors_than_announced_are_refused)
{
	const struct co_layout *l = &layouts[_i];

	describe_fill(m, l, 1, 1);
	ck_assert_int_eq(check_message(l->fds), 0);
	ck_assert_int_eq(check_message(l->fds + 1), CO_PROTOCOL);
	ck_assert_int_eq(check_message(UINT32_MAX), CO_PROTOCOL);
}
END_TEST

/* Tries every edge for the span at `offset` of a proper message. */
static void span_edges(const struct co_layout *l, uint32_t offset, bool text)
{
	uint32_t size = m->header->size;
	uint32_t nul = text ? 1 : 0;
	const uint32_t bad[][2] = {
		{ 0, 1 },           /* not the empty one and not behind */
		{ 1, 0 },           /* into the header */
		{ 16, 0 },          /* into the fixed fields */
		{ offset, 4 },      /* onto itself */
		{ l->size - 1, 1 }, /* begins one byte too early */
		{ l->size, size - l->size + 1 - nul }, /* ends one byte too late */
		{ size, 1 - nul },       /* begins where the message ends */
		{ size + 1, 0 },         /* beyond, though empty */
		{ l->size, UINT32_MAX }, /* sums that wrap in 32 bits */
		{ UINT32_MAX, 1 },
		{ UINT32_MAX, UINT32_MAX },
		{ 0x80000000, 0x80000000 },
		{ l->size, 0x7fffffff },
		{ UINT32_MAX - l->size + 1, l->size },
	};
	struct wire_span good = span_at(offset);

	ck_assert_int_eq(check_message(l->fds), 0);
	for (size_t i = 0; i < co_countof(bad); i++) {
		set_span(offset, bad[i][0], bad[i][1]);
		ck_assert_msg(check_message(l->fds) == CO_PROTOCOL,
			      "%s: a span {%u, %u} at %u was accepted", l->name,
			      bad[i][0], bad[i][1], offset);
	}
	if (!text) {
		set_span(offset, size, 0); /* nothing, at the very end */
		ck_assert_int_eq(check_message(l->fds), 0);
		set_span(offset, l->size, size - l->size); /* all of the tail */
		ck_assert_int_eq(check_message(l->fds), 0);
	}
	set_span(offset, good.offset, good.length);
}

/* Tries every way for the text at `offset` of a proper message to be no string. */
static void text_edges(const struct co_layout *l, uint32_t offset)
{
	struct wire_span span = span_at(offset);
	unsigned char *bytes = m->bytes + span.offset;
	unsigned char kept;

	for (uint32_t i = 0; i < span.length; i++) { /* a NUL inside */
		kept = bytes[i];
		bytes[i] = 0;
		ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
		bytes[i] = kept;
	}
	bytes[span.length] = 'x'; /* none behind */
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	bytes[span.length] = 0;
	set_span(offset, span.offset, span.length - 1); /* shorter than the string */
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	set_span(offset, span.offset, span.length + 1); /* counting the NUL */
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	set_span(offset, span.offset + span.length, 0); /* empty, on a NUL */
	ck_assert_int_eq(check_message(l->fds), 0);
	set_span(offset, span.offset, span.length);
	ck_assert_int_eq(check_message(l->fds), 0);
}

START_TEST(every_span_is_checked_at_all_edges)
{
	const struct co_layout *l = &layouts[_i];

	describe_fill(m, l, 1, 1);
	/* bytes behind the last span, so that its end is not the message's */
	memset(m->bytes + m->header->size, 'x', 8);
	m->header->size += 8;
	for (uint32_t k = 0; k < l->nfields; k++) {
		const struct co_field *field = &l->fields[k];

		if (field->kind < CO_FIELD_TEXT)
			continue;
		span_edges(l, field->offset, field->kind == CO_FIELD_TEXT);
		if (field->kind == CO_FIELD_TEXT)
			text_edges(l, field->offset);
	}
}
END_TEST

START_TEST(the_last_string_needs_its_terminator_inside)
{
	const struct co_layout *l = &layouts[_i];
	const struct co_field *last = l->nfields ? &l->fields[l->nfields - 1] : NULL;

	describe_fill(m, l, 1, 1);
	if (!last || last->kind != CO_FIELD_TEXT)
		return; /* the tail of this one does not end with a string */
	m->header->size--;
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
}
END_TEST

START_TEST(a_reply_begins_properly)
{
	const struct co_layout *l = &layouts[_i];
	struct wire_hello_rep *rep = (struct wire_hello_rep *) (void *) m->bytes;

	if (l->form != WIRE_REPLY)
		return;
	describe_fill(m, l, 1, 1);
	rep->r.status = 1; /* outcomes above 0 do not travel */
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	rep->r.status = INT32_MAX;
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	rep->r.status = 0;
	rep->r.zero = 1;
	ck_assert_int_eq(check_message(l->fds), CO_PROTOCOL);
	/* the reason, in success and in failure */
	for (int status = 0; status >= CO_NOT_FOUND; status += CO_NOT_FOUND) {
		describe_fill(m, l, 1, 1);
		rep->r.status = status;
		co_msg_text(m, &rep->r.reason, "reason");
		memset(m->bytes + m->header->size, 'x', 8);
		m->header->size += 8;
		span_edges(l, offsetof(struct wire_hello_rep, r.reason), true);
		text_edges(l, offsetof(struct wire_hello_rep, r.reason));
	}
}
END_TEST

/* Flips bits everywhere: whatever is still accepted keeps its promises. */
START_TEST(accepted_messages_keep_their_promises)
{
	const struct co_layout *l = &layouts[_i];
	uint32_t size;

	describe_fill(m, l, 1, 1);
	size = m->header->size;
	for (uint32_t bit = 0; bit < size * 8; bit++) {
		const struct co_layout *now;

		m->bytes[bit / 8] ^= (unsigned char) (1u << bit % 8);
		if (check_bytes(m->bytes, size, 0, NULL) == 0) {
			now = co_wire_layout(m->header->type);
			ck_assert_ptr_nonnull(now);
			for (uint32_t k = 0; k < now->nfields; k++) {
				struct wire_span span = { 0, 0 };

				if (now->fields[k].kind >= CO_FIELD_TEXT)
					span = span_at(now->fields[k].offset);
				if (now->form == WIRE_REPLY &&
				    ((struct wire_hello_rep *) (void *) m->bytes)
					    ->r.status)
					break; /* a refusal has no other fields */
				ck_assert_uint_le((uint64_t) span.offset + span.length,
						  size);
				if (now->fields[k].kind == CO_FIELD_TEXT)
					ck_assert_uint_eq(strlen(co_msg_get(m, span)),
							  span.length);
			}
		}
		m->bytes[bit / 8] ^= (unsigned char) (1u << bit % 8);
	}
}
END_TEST

static void add_loops(TCase *tc)
{
	int n;

	layouts = co_wire_layouts(&nlayouts);
	n = (int) nlayouts;
	tcase_add_loop_test(tc, a_layout_is_dense_and_named, 0, n);
	tcase_add_loop_test(tc, a_message_comes_back_as_it_was_built, 0, n);
	tcase_add_loop_test(tc, an_empty_message_of_each_kind_is_proper, 0, n);
	tcase_add_loop_test(tc, no_truncation_is_accepted, 0, n);
	tcase_add_loop_test(tc, a_size_that_is_not_the_datagrams_is_refused, 0, n);
	tcase_add_loop_test(tc, more_descriptors_than_announced_are_refused, 0, n);
	tcase_add_loop_test(tc, every_span_is_checked_at_all_edges, 0, n);
	tcase_add_loop_test(tc, the_last_string_needs_its_terminator_inside, 0, n);
	tcase_add_loop_test(tc, a_reply_begins_properly, 0, n);
	tcase_add_loop_test(tc, accepted_messages_keep_their_promises, 0, n);
}

int main(void)
{
	TCase *tc = tcase_create("messages");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	add_loops(tc);
	tcase_add_test(tc, offsets_are_those_of_the_structs);
	tcase_add_test(tc, the_committed_layout_is_current);
	tcase_add_test(tc, a_refusal_carries_its_sentence);
	tcase_add_test(tc, starting_again_forgets_what_was_there);
	tcase_add_test(tc, a_message_can_be_filled_to_the_last_byte);
	tcase_add_test(tc, what_does_not_fit_is_an_overflow);
	tcase_add_test(tc, a_message_beyond_the_limit_is_refused);
	tcase_add_test(tc, nothing_is_not_a_message);
	tcase_add_test(tc, only_types_of_the_table_are_accepted);
	return run_tests(tc);
}
