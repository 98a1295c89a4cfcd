/* SPDX-License-Identifier: MIT */
/*
 * A CloudOS service: registers "hello" (or the name it is given), echoes what TCP clients
 * on 127.0.0.1 send, and deregisters at SIGTERM or SIGINT.  Start it with:
 *
 *	cloudos-exec ./example-service [NAME]
 */
#include <cloudos/cloudos.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS 32

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
	(void) signo;
	stopped = 1;
}

/* The sentence that CloudOS keeps for the last failure of this thread. */
static int complain(const char *what)
{
	error_info_t info;

	if (cloudos_get_last_error(&info) == CLOUDOS_SUCCESS && info.error_code != 0)
		fprintf(stderr, "example-service: %s: %s\n", what, info.message);
	else
		fprintf(stderr, "example-service: %s failed\n", what);
	return 1;
}

/* A socket that listens on a free port of 127.0.0.1; -1 on failure. */
static int listen_somewhere(uint32_t *out_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
	    listen(fd, CONNECTIONS) < 0 ||
	    getsockname(fd, (struct sockaddr *) &address, &size) < 0) {
		perror("example-service: cannot listen on 127.0.0.1");
		return -1;
	}
	*out_port = ntohs(address.sin_port);
	return fd;
}

static int publish(const char *name, uint32_t port)
{
	service_registration_t registration = { .version = "1.0", .port = port };
	size_t room = sizeof(registration.name);

	if (strlen(name) >= room) {
		fprintf(stderr, "example-service: a name has at most %zu bytes\n",
			room - 1);
		return 1;
	}
	memcpy(registration.name, name, strlen(name) + 1);
	/* Both fit: a port has five digits. */
	(void) snprintf(registration.endpoint, sizeof(registration.endpoint),
			"127.0.0.1:%u", port);
	(void) snprintf(registration.health_check, sizeof(registration.health_check),
			"tcp://127.0.0.1:%u", port);
	if (cloudos_service_register(&registration) < 0)
		return complain("service_register");
	printf("%s: registered, serving on %s\n", name, registration.endpoint);
	fflush(stdout);
	return 0;
}

/* Echoes what is there; false when the connection is over. */
static bool echo(int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	/* A client that does not read what it gets back loses its connection. */
	return n > 0 && write(fd, text, (size_t) n) == n;
}

/* Serves until a signal; signals arrive in ppoll only, so none is missed. */
static void serve(int listener, const sigset_t *waiting)
{
	struct pollfd fds[1 + CONNECTIONS];
	nfds_t count = 1;

	fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (!stopped) {
		fds[0].events = count <= CONNECTIONS ? POLLIN : 0;
		if (ppoll(fds, count, NULL, waiting) < 0)
			continue; /* EINTR: look at `stopped` */
		for (nfds_t i = count - 1; i > 0; i--) {
			if (fds[i].revents == 0 || echo(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--count];
		}
		if (fds[0].revents & POLLIN) {
			int fd = accept4(listener, NULL, NULL,
					 SOCK_NONBLOCK | SOCK_CLOEXEC);

			if (fd >= 0)
				fds[count++] =
					(struct pollfd){ .fd = fd, .events = POLLIN };
		}
	}
	while (count > 1)
		close(fds[--count].fd);
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_stop };
	const char *name = argc > 1 ? argv[1] : "hello";
	sigset_t blocked, waiting;
	uint32_t port;
	int listener;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);

	if (CLOUDOS_REQUIRE() < 0)
		return complain("cannot start");
	listener = listen_somewhere(&port);
	if (listener < 0 || publish(name, port) != 0)
		return 1;
	serve(listener, &waiting);
	close(listener);
	if (cloudos_service_deregister(name) < 0)
		return complain("service_deregister");
	printf("%s: deregistered\n", name);
	return 0;
}
