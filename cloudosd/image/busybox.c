/* SPDX-License-Identifier: MIT */
/*
 * create-busybox: a whole image out of one static program of this machine.  HOST.
 *
 * The program is asked which applets it has (--list-full); each becomes a link.  Nothing of
 * the moment goes in: the same busybox is the same image.
 */
#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/import.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"

enum { LIST_MAX = 65536, PROGRAM_MAX = 67108864, WAIT_MS = 20000 };

struct made_file {
	const char *path;
	mode_t mode;
	const char *text; /* NULL: a folder */
};

static const struct made_file files[] = {
	{ "bin", 0755, NULL },
	{ "dev", 0755, NULL },
	{ "etc", 0755, NULL },
	{ "home", 0755, NULL },
	{ "lib", 0755, NULL },
	{ "mnt", 0755, NULL },
	{ "proc", 0555, NULL },
	{ "root", 0700, NULL },
	{ "run", 0755, NULL },
	{ "sbin", 0755, NULL },
	{ "sys", 0555, NULL },
	{ "tmp", 01777, NULL },
	{ "usr", 0755, NULL },
	{ "usr/bin", 0755, NULL },
	{ "usr/sbin", 0755, NULL },
	{ "var", 0755, NULL },
	{ "var/log", 0755, NULL },
	{ "var/spool", 0755, NULL },
	{ "var/tmp", 01777, NULL },
	{ "etc/passwd", 0644,
	  "root:x:0:0:root:/root:/bin/sh\n"
	  "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
	  "bin:x:2:2:bin:/bin:/bin/false\n"
	  "www-data:x:33:33:www-data:/var/www:/bin/false\n"
	  "nobody:x:65534:65534:nobody:/home:/bin/false\n" },
	{ "etc/group", 0644,
	  "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\n"
	  "disk:x:6:\nwheel:x:10:root\nwww-data:x:33:\nusers:x:100:\n"
	  "nogroup:x:65534:\n" },
	{ "etc/shadow", 0640,
	  "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
	  "bin:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\n"
	  "nobody:*:19000:0:99999:7:::\n" },
	{ "etc/hosts", 0644, "127.0.0.1\tlocalhost\n::1\tlocalhost\n" },
	{ "etc/nsswitch.conf", 0644,
	  "passwd: files\ngroup: files\nhosts: files dns\n" },
	{ "etc/profile", 0644,
	  "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	  "umask 022\n" },
	{ "etc/shells", 0644, "/bin/sh\n/bin/ash\n" },
};

/* ---- the program ---- */

/* NULL: it can go into an image; otherwise why not. */
static const char *unfit(int fd)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != EM_X86_64)
		return "is no program of this machine";
	if (head.e_phentsize != sizeof(part))
		return "is damaged";
	for (unsigned i = 0; i < head.e_phnum; i++) {
		off_t at = (off_t) (head.e_phoff + i * sizeof(part));

		if (at < 0 || pread(fd, &part, sizeof(part), at) != sizeof(part))
			return "is damaged";
		if (part.p_type == PT_INTERP)
			return "is dynamically linked and needs libraries that an "
			       "image does not have";
	}
	return NULL;
}

static int try_program(const char *path, int *out_fd, struct co_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why;
	struct stat st;

	if (fd < 0)
		return CO_NOT_FOUND;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX)
		why = "is no program";
	else
		why = unfit(fd);
	if (why)
		return co_fail(err, CO_UNSUPPORTED, "%s %s: apt install busybox-static",
			       path, why);
	*out_fd = take_fd(fd);
	return 0;
}

/* In PATH and where Debian has it.  The first one that fits. */
static int find_program(const struct options *o, int *out_fd, struct co_err *err)
{
	const char *list = getenv("PATH");
	autofree char *text = NULL;
	char *save = NULL;
	int r = CO_NOT_FOUND;

	if (o->busybox)
		r = try_program(o->busybox, out_fd, err);
	else if (asprintf(&text, "%s:/bin:/usr/bin:/usr/local/bin", list ? list : "") <
		 0)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	for (char *folder = text ? strtok_r(text, ":", &save) : NULL; folder && r;
	     folder = strtok_r(NULL, ":", &save)) {
		char path[PATH_MAX];
		int one;

		(void) snprintf(path, sizeof(path), "%s/busybox", folder);
		one = try_program(path, out_fd, err);
		r = one == CO_NOT_FOUND ? r : one;
	}
	if (r == CO_NOT_FOUND)
		return co_fail(err, CO_NOT_FOUND,
			       "there is no busybox%s%s: apt install busybox-static",
			       o->busybox ? " at " : " in PATH",
			       o->busybox ? o->busybox : "");
	return r;
}

/* Its own list, one path of an applet a line. */
static int ask(int program, char *out, size_t room, struct co_err *err)
{
	char *const argv[] = { (char *) "busybox", (char *) "--list-full", NULL };
	char *const none[] = { NULL };
	struct pollfd ready = { .events = POLLIN };
	int pipes[2], status;
	size_t n = 0;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return co_fail_errno(err, errno, "cannot make a pipe");
	(void) fflush(NULL); /* nothing of it twice */
	pid = fork();
	if (pid == 0) {
		(void) dup2(pipes[1], 1); /* without output there are no applets */
		(void) fexecve(program, argv, none);
		_exit(127);
	}
	(void) close(pipes[1]); /* a pipe */
	ready.fd = pipes[0];
	while (pid > 0 && n < room - 1 && poll(&ready, 1, WAIT_MS) == 1) {
		ssize_t got = read(pipes[0], out + n, room - 1 - n);

		if (got <= 0)
			break;
		n += (size_t) got;
	}
	out[n] = '\0';
	(void) close(pipes[0]); /* a pipe */
	if (pid < 0)
		return co_fail_errno(err, errno, "cannot start busybox");
	(void) kill(pid, SIGKILL); /* if it waits for something */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!strstr(out, "bin/"))
		return co_fail(err, CO_UNSUPPORTED,
			       "busybox does not say which applets it has "
			       "(--list-full)");
	return 0;
}

/* ---- the archive ---- */

struct making {
	struct archive *archive;
	struct archive_entry *entry;
	time_t time;
};

static int put(struct making *m, const char *path, mode_t mode, const char *text,
	       size_t size)
{
	struct archive_entry *e = archive_entry_clear(m->entry);

	archive_entry_set_pathname(e, path);
	archive_entry_set_mode(e, mode);
	archive_entry_set_mtime(e, m->time, 0);
	archive_entry_set_size(e, S_ISREG(mode) ? (la_int64_t) size : 0);
	if (S_ISLNK(mode))
		archive_entry_set_symlink(e, text);
	if (archive_write_header(m->archive, e) != ARCHIVE_OK)
		return CO_IO;
	if (S_ISREG(mode) && size &&
	    archive_write_data(m->archive, text, size) != (la_ssize_t) size)
		return CO_IO;
	return 0;
}

static int put_program(struct making *m, int program)
{
	autofree char *data = NULL;
	struct stat st;

	if (fstat(program, &st))
		return CO_IO;
	data = malloc((size_t) st.st_size);
	if (!data || pread(program, data, (size_t) st.st_size, 0) != st.st_size)
		return CO_IO;
	return put(m, "bin/busybox", S_IFREG | 0755, data, (size_t) st.st_size);
}

/* "bin/ls" -> /bin/busybox; a line that is no such path is passed over. */
static int put_links(struct making *m, char *list)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(list, "\n", &save); line && !r;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *name = strrchr(line, '/');
		bool good = name && name[1] && strlen(line) < 64 &&
			    (strncmp(line, "bin/", 4) == 0 ||
			     strncmp(line, "sbin/", 5) == 0 ||
			     strncmp(line, "usr/bin/", 8) == 0 ||
			     strncmp(line, "usr/sbin/", 9) == 0) &&
			    !strstr(line, "..") && strcmp(line, "bin/busybox") != 0;

		if (good)
			r = put(m, line, S_IFLNK | 0777, "/bin/busybox", 0);
	}
	return r;
}

static int put_all(struct making *m, int program, char *list)
{
	int r = 0;

	for (size_t i = 0; !r && i < co_countof(files); i++) {
		const struct made_file *f = &files[i];

		r = f->text ? put(m, f->path, S_IFREG | f->mode, f->text,
				  strlen(f->text))
			    : put(m, f->path, S_IFDIR | f->mode, NULL, 0);
	}
	if (!r)
		r = put_program(m, program);
	if (!r)
		r = put_links(m, list);
	return r ? r : archive_write_close(m->archive) == ARCHIVE_OK ? 0 : CO_IO;
}

static int write_archive(int fd, int program, char *list, struct co_err *err)
{
	struct making m = { .archive = archive_write_new(),
			    .entry = archive_entry_new() };
	struct stat st;
	int r = CO_NO_MEMORY;

	if (fstat(program, &st) == 0)
		m.time = st.st_mtim.tv_sec;
	if (m.archive && m.entry)
		r = archive_write_set_format_pax_restricted(m.archive) ||
				    archive_write_open_fd(m.archive, fd)
			    ? CO_IO
			    : put_all(&m, program, list);
	if (r)
		r = co_fail(err, r, "cannot write the image: %s",
			    m.archive && archive_error_string(m.archive)
				    ? archive_error_string(m.archive)
				    : "no memory or no space");
	archive_entry_free(m.entry);
	if (m.archive)
		(void) archive_write_free(m.archive); /* closed, or failed already */
	return r;
}

/* ---- the command ---- */

static int make(struct depot *d, const struct options *o, int program, struct import *i,
		struct co_err *err)
{
	struct layer_want want = { .media_type =
					   "application/vnd.oci.image.layer.v1.tar",
				   .plain = true };
	autofree char *list = malloc(LIST_MAX);
	struct co_image_layer layer;
	char temp[64], name[CO_IMAGE_NAME_SIZE];
	autoclose int fd = -1;
	struct digest blob;
	struct stat st;
	uint64_t size;
	int r = list ? ask(program, list, LIST_MAX, err) : CO_NO_MEMORY;

	if (!r)
		r = co_image_name(co_span(o->name ? o->name : "busybox"), name, err);
	if (!r)
		r = depot_temp_file(d, temp, &fd, err);
	if (!r)
		r = write_archive(fd, program, list, err);
	if (!r && (fstat(program, &st) || lseek(fd, 0, SEEK_SET) < 0))
		r = co_fail_errno(err, errno, "cannot read what was written");
	if (!r)
		r = digest_stream(fd, -1, UINT64_MAX, "the image", &blob, &size, err);
	if (!r)
		r = depot_blob_keep(d, temp, fd, &blob, err);
	want.blob = &blob;
	if (!r)
		r = layer_take(d, &want, &o->layers, &layer, err);
	if (r)
		return r;
	return import_make(i,
			   &(struct import_single){
				   .layers = &layer,
				   .layer_count = 1,
				   .config = import_default_config,
				   .made_by = "cloudos-image create-busybox",
				   .name = name,
				   .created_ms = (uint64_t) st.st_mtim.tv_sec * 1000 },
			   err);
}

int command_busybox(struct depot *d, const struct options *o, char **argv, int argc,
		    struct co_err *err)
{
	struct import i = { .depot = d, .path = "busybox", .platform = "linux/amd64" };
	autobuf struct co_buf members = { 0 };
	autoclose int program = -1;
	int r = find_program(o, &program, err);

	(void) argv;
	(void) argc;
	if (!r)
		r = make(d, o, program, &i, err);
	if (!r)
		r = depot_save(d, err);
	if (!r) {
		co_buf_text(&members, "\"images\":[");
		co_buf_add(&members, i.result.data, i.result.size);
		co_buf_char(&members, ']');
		r = report_done(&members);
	}
	co_buf_done(&i.result);
	return r;
}
