/* SPDX-License-Identifier: MIT */
/*
 * The ABI of CloudOS as text: numbers, struct layouts, enumerators, error codes, versions.
 * HOST, a test.  Compares it with tests/table/cloudos-abi.txt, which is never changed
 * without a change of version; --print prints it, --write FILE replaces that file.
 *
 * It also ties <cloudos/numbers.h>, <cloudos/error.h> and <cloudos/version.h> to the
 * tables: a macro that is missing does not compile, one that differs stops the build.
 */
#include <cloudos/cloudos.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *kind; /* "private", "linux", "struct", "field", ... */
	const char *name;
	long value;
	long size;        /* of a field; -1: not printed */
	const char *text; /* beside or instead of the value; NULL: none */
};

/* clang-format off */
static const struct row calls[] = {
#include <co/op-begin.h>
#undef OP
#define OP(key, name_, plane, support, args, heading, note) { key .name = #name_, .size = -1 },
#undef NUM
#define NUM(n) .kind = "private", .value = (n),
#undef LINUX
#define LINUX(call) .kind = "linux", .text = #call,
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
};

#include <co/op-begin.h>
#undef OP
#undef NUM
#undef LINUX
#define OP(key, name, plane, support, args, heading, note) TIE(key, name)
#define NUM(n)         SAME, n
#define LINUX(call)    NOTHING, 0
#define TIE(...)       TIE_(__VA_ARGS__)
#define TIE_(tie, n, name) tie(n, name)
#define SAME(n, name)  _Static_assert(CLOUDOS_SYS_##name == (n), "numbers.h: " #name);
#define NOTHING(n, name)
#include "personality/cloudos/ops.def"
#include <co/op-end.h>

static const struct row layout[] = {
#define STRUCT(type) { "struct", #type, (long) sizeof(type), -1, NULL },
#define FIELD(type, member) { "field", #type "." #member, (long) offsetof(type, member), \
	(long) sizeof(((type *) NULL)->member), NULL },
#define FLEXIBLE(type, member) { "field", #type "." #member, \
	(long) offsetof(type, member), 0, NULL },
#define ENUMERATOR(name) { "enumerator", #name, (long) (name), -1, NULL },
#include "tests/table/cloudos-abi.def"
};

static const struct row errors[] = {
	{ "error", "CLOUDOS_SUCCESS", CLOUDOS_SUCCESS, -1, NULL },
#define ERROR(name, number, errnum, status, text) \
	{ "error", "CLOUDOS_" #name, CLOUDOS_##name, -1, NULL },
#include "personality/cloudos/errors.def"
#undef ERROR
};

#define ERROR(name, number, errnum, status, text) \
	_Static_assert(CLOUDOS_##name == -(number), "error.h: " #name);
#include "personality/cloudos/errors.def"
#undef ERROR

static const struct row versions[] = {
#define INTERFACE(name, id, major, minor, patch, title) \
	{ "version", #name, (id), -1, #major "." #minor "." #patch },
#include "personality/cloudos/versions.def"
#undef INTERFACE
};

#define INTERFACE(name, id, major, minor, patch, title) \
	_Static_assert(CLOUDOS_INTERFACE_##name == (id), "version.h: " #name); \
	_Static_assert(CLOUDOS_##name##_VERSION == CLOUDOS_VERSION(major, minor, patch), \
		       "version.h: " #name);
#include "personality/cloudos/versions.def"
#undef INTERFACE
/* clang-format on */

static void print_rows(FILE *out, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%s %s", rows[i].kind, rows[i].name);
		if (strcmp(rows[i].kind, "linux") != 0)
			fprintf(out, " %ld", rows[i].value);
		if (rows[i].size >= 0)
			fprintf(out, " %ld", rows[i].size);
		if (rows[i].text)
			fprintf(out, " %s", rows[i].text);
		fputc('\n', out);
	}
}

static void print_abi(FILE *out)
{
	print_rows(out, calls, COUNT(calls));
	print_rows(out, layout, COUNT(layout));
	print_rows(out, errors, COUNT(errors));
	print_rows(out, versions, COUNT(versions));
}

/* The whole ABI as one string; the caller frees. */
static char *abi_text(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out) {
		perror("cloudos-abi: no memory");
		exit(99);
	}
	print_abi(out);
	if (fclose(out) != 0) {
		perror("cloudos-abi: no memory");
		exit(99);
	}
	return text;
}

static int write_golden(const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		perror(path);
		return 1;
	}
	print_abi(out);
	return fclose(out) == 0 ? 0 : 1;
}

/* The first line that differs, as a sentence. */
static int compare(FILE *golden, const char *path, char *ours)
{
	char line[512];
	char *rest = ours;
	unsigned number = 0;

	for (;;) {
		const char *mine = strsep(&rest, "\n");
		bool more = fgets(line, sizeof(line), golden) != NULL;

		number++;
		if (more)
			line[strcspn(line, "\n")] = '\0';
		if (!more && (!mine || !*mine))
			return 0;
		if (more && mine && strcmp(line, mine) == 0)
			continue;
		fprintf(stderr,
			"cloudos-abi: line %u of %s says \"%s\", the headers and tables "
			"say \"%s\".\nPrograms that exist would break; if the interface "
			"is meant to change, change its version and run "
			"cloudos-abi --write on that file.\n",
			number, path, more ? line : "(end)",
			mine && *mine ? mine : "(end)");
		return 1;
	}
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	FILE *golden;
	char *ours;
	int status;

	(void) snprintf(path, sizeof(path), "%s/tests/table/cloudos-abi.txt",
			srcdir ? srcdir : "."); /* a path that is cut is not found */
	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		print_abi(stdout);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_golden(argv[2]);
	golden = fopen(path, "r");
	if (!golden) {
		perror(path);
		return 1;
	}
	ours = abi_text();
	status = compare(golden, path, ours);
	free(ours);
	(void) fclose(golden); /* only read */
	return status;
}
