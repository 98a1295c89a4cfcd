/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer: every seed, then a fixed number of mutations of
 * them, the same ones in every run.  HOST; `make check` links it to each target.
 *
 *	fuzz-NAME-run FOLDER [DICTIONARY [COUNT]]
 *	fuzz-NAME-run FILE                  one input, to repeat a failure
 *
 * When a target aborts, the input is left in fuzz-failure.bin and named.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

#define INPUT_MAX 70000
#define SEEDS_MAX 512
#define WORDS_MAX 256

struct blob {
	unsigned char *bytes;
	size_t n;
};

static struct {
	struct blob seeds[SEEDS_MAX], words[WORDS_MAX];
	size_t nseeds, nwords;
	uint64_t random;
	unsigned char input[INPUT_MAX]; /* the one that runs */
	size_t n;
} fuzz = { .random = 0x9e3779b97f4a7c15 };

static _Noreturn void fail(const char *what, const char *name)
{
	(void) fprintf(stderr,
		       "fuzz: %s: ", what); /* nobody could be told of a failure */
	perror(name);
	exit(1);
}

/* ---- inputs ---- */

static struct blob read_blob(const char *path)
{
	struct blob blob = { malloc(INPUT_MAX), 0 };
	autofclose FILE *f = fopen(path, "r");

	if (!f || !blob.bytes)
		fail("cannot read", path);
	blob.n = fread(blob.bytes, 1, INPUT_MAX, f);
	return blob;
}

static void read_seeds(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);

	if (n < 0)
		fail("cannot list", folder);
	for (int i = 0; i < n; i++) {
		char path[4096];

		(void) snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && fuzz.nseeds < SEEDS_MAX)
			fuzz.seeds[fuzz.nseeds++] = read_blob(path);
		free(names[i]);
	}
	free(names);
}

/* Reads lines `"word"` with \" \\ and \xHH, as libFuzzer does; others are comments. */
static void read_dictionary(const char *path)
{
	autofclose FILE *f = fopen(path, "r");
	char line[256];

	if (!f)
		fail("cannot read", path);
	while (fgets(line, sizeof(line), f) && fuzz.nwords < WORDS_MAX) {
		struct blob *word = &fuzz.words[fuzz.nwords];
		unsigned value;

		if (line[0] != '"')
			continue;
		word->bytes = malloc(sizeof(line));
		if (!word->bytes)
			fail("out of memory", path);
		for (const char *p = line + 1; *p && *p != '"' && *p != '\n'; p++) {
			value = (unsigned char) *p;
			if (*p == '\\' && p[1] == 'x' &&
			    sscanf(p + 2, "%2x", &value) == 1)
				p += 3;
			else if (*p == '\\')
				value = (unsigned char) *++p;
			word->bytes[word->n++] = (unsigned char) value;
		}
		fuzz.nwords++;
	}
}

/* ---- mutations ---- */

static size_t below(size_t n)
{
	fuzz.random ^= fuzz.random << 13;
	fuzz.random ^= fuzz.random >> 7;
	fuzz.random ^= fuzz.random << 17;
	return n ? (size_t) (fuzz.random >> 11) % n : 0;
}

static void insert(size_t at, const unsigned char *bytes, size_t n)
{
	if (n > INPUT_MAX - fuzz.n)
		return;
	memmove(fuzz.input + at + n, fuzz.input + at, fuzz.n - at);
	memmove(fuzz.input + at, bytes, n); /* may be a part of the input itself */
	fuzz.n += n;
}

static void overwrite(size_t at, const void *bytes, size_t n)
{
	if (at <= fuzz.n && n <= fuzz.n - at)
		memcpy(fuzz.input + at, bytes, n);
}

static void mutate_number(size_t at)
{
	static const uint32_t edges[] = { 0,          1,          2,      15,
					  16,         24,         0xffff, 0x10000,
					  0x7fffffff, 0x80000000, 32,     40,
					  0xfffffff0, 0xffffffff, 48 };
	uint32_t value = edges[below(co_countof(edges))];

	if (below(3) == 0)
		value = (uint32_t) (fuzz.n + below(9) - 4); /* about the size */
	overwrite((at & ~(size_t) 3) + 1, &value,
		  4); /* where the wire has its fields */
}

/* Says the true size where the wire has it: otherwise almost nothing gets past it. */
static void mend_size(void)
{
	uint32_t size = (uint32_t) fuzz.n - 1;

	if (fuzz.n >= 17)
		memcpy(fuzz.input + 1 + 4, &size, sizeof(size));
}

static void mutate_once(void)
{
	size_t at = below(fuzz.n + 1), length = below(16) + 1;
	const struct blob *seed = &fuzz.seeds[below(fuzz.nseeds)];
	const struct blob *word = &fuzz.words[below(fuzz.nwords)];

	switch (below(9)) {
	case 0: /* one bit */
		if (at < fuzz.n)
			fuzz.input[at] ^= (unsigned char) (1u << below(8));
		break;
	case 1: /* one byte */
		if (at < fuzz.n)
			fuzz.input[at] = (unsigned char) below(256);
		break;
	case 2: /* cut out */
		if (length > fuzz.n - at)
			length = fuzz.n - at;
		memmove(fuzz.input + at, fuzz.input + at + length,
			fuzz.n - at - length);
		fuzz.n -= length;
		break;
	case 3: /* end here */
		fuzz.n = at;
		break;
	case 4: /* a word of the dictionary */
		if (fuzz.nwords)
			insert(at, word->bytes, word->n);
		break;
	case 5: /* the end of another seed */
		if (seed->n > at) {
			fuzz.n = at;
			insert(at, seed->bytes + at, seed->n - at);
		}
		break;
	case 6: /* the same again, up to very often */
		if (length > fuzz.n - at)
			length = fuzz.n - at;
		for (size_t i = below(4) ? 1 : below(2000); i > 0; i--)
			insert(at, fuzz.input + at, length);
		break;
	case 7:
		mutate_number(at);
		break;
	case 8:
		mend_size();
		break;
	}
}

/* ---- running ---- */

static void leave_input(int signal_number)
{
	static const char message[] = "fuzz: the input is in ./fuzz-failure.bin\n";
	int fd = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0600);

	/* on the way out: what fails here cannot be told */
	if (fd >= 0 && write(fd, fuzz.input, fuzz.n) == (ssize_t) fuzz.n)
		(void) !write(STDERR_FILENO, message, sizeof(message) - 1);
	(void) signal(signal_number, SIG_DFL);
	(void) raise(signal_number);
}

static void load(const struct blob *blob)
{
	memcpy(fuzz.input, blob->bytes, blob->n);
	fuzz.n = blob->n;
}

static void run(void)
{
	/* a target that hangs is a failure as well */
	(void) alarm(120);
	(void) LLVMFuzzerTestOneInput(fuzz.input, fuzz.n); /* always 0 */
	(void) alarm(0);
}

static void run_all(unsigned long count)
{
	for (size_t i = 0; i < fuzz.nseeds; i++) {
		load(&fuzz.seeds[i]);
		run();
	}
	for (unsigned long i = 0; i < count; i++) {
		load(&fuzz.seeds[below(fuzz.nseeds)]);
		for (size_t k = below(6) + 1; k > 0; k--)
			mutate_once();
		run();
	}
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	struct stat st;

	if (argc < 2 || stat(argv[1], &st) < 0) {
		(void) fprintf(stderr, "usage: %s FOLDER|FILE [DICTIONARY [COUNT]]\n",
			       argv[0]); /* the exit status tells as much */
		return 2;
	}
	for (size_t i = 0; i < 4; i++)
		(void) signal((int[]){ SIGABRT, SIGSEGV, SIGALRM, SIGBUS }[i],
			      leave_input);
	if (S_ISDIR(st.st_mode))
		read_seeds(argv[1]);
	else
		fuzz.seeds[fuzz.nseeds++] = read_blob(argv[1]);
	if (fuzz.nseeds == 0) {
		(void) fprintf(stderr, "fuzz: no seeds in %s\n",
			       argv[1]); /* as above */
		return 1;
	}
	if (argc > 2)
		read_dictionary(argv[2]);
	run_all(count);
	(void) printf("%zu seeds, %zu words, %lu mutations\n", fuzz.nseeds, fuzz.nwords,
		      count); /* told for people only */
	for (size_t i = 0; i < fuzz.nseeds; i++)
		free(fuzz.seeds[i].bytes);
	for (size_t i = 0; i < fuzz.nwords; i++)
		free(fuzz.words[i].bytes);
	return 0;
}
