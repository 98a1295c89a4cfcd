/* SPDX-License-Identifier: MIT */
/* Where the gateway listens, and the file that says so.  HOST. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"
#include "cloudosd/sockets.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/log.h"

enum { BACKLOG = 1024, FILE_MAX = 8192 };

static void on_connection(uv_stream_t *stream, int status)
{
	struct http_listener *l = stream->data;
	struct http_server *s = l->server;

	if (status < 0)
		return; /* gone before it was accepted, or there is no descriptor now */
	core_lock();
	connection_accept(l);
	output_flush(s);
	core_unlock();
}

static void on_listener_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unlisten(struct http_listener *l)
{
	int fd;

	DL_DELETE(l->server->listeners, l);
	if (uv_fileno((uv_handle_t *) &l->uv.stream, &fd) == 0)
		sockets_drop(l->server->daemon->sockets, fd);
	uv_close((uv_handle_t *) &l->uv.stream, on_listener_closed);
}

/* Takes fd, a socket that is bound or listens. */
static int add(struct http_server *s, int fd, bool unix_, bool local,
	       struct http_listener **out, struct co_err *err)
{
	struct http_listener *l = calloc(1, sizeof(*l)), *other;
	unsigned n;
	int r;

	DL_COUNT(s->listeners, other, n);
	if (!l || n >= CO_LIMIT_HTTP_LISTENERS) {
		free(l);
		(void) close(fd); /* a socket that nobody uses yet */
		return co_fail(err, CO_TABLE_FULL,
			       "the gateway listens on too many addresses already");
	}
	l->server = s;
	l->unix_ = unix_;
	l->local = local;
	r = unix_ ? uv_pipe_init(&s->daemon->uv, &l->uv.pipe, 0)
		  : uv_tcp_init(&s->daemon->uv, &l->uv.tcp);
	if (r < 0) {
		free(l);
		(void) close(fd);
		return co_fail(err, CO_NO_MEMORY, "cannot listen: %s", uv_strerror(r));
	}
	l->uv.stream.data = l;
	DL_APPEND(s->listeners, l);
	r = unix_ ? uv_pipe_open(&l->uv.pipe, fd) : uv_tcp_open(&l->uv.tcp, fd);
	if (r < 0)
		(void) close(fd);
	if (!r)
		r = uv_listen(&l->uv.stream, BACKLOG, on_connection);
	if (r < 0) {
		unlisten(l);
		return co_fail_errno(err, -r, "cannot listen");
	}
	*out = l;
	return 0;
}

void listen_stop(struct http_server *s)
{
	struct http_listener *l, *next;
	char path[CO_PATH_SIZE + 16];

	DL_FOREACH_SAFE (s->listeners, l, next)
		unlisten(l);
	(void) snprintf(path, sizeof(path), "%s/http.json", s->daemon->paths.run);
	(void) unlink(path); /* whoever finds it connects in vain and knows then */
}

/* ---- the Unix socket ---- */

static int listen_unix(struct http_server *s, struct co_err *err)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX, .sun_path = "http.sock" };
	struct http_listener *l;
	struct stat st;
	char path[CO_PATH_SIZE + 16];
	int fd = -1, r = 0;
	bool inherited;

	(void) snprintf(path, sizeof(path), "%s/http.sock", s->daemon->paths.run);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		fd = sockets_take(s->daemon->sockets, (struct sockaddr *) &any);
	inherited = fd >= 0;
	if (!inherited)
		r = co_paths_bind_http(&s->daemon->paths, &fd, err);
	if (r)
		return r;
	(void) snprintf(s->unix_path, sizeof(s->unix_path), "%s/http.sock",
			s->daemon->paths.run);
	r = add(s, fd, true, true, &l, err);
	if (!r && !inherited)
		sockets_hold(s->daemon->sockets, fd);
	return r;
}

/* ---- TCP ---- */

static bool parse_address(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		return true;
	}
	return false;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) a;

	if (a->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int bind_port(const struct sockaddr_storage *address, unsigned port)
{
	struct sockaddr_storage a = *address;
	socklen_t size = a.ss_family == AF_INET ? sizeof(struct sockaddr_in)
						: sizeof(struct sockaddr_in6);
	autoclose int fd =
		socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	if (a.ss_family == AF_INET)
		((struct sockaddr_in *) &a)->sin_port = htons((uint16_t) port);
	else
		((struct sockaddr_in6 *) &a)->sin6_port = htons((uint16_t) port);
	/* connections of a daemon that has ended are no hindrance */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (const struct sockaddr *) &a, size) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return take_fd(fd);
}

/* The socket of a daemon that has died, at which others wait already. */
static int inherit(const struct http_server *s, unsigned port)
{
	struct sockaddr_storage a = s->address;

	if (a.ss_family == AF_INET)
		((struct sockaddr_in *) &a)->sin_port = htons((uint16_t) port);
	else
		((struct sockaddr_in6 *) &a)->sin6_port = htons((uint16_t) port);
	return sockets_take(s->daemon->sockets, (const struct sockaddr *) &a);
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t size = sizeof(a);

	(void) getsockname(fd, (struct sockaddr *) &a, &size); /* of a bound socket */
	return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *) &a)->sin_port
					    : ((struct sockaddr_in6 *) &a)->sin6_port);
}

/* The port of this domain's daemon before: those who know it need not look again. */
static unsigned port_before(const char *path)
{
	char text[FILE_MAX];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct co_json_fault fault;
	struct co_span value;
	int64_t port;

	if (n <= 0 ||
	    co_json_check((struct co_span){ text, (size_t) n }, &value, &fault) ||
	    !co_json_member(value, "port", &value) || !co_json_whole(value, &port) ||
	    port < 1 || port > 65535)
		return 0;
	return (unsigned) port;
}

static int listen_tcp(struct http_server *s, unsigned before, struct co_err *err)
{
	const struct config *config = &s->daemon->config;
	struct http_listener *l;
	bool local, inherited;
	int fd, r;

	if (strcmp(config->http_address, "none") == 0)
		return 0;
	if (!parse_address(config->http_address, &s->address))
		return co_fail(
			err, CO_INVALID,
			"http.address is \"%s\"; it must be an IP address or none",
			config->http_address);
	local = is_loopback(&s->address);
	fd = inherit(s, before);
	inherited = fd >= 0;
	if (!inherited)
		fd = bind_port(&s->address, config->http_port);
	if (fd < 0 && config->http_port && errno == EADDRINUSE) {
		co_log(http, INFO,
		       "port %u of %s is in use; the gateway takes another, which "
		       "http.json tells",
		       config->http_port, config->http_address);
		fd = before ? bind_port(&s->address, before) : -1;
		if (fd < 0)
			fd = bind_port(&s->address, 0);
	}
	if (fd < 0) {
		/* the Unix socket is there, and the daemon has other things to do */
		co_log(http, ERROR, "cannot listen on %s: %s", config->http_address,
		       strerror(errno));
		return 0;
	}
	s->numbers.port = port_of(fd);
	(void) snprintf(s->url, sizeof(s->url),
			s->address.ss_family == AF_INET ? "http://%s:%u"
							: "http://[%s]:%u",
			config->http_address, s->numbers.port);
	r = add(s, fd, false, local, &l, err);
	if (!r && !inherited)
		sockets_hold(s->daemon->sockets, fd);
	if (!r && !local)
		co_log(http, WARN,
		       "the gateway listens on %s, which others can reach: every "
		       "request has to show the token",
		       config->http_address);
	return r;
}

/* ---- http.json ---- */

static int publish(const struct http_server *s, const char *path, struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	char new[CO_PATH_SIZE + 32];
	autoclose int fd = -1;

	co_buf_text(&b, "{\"tcp\":");
	if (s->numbers.port)
		co_buf_json_text(&b, co_span(s->url + strlen("http://")));
	else
		co_buf_text(&b, "null");
	co_buf_text(&b, ",\"port\":");
	co_buf_u64(&b, s->numbers.port);
	co_buf_text(&b, ",\"unix\":");
	co_buf_json_text(&b, co_span(s->unix_path));
	co_buf_text(&b, ",\"url\":");
	if (s->numbers.port)
		co_buf_json_text(&b, co_span(s->url));
	else
		co_buf_text(&b, "null");
	co_buf_text(&b, "}\n");
	(void) snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b.failed || fd < 0 || write(fd, b.data, b.size) != (ssize_t) b.size ||
	    rename(new, path) < 0)
		return co_fail_errno(err, errno, "cannot write %s", path);
	return 0;
}

int listen_all(struct http_server *s, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];
	unsigned before;
	int r;

	(void) snprintf(path, sizeof(path), "%s/http.json", s->daemon->paths.run);
	before = port_before(path);
	r = listen_unix(s, err);
	if (!r)
		r = listen_tcp(s, before, err);
	return r ? r : publish(s, path, err);
}
