/* SPDX-License-Identifier: MIT */
/* From code to sites.  HOST. */
#include "cloudosd/sites/scan.h"

#include <co/limits.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/sites/decoder.h"
#include "cloudosd/sites/unwind.h"

enum {
	INSN_MAX = 15,
	UNSURE = 32,      /* instructions after one that could not be decoded */
	STOP_EVERY = 4096 /* instructions between two looks at *stop */
};

struct candidate {
	uint64_t at;      /* address of the two bytes */
	uint16_t targets; /* bit d: a jump leads d bytes before it */
	uint8_t kind;
	uint8_t length; /* of the instruction before it; 0: it has none that counts */
	bool site;      /* decoding has landed on it */
	bool linear;
};

struct scan {
	const struct sites_image *image;
	const struct sites_range *code;
	const atomic_bool *stop;
	struct decoder decoder;
	struct sites_span *functions;
	size_t nfunctions;
	struct candidate *candidates; /* of this range of code, sorted */
	size_t count, room;
	struct sites_found *out;
	size_t rows_room;
	struct co_err *err;
};

/* ---- candidates ---- */

static uint8_t kind_of(const struct scan *s, const unsigned char *p)
{
	if (p[0] == 0x0f && p[1] == 0x05 && s->image->bits == 64)
		return CO_SITES_SYSCALL;
	if (p[0] == 0x0f && p[1] == 0x34 && s->image->bits == 32)
		return CO_SITES_SYSENTER;
	if (p[0] == 0xcd && p[1] == 0x80)
		return CO_SITES_INT80;
	return p[0] == 0xcd && p[1] == 0x69 ? CO_SITES_INT69 : 0;
}

static int add_candidate(struct scan *s, uint64_t at, uint8_t kind)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 1024;
		struct candidate *more =
			realloc(s->candidates, room * sizeof(*s->candidates));

		if (!more)
			return co_fail(s->err, CO_NO_MEMORY, "out of memory");
		s->candidates = more;
		s->room = room;
	}
	s->candidates[s->count++] = (struct candidate){ .at = at, .kind = kind };
	if (++s->out->candidates > CO_LIMIT_SITES_CANDIDATES)
		return co_fail(s->err, CO_UNSUPPORTED,
			       "the file has too much that looks like a system call");
	return 0;
}

static int find_candidates(struct scan *s)
{
	const unsigned char *p = s->code->bytes;
	int rc = 0;

	s->count = 0;
	for (uint64_t i = 0; i + 1 < s->code->size && !rc; i++) {
		uint8_t kind = p[i] == 0x0f || p[i] == 0xcd ? kind_of(s, p + i) : 0;

		if (kind)
			rc = add_candidate(s, s->code->vaddr + i, kind);
	}
	return rc;
}

/* ---- where decoding begins and ends ---- */

/* How many of n numbers, `step` bytes apart, are not above `at`. */
static size_t not_above(const void *base, size_t step, size_t n, uint64_t at)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t number;

		memcpy(&number, (const char *) base + middle * step, sizeof(number));
		if (number <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void narrow(struct sites_span *span, struct sites_span by)
{
	if (by.start > span->start)
		span->start = by.start;
	if (by.end < span->end)
		span->end = by.end;
}

/* Between functions: what sections and symbols know.  `at` is in the span before and
 * after. */
static void narrow_gap(const struct scan *s, uint64_t at, struct sites_span *span)
{
	const struct sites_image *image = s->image;
	size_t i = not_above(image->sections, sizeof(*image->sections),
			     image->nsections, at);

	if (i && image->sections[i - 1].end > at)
		narrow(span, image->sections[i - 1]);
	i = not_above(image->starts, sizeof(*image->starts), image->nstarts, at);
	if (i && image->starts[i - 1] > span->start)
		span->start = image->starts[i - 1];
	if (i < image->nstarts && image->starts[i] < span->end)
		span->end = image->starts[i];
}

/* What to decode for that address; whether the unwind table says so. */
static bool span_of(const struct scan *s, uint64_t at, struct sites_span *out)
{
	const struct sites_span range = { s->code->vaddr,
					  s->code->vaddr + s->code->size };
	size_t i = not_above(s->functions, sizeof(*s->functions), s->nfunctions, at);
	bool inside = i && s->functions[i - 1].end > at &&
		      s->functions[i - 1].start >= range.start;

	*out = range;
	if (inside) {
		narrow(out, s->functions[i - 1]);
		return true;
	}
	/* code goes on behind the end that clone's table entry gives it: begin with it */
	if (i && s->functions[i - 1].start > out->start)
		out->start = s->functions[i - 1].start;
	if (i < s->nfunctions && s->functions[i].start < out->end)
		out->end = s->functions[i].start;
	narrow_gap(s, at, out);
	return false;
}

/* ---- decoding ---- */

static void note_target(struct scan *s, uint64_t target)
{
	size_t i;

	if (target - s->code->vaddr >= s->code->size)
		return;
	i = not_above(s->candidates, sizeof(*s->candidates), s->count, target);
	if (i && s->candidates[i - 1].at == target)
		s->candidates[i - 1].targets |= 1;
	for (; i < s->count && s->candidates[i].at - target < INSN_MAX; i++)
		s->candidates[i].targets |=
			(uint16_t) (1U << (s->candidates[i].at - target));
}

static bool stopped(const struct scan *s)
{
	return s->stop && atomic_load(s->stop);
}

/* Decodes a span; candidates from `next` on that it lands on learn what is before them. */
static int decode(struct scan *s, struct sites_span span, bool linear, size_t next)
{
	uint64_t at = span.start, base = s->code->vaddr, end = base + s->code->size;
	unsigned unsure = 0, length = 0;

	for (unsigned n = 1; at < span.end; n++) {
		struct decoder_step step;

		if (n % STOP_EVERY == 0 && stopped(s))
			return co_fail(s->err, CO_INTERRUPTED, "the daemon ends");
		if (!decoder_step(&s->decoder, s->code->bytes + (at - base),
				  end - at < INSN_MAX ? end - at : INSN_MAX, at,
				  &step) ||
		    !step.length) {
			unsure = UNSURE;
			length = 0;
			at++;
			continue;
		}
		while (next < s->count && s->candidates[next].at < at)
			next++;
		if (next < s->count && s->candidates[next].at == at &&
		    step.length == 2) {
			s->candidates[next].site = true;
			s->candidates[next].linear = linear;
			s->candidates[next].length = (uint8_t) (unsure ? 0 : length);
		}
		if (step.jumps)
			note_target(s, step.target);
		length = step.length;
		unsure -= unsure ? 1 : 0;
		at += step.length;
	}
	return 0;
}

/* ---- rows ---- */

static bool keeps(const struct scan *s, uint8_t kind, const struct decoder_about *about)
{
	bool wide = s->image->bits == 64 && kind == CO_SITES_SYSCALL;

	if (!(about->flags & CO_SITES_NUMBER))
		return false;
	/* rt_sigreturn; sigreturn and rt_sigreturn of i386 */
	return wide ? about->number == 15
		    : about->number == 119 || about->number == 173;
}

static int add_row(struct scan *s, const struct candidate *c,
		   const struct decoder_about *about)
{
	struct sites_found *out = s->out;
	uint64_t at = c->at - s->code->vaddr;
	struct co_sites_row *row;

	if (out->count == CO_SITES_MAX)
		return co_fail(s->err, CO_UNSUPPORTED,
			       "the file has more system calls than a table has rows");
	if (out->count == s->rows_room) {
		size_t room = s->rows_room ? 2 * s->rows_room : 256;

		row = realloc(out->rows, room * sizeof(*row));
		if (!row)
			return co_fail(s->err, CO_NO_MEMORY, "out of memory");
		out->rows = row;
		s->rows_room = room;
	}
	row = &out->rows[out->count++];
	*row = (struct co_sites_row){ .offset = (uint32_t) (s->code->offset + at),
				      .number = about->number,
				      .length = c->length,
				      .kind = c->kind,
				      .flags = about->flags,
				      .field = about->field };
	if (c->targets & 1)
		row->flags |= CO_SITES_TARGET;
	if (c->linear)
		row->flags |= CO_SITES_LINEAR;
	if (keeps(s, c->kind, about))
		row->flags |= CO_SITES_KEEP;
	memcpy(row->bytes, s->code->bytes + at - c->length, c->length);
	return 0;
}

static int judge(struct scan *s, const struct candidate *c)
{
	const unsigned char *site = s->code->bytes + (c->at - s->code->vaddr);
	struct decoder_about about;
	uint16_t inside = (uint16_t) ((1U << c->length) - 2); /* distances 1 to k - 1 */

	s->out->sites += c->site;
	if (!c->site || !c->length || c->targets & inside ||
	    !decoder_about(&s->decoder, site - c->length, c->length, &about))
		return 0;
	return add_row(s, c, &about);
}

static int scan_range(struct scan *s)
{
	uint64_t done = 0;
	int rc = find_candidates(s);

	for (size_t i = 0; i < s->count && !rc; i++) {
		struct sites_span span;
		bool known;

		if (s->candidates[i].at < done)
			continue; /* decoded along with one before it */
		known = span_of(s, s->candidates[i].at, &span);
		rc = decode(s, span, !known, i);
		done = span.end;
	}
	for (size_t i = 0; i < s->count && !rc; i++)
		rc = judge(s, &s->candidates[i]);
	return rc;
}

int sites_scan(struct sites_found *out, const struct sites_image *image,
	       const atomic_bool *stop, struct co_err *err)
{
	struct scan s = { .image = image, .stop = stop, .out = out, .err = err };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = decoder_available(err);
	if (!rc)
		rc = sites_unwind(image, &s.functions, &s.nfunctions, err);
	if (!rc)
		decoder_init(&s.decoder, image->bits);
	out->functions = (uint32_t) s.nfunctions;
	for (unsigned i = 0; i < image->ncode && !rc; i++) {
		s.code = &image->code[i];
		rc = scan_range(&s);
	}
	free(s.functions);
	free(s.candidates);
	return rc;
}

void sites_found_done(struct sites_found *found)
{
	free(found->rows);
	*found = (struct sites_found){ 0 };
}
