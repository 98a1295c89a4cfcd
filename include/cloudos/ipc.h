/* SPDX-License-Identifier: MIT */
/*
 * Messages and shared memory ("Inter-Process Communication").
 */
#ifndef CLOUDOS_IPC_H
#define CLOUDOS_IPC_H

#include <cloudos/base.h>

/* Message Types */
typedef enum {
	MSG_REQUEST = 1,
	MSG_RESPONSE = 2,
	MSG_NOTIFICATION = 3,
	MSG_ERROR = 4
} message_type_t;

/* Message Structure */
typedef struct message {
	uint32_t sender_pid; /* set by the system, never by the sender */
	uint32_t receiver_pid;
	message_type_t type;
	uint32_t id;
	uint32_t size; /* bytes of data */
	uint8_t data[];
} message_t;

CLOUDOS_OFFSET(message_t, sender_pid, 0);
CLOUDOS_OFFSET(message_t, receiver_pid, 4);
CLOUDOS_OFFSET(message_t, type, 8);
CLOUDOS_OFFSET(message_t, id, 12);
CLOUDOS_OFFSET(message_t, size, 16);
CLOUDOS_OFFSET(message_t, data, 20);
CLOUDOS_SIZEOF(message_t, 20);

CLOUDOS_BEGIN_DECLS

/* ---- Message Passing API ---- */

/*
 * Messages wait in a queue of the process that they are sent to, oldest first, until one of
 * its threads receives them or it ends.  fork gives an empty queue, exec keeps it.  A
 * message that was accepted outlives the daemon, not the processes and not the machine.
 *
 * A pid is one of the caller's pid name space; a process that it cannot see there has a
 * number above 0x7fffffff, which can be answered like a pid.  0 is the calling process.
 *
 * A program of another system that has named a channel (Anos: register_channel_name) is
 * found by cloudos_ipc_discover_service, too, and the number that it gives can be sent to.
 * The channel gets id as tag and up to 4096 bytes of data as a page of memory; the answer
 * is MSG_RESPONSE with the value that was replied, 8 bytes, and the whole page behind it if
 * there was data.  Programs of other systems find services of this one likewise, and what
 * they send are requests.
 */

/*
 * Queues msg, which is borrowed, for dest_pid and returns 0.  type is MSG_REQUEST, which
 * wants an answer, or MSG_NOTIFICATION; of the rest id, size and data count: who sends is
 * what the system knows.  When the receiver of a request ends without having answered it,
 * the sender receives MSG_ERROR with that id, the receiver as sender and a sentence as data.
 *   CLOUDOS_EINVAL  type is another
 *   CLOUDOS_ENOENT  there is no such process
 *   CLOUDOS_EACCES  it belongs to another user
 *   CLOUDOS_EFBIG   more than 1 MiB of data, or to a channel more than 4096 bytes; shared
 *                   memory has room for more
 *   CLOUDOS_EBUSY   the caller or its session has as many messages waiting (or requests
 *                   not answered) as it may, or the receiver has; try again later
 *   CLOUDOS_ENFILE  the domain has (cloudosctl limits)
 *   CLOUDOS_EFAULT  msg, or what size says is behind it, is not readable memory
 */
CLOUDOS_API int cloudos_ipc_send(uint32_t dest_pid, const message_t *msg);

/*
 * Waits for the oldest message and stores it in msg, which has room for max_size bytes with
 * its header, and who has sent it in *sender_pid.  Returns 0.
 *   CLOUDOS_EFBIG   it has more data than there is room for, and stays; the reason in
 *                   cloudos_get_last_error() says how much it has
 *   CLOUDOS_EINVAL  max_size is less than sizeof(message_t)
 *   CLOUDOS_EBUSY   a signal has interrupted the waiting
 *   CLOUDOS_ENFILE  too many processes use messages (cloudosctl limits)
 *   CLOUDOS_EFAULT  one of the two cannot be written to; the message stays
 */
CLOUDOS_API int cloudos_ipc_receive(uint32_t *sender_pid, message_t *msg,
				    size_t max_size);

/*
 * Answers the oldest request that dest_pid has sent, the caller has received and reply->id
 * names; reply->type is MSG_RESPONSE or MSG_ERROR.  Returns 0.  What waits in the other's
 * queue then is charged to the other, who has asked.
 *   CLOUDOS_ENOENT  there is no such request (any more), or no such process
 *   CLOUDOS_EBUSY   too much data waits for the other already
 *   CLOUDOS_EINVAL, CLOUDOS_EFBIG, CLOUDOS_ENFILE, CLOUDOS_EFAULT  as ipc_send
 */
CLOUDOS_API int cloudos_ipc_reply(uint32_t dest_pid, const message_t *reply);

/*
 * From now on messages between this process and others that have called this go through
 * memory that the two share, without a system call and without the daemon; all others as
 * before.  Returns 0, also when it has been called before.  A child of fork, and a program
 * after exec, begins without.  Nothing changes in what the three functions above return,
 * except that between two such processes
 *   - 64 messages wait at most, of 4 KiB data each (a longer one, up to 64 KiB, takes the
 *     place of several); then CLOUDOS_EBUSY
 *   - a message of more than 64 KiB is CLOUDOS_EBUSY until those before it have been
 *     received; an answer of more than 64 KiB to a request that came so is CLOUDOS_EFBIG
 *   - a process that has ended is CLOUDOS_ENOENT as soon as the daemon has told, which may be
 *     some milliseconds later; what was sent in between has come too late
 *   - what waits outlives the daemon and the sender, but not exec of the receiver; requests
 *     are told then (MSG_ERROR)
 *   - order is kept among messages of one sender; between senders nearly
 *   - memory is not checked: a bad pointer ends the program
 * A program that has called this receives with cloudos_ipc_receive, not with its number, and
 * calls none of the three in a signal handler.
 *   CLOUDOS_EACCES  not under cloudos-exec; the daemon cannot be reached from here; this
 *                   program has pids of its own.  Messages go on as before
 *   CLOUDOS_ENOMEM  no memory for it
 */
CLOUDOS_API int cloudos_ipc_direct(void);

/*
 * Registers the calling process under service_name, in the registry of
 * <cloudos/service.h>: no port, no endpoint, alive as long as the process.  Returns 0.
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG  that is no name; it has more than 63 bytes
 *   CLOUDOS_EBUSY, CLOUDOS_ENFILE  the process, the domain, has as many as it may
 *   CLOUDOS_EFAULT  service_name does not point to readable memory
 */
CLOUDOS_API int cloudos_ipc_register_service(const char *service_name);

/*
 * Stores the pid of a healthy instance of service_name in *service_pid.  Returns 0.
 *   CLOUDOS_ENOENT  there is none
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 */
CLOUDOS_API int cloudos_ipc_discover_service(const char *service_name,
					     uint32_t *service_pid);

/* ---- Shared Memory API ---- */

/*
 * A segment has a name of 1 to 255 bytes, which is of the whole domain and compared byte by
 * byte, and a size, which never changes.  It lives until it is unlinked, or the domain's
 * daemon ends, and longer where it is open or mapped.  Descriptors are Linux's: they are
 * inherited, passed on, mapped and closed as any other, and closed by exec.
 */

/*
 * A descriptor, for reading and writing, of a new segment of size bytes, all of them 0.
 * mode has the nine bits that say what the user, the group and others may open it for;
 * the creator's umask is not applied.
 *   CLOUDOS_EEXIST  there is one of that name
 *   CLOUDOS_EINVAL  the name is empty, size is 0, mode has other bits
 *   CLOUDOS_EFBIG   size is more than 1 GiB
 *   CLOUDOS_ENOSPC, CLOUDOS_ENFILE  all segments have as many bytes, there are as many, as
 *                   the domain may have (cloudosctl limits)
 *   CLOUDOS_EMFILE  the program has no free descriptor; nothing is made
 *   CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  the name has more than 255 bytes, is not readable
 */
CLOUDOS_API int cloudos_shm_create(const char *name, size_t size, mode_t mode);

/*
 * A descriptor of the segment of that name; flags is O_RDONLY or O_RDWR.
 *   CLOUDOS_ENOENT  there is none
 *   CLOUDOS_EACCES  its mode does not let the caller
 *   CLOUDOS_EINVAL  flags are others
 *   CLOUDOS_EMFILE, CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 */
CLOUDOS_API int cloudos_shm_open(const char *name, int flags);

/*
 * Maps the first size bytes with PROT_READ, PROT_WRITE or both; flags is MAP_SHARED (or 0,
 * the same) or MAP_PRIVATE.  NULL on failure; the code is in cloudos_get_last_error():
 *   CLOUDOS_EINVAL  no such descriptor, or not of shared memory; size is 0 or more than
 *                   there is; prot or flags are others
 *   CLOUDOS_EACCES  the descriptor is for reading only
 *   CLOUDOS_ENOMEM  the program cannot map more
 * The number of shm_map works under engines trap and ptrace; this function everywhere.
 */
CLOUDOS_API void *cloudos_shm_map(int shm_fd, size_t size, int prot, int flags);

/* Returns 0; CLOUDOS_EINVAL: that is no mapping.  As shm_map for its number. */
CLOUDOS_API int cloudos_shm_unmap(void *addr, size_t size);

/*
 * Takes the name away; who has the segment open or mapped keeps it.  Returns 0.
 *   CLOUDOS_ENOENT  there is none
 *   CLOUDOS_EACCES  it is another user's
 *   CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 */
CLOUDOS_API int cloudos_shm_unlink(const char *name);

CLOUDOS_END_DECLS

#endif
