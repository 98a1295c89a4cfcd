/* SPDX-License-Identifier: MIT */
/*
 * bench-http-put put SOCKET CLIENTS MS: durable PUTs of state over the gateway's Unix
 * socket, each client asking again when it is answered.
 * bench-http-put bare FOLDER BATCH MS: the same rows on bare SQLite, BATCH to a commit.
 * HOST.  Prints one JSON object.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 1024, KEYS = 1000, SAMPLES = 1 << 22, ANSWER = 4096 };

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench-http-put: %s: %s\n", what, why);
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static float *samples;
static size_t nsamples;

static int ascending(const void *a, const void *b)
{
	float x = *(const float *) a, y = *(const float *) b;

	return x < y ? -1 : x > y;
}

static void tell(double us)
{
	qsort(samples, nsamples, sizeof(*samples), ascending);
	printf("{\"puts\":%zu,\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       nsamples, (double) nsamples / us * 1e6, (double) samples[nsamples / 2],
	       (double) samples[nsamples - 1 - nsamples / 100]);
}

static void sample(double began, double ended)
{
	if (nsamples < SAMPLES)
		samples[nsamples++] = (float) (ended - began);
}

static int value_of(char *out, size_t room, unsigned n)
{
	return snprintf(out, room,
			"{\"count\":%u,\"name\":\"somebody\",\"tags\":[1,2,3]}", n);
}

/* ---- over HTTP ---- */

struct client {
	int fd;
	double began;
	size_t size; /* of the answer so far */
	char answer[ANSWER + 1];
};

static struct client clients[CLIENTS];
static unsigned asked;

static void ask(struct client *c)
{
	char value[128], body[256], request[512];
	unsigned n = asked++;
	int size;

	(void) value_of(value, sizeof(value), n); /* all of this fits */
	size = snprintf(body, sizeof(body), "{\"key\":\"user:%u\",\"value\":%s}",
			n % KEYS, value);
	size = snprintf(
		request, sizeof(request),
		"PUT /v1/sys/state HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		size, body);
	c->began = now_us();
	c->size = 0;
	if (send(c->fd, request, (size_t) size, MSG_NOSIGNAL) != size)
		die("send", strerror(errno));
}

/* Is the answer there? */
static int answered(struct client *c)
{
	ssize_t n = recv(c->fd, c->answer + c->size, ANSWER - c->size, 0);
	const char *body, *length;

	if (n <= 0)
		die("recv", n ? strerror(errno) : "the daemon has gone");
	c->size += (size_t) n;
	c->answer[c->size] = 0;
	body = strstr(c->answer, "\r\n\r\n");
	length = strcasestr(c->answer, "content-length:");
	if (!body || !length)
		return 0;
	if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0)
		die("the answer", c->answer);
	return c->size >=
	       (size_t) (body + 4 - c->answer) + strtoul(length + 15, NULL, 10);
}

static void connect_to(struct client *c, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void) snprintf(to.sun_path, sizeof(to.sun_path), "%s",
			path); /* connect tells */
	c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *) &to, sizeof(to)) < 0)
		die(path, strerror(errno));
}

static void put(const char *path, unsigned n, double ms)
{
	int epoll = epoll_create1(0);
	double began, ended;

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		connect_to(&clients[i], path);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &e) < 0)
			die("epoll", strerror(errno));
	}
	began = now_us();
	for (unsigned i = 0; i < n; i++)
		ask(&clients[i]);
	do {
		struct epoll_event list[64];
		int got = epoll_wait(epoll, list, 64, 20000);

		if (got <= 0)
			die("epoll", got ? strerror(errno) : "no answer");
		ended = now_us();
		for (int i = 0; i < got; i++) {
			struct client *c = &clients[list[i].data.u32];

			if (!answered(c))
				continue;
			sample(c->began, ended);
			ask(c);
		}
	} while (ended - began < ms * 1e3);
	tell(ended - began);
}

/* ---- bare SQLite ---- */

static sqlite3 *db;

static sqlite3_stmt *prepare(const char *text)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		die(text, sqlite3_errmsg(db));
	return stmt;
}

static void step(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		die("SQLite", sqlite3_errmsg(db));
	(void) sqlite3_reset(stmt); /* the step has told */
}

static const struct {
	const char *name, *text;
} every[] = {
#define STATEMENT(name, text) { #name, (text) },
#include "store/statements.def"
#undef STATEMENT
};

static sqlite3_stmt *statement(const char *name)
{
	for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++)
		if (strcmp(every[i].name, name) == 0)
			return prepare(every[i].text);
	die(name, "no such statement");
	return NULL;
}

static void bare_put(sqlite3_stmt *get, sqlite3_stmt *write, unsigned n)
{
	char key[64], value[128];
	int key_size = snprintf(key, sizeof(key), "/state/cloudosd/user:%u", n % KEYS);
	int size = value_of(value, sizeof(value), n);
	sqlite3_int64 version = 0;

	(void) sqlite3_bind_blob(get, 1, key, key_size,
				 SQLITE_STATIC); /* index is right */
	if (sqlite3_step(get) == SQLITE_ROW)
		version = sqlite3_column_int64(get, 4);
	(void) sqlite3_reset(get); /* the step has told */
	(void) sqlite3_bind_blob(write, 1, key, key_size, SQLITE_STATIC);
	(void) sqlite3_bind_blob(write, 2, value, size, SQLITE_STATIC);
	for (int i = 3; i <= 7; i++)
		(void) sqlite3_bind_int64(write, i, i == 5 ? version + 1 : 0);
	step(write);
}

static void bare(const char *folder, unsigned batch, double ms)
{
	sqlite3_stmt *begin, *commit, *get, *write;
	double began = now_us(), ended;
	char path[512];
	unsigned n = 0;

	(void) snprintf(path, sizeof(path), "%s/bare.db", folder); /* opening tells */
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
			    "unix-excl") != SQLITE_OK ||
	    sqlite3_exec(
		    db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA cache_size = -8192; CREATE TABLE IF NOT EXISTS kv ("
		    "key BLOB PRIMARY KEY, value BLOB NOT NULL, create_rev INTEGER,"
		    "mod_rev INTEGER, version INTEGER, lease INTEGER,"
		    "expires INTEGER) WITHOUT ROWID",
		    NULL, NULL, NULL) != SQLITE_OK)
		die(path, sqlite3_errmsg(db));
	begin = statement("BEGIN");
	commit = statement("COMMIT");
	get = statement("GET");
	write = statement("PUT");
	do {
		double start = now_us();

		step(begin);
		for (unsigned i = 0; i < batch; i++)
			bare_put(get, write, n++);
		step(commit);
		ended = now_us();
		for (unsigned i = 0; i < batch; i++)
			sample(start, ended);
	} while (ended - began < ms * 1e3);
	tell(ended - began);
}

int main(int argc, char **argv)
{
	unsigned n = argc == 5 ? (unsigned) strtoul(argv[3], NULL, 10) : 0;

	samples = calloc(SAMPLES, sizeof(*samples));
	if (!samples || !n || n > CLIENTS)
		die("usage", "put SOCKET CLIENTS MS | bare FOLDER BATCH MS");
	if (strcmp(argv[1], "put") == 0)
		put(argv[2], n, strtod(argv[4], NULL));
	else
		bare(argv[2], n, strtod(argv[4], NULL));
	return 0;
}
