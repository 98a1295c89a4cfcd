/* SPDX-License-Identifier: MIT */
/*
 * Sends messages as an Anos program does, for tests.  HOST.
 *
 *	anos-ask SESSION NAME|=COOKIE
 *	anos-ask SESSION NAME|=COOKIE scribble MESSAGES [SECONDS]
 *
 * Each line of standard input is a message: "TAG SIZE PAGE", the page in hex, cut where it
 * goes on with zeros, or "-" for none.  Each answer is a line "VALUE PAGE", or why not.
 *
 * scribble: writes what it likes wherever it may write, entries that look like messages
 * among it, and rings the bell; until so many messages were taken and so long.
 */
#include <co/ipc.h>
#include <co/ring.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "lib/cleanup.h"
#include "ring/ring.h"
#include "ring/segment.h"

#define WAIT_NS                                                                        \
	(60ULL * 1000000000) /* for an answer; a thousand times what is needed */

static struct ring_client ring;
static const struct co_ring_control *control;
static struct co_ring_peer *bells; /* of this process */

static int fail(const struct co_err *err)
{
	(void) printf("failed %s\n", err->message);
	return 1;
}

static int join(struct co_client *c, uint64_t session, struct co_err *err)
{
	struct wire_ipc_join_req *req;
	autoclose int fd = -1;
	autoclose int control_fd = -1;
	int rc;

	bells = ring_segment_new("ask", sizeof(*bells), &fd);
	if (!bells)
		return co_fail_errno(err, errno, "no peer page");
	ring_peer_format(bells, (uint32_t) getpid());
	req = co_client_request(c, WIRE_ipc_join_req);
	req->session = session;
	req->version = CO_WIRE_VERSION;
	rc = co_client_call(c, &fd, 1, err);
	if (rc)
		return rc;
	control_fd = co_msg_take_fd(c->in, 0);
	control = ring_segment_map(control_fd, sizeof(*control));
	return 0;
}

static int connect_to(struct co_client *c, const char *name, struct co_err *err)
{
	struct wire_ipc_open_req *req = co_client_request(c, WIRE_ipc_open_req);
	const struct wire_ipc_open_rep *rep;
	autoclose int fd = -1;
	autoclose int server_fd = -1;
	autoclose int peer_fd = -1;
	struct co_ring_client *own =
		ring_segment_new("ask", sizeof(struct co_ring_client), &fd);
	int rc;

	if (!own)
		return co_fail_errno(err, errno, "no segment");
	ring_client_format(own, (uint32_t) getpid());
	if (name[0] == '=')
		req->cookie = strtoull(name + 1, NULL, 0);
	else
		co_msg_text(c->out, &req->name, name);
	rc = co_client_call(c, &fd, 1, err);
	if (rc)
		return rc;
	rep = (const void *) c->in->bytes;
	server_fd = co_msg_take_fd(c->in, 0);
	peer_fd = co_msg_take_fd(c->in, 1);
	if (ring_client_open(&ring, own,
			     ring_segment_map(server_fd, sizeof(struct co_ring_server)),
			     ring_segment_map(peer_fd, sizeof(struct co_ring_peer)),
			     rep->doorbell) != RING_OK)
		return co_fail(err, CO_PROTOCOL, "the other side's segments are none");
	return 0;
}

/* The bytes of a hex text; what it does not say is zero. */
static void page_of(uint8_t page[CO_RING_PAGE], const char *hex)
{
	unsigned byte;

	memset(page, 0, CO_RING_PAGE);
	for (size_t i = 0; i < CO_RING_PAGE && sscanf(hex + 2 * i, "%2x", &byte) == 1;
	     i++)
		page[i] = (uint8_t) byte;
}

static void say(uint64_t tag, uint64_t size, const char *hex)
{
	static uint8_t page[CO_RING_PAGE];
	bool has_page = strcmp(hex, "-") != 0;
	struct ring_call call = { .tag = tag,
				  .size = (uint32_t) size,
				  .flags = has_page ? CO_RING_PAYLOAD | CO_RING_WHOLE
						    : 0 };
	struct ring_answer answer;
	uint32_t kick = control->kick;

	if (ring_begin(&ring, &call, CO_RING_PAGE) != RING_OK) {
		(void) printf("full\n");
		return;
	}
	page_of(page, hex);
	if (has_page)
		ring_page_post(&ring, &call, page);
	ring_post(&ring, &call);
	for (;;) {
		enum ring_outcome outcome =
			ring_wait(&ring, &call, NULL, kick, WAIT_NS, &answer);

		if (outcome == RING_KICKED || outcome == RING_INTERRUPTED) {
			kick = control->kick;
			continue;
		}
		if (outcome != RING_OK) {
			(void) printf("outcome %d\n", outcome);
			return;
		}
		break;
	}
	(void) printf("%" PRIu64 " ", answer.value);
	if (has_page && (answer.flags & CO_RING_WHOLE))
		ring_page_back(page, &answer);
	for (size_t i = 0; has_page && i < CO_RING_PAGE; i++)
		(void) printf("%02x", page[i]);
	(void) printf("\n");
	ring_end(&ring, &call);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A message that might be one, or nearly. */
static void forge(struct co_ring_client *own, uint64_t *state, uint64_t ticket)
{
	struct co_ring_entry *entry = &own->entries[ticket % CO_RING_SLOTS];
	uint64_t r = next_random(state);

	entry->tag = r & 1 ? r >> 8 & 3 : r;
	entry->size = r & 2 ? (uint32_t) (r >> 16) : (uint32_t) (r >> 16) & 0x1fff;
	entry->flags = (uint16_t) (r >> 3);
	entry->kind = (uint8_t) (r >> 19);
	entry->slot = (uint8_t) (r >> 27) & (r & 4 ? 0xff : 0x3f);
	entry->slots = r & 8 ? 1 : (uint8_t) (r >> 35);
	entry->seq = (uint32_t) (r >> 40);
	__atomic_store_n(&entry->ticket, ticket + 1, __ATOMIC_RELEASE);
}

static int scribble(uint64_t count, uint64_t seconds)
{
	struct co_ring_client *own = ring.own;
	uint8_t *bytes = (uint8_t *) own;
	uint64_t now = ring_os_now(), least = now + seconds * 1000000000;
	uint64_t end = least + WAIT_NS, state = now | 1, ticket = 0, taken = 0;

	for (; (taken < count || now < least) && now < end; now = ring_os_now()) {
		for (int i = 0; i < 100; i++) {
			uint64_t r = next_random(&state);

			bytes[r % sizeof(*own)] = (uint8_t) (r >> 40);
			((uint8_t *) bells)[r % sizeof(*bells)] = (uint8_t) (r >> 48);
			forge(own, &state, r & 0xff00 ? ticket++ : r);
		}
		taken = __atomic_load_n(&ring.server->consumed, __ATOMIC_ACQUIRE);
		if (ticket - taken >= CO_RING_SLOTS)
			ticket = taken;
		(void) ring_os_wake(&ring.bell->word, INT32_MAX);
	}
	(void) printf("taken %" PRIu64 "\n", taken);
	return taken < count;
}

int main(int argc, char **argv)
{
	static char line[2 * CO_RING_PAGE + 100], hex[sizeof(line)];
	autoclient struct co_client *c = NULL;
	struct co_paths paths;
	struct co_err err = { 0 };
	uint64_t tag, size;

	if (argc != 3 && argc != 5 && argc != 6)
		return 2;
	if (co_paths_init(&paths, false, NULL, &err) ||
	    co_client_open(&paths, "anos-ask", &c, &err) ||
	    join(c, strtoull(argv[1], NULL, 10), &err) || connect_to(c, argv[2], &err))
		return fail(&err);
	(void) printf("ready\n");
	(void) fflush(stdout);
	if (argc > 3)
		return scribble(strtoull(argv[4], NULL, 10),
				argc > 5 ? strtoull(argv[5], NULL, 10) : 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %s", &tag, &size, hex) != 3)
			return 2;
		say(tag, size, hex);
		(void) fflush(stdout);
	}
	return 0;
}
