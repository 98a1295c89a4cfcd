/* SPDX-License-Identifier: MIT */
/* Reading an ELF file that nobody vouches for.  HOST. */
#include "cloudosd/sites/image.h"

#include <co/limits.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/sites/hash.h"
#include "lib/cleanup.h"

enum { CHUNK = 1 << 20, NOTES_MAX = 65536, NAMES_MAX = 65536 };
enum { SECTIONS_MAX = 65535, SEGMENTS_MAX = 65534 };

struct reader {
	const struct sites_source *source;
	struct sites_hash hash;
	struct sites_image *image;
	struct co_err *err;
};

/* The fields of both classes that matter. */
struct segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, size, memory;
};

struct section {
	uint32_t type, name;
	uint64_t flags, vaddr, offset, size, entry;
};

struct head {
	uint64_t segments_at, sections_at;
	uint32_t segments, sections, names; /* names: the section that holds them */
};

static int refuse(struct reader *r, const char *why)
{
	return co_fail(r->err, CO_UNSUPPORTED, "%s", why);
}

/* Also what has been asked for goes into the digest, so that nothing moves unseen. */
static int read_at(struct reader *r, uint64_t offset, void *to, size_t n)
{
	const uint64_t what[2] = { offset, n };

	if (offset > r->source->size || n > r->source->size - offset)
		return refuse(r, "the file is shorter than its headers say");
	sites_hash_add(&r->hash, what, sizeof(what));
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? n - done : CHUNK;
		int rc;

		if (r->source->stop && atomic_load(r->source->stop))
			return co_fail(r->err, CO_INTERRUPTED, "the daemon ends");
		rc = r->source->read(r->source->ctx, offset + done, (char *) to + done,
				     part);
		if (rc)
			return co_fail(r->err, rc, "the file cannot be read");
		sites_hash_add(&r->hash, (char *) to + done, part);
		done += part;
	}
	return 0;
}

static int read_new(struct reader *r, uint64_t offset, size_t n, void *out)
{
	void *space;
	int rc;

	if (offset > r->source->size || n > r->source->size - offset)
		return refuse(r, "the file is shorter than its headers say");
	space = malloc(n ? n : 1);
	if (!space)
		return co_fail(r->err, CO_NO_MEMORY, "out of memory");
	rc = read_at(r, offset, space, n);
	if (rc)
		free(space);
	else
		*(void **) out = space;
	return rc;
}

/* ---- headers ---- */

static int read_head(struct reader *r, struct head *out)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} h = { 0 };
	int rc = read_at(r, 0, &h, sizeof(h.e32));

	if (rc)
		return rc;
	if (memcmp(h.ident, ELFMAG, SELFMAG) != 0 || h.ident[EI_DATA] != ELFDATA2LSB ||
	    h.ident[EI_VERSION] != EV_CURRENT)
		return refuse(r, "the file is not a little-endian ELF file");
	if (h.ident[EI_CLASS] == ELFCLASS32 && h.e32.e_machine == EM_386) {
		r->image->bits = 32;
		if (h.e32.e_phentsize != sizeof(Elf32_Phdr))
			return refuse(r, "the program headers have an unknown size");
		*out = (struct head){ h.e32.e_phoff, h.e32.e_shoff, h.e32.e_phnum,
				      h.e32.e_shentsize == sizeof(Elf32_Shdr)
					      ? h.e32.e_shnum
					      : 0,
				      h.e32.e_shstrndx };
		return 0;
	}
	if (h.ident[EI_CLASS] != ELFCLASS64 || h.e64.e_machine != EM_X86_64)
		return refuse(r, "the file is for another machine");
	rc = read_at(r, 0, &h, sizeof(h.e64));
	if (rc)
		return rc;
	r->image->bits = 64;
	if (h.e64.e_phentsize != sizeof(Elf64_Phdr))
		return refuse(r, "the program headers have an unknown size");
	*out = (struct head){ h.e64.e_phoff, h.e64.e_shoff, h.e64.e_phnum,
			      h.e64.e_shentsize == sizeof(Elf64_Shdr) ? h.e64.e_shnum
								      : 0,
			      h.e64.e_shstrndx };
	return 0;
}

static int read_segments(struct reader *r, const struct head *head,
			 struct segment **out)
{
	size_t entry = r->image->bits == 64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	autofree unsigned char *raw = NULL;
	struct segment *all;
	int rc;

	if (!head->segments || head->segments > SEGMENTS_MAX)
		return refuse(r, "the file has no program headers");
	rc = read_new(r, head->segments_at, head->segments * entry, &raw);
	if (rc)
		return rc;
	all = calloc(head->segments, sizeof(*all));
	if (!all)
		return co_fail(r->err, CO_NO_MEMORY, "out of memory");
	for (uint32_t i = 0; i < head->segments; i++) {
		Elf64_Phdr p64;
		Elf32_Phdr p32;

		if (r->image->bits == 64) {
			memcpy(&p64, raw + i * entry, entry);
			all[i] = (struct segment){ p64.p_type,   p64.p_flags,
						   p64.p_offset, p64.p_vaddr,
						   p64.p_filesz, p64.p_memsz };
		} else {
			memcpy(&p32, raw + i * entry, entry);
			all[i] = (struct segment){ p32.p_type,   p32.p_flags,
						   p32.p_offset, p32.p_vaddr,
						   p32.p_filesz, p32.p_memsz };
		}
	}
	*out = all;
	return 0;
}

/* Without a usable section table there are symbols and borders less, and that is all. */
static int read_sections(struct reader *r, const struct head *head,
			 struct section **out, uint32_t *out_count)
{
	size_t entry = r->image->bits == 64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	uint64_t bytes = (uint64_t) head->sections * entry;
	autofree unsigned char *raw = NULL;
	struct section *all;
	int rc;

	*out = NULL;
	*out_count = 0;
	if (!head->sections || head->sections > SECTIONS_MAX ||
	    head->sections_at > r->source->size ||
	    bytes > r->source->size - head->sections_at)
		return 0;
	rc = read_new(r, head->sections_at, bytes, &raw);
	if (rc)
		return rc;
	all = calloc(head->sections, sizeof(*all));
	if (!all)
		return co_fail(r->err, CO_NO_MEMORY, "out of memory");
	for (uint32_t i = 0; i < head->sections; i++) {
		Elf64_Shdr s64;
		Elf32_Shdr s32;

		if (r->image->bits == 64) {
			memcpy(&s64, raw + i * entry, entry);
			all[i] = (struct section){ s64.sh_type,   s64.sh_name,
						   s64.sh_flags,  s64.sh_addr,
						   s64.sh_offset, s64.sh_size,
						   s64.sh_entsize };
		} else {
			memcpy(&s32, raw + i * entry, entry);
			all[i] = (struct section){ s32.sh_type,   s32.sh_name,
						   s32.sh_flags,  s32.sh_addr,
						   s32.sh_offset, s32.sh_size,
						   s32.sh_entsize };
		}
	}
	*out = all;
	*out_count = head->sections;
	return 0;
}

/* ---- code ---- */

static int by_offset(const void *a, const void *b)
{
	const struct sites_range *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool is_code(const struct segment *s)
{
	return s->type == PT_LOAD && s->flags & PF_X && s->size;
}

static int note_code(struct reader *r, const struct segment *s, uint64_t *total)
{
	struct sites_image *image = r->image;

	if (image->ncode == SITES_CODE_RANGES)
		return refuse(r, "the file has too many segments of code");
	if (s->offset > r->source->size || s->size > r->source->size - s->offset ||
	    s->offset + s->size > UINT32_MAX)
		return refuse(r, "the file is shorter than its headers say");
	if (s->vaddr + s->size < s->vaddr ||
	    (image->bits == 32 && s->vaddr + s->size > (uint64_t) UINT32_MAX + 1))
		return refuse(r, "a segment of code wraps around");
	*total += s->size;
	if (*total > CO_LIMIT_SITES_CODE)
		return refuse(r, "the file has too much code");
	image->code[image->ncode++] =
		(struct sites_range){ s->offset, s->vaddr, s->size, NULL };
	return 0;
}

static int read_code(struct reader *r, const struct segment *segments, uint32_t n)
{
	struct sites_image *image = r->image;
	uint64_t total = 0;
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++)
		if (is_code(&segments[i]))
			rc = note_code(r, &segments[i], &total);
	if (image->ncode)
		qsort(image->code, image->ncode, sizeof(image->code[0]), by_offset);
	for (unsigned i = 1; i < image->ncode && !rc; i++)
		if (image->code[i - 1].offset + image->code[i - 1].size >
		    image->code[i].offset)
			rc = refuse(r, "segments of code share bytes of the file");
	for (unsigned i = 0; i < image->ncode && !rc; i++)
		rc = read_new(r, image->code[i].offset, image->code[i].size,
			      &image->code[i].bytes);
	return rc;
}

static int by_start(const void *a, const void *b)
{
	const struct sites_span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int note_sections(struct reader *r, const struct section *sections, uint32_t n)
{
	struct sites_image *image = r->image;

	image->sections = calloc(n ? n : 1, sizeof(*image->sections));
	if (!image->sections)
		return co_fail(r->err, CO_NO_MEMORY, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		if (sections[i].type == SHT_PROGBITS &&
		    sections[i].flags & SHF_EXECINSTR && sections[i].size &&
		    sections[i].vaddr + sections[i].size > sections[i].vaddr)
			image->sections[image->nsections++] = (struct sites_span){
				sections[i].vaddr, sections[i].vaddr + sections[i].size
			};
	qsort(image->sections, image->nsections, sizeof(*image->sections), by_start);
	return 0;
}

/* ---- unwind tables ---- */

/* The pointer to .eh_frame in its header, in the encodings that linkers write. */
static bool eh_frame_pointer(const unsigned char *hdr, uint64_t at, uint64_t *out)
{
	int32_t offset;
	uint64_t pointer;

	if (hdr[0] != 1)
		return false;
	switch (hdr[1]) {
	case 0x1b: /* pcrel, sdata4 */
		memcpy(&offset, hdr + 4, 4);
		*out = at + 4 + (uint64_t) (int64_t) offset;
		return true;
	case 0x1c: /* pcrel, sdata8 */
		memcpy(&pointer, hdr + 4, 8);
		*out = at + 4 + pointer;
		return true;
	case 0x03: /* udata4 */
		memcpy(&offset, hdr + 4, 4);
		*out = (uint32_t) offset;
		return true;
	default:
		return false;
	}
}

static int find_unwind(struct reader *r, const struct segment *segments, uint32_t n,
		       struct sites_range *out)
{
	unsigned char hdr[12];
	uint64_t at;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		if (segments[i].type != PT_GNU_EH_FRAME || segments[i].size < 12 ||
		    segments[i].offset > r->source->size ||
		    segments[i].size > r->source->size - segments[i].offset)
			continue;
		rc = read_at(r, segments[i].offset, hdr, sizeof(hdr));
		if (rc)
			return rc;
		if (!eh_frame_pointer(hdr, segments[i].vaddr, &at))
			return 0;
		for (uint32_t k = 0; k < n; k++) {
			const struct segment *s = &segments[k];

			if (s->type != PT_LOAD || at < s->vaddr ||
			    at - s->vaddr >= s->size)
				continue;
			*out = (struct sites_range){ s->offset + (at - s->vaddr), at,
						     s->size - (at - s->vaddr), NULL };
			return 0;
		}
		return 0;
	}
	return 0;
}

/* Static programs have no header of it; then its section is found by name. */
static int find_unwind_section(struct reader *r, const struct section *sections,
			       uint32_t n, uint32_t names, struct sites_range *out)
{
	static const char name[] = ".eh_frame";
	autofree char *text = NULL;
	const struct section *held;
	int rc;

	if (names >= n)
		return 0;
	held = &sections[names];
	if (held->type != SHT_STRTAB || held->size > NAMES_MAX ||
	    held->offset > r->source->size ||
	    held->size > r->source->size - held->offset)
		return 0;
	rc = read_new(r, held->offset, held->size, &text);
	for (uint32_t i = 0; i < n && !rc; i++) {
		const struct section *s = &sections[i];

		if (s->type == SHT_NOBITS || !(s->flags & SHF_ALLOC) || !s->size ||
		    s->name >= held->size || held->size - s->name < sizeof(name) ||
		    memcmp(text + s->name, name, sizeof(name)) != 0)
			continue;
		*out = (struct sites_range){ s->offset, s->vaddr, s->size, NULL };
		break;
	}
	return rc;
}

static int read_unwind(struct reader *r, const struct segment *segments, uint32_t n,
		       const struct section *sections, uint32_t nsections,
		       uint32_t names)
{
	struct sites_range found = { 0 };
	int rc = find_unwind(r, segments, n, &found);

	if (!rc && !found.size)
		rc = find_unwind_section(r, sections, nsections, names, &found);
	if (rc || !found.size)
		return rc;
	/* a segment goes on behind .eh_frame; the section says where that ends */
	for (uint32_t i = 0; i < nsections; i++)
		if (sections[i].vaddr == found.vaddr && sections[i].size &&
		    sections[i].size < found.size && sections[i].type != SHT_NOBITS)
			found.size = sections[i].size;
	if (found.size > CO_LIMIT_SITES_UNWIND)
		found.size = CO_LIMIT_SITES_UNWIND;
	if (found.offset > r->source->size ||
	    found.size > r->source->size - found.offset)
		return 0;
	rc = read_new(r, found.offset, found.size, &found.bytes);
	if (!rc)
		r->image->unwind = found;
	return rc;
}

/* ---- symbols ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t function_address(const struct reader *r, const unsigned char *raw)
{
	Elf64_Sym s64;
	Elf32_Sym s32;
	unsigned type, section;
	uint64_t value;

	if (r->image->bits == 64) {
		memcpy(&s64, raw, sizeof(s64));
		type = ELF64_ST_TYPE(s64.st_info);
		section = s64.st_shndx;
		value = s64.st_value;
	} else {
		memcpy(&s32, raw, sizeof(s32));
		type = ELF32_ST_TYPE(s32.st_info);
		section = s32.st_shndx;
		value = s32.st_value;
	}
	return section != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC)
		       ? value
		       : 0;
}

static int read_symbols(struct reader *r, const struct section *s)
{
	size_t entry = r->image->bits == 64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	struct sites_image *image = r->image;
	autofree unsigned char *raw = NULL;
	uint64_t *more;
	size_t count;
	int rc;

	if (s->entry != entry || s->size > CO_LIMIT_SITES_SYMBOLS || s->size < entry ||
	    s->offset > r->source->size || s->size > r->source->size - s->offset)
		return 0;
	rc = read_new(r, s->offset, s->size, &raw);
	if (rc)
		return rc;
	count = s->size / entry;
	more = realloc(image->starts, (image->nstarts + count) * sizeof(*more));
	if (!more)
		return co_fail(r->err, CO_NO_MEMORY, "out of memory");
	image->starts = more;
	for (size_t i = 0; i < count; i++) {
		uint64_t address = function_address(r, raw + i * entry);

		if (address)
			image->starts[image->nstarts++] = address;
	}
	return 0;
}

/* One table of each kind: a file has no more, whatever its headers say. */
static int read_starts(struct reader *r, const struct section *sections, uint32_t n)
{
	static const uint32_t kinds[] = { SHT_SYMTAB, SHT_DYNSYM };
	int rc = 0;

	for (size_t k = 0; k < co_countof(kinds) && !rc; k++)
		for (uint32_t i = 0; i < n; i++)
			if (sections[i].type == kinds[k]) {
				rc = read_symbols(r, &sections[i]);
				break;
			}
	if (r->image->nstarts)
		qsort(r->image->starts, r->image->nstarts, sizeof(uint64_t), by_number);
	return rc;
}

/* ---- the build-id ---- */

static bool find_build_id(struct sites_image *image, const unsigned char *notes,
			  size_t size)
{
	for (size_t at = 0; size - at >= sizeof(Elf32_Nhdr);) {
		Elf32_Nhdr note;
		uint64_t name, rest = size - at - sizeof(note);

		memcpy(&note, notes + at, sizeof(note));
		name = ((uint64_t) note.n_namesz + 3) & ~3ULL;
		if (name > rest ||
		    (((uint64_t) note.n_descsz + 3) & ~3ULL) > rest - name)
			return false;
		at += sizeof(note);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(notes + at, "GNU", 4) == 0 && note.n_descsz &&
		    note.n_descsz <= SITES_BUILD_ID) {
			image->build_id_size = (uint8_t) note.n_descsz;
			memcpy(image->build_id, notes + at + name, note.n_descsz);
			return true;
		}
		at += name + (((uint64_t) note.n_descsz + 3) & ~3ULL);
	}
	return false;
}

static int read_build_id(struct reader *r, const struct segment *segments, uint32_t n)
{
	unsigned tried = 0;

	for (uint32_t i = 0; i < n && tried < SITES_CODE_RANGES; i++) {
		const struct segment *s = &segments[i];
		autofree unsigned char *notes = NULL;
		int rc;

		if (s->type != PT_NOTE || !s->size || s->size > NOTES_MAX ||
		    s->offset > r->source->size ||
		    s->size > r->source->size - s->offset)
			continue;
		tried++;
		rc = read_new(r, s->offset, s->size, &notes);
		if (rc)
			return rc;
		if (find_build_id(r->image, notes, s->size))
			return 0;
	}
	return 0;
}

int sites_image_read(struct sites_image *out, const struct sites_source *source,
		     const uint8_t *key, struct co_err *err)
{
	struct reader r = { .source = source, .image = out, .err = err };
	autofree struct segment *segments = NULL;
	autofree struct section *sections = NULL;
	const uint32_t revision = SITES_REVISION;
	uint32_t nsections = 0;
	struct head head = { 0 };
	int rc;

	memset(out, 0, sizeof(*out));
	sites_hash_init(&r.hash, key);
	sites_hash_add(&r.hash, &revision, sizeof(revision));
	rc = read_head(&r, &head);
	if (!rc)
		rc = read_segments(&r, &head, &segments);
	if (!rc)
		rc = read_code(&r, segments, head.segments);
	if (!rc)
		rc = read_sections(&r, &head, &sections, &nsections);
	if (!rc)
		rc = note_sections(&r, sections, nsections);
	if (!rc)
		rc = read_unwind(&r, segments, head.segments, sections, nsections,
				 head.names);
	if (!rc)
		rc = read_starts(&r, sections, nsections);
	if (!rc)
		rc = read_build_id(&r, segments, head.segments);
	if (!rc)
		sites_hash_end(&r.hash, out->digest);
	return rc;
}

void sites_image_done(struct sites_image *image)
{
	for (unsigned i = 0; i < image->ncode; i++)
		free(image->code[i].bytes);
	free(image->unwind.bytes);
	free(image->sections);
	free(image->starts);
	memset(image, 0, sizeof(*image));
}
