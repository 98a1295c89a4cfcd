/* SPDX-License-Identifier: MIT */
/*
 * A CloudOS client: finds the instances of "hello" (or of the service it is given), sends
 * a line to the first and prints what comes back.  Start it with:
 *
 *	cloudos-exec ./example-client [NAME [TEXT]]
 */
#include <cloudos/cloudos.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INSTANCES 8

static int complain(const char *what)
{
	error_info_t info;

	if (cloudos_get_last_error(&info) == CLOUDOS_SUCCESS && info.error_code != 0)
		fprintf(stderr, "example-client: %s: %s\n", what, info.message);
	else
		fprintf(stderr, "example-client: %s failed\n", what);
	return 1;
}

/* Connects to a port of 127.0.0.1; -1 on failure. */
static int reach(uint32_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t) port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
		return fd;
	perror("example-client: cannot reach the service");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Sends text, tells the other side that this was all, prints the answer to its end. */
static int talk(int fd, const char *text)
{
	char answer[4096];
	ssize_t n;

	if (write(fd, text, strlen(text)) != (ssize_t) strlen(text) ||
	    shutdown(fd, SHUT_WR) < 0) {
		perror("example-client: the service does not listen");
		return 1;
	}
	while ((n = read(fd, answer, sizeof(answer))) > 0)
		fwrite(answer, 1, (size_t) n, stdout);
	putchar('\n');
	return n == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "hello";
	const char *text = argc > 2 ? argv[2] : "Hello from a CloudOS program.";
	service_registration_t found[INSTANCES];
	size_t count = INSTANCES;
	int fd, status;

	if (CLOUDOS_REQUIRE() < 0)
		return complain("cannot start");
	if (cloudos_service_discover(name, found, &count) < 0)
		return complain("service_discover");
	if (count == 0) {
		fprintf(stderr,
			"example-client: nobody offers \"%s\"; start one with: "
			"cloudos-exec ./example-service %s\n",
			name, name);
		return 1;
	}
	printf("%s: %zu instance(s), asking process %u on %s\n", name, count,
	       found[0].pid, found[0].endpoint);
	fflush(stdout);
	fd = reach(found[0].port);
	if (fd < 0)
		return 1;
	status = talk(fd, text);
	close(fd);
	return status;
}
