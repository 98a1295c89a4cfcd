/* SPDX-License-Identifier: MIT */
/*
 * Every pointer argument of every call that the daemon answers, straight from the table:
 * NULL, unmapped, the kernel's, not an address at all, read-only where something is
 * written; strings that do not end; memory that changes while it is read.
 */
#include "guest.h"

#include <co/op.h>
#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#define NAME "bad.pointers"

/* clang-format off */
static const struct co_op rows[] = {
#include <co/op-begin.h>
#include <co/op-rows.h>
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Something that is accepted for each argument of each row. */
struct valid {
	service_registration_t registration;
	service_config_t config;
	error_info_t error;
	union {
		service_info_t info;
		service_registration_t found;
		char bytes[8192];
	} out;
	size_t count;
	int folder;
	message_t message; /* with room for data at its end */
};

static struct valid valid;

static void valid_reset(void)
{
	valid.registration = a_service(NAME);
	memset(&valid.config, 0, sizeof(valid.config));
	valid.config.size = sizeof(valid.config);
	memset(&valid.error, 0, sizeof(valid.error));
	valid.error.error_code = CLOUDOS_EIO;
	memset(&valid.out, 0, sizeof(valid.out));
	valid.out.info.size = sizeof(valid.out.info);
	memset(&valid.message, 0, sizeof(valid.message));
	valid.message.type = MSG_NOTIFICATION;
	valid.count = 1;
	if (valid.folder >= 0)
		close(valid.folder);
	valid.folder = (int) cloudos_sys_opendir("/");
	if (valid.folder < 0)
		die("sys_opendir");
}

static uintptr_t valid_argument(const struct co_op *row, const struct co_arg *arg)
{
	switch (arg->kind) {
	case CO_ARG_CSTR:
		return WORD(strcmp(row->name, "sys_opendir") == 0 ? "/" : NAME);
	case CO_ARG_IN:
		return strcmp(arg->type, "error_info_t") == 0
			       ? WORD(&valid.error)
			       : WORD(&valid.registration);
	case CO_ARG_SIZED_IN:
		return WORD(&valid.config);
	case CO_ARG_INOUT:
		return WORD(&valid.count);
	case CO_ARG_FD:
		return WORD(valid.folder);
	case CO_ARG_OUT:
	case CO_ARG_SIZED_OUT:
	case CO_ARG_OUT_ARRAY:
	case CO_ARG_TAILED_OUT:
		return WORD(&valid.out);
	case CO_ARG_TAILED_IN:
		return WORD(&valid.message);
	case CO_ARG_SIZE:
		return sizeof(valid.out);
	case CO_ARG_U32:
		return strcmp(arg->name, "dest_pid") == 0 ? WORD(getpid()) : 1;
	default:
		return 1;
	}
}

static bool is_written(const struct co_arg *arg)
{
	return arg->kind == CO_ARG_OUT || arg->kind == CO_ARG_SIZED_OUT ||
	       arg->kind == CO_ARG_OUT_ARRAY || arg->kind == CO_ARG_INOUT ||
	       arg->kind == CO_ARG_TAILED_OUT;
}

static bool is_pointer(const struct co_arg *arg)
{
	return arg->kind == CO_ARG_CSTR || arg->kind == CO_ARG_IN ||
	       arg->kind == CO_ARG_SIZED_IN || arg->kind == CO_ARG_TAILED_IN ||
	       is_written(arg);
}

/* The row with one argument replaced. */
static long call_with(const struct co_op *row, uint32_t index, uintptr_t word)
{
	uintptr_t args[6] = { 0 };

	valid_reset();
	for (uint32_t i = 0; i < row->nargs; i++)
		args[i] = i == index ? word : valid_argument(row, &row->args[i]);
	return raw_call(row->number, args);
}

static void expect_fault(const struct co_op *row, uint32_t index, uintptr_t word,
			 const char *what)
{
	long result = call_with(row, index, word);

	check(result == RAW_CODE(CLOUDOS_EFAULT), "%s: %s %s (%ld)", row->name,
	      row->args[index].name, what, result);
}

/* A copy of what is valid there, in memory that cannot be written. */
static uintptr_t fixed_copy(const struct co_op *row, uint32_t index)
{
	char *copy = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		die("mmap");
	valid_reset();
	memcpy(copy, (void *) valid_argument(row, &row->args[index]),
	       row->args[index].size);
	if (mprotect(copy, 8192, PROT_READ) < 0)
		die("mprotect");
	return WORD(copy);
}

static void try_pointer(const struct co_op *row, uint32_t index)
{
	expect_fault(row, index, 0, "is NULL");
	expect_fault(row, index, WORD(unmapped()), "is unmapped");
	expect_fault(row, index, WORD(0xffff888000000000), "is the kernel's");
	expect_fault(row, index, WORD(0x8000000000000000), "is not an address");
	expect_fault(row, index, WORD(-8), "goes over the end of all memory");
	/* a container is needed to come so far: container_get_status.c */
	if (is_written(&row->args[index]) &&
	    strcmp(row->name, "container_get_status") != 0) {
		uintptr_t fixed = fixed_copy(row, index);

		expect_fault(row, index, fixed, "cannot be written");
		(void) munmap((void *) fixed, 8192);
	}
}

static void try_string(const struct co_op *row, uint32_t index)
{
	uint32_t bound = row->args[index].size;
	char *endless = malloc(bound + 64);
	char *last = end_of_mapping();
	const char *good = strcmp(row->name, "sys_opendir") == 0 ? "/" : NAME;
	long result;

	if (!endless)
		die("malloc");
	memset(endless, 'a', bound + 63);
	endless[bound + 63] = '\0';
	expect_fault(row, index, WORD(unterminated(3)),
		     "ends with its mapping, without a NUL");
	result = call_with(row, index, WORD(endless));
	check(result == RAW_CODE(CLOUDOS_ENAMETOOLONG),
	      "%s: %s is longer than %u (%ld)", row->name, row->args[index].name, bound,
	      result);
	free(endless);
	if (strcmp(row->name, "service_deregister") == 0 ||
	    strcmp(row->name, "sys_container_create") == 0 ||
	    strcmp(row->name, "shm_open") == 0 || strcmp(row->name, "shm_unlink") == 0)
		return; /* it would succeed once; or needs what is not there */
	last -= strlen(good) + 1;
	strcpy(last, good);
	result = call_with(row, index, WORD(last));
	check(result >= 0, "%s: %s may end with its mapping (%ld)", row->name,
	      row->args[index].name, result);
	if (strcmp(row->name, "sys_opendir") == 0 ||
	    strcmp(row->name, "shm_create") == 0)
		close((int) result);
}

static void every_pointer_of_every_call(void)
{
	int tried = 0;

	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].plane != CO_PLANE_DAEMON)
			continue;
		for (uint32_t a = 0; a < rows[i].nargs; a++) {
			if (!is_pointer(&rows[i].args[a]))
				continue;
			try_pointer(&rows[i], a);
			if (rows[i].args[a].kind == CO_ARG_CSTR)
				try_string(&rows[i], a);
			tried++;
		}
	}
	check(tried >= 19, "%d pointer arguments were tried", tried);
}

/* ---- memory that changes ---- */

struct changing {
	service_registration_t registration;
	volatile bool stop;
};

/* Takes the ends of strings away and gives them back, for as long as it is asked to. */
static void *change(void *arg)
{
	struct changing *c = arg;
	volatile char *name_end =
		&c->registration.name[sizeof(c->registration.name) - 1];
	volatile char *first = &c->registration.name[12];
	volatile char *metadata_end =
		&c->registration.metadata[sizeof(c->registration.metadata) - 1];

	while (!c->stop) {
		*first = 'x';
		*name_end = 'y';
		*metadata_end = 'z';
		*first = '\0';
		*name_end = '\0';
		*metadata_end = '\0';
	}
	return NULL;
}

static void memory_that_changes_while_it_is_read(void)
{
	static struct changing c;
	pthread_t thread;
	int wrong = 0, took = 0, refused = 0;

	memset(&c.registration, 'a', sizeof(c.registration));
	c.registration = a_service("bad.changing");
	memset(c.registration.name + 12, 'a', sizeof(c.registration.name) - 13);
	memset(c.registration.metadata, 'm', sizeof(c.registration.metadata) - 1);
	if (pthread_create(&thread, NULL, change, &c) != 0)
		die("no thread");
	for (int i = 0; i < 400; i++) {
		long r = RAW(service_register, WORD(&c.registration));

		took += r == 0;
		refused += r == RAW_CODE(CLOUDOS_EINVAL);
		wrong += r != 0 && r != RAW_CODE(CLOUDOS_EINVAL);
	}
	c.stop = true;
	if (pthread_join(thread, NULL) != 0)
		die("no thread");
	printf("# %d registered, %d refused\n", took, refused);
	check_number(wrong, 0,
		     "a struct that changes is taken or refused, as it was read");
}

int main(void)
{
	service_registration_t good = a_service(NAME), *last;

	valid.folder = -1;
	check_number(RAW(service_register, WORD(&good)), 0, "a service for the calls");
	valid_reset(); /* what cannot be received is there for the next try */
	check_number(RAW(ipc_send, 0, WORD(&valid.message)), 0, "and a message");
	every_pointer_of_every_call();
	last = (service_registration_t *) (void *) (end_of_mapping() - sizeof(good));
	memcpy(last, &good, sizeof(good));
	check_number(RAW(service_register, WORD(last)), 0,
		     "a struct may end with its mapping");
	memory_that_changes_while_it_is_read();
	check_number(RAW(shm_unlink, WORD(NAME)), 0, "what was made is taken away");
	check_number(others_see(NAME), 1, "the service is still there for others");
	check(RAW(domain) >= 0, "and so is the daemon");
	return done();
}
