/* SPDX-License-Identifier: MIT */
/*
 * cloudos-exec: runs a program of any of the systems on Linux.  HOST.  Options, the
 * daemon, the engine; cli/launch.c does the rest.
 */
#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/choose.h"
#include "cli/confine.h"
#include "cli/service.h"
#include "cli/start.h"
#include "cli/system.h"
#include "launch/classify.h"
#include "lib/cleanup.h"

enum {
	EPHEMERAL_END_MS = 10000,
	EPHEMERAL_EVERY_MS = 20,
	EPHEMERAL_ATTEMPTS = 50,
	DESCRIPTORS_FROM = 512,

	/* options without a letter */
	OPTION_ROOT = 256,
	OPTION_DISK,
	OPTION_DISPLAY,
	OPTION_UNTIL_FIRST,
	OPTION_SERVICE,
	OPTION_NO_LOGS,
	OPTION_CONFINE, /* in the order of enum confine_option */

	DISPLAY_WIDTH = 1024,
	DISPLAY_HEIGHT = 768
};

struct options {
	const char *engine, *personality, *name, *trace;
	bool traced, ephemeral, system;
	struct trap trap;
	struct system_options anos;
	bool anos_asked; /* an option says something about SYSTEM */
	const char *service;
	bool no_logs;
	struct confine confine;
};

static const char usage[] =
	"usage: cloudos-exec [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"Runs PROGRAM with the system calls of CloudOS beside those of Linux.\n"
	"\n"
	"  --engine=ENGINE      notify, trap or ptrace; default: what this box can do "
	"(CO_ENGINE)\n"
	"  --personality=NAME   the program's system; default: told from the file\n"
	"  --name=NAME          how cloudosctl calls it; default: the program's name\n"
	"  --trace[=FILE]       print its CloudOS calls to standard error or to FILE\n"
	"  --ephemeral          a daemon of its own that leaves nothing behind\n"
	"  --system             the machine's daemon instead of the user's\n"
	"engine trap:\n"
	"  --no-patch           leave the program's code as it is; every call is slower\n"
	"  --trap=MECHANISM     seccomp or sud (syscall user dispatch)\n"
	"  --allow-guest-seccomp  let the program install filters of its own\n"
	"\n"
	"programs of Anos:\n"
	"  --root=FOLDER|IMAGE  what boot: is; PROGRAM may be boot:/NAME then\n"
	"  --disk=IMAGE         a disk, in the device registry\n"
	"  --display=WxH        size of the framebuffer (default: 1024x768)\n"
	"  --until-first        when PROGRAM ends, end what it has started\n"
	"\n"
	"confined programs (see docs/confine.md):\n"
	"  --confine            let it see the system's folders, itself and what follows\n"
	"  --allow=PATH[:ro]    and this; may be given several times\n"
	"  --net=none|host      its network (default: none)\n"
	"  --memory=SIZE --cpus=NUMBER --pids=NUMBER  what it may use\n"
	"\n"
	"services of BlackRoad OS:\n"
	"  --service=NAME       run PROGRAM as that service of services.yaml: its address,\n"
	"                       its names, its environment, its output in the logs\n"
	"  --no-logs            keep its output out of the logs\n"
	"\n"
	"  --help, --version\n"
	"\n"
	"The exit status is the program's; 125 cloudos-exec failed, 126 PROGRAM cannot be\n"
	"executed, 127 it was not found.  A daemon is started when none is running.\n";

static int fail(const struct co_err *err)
{
	(void) fprintf(stderr, "cloudos-exec: %s\n", err->message);
	return EXIT_LAUNCHER;
}

static int display_size(struct system_options *out, const char *text,
			struct co_err *err)
{
	char end;

	if (sscanf(text, "%5ux%5u%c", &out->width, &out->height, &end) != 2 ||
	    !out->width || !out->height || out->width > CO_LIMIT_ANOS_SURFACE ||
	    out->height > CO_LIMIT_ANOS_SURFACE)
		return co_fail(err, CO_INVALID,
			       "--display is a width and a height of at most %d, as in "
			       "1024x768, not \"%s\"",
			       CO_LIMIT_ANOS_SURFACE, text);
	return 0;
}

/* What is about SYSTEM. */
static int anos_option(struct options *o, int option, struct co_err *err)
{
	int rc = 0;

	o->anos_asked = true;
	if (option == OPTION_ROOT)
		o->anos.root = optarg;
	else if (option == OPTION_DISK)
		o->anos.disk = optarg;
	else if (option == OPTION_DISPLAY)
		rc = display_size(&o->anos, optarg, err);
	else
		o->anos.first = true;
	return rc;
}

/* -1: go on; otherwise the exit status. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option all[] = {
		{ "engine", required_argument, NULL, 'e' },
		{ "personality", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'n' },
		{ "trace", optional_argument, NULL, 't' },
		{ "ephemeral", no_argument, NULL, 'E' },
		{ "system", no_argument, NULL, 's' },
		{ "no-patch", no_argument, NULL, 'N' },
		{ "trap", required_argument, NULL, 'T' },
		{ "allow-guest-seccomp", no_argument, NULL, 'S' },
		{ "root", required_argument, NULL, OPTION_ROOT },
		{ "disk", required_argument, NULL, OPTION_DISK },
		{ "display", required_argument, NULL, OPTION_DISPLAY },
		{ "until-first", no_argument, NULL, OPTION_UNTIL_FIRST },
		{ "service", required_argument, NULL, OPTION_SERVICE },
		{ "no-logs", no_argument, NULL, OPTION_NO_LOGS },
		{ "confine", no_argument, NULL, OPTION_CONFINE + CONFINE_ON },
		{ "allow", required_argument, NULL, OPTION_CONFINE + CONFINE_ALLOW },
		{ "net", required_argument, NULL, OPTION_CONFINE + CONFINE_NET },
		{ "memory", required_argument, NULL, OPTION_CONFINE + CONFINE_MEMORY },
		{ "cpus", required_argument, NULL, OPTION_CONFINE + CONFINE_CPUS },
		{ "pids", required_argument, NULL, OPTION_CONFINE + CONFINE_PIDS },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 }
	};
	struct co_err err = { 0 };
	int option;

	/* first, because the options go before the variable */
	if (trap_words(&o->trap, getenv("CO_TRAP"), &err))
		return fail(&err);
	while ((option = getopt_long(argc, argv, "+", all, NULL)) != -1) {
		switch (option) {
		case 'e':
			o->engine = optarg;
			break;
		case 'p':
			o->personality = optarg;
			break;
		case 'n':
			o->name = optarg;
			break;
		case 't':
			o->traced = true;
			o->trace = optarg;
			break;
		case 'E':
			o->ephemeral = true;
			break;
		case 's':
			o->system = true;
			break;
		case 'N':
			o->trap.flags |= CO_TRAP_NO_PATCH;
			o->trap.asked = true;
			break;
		case 'T':
			if (trap_mechanism(&o->trap, optarg, &err))
				return fail(&err);
			break;
		case 'S':
			o->trap.flags |= CO_TRAP_GUEST_SECCOMP;
			o->trap.asked = true;
			break;
		case OPTION_ROOT:
		case OPTION_DISK:
		case OPTION_DISPLAY:
		case OPTION_UNTIL_FIRST:
			if (anos_option(o, option, &err))
				return fail(&err);
			break;
		case OPTION_SERVICE:
			o->service = optarg;
			break;
		case OPTION_NO_LOGS:
			o->no_logs = true;
			break;
		case OPTION_CONFINE + CONFINE_ON:
		case OPTION_CONFINE + CONFINE_ALLOW:
		case OPTION_CONFINE + CONFINE_NET:
		case OPTION_CONFINE + CONFINE_MEMORY:
		case OPTION_CONFINE + CONFINE_CPUS:
		case OPTION_CONFINE + CONFINE_PIDS:
			if (confine_option(
				    &o->confine,
				    (enum confine_option)(option - OPTION_CONFINE),
				    optarg, &err))
				return fail(&err);
			break;
		case 'h':
			(void) fputs(usage, stdout);
			return 0;
		case 'v':
			(void) printf("cloudos-exec %s\n", PACKAGE_VERSION);
			return 0;
		default:
			(void) fputs("cloudos-exec: see cloudos-exec --help\n", stderr);
			return EXIT_LAUNCHER;
		}
	}
	if (optind == argc) {
		(void) fputs("cloudos-exec: which program?  See cloudos-exec --help\n",
			     stderr);
		return EXIT_LAUNCHER;
	}
	return -1;
}

/* ---- personality ---- */

static int choose_personality(struct launch *l, const char *name, struct co_err *err)
{
	size_t count;
	const struct co_personality *all = co_personalities(&count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i].name, name)) {
			l->personality = &all[i];
			l->personality_index = (uint32_t) i;
		}
	if (!l->personality)
		return co_fail(
			err, CO_INVALID,
			"there is no personality \"%s\"; cloudosctl personality ls lists "
			"them",
			name);
	if (strcmp(name, "cloudos") && strcmp(name, "linux") && strcmp(name, "anos") &&
	    strcmp(name, "blackroad"))
		return co_fail(
			err, CO_UNSUPPORTED,
			"cannot run %s: it is a program for %s, and this version runs "
			"programs of CloudOS, Linux, Anos and BlackRoad OS only (cloudosctl personality "
			"show %s)",
			l->path, l->personality->title, name);
	return 0;
}

/* ---- daemon ---- */

static int folder_new(char *out, size_t n, struct co_err *err)
{
	const char *base = getenv("TMPDIR");

	(void) snprintf(out, n, "%s/cloudos-ephemeral-XXXXXX",
			base && *base ? base : "/tmp");
	if (!mkdtemp(out))
		return co_fail_errno(err, errno, "cannot make a folder %s", out);
	return 0;
}

static int connect_daemon(struct launch *l, const struct options *o, char *folder,
			  size_t n, struct co_err *err)
{
	static const char *const automatic[] = { "--auto", NULL };
	static const char *const ephemeral[] = { "--ephemeral", NULL };
	struct co_paths *paths = &l->paths;
	int r;

	folder[0] = 0;
	if (o->ephemeral) {
		r = folder_new(folder, n, err);
		if (!r)
			r = co_paths_init(paths, false, folder, err);
		if (!r)
			r = co_start_daemon(paths, ephemeral, "cloudos-exec",
					    &l->client, err);
		if (r && folder[0])
			(void) rmdir(
				folder); /* if the keeper left something, so it stays */
		return r;
	}
	r = co_paths_init(paths, o->system, NULL, err);
	if (!r)
		r = co_client_open(paths, "cloudos-exec", &l->client, err);
	if (r == CO_GONE && !o->system)
		r = co_start_daemon(paths, automatic, "cloudos-exec", &l->client, err);
	return r;
}

/* A pidfd of the keeper: an ephemeral one ends when everything is gone. */
static int keeper_pidfd(struct launch *l)
{
	const struct wire_status_rep *rep;

	(void) co_client_request(l->client, WIRE_status_req);
	if (co_client_call(l->client, NULL, 0, NULL))
		return -1;
	rep = (const void *) l->client->in->bytes;
	return (int) syscall(SYS_pidfd_open, rep->keeper_pid, 0);
}

/* ---- trace ---- */

static int trace_open(struct launch *l, const struct options *o, struct co_err *err)
{
	int fd;

	if (!o->traced)
		return 0;
	fd = o->trace ? open(o->trace,
			     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)
		      : 2;
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot write the trace to %s",
				     o->trace);
	l->trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTORS_FROM);
	if (l->trace_fd < 0)
		l->trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (o->trace)
		(void) close(fd);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Descriptors 0 to 2 that the caller left closed: nothing of ours may land there, or a
 * message to the user would go to the daemon.  The program finds them closed, as natively. */
static void occupy_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 0)
		(void) close(fd);
}

/*
 * To the end of an ephemeral daemon.  It refuses to stop while something runs: the program,
 * of whose end it has not heard yet, or children that were left behind.  Those keep it
 * alive, and that is right; so they are not waited for.
 */
static void ephemeral_end(struct launch *l, int keeper)
{
	struct pollfd p = { .fd = keeper, .events = POLLIN };
	int r = CO_BUSY;

	for (int i = 0; r == CO_BUSY && i < EPHEMERAL_ATTEMPTS; i++) {
		if (i && poll(&p, 1, EPHEMERAL_EVERY_MS) > 0)
			break;
		(void) co_client_request(l->client, WIRE_stop_req);
		r = co_client_call(l->client, NULL, 0, NULL);
	}
	l->client = co_client_close(l->client);
	if (r != CO_BUSY)
		(void) poll(&p, 1, EPHEMERAL_END_MS);
}

/* The file, and what it is.  -1: go on; otherwise the exit status. */
static int look_at_program(struct launch *l, const struct options *o, char *path,
			   size_t n)
{
	/* an Anos program does not have to be one for this machine, and says so itself */
	bool anos = o->personality && !strcmp(o->personality, "anos");
	struct classified file = { .personality = "anos" };
	struct co_err err = { 0 };

	l->name = o->name ? o->name : base_name(l->argv[0]);
	if (!strncmp(l->argv[0], "boot:", 5)) { /* SYSTEM knows where it is */
		l->path = l->argv[0];
		return choose_personality(l, o->personality ? o->personality : "anos",
					  &err)
			       ? fail(&err)
			       : -1;
	}
	if (classify_find(l->argv[0], path, n, &err)) {
		(void) fail(&err);
		return err.code == CO_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	}
	if (!anos && classify_file(path, &file, &err)) {
		(void) fail(&err);
		return EXIT_NOT_EXECUTABLE;
	}
	l->path = path;
	l->script = file.script;
	if (choose_personality(l,
			       o->personality ? o->personality
			       : o->service   ? "blackroad"
					      : file.personality,
			       &err))
		return fail(&err);
	return -1;
}

/* What SYSTEM needs of files, before a daemon is started for it. */
static int system_prepare(struct launch *l, struct options *o, struct system *system,
			  struct co_err *err)
{
	if (strcmp(l->personality->name, "anos") != 0)
		return o->anos_asked
			       ? co_fail(err, CO_INVALID,
					 "--root, --disk, --display and "
					 "--until-first are for programs of Anos; %s is one of %s "
					 "(--personality=anos says otherwise)",
					 l->path, l->personality->title)
			       : 0;
	if (!o->anos.width) {
		o->anos.width = DISPLAY_WIDTH;
		o->anos.height = DISPLAY_HEIGHT;
	}
	l->system = system;
	return system_open(system, &o->anos, l->path, err);
}

/* How a program of BlackRoad OS is to have its names; CO_HOSTS is for tests and trouble. */
static int service_prepare(struct launch *l, const struct options *o, struct service *s,
			   struct co_err *err)
{
	static const char *const how[] = { "", "mount", "calls", "none" };
	const char *wanted = getenv("CO_HOSTS");

	if (strcmp(l->personality->name, "blackroad") != 0)
		return o->service || o->no_logs
			       ? co_fail(err, CO_INVALID,
					 "--service and --no-logs are for programs of "
					 "BlackRoad OS; %s is one of %s",
					 l->path, l->personality->title)
			       : 0;
	if (o->no_logs && !o->service)
		return co_fail(err, CO_INVALID,
			       "--no-logs goes with --service; only services are "
			       "logged");
	s->asked = o->service;
	s->no_logs = o->no_logs;
	for (size_t i = 0; i < co_countof(how); i++)
		if (!strcmp(wanted ? wanted : "", how[i])) {
			s->how = (enum service_hosts) i;
			l->service = s;
			return 0;
		}
	return co_fail(err, CO_INVALID,
		       "CO_HOSTS is \"%s\"; it can be mount, calls or none", wanted);
}

/* The files of SYSTEM are granted by naming them. */
static int confine_files(struct options *o, struct co_err *err)
{
	static char *root, *disk; /* as they are called inside */
	struct confine *c = &o->confine;
	int r = 0;

	if (o->anos.root) {
		r = confine_grant(c, o->anos.root, true, err);
		root = realpath(o->anos.root, NULL);
		o->anos.root = root;
	}
	if (!r && o->anos.disk) {
		r = confine_grant(c, o->anos.disk, false, err);
		disk = realpath(o->anos.disk, NULL);
		o->anos.disk = disk;
	}
	return r;
}

/* What can be told before there is a daemon. */
static int confine_check(struct launch *l, struct options *o, struct co_err *err)
{
	struct confine *c = &o->confine;

	if (!c->asked)
		return c->needs
			       ? co_fail(err, CO_INVALID,
					 "--allow, --net, --memory, --cpus and --pids go "
					 "with --confine")
			       : 0;
	if (o->trace && l->system)
		return co_fail(
			err, CO_UNSUPPORTED,
			"the trace of a confined program of Anos goes to standard "
			"error: --trace without a file");
	l->system = NULL; /* it is inside, too */
	if (confine_files(o, err))
		return err->code;
	if (l->service && l->service->how == SERVICE_HOSTS_ANY)
		l->service->how = SERVICE_HOSTS_CALLS;
	l->confine = c;
	return 0;
}

/* The program's file, from the root on: it may start in another folder. */
static int absolute_path(struct launch *l, char *out, size_t n, struct co_err *err)
{
	autofree char *here = getcwd(NULL, 0);
	int used = l->path[0] == '/'
			   ? snprintf(out, n, "%s", l->path)
			   : snprintf(out, n, "%s/%s", here ? here : "", l->path);

	if (used < 0 || (size_t) used >= n)
		return co_fail(err, CO_NAME_TOO_LONG, "the path of %s is too long",
			       l->path);
	l->path = out;
	return 0;
}

/* What of our options is for the cloudos-exec inside. */
static int confine_words(const struct launch *l, const struct options *o,
			 struct co_err *err)
{
	struct confine *c = l->confine;
	char display[32];
	int r = confine_word(c, "--engine=trap", NULL, err);

	if (!r)
		r = confine_word(c, "--personality=", l->personality->name, err);
	if (!r)
		r = confine_word(c, "--name=", l->name, err);
	if (!r && l->trace_fd >= 0)
		r = confine_word(c, "--trace", NULL, err);
	if (!r && (l->trap.flags & CO_TRAP_NO_PATCH))
		r = confine_word(c, "--no-patch", NULL, err);
	if (!r && (l->trap.flags & CO_TRAP_GUEST_SECCOMP))
		r = confine_word(c, "--allow-guest-seccomp", NULL, err);
	if (!r && (l->trap.flags & CO_TRAP_SUD))
		r = confine_word(c, "--trap=sud", NULL, err);
	if (r || !o->anos_asked)
		return r;
	if (o->anos.root)
		r = confine_word(c, "--root=", o->anos.root, err);
	if (!r && o->anos.disk)
		r = confine_word(c, "--disk=", o->anos.disk, err);
	if (!r && o->anos.first)
		r = confine_word(c, "--until-first", NULL, err);
	(void) snprintf(display, sizeof(display), "%ux%u", o->anos.width,
			o->anos.height);
	return r ? r : confine_word(c, "--display=", display, err);
}

static int confine(struct launch *l, const struct options *o, char *path, size_t n,
		   struct co_err *err)
{
	struct confine_program p = { .paths = &l->paths, .argv = l->argv };
	struct confine *c = l->confine;
	int r;

	memset(c->stdio, -1, sizeof(c->stdio));
	r = absolute_path(l, path, n, err);
	p.path = l->path;
	c->trap = l->engine == CO_ENGINE_TRAP;
	if (!r && c->trap)
		r = confine_words(l, o, err);
	return r ? r : confine_prepare(c, &p, err);
}

/* Served already, by this very daemon: the program takes our place. */
static int run_plainly(const struct launch *l, const struct options *o)
{
	if (o->traced || o->name)
		(void) fputs("cloudos-exec: --trace and --name are for the outermost "
			     "cloudos-exec and have no effect here\n",
			     stderr);
	return launch_plainly(l);
}

/* Engine, daemon and program. */
static int run(struct launch *l, const struct options *o)
{
	const char *engine = o->engine ? o->engine : getenv("CO_ENGINE");
	int64_t domain = choose_domain(l);
	bool nested = domain >= 0 && !o->ephemeral;
	char folder[CO_PATH_SIZE], path[CO_PATH_SIZE];
	struct co_err err = { 0 };
	autoclose int keeper = -1;
	int status;

	if (choose_identity(l))
		return run_plainly(l, o);
	nested = nested && !l->confine;
	/* what can fail fails before a daemon is started for it */
	if (trace_open(l, o, &err) || (!nested && choose_engine(l, engine, &err)) ||
	    connect_daemon(l, o, folder, sizeof(folder), &err))
		return fail(&err);
	if (nested && (uint64_t) domain == l->client->domain)
		return run_plainly(l, o);
	if (nested && choose_engine(l, engine, &err))
		return fail(&err);
	if (l->service && service_find(l->service, l->client, &err))
		return fail(&err);
	if (l->confine && confine(l, o, path, sizeof(path), &err)) {
		confine_end(l->confine);
		return fail(&err);
	}
	if (o->ephemeral)
		l->keep_fd = keeper = keeper_pidfd(l);
	status = launch(l);
	if (l->confine)
		confine_end(l->confine);
	if (keeper >= 0)
		ephemeral_end(l, keeper);
	return status;
}

int main(int argc, char **argv)
{
	static struct system system;
	static struct service service;
	struct options o = { 0 };
	struct co_err err = { 0 };
	struct launch l = { .trace_fd = -1, .keep_fd = -1 };
	char path[CO_PATH_SIZE];
	int status;

	occupy_standard();
	status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	l.argv = argv + optind;
	l.trap = o.trap;
	status = look_at_program(&l, &o, path, sizeof(path));
	if (status < 0 && system_prepare(&l, &o, &system, &err)) {
		(void) fail(&err);
		status = err.code == CO_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_LAUNCHER;
	}
	if (status < 0 && service_prepare(&l, &o, &service, &err))
		status = fail(&err);
	if (status < 0 && confine_check(&l, &o, &err))
		status = fail(&err);
	if (status < 0)
		status = run(&l, &o);
	free(o.confine.grants);
	free(service.hosts);
	(void) co_msg_free(service.relay.out);
	(void) co_client_close(l.client);
	return status;
}
