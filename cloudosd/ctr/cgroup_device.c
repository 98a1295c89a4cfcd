/* SPDX-License-Identifier: MIT */
/*
 * Which devices a container may use.  HOST.
 *
 * The rules are OCI's, and v1's: the last one that speaks of an access decides, for reading,
 * writing and making by itself.  v2 has a program instead of a file.  Whatever the rules
 * say, nodes may be made (they are of no use then) and the devices that every container has
 * may be used.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/cgroup_inside.h"

enum { RULES = 1024, STEPS_OF_RULE = 9, STEPS = RULES * STEPS_OF_RULE + 16 };

static const struct ctr_device_rule always[] = {
	{ true, 'c', -1, -1, "m" }, { true, 'b', -1, -1, "m" },
	{ true, 'c', 1, 3, "rwm" }, { true, 'c', 1, 5, "rwm" },
	{ true, 'c', 1, 7, "rwm" }, { true, 'c', 1, 8, "rwm" },
	{ true, 'c', 1, 9, "rwm" }, { true, 'c', 5, 0, "rwm" },
	{ true, 'c', 5, 2, "rwm" }, { true, 'c', 136, -1, "rwm" },
	{ true, 'c', 5, 1, "rwm" },
};

/* ---- v2: a program ---- */

struct program {
	struct bpf_insn *at;
	size_t count;
};

static void step(struct program *p, struct bpf_insn insn)
{
	p->at[p->count++] = insn;
}

#define LOAD(dst, field)                                                               \
	((struct bpf_insn){ .code = BPF_LDX | BPF_W | BPF_MEM,                         \
			    .dst_reg = (dst),                                          \
			    .src_reg = BPF_REG_1,                                      \
			    .off = offsetof(struct bpf_cgroup_dev_ctx, field) })
#define ALU(op, dst, value)                                                            \
	((struct bpf_insn){                                                            \
		.code = BPF_ALU | (op) | BPF_K, .dst_reg = (dst), .imm = (value) })
#define MOVE(dst, src)                                                                 \
	((struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_X,                         \
			    .dst_reg = (dst),                                          \
			    .src_reg = (src) })
#define JUMP(op, dst, value, skip)                                                     \
	((struct bpf_insn){ .code = BPF_JMP | (op) | BPF_K,                            \
			    .dst_reg = (dst),                                          \
			    .off = (short) (skip),                                     \
			    .imm = (value) })
#define EXIT() ((struct bpf_insn){ .code = BPF_JMP | BPF_EXIT })

enum {
	R_TYPE = BPF_REG_2,
	R_LEFT = BPF_REG_3,
	R_MAJOR = BPF_REG_4,
	R_MINOR = BPF_REG_5
};

static int access_bits(const char *access)
{
	return (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0) |
	       (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0) |
	       (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0);
}

/* Begins with what was asked in R_LEFT; each rule, last first, allows a part or refuses. */
static void add_rule(struct program *p, const struct ctr_device_rule *r)
{
	size_t first = p->count, end;
	int bits = access_bits(r->access);

	if (!bits)
		bits = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
	if (r->type != 'a')
		step(p, JUMP(BPF_JNE, R_TYPE,
			     r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
			     0));
	if (r->major >= 0)
		step(p, JUMP(BPF_JNE, R_MAJOR, (int) r->major, 0));
	if (r->minor >= 0)
		step(p, JUMP(BPF_JNE, R_MINOR, (int) r->minor, 0));
	if (r->allow) {
		step(p, ALU(BPF_AND, R_LEFT, ~bits));
		step(p, JUMP(BPF_JNE, R_LEFT, 0, 2));
		step(p, ALU(BPF_MOV, BPF_REG_0, 1));
	} else {
		step(p, MOVE(BPF_REG_0, R_LEFT));
		step(p, ALU(BPF_AND, BPF_REG_0, bits));
		step(p, JUMP(BPF_JEQ, BPF_REG_0, 0, 2));
		step(p, ALU(BPF_MOV, BPF_REG_0, 0));
	}
	step(p, EXIT());
	end = p->count;
	for (size_t i = first; i < end; i++) /* rules that are about others */
		if (!p->at[i].off && p->at[i].code == (BPF_JMP | BPF_JNE | BPF_K))
			p->at[i].off = (short) (end - i - 1);
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const struct ctr_device_rule *rules, size_t count)
{
	autofree struct bpf_insn *steps = calloc(STEPS, sizeof(*steps));
	struct program p = { .at = steps };
	union bpf_attr attr = { 0 };
	long fd;

	if (!steps)
		return -ENOMEM;
	step(&p, LOAD(R_TYPE, access_type));
	step(&p, MOVE(R_LEFT, R_TYPE));
	step(&p, ALU(BPF_AND, R_TYPE, 0xffff));
	step(&p, ALU(BPF_RSH, R_LEFT, 16));
	step(&p, LOAD(R_MAJOR, major));
	step(&p, LOAD(R_MINOR, minor));
	for (size_t i = count ? co_countof(always) : 0; i > 0; i--)
		add_rule(&p, &always[i - 1]);
	for (size_t i = count; i > 0; i--)
		add_rule(&p, &rules[i - 1]);
	step(&p, ALU(BPF_MOV, BPF_REG_0, 1));
	step(&p, EXIT());
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t) (uintptr_t) steps;
	attr.insn_cnt = (uint32_t) p.count;
	attr.license = (uint64_t) (uintptr_t) "GPL";
	fd = bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? -errno : (int) fd;
}

/* Those that are there before ours comes: all must agree, so they would keep refusing. */
static void detach(int folder, const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		union bpf_attr attr = { .prog_id = ids[i] };
		long fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

		if (fd < 0)
			continue;
		attr = (union bpf_attr){ 0 };
		attr.target_fd = (uint32_t) folder;
		attr.attach_bpf_fd = (uint32_t) fd;
		attr.attach_type = BPF_CGROUP_DEVICE;
		(void) bpf(BPF_PROG_DETACH, &attr); /* somebody was faster */
		(void) close((int) fd);
	}
}

static int attach(const char *path, int program)
{
	autoclose int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[16] = { 0 };
	union bpf_attr attr = { 0 };
	size_t there = 0;

	if (folder < 0)
		return -errno;
	attr.query.target_fd = (uint32_t) folder;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t) (uintptr_t) ids;
	attr.query.prog_cnt = co_countof(ids);
	if (bpf(BPF_PROG_QUERY, &attr) == 0)
		there = attr.query.prog_cnt;
	attr = (union bpf_attr){ 0 };
	attr.target_fd = (uint32_t) folder;
	attr.attach_bpf_fd = (uint32_t) program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return -errno;
	detach(folder, ids, there);
	return 0;
}

bool group_takes_program(const char *folder)
{
	autoclose int program = load(NULL, 0);

	return program >= 0 && attach(folder, program) == 0;
}

int group_device_program(const char *folder, const struct ctr_resources *r,
			 struct co_err *err)
{
	autoclose int program = -1;
	int rc;

	if (r->device_rule_count > RULES - co_countof(always))
		return co_fail(err, CO_TOO_BIG,
			       "linux.resources.devices has more than %d rules",
			       (int) (RULES - co_countof(always)));
	program = load(r->device_rules, r->device_rule_count);
	rc = program < 0 ? program : attach(folder, program);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot set the device rules of %s",
				     folder);
	return 0;
}

/* ---- v1: files ---- */

static int write_rule(const char *folder, const struct ctr_device_rule *r, char type,
		      struct co_err *err)
{
	char major[24] = "*", minor[24] = "*", text[96];

	if (r->major >= 0)
		(void) snprintf(major, sizeof(major), "%lld", (long long) r->major);
	if (r->minor >= 0)
		(void) snprintf(minor, sizeof(minor), "%lld", (long long) r->minor);
	(void) snprintf(text, sizeof(text), "%c %s:%s %s", type, major, minor,
			r->access[0] ? r->access : "rwm");
	return group_write(folder, r->allow ? "devices.allow" : "devices.deny", text,
			   err);
}

static int set_rule(const char *folder, const struct ctr_device_rule *r,
		    struct co_err *err)
{
	bool all = r->type == 'a' && r->major < 0 && r->minor < 0 &&
		   (!r->access[0] || strlen(r->access) == 3);
	int rc;

	if (all)
		return group_write(folder, r->allow ? "devices.allow" : "devices.deny",
				   "a", err);
	if (r->type != 'a')
		return write_rule(folder, r, r->type, err);
	rc = write_rule(folder, r, 'b', err);
	return rc < 0 ? rc : write_rule(folder, r, 'c', err);
}

int group_device_rules(const char *folder, const struct ctr_resources *r,
		       struct co_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->device_rule_count; i++)
		rc = set_rule(folder, &r->device_rules[i], err);
	for (size_t i = 0; rc == 0 && i < co_countof(always); i++)
		rc = set_rule(folder, &always[i], err);
	return rc;
}
