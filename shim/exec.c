/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  execve and execveat: the errors of the real one, then the loader in place of the
 * program.  Called by dispatch.c.
 *
 * All that can be wrong with the program is found out before, in the kernel's order, since
 * once the loader runs nobody is left to return an error to.  May run in a child after
 * vfork, in its parent's memory: what it leaves there is the slot's scratch mapping.
 */
#include <shim/config.h>
#include <shim/exec.h>
#include <shim/program.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>

#define OWN_EXE      "/proc/self/exe"
#define SIGSYS_FLAGS (CO_TRAP_SIGSYS_IGNORED | CO_TRAP_SIGSYS_BLOCKED)

enum {
	PATH_SIZE = 4096,
	SCRATCH_SMALL = 65536, /* kept; what was larger once is given back */
	ARGUMENTS_MAX =
		0xc0000,   /* so many pointers alone are E2BIG (fs/exec.c: 6 MiB) */
	DESCRIPTORS = 1024 /* among which a kept loader is looked for */
};

/*
 * In the slot's scratch mapping, which may move when `words` grow.  Texts lie close together
 * in `text`, as each page costs something: the guest's path, AT_EXECFN, then, as long as the
 * file is judged, its ELF interpreter's name, and after that the config, the loader's path
 * and argv of the loader.
 */
struct request {
	int folder;
	int flags; /* of execveat */
	int fd;    /* for the loader: the program, when its name would not lead there */
	uint32_t name, config, loader, words; /* where in `text` */
	uint64_t argv, envp;
	struct shim_elf elf, interp;
	struct shim_program program;
	char text[3 * PATH_SIZE + 32 + CO_TRAP_CONFIG_MAX];
};

static uint64_t *words_of(struct request *r)
{
	return (uint64_t *) (r->text + r->words);
}

static void close(long fd)
{
	if (fd >= 0)
		(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0,
				    0); /* never written to */
}

/* ---- the scratch mapping ---- */

/* Room for that many words; NULL: no memory. */
static struct request *scratch(struct shim_call *call, uint64_t words)
{
	uint64_t size = sizeof(struct request) + (words + 1) * sizeof(uint64_t);
	long at;

	if (call->scratch_size >= size)
		return (struct request *) call->scratch;
	size = (size + SCRATCH_SMALL - 1) & ~(uint64_t) (SCRATCH_SMALL - 1);
	if (call->scratch_size == 0)
		at = shim_syscall(__NR_mmap, 0, (long) size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else
		at = shim_syscall(__NR_mremap, (long) call->scratch,
				  (long) call->scratch_size, (long) size,
				  MREMAP_MAYMOVE, 0, 0);
	if (at < 0 && at > -PATH_SIZE)
		return NULL;
	call->scratch = (uint64_t) at;
	call->scratch_size = size;
	return (struct request *) at;
}

static void shrink(struct shim_call *call)
{
	if (call->scratch_size <= SCRATCH_SMALL)
		return;
	(void) shim_syscall(__NR_munmap, (long) call->scratch,
			    (long) call->scratch_size, 0, 0, 0, 0); /* ours */
	call->scratch = call->scratch_size = 0;
}

/* ---- where the loader is ---- */

static bool is_loader(const struct stat *st)
{
	return st->st_dev == shim.device && st->st_ino == shim.inode && shim.inode != 0;
}

static bool leads_to_loader(const char *path)
{
	struct stat st;

	return shim_syscall(__NR_stat, (long) path, (long) &st, 0, 0, 0, 0) == 0 &&
	       is_loader(&st);
}

static bool descriptor_is_loader(long fd)
{
	struct stat st;

	return shim_syscall(__NR_fstat, fd, (long) &st, 0, 0, 0, 0) == 0 &&
	       is_loader(&st);
}

/* The loader's path, as the config says it. */
static const char *configured(char *to)
{
	uint64_t size = shim.config.loader_length;

	if (size >= PATH_SIZE)
		size = 0;
	memcpy(to, shim.config.loader, size);
	to[size] = '\0';
	return to;
}

/* -1: none. */
static int kept_loader(void)
{
	for (int fd = DESCRIPTORS - 1; fd > 2; fd--)
		if (descriptor_is_loader(fd))
			return fd;
	return -1;
}

void shim_exec_init(const char *execfn)
{
	static const char folder[] = "/dev/fd/";
	struct stat st = { 0 };
	const char *link = OWN_EXE;
	long r, fd = 0;

	if (memcmp(execfn, folder, sizeof(folder) - 1) != 0)
		link = execfn; /* a file is looked up in half the time of /proc */
	r = shim_syscall(__NR_stat, (long) link, (long) &st, 0, 0, 0, 0);
	if (r && link == execfn)
		r = shim_syscall(__NR_stat, (long) OWN_EXE, (long) &st, 0, 0, 0, 0);
	if (r && memcmp(execfn, folder, sizeof(folder) - 1) == 0) {
		/* started by a kept descriptor, in a root without /proc */
		for (const char *c = execfn + sizeof(folder) - 1;
		     *c >= '0' && *c <= '9'; c++)
			fd = fd * 10 + (*c - '0');
		r = shim_syscall(__NR_fstat, fd, (long) &st, 0, 0, 0, 0);
	}
	if (r == 0) {
		shim.device = st.st_dev;
		shim.inode = st.st_ino;
	}
}

/*
 * Calls after which neither /proc nor the loader's folder may be there: a descriptor is
 * kept if it comes to that.
 */
enum shim_verdict shim_on_chroot(struct shim_call *call)
{
	static const int places[] = { DESCRIPTORS - 64, DESCRIPTORS / 4, 32, 3 };
	char path[PATH_SIZE];
	long fd, kept, result;

	if ((call->number == __NR_unshare && (call->args[0] & CLONE_NEWNS) == 0) ||
	    (call->number == __NR_setns && call->args[1] != 0 &&
	     (call->args[1] & CLONE_NEWNS) == 0))
		return SHIM_KERNEL;
	fd = shim_syscall(
		__NR_open,
		(long) (leads_to_loader(OWN_EXE) ? OWN_EXE : configured(path)),
		O_PATH | O_CLOEXEC, 0, 0, 0, 0);
	result = shim_syscall((long) call->number, (long) call->args[0],
			      (long) call->args[1], (long) call->args[2],
			      (long) call->args[3], (long) call->args[4],
			      (long) call->args[5]);
	if (result == 0 && descriptor_is_loader(fd) && !leads_to_loader(OWN_EXE) &&
	    !leads_to_loader(configured(path))) {
		kept = kept_loader() == fd ? -1 : 0;
		for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]) && kept < 0;
		     i++)
			kept = shim_syscall(__NR_fcntl, fd, F_DUPFD, places[i], 0, 0,
					    0);
	}
	close(fd);
	return shim_answer(call, result);
}

/* ---- what the guest asks for ---- */

static bool by_descriptor(const struct request *r)
{
	return r->folder != AT_FDCWD && r->text[0] != '/';
}

/* As the kernel makes it: the path, or one by way of the descriptor. */
static void name_program(struct request *r)
{
	struct shim_fmt out = shim_fmt_init(r->text + r->name, PATH_SIZE + 32);

	if (by_descriptor(r)) {
		shim_fmt_text(&out, "/dev/fd/");
		shim_fmt_dec(&out, r->folder);
		if (r->text[0] != '\0')
			shim_fmt_text(&out, "/");
	}
	shim_fmt_text(&out, r->text);
	r->config = (uint32_t) (out.at - r->text) + 1;
	r->elf.interp = r->text + r->config;
}

/* Opened for reading, whatever the guest's own descriptor is good for. */
static int open_program(const struct request *r)
{
	long flags;
	char link[48];
	struct shim_fmt out = shim_fmt_init(link, sizeof(link));

	if (r->text[0] != '\0')
		return shim_open_program(r->folder, r->text);
	flags = shim_syscall(__NR_fcntl, r->folder, F_GETFL, 0, 0, 0, 0);
	if (flags >= 0 && (flags & O_PATH) == 0)
		return (int) shim_syscall(__NR_fcntl, r->folder, F_DUPFD_CLOEXEC, 3, 0,
					  0, 0);
	shim_fmt_text(&out, "/proc/self/fd/");
	shim_fmt_dec(&out, r->folder);
	return shim_open_program(AT_FDCWD, link);
}

static bool is_link(const struct request *r)
{
	struct stat st;

	return shim_syscall(__NR_newfstatat, r->folder, (long) r->text, (long) &st,
			    AT_SYMLINK_NOFOLLOW, 0, 0) == 0 &&
	       (st.st_mode & S_IFMT) == S_IFLNK;
}

/* Does the guest itself start the loader, as cloudos-exec does?  Then it is let. */
static bool starts_loader(const struct request *r)
{
	char mark[sizeof(CO_TRAP_CONFIG_MARK) - 1];
	uint64_t word;

	return shim_read(&word, r->argv, sizeof(word)) == 0 &&
	       shim_read(mark, word, sizeof(mark)) == 0 &&
	       memcmp(mark, CO_TRAP_CONFIG_MARK, sizeof(mark)) == 0;
}

/* Judges path and file.  1: the kernel shall do it all; 0; or the error of exec. */
static int judge(struct request *r)
{
	bool own = (r->flags & AT_SYMLINK_NOFOLLOW) == 0 && shim_is_own_exe(r->text);
	const char *path = own ? shim_own_path() : r->text;
	struct shim_program_check check = { .elf = &r->elf, .interp = &r->interp };
	int fd, spare = -1;
	uint64_t word;
	int err;

	/* the words are judged when the loader is started with them */
	if (!path)
		return -ENOENT;
	err = shim_may_execute(own ? AT_FDCWD : r->folder, path, own ? 0 : r->flags);
	if (err)
		return err;
	if ((r->argv && shim_peek(&word, r->argv, sizeof(word))) ||
	    (r->envp && shim_peek(&word, r->envp, sizeof(word))))
		return -EFAULT; /* comes before what is wrong with the file */
	fd = own ? -1 : open_program(r);
	if (!own && fd < 0)
		return fd;
	if (fd >= 0 && descriptor_is_loader(fd)) {
		if (starts_loader(r)) {
			close(fd);
			return 1;
		}
		/* a link that is not /proc/self/exe by name, but in truth */
		own = r->text[0] == '\0' || is_link(r);
		if (own)
			close(fd);
	}
	if (own)
		path = shim_own_path();
	if (own && path)
		fd = (int) shim_syscall(__NR_open, (long) path, O_RDONLY | O_CLOEXEC, 0,
					0, 0, 0);
	if (fd < 0)
		return fd;
	name_program(r);
	check.inaccessible = by_descriptor(r) &&
			     (shim_syscall(__NR_fcntl, r->folder, F_GETFD, 0, 0, 0, 0) &
			      FD_CLOEXEC) != 0;
	if (by_descriptor(
		    r)) /* a script's own is closed on the way to its interpreter */
		spare = (int) shim_syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
	err = shim_program_judge(r->text + r->name, fd, &check, &r->program);
	if (err) {
		close(spare);
		return err;
	}
	r->fd = spare;
	if (own && !by_descriptor(r))
		r->fd = r->program.fd;
	else /* the loader finds it by name, or has the other */
		close(r->program.fd);
	return 0;
}

/* ---- the words ---- */

/* Copies the guest's argv behind the loader's two words. */
static int copy_words(struct shim_call *call)
{
	struct request *r = scratch(call, 0);
	uint64_t from = r->argv, used = 2;
	uint64_t block[SHIM_WORDS];
	bool ended = from == 0;

	while (!ended) {
		int n = shim_read_words(block, from, &ended);

		if (n < 0)
			return n;
		if (used > ARGUMENTS_MAX)
			return -E2BIG;
		r = scratch(call, used + SHIM_WORDS + 2);
		if (r == NULL)
			return -ENOMEM;
		memcpy(words_of(r) + used, block, (size_t) n * 8);
		used += (uint64_t) n;
		from += (uint64_t) n * 8;
	}
	if (used == 2) /* the kernel gives such a program one empty word (5.18) */
		words_of(r)[used++] = (uint64_t) "";
	words_of(r)[used] = 0;
	return 0;
}

/* ---- exec ---- */

/* Only if no signal waits: it would find its handler gone. */
static long start(struct shim_call *call, struct request *r)
{
	const char *path = r->text + r->loader;
	const uint64_t *words = words_of(r);
	int fd;

	/* the file first: it is looked up in half the time of /proc */
	if (!leads_to_loader(path))
		path = leads_to_loader(OWN_EXE) ? OWN_EXE : NULL;
	if (path != NULL)
		return shim_wait(__NR_execve, (long) path, (long) words, (long) r->envp,
				 0, 0, 0, call);
	fd = kept_loader();
	if (fd >= 0)
		return shim_wait(__NR_execveat, fd, (long) "", (long) words,
				 (long) r->envp, AT_EMPTY_PATH, 0, call);
	shim_say(
		"no program can be started from here: cloudos-loader cannot be reached, "
		"neither by /proc nor by its path; mount /proc, or keep the folder of "
		"cloudos in this root",
		0);
	return -ENOENT;
}

/*
 * A child after vfork never comes back to give its slot back to the parent, whose memory it
 * uses: the kernel does, which clears the word of set_tid_address when a thread leaves
 * memory that others use.
 */
static long start_from_shared(struct shim_call *call, struct request *r)
{
	uint64_t word = 0;
	long err;

	if (shim_syscall(__NR_prctl, PR_GET_TID_ADDRESS, (long) &word, 0, 0, 0, 0) != 0)
		return start(call, r); /* shim_share_begin finds the slot, later */
	(void) shim_syscall(__NR_set_tid_address, (long) &call->busy, 0, 0, 0, 0, 0);
	err = start(call, r);
	(void) shim_syscall(__NR_set_tid_address, (long) word, 0, 0, 0, 0, 0);
	return err;
}

/* What the loader is told, and where it lies. */
static void configure(struct request *r)
{
	uint32_t flags = shim.config.flags & ~(uint32_t) SIGSYS_FLAGS;

	if (shim_sigsys_ignored())
		flags |= CO_TRAP_SIGSYS_IGNORED;
	if (shim_sigsys_blocked())
		flags |= CO_TRAP_SIGSYS_BLOCKED;
	r->loader = r->config +
		    shim_config_print(r->text + r->config, &shim.config, flags, r->fd);
	r->words = r->loader;
	(void) configured(r->text + r->loader);
	while (r->text[r->words] != '\0')
		r->words++;
	r->words = (uint32_t) ((uint64_t) (r->text + r->words + 8) & ~7UL) -
		   (uint32_t) (uint64_t) r->text;
}

static long prepare_and_start(struct shim_call *call, struct request *r)
{
	words_of(r)[0] = (uint64_t) (r->text + r->config);
	words_of(r)[1] = (uint64_t) (r->text + r->name);
	if (r->fd >= 0)
		(void) shim_syscall(__NR_fcntl, r->fd, F_SETFD, 0, 0, 0, 0);
	return __atomic_load_n(&shim_sharing, __ATOMIC_ACQUIRE)
		       ? start_from_shared(call, r)
		       : start(call, r);
}

static enum shim_verdict execute(struct shim_call *call, int folder,
				 const uint64_t *args, uint64_t flags)
{
	struct request *r = scratch(call, 16);
	long err;

	if (r == NULL)
		return shim_answer(call, -ENOMEM);
	err = shim_read_string(r->text, args[0], PATH_SIZE);
	if (err < 0)
		return shim_answer(call, err);
	r->name = (uint32_t) err;
	r->folder = folder;
	r->flags = (int) flags;
	r->argv = args[1];
	r->envp = args[2];
	err = judge(r);
	if (err == 1)
		return SHIM_KERNEL;
	if (err == 0) {
		configure(r);
		err = copy_words(call);
		r = (struct request *) call->scratch; /* it may have moved */
		if (err == 0)
			err = prepare_and_start(call, r);
		close(r->fd);
	}
	shrink(call);
	if (err == -EINTR) { /* the signal first; then the guest asks again */
		call->target = call->site;
		return SHIM_TAIL;
	}
	return shim_answer(call, err);
}

enum shim_verdict shim_on_execve(struct shim_call *call)
{
	return execute(call, AT_FDCWD, call->args, 0);
}

enum shim_verdict shim_on_execveat(struct shim_call *call)
{
	/* other flags start nothing: they are errors, or a question (AT_EXECVE_CHECK) */
	if (((int) call->args[4] & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0)
		return SHIM_KERNEL;
	return execute(call, (int) call->args[0], call->args + 1, call->args[4]);
}
