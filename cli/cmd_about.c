/* SPDX-License-Identifier: MIT */
/* cloudosctl limits, version, help, completion: what needs no daemon.  HOST. */
#include <string.h>
#include <unistd.h>

#include "cli/ctl.h"

int cmd_limits(struct ctl *ctl)
{
	static const char *const columns[] = { "name", "value", "unit", "what", NULL };
	struct co_print *print = co_print_new(&ctl->style, columns);

	if (!print)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
#define LIMIT(name, value, unit, what)                                                 \
	co_print_text(print, #name);                                                   \
	co_print_u64(print, (value));                                                  \
	co_print_text(print, unit);                                                    \
	co_print_text(print, what);
#include <co/limits.def>
#undef LIMIT
	return ctl_printed(ctl, co_print_end(print));
}

int cmd_version(struct ctl *ctl)
{
	static const char *const columns[] = { "program", "release", "wire", "pid",
					       NULL };
	struct co_print *print;
	int rc = ctl_connect(ctl);

	if (rc < 0 && rc != CO_GONE)
		return rc;
	print = co_print_new(&ctl->style, columns);
	if (!print)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	co_print_text(print, CTL_PROGRAM);
	co_print_text(print, PACKAGE_VERSION);
	co_print_u64(print, CO_WIRE_VERSION);
	co_print_i64(print, getpid());
	if (rc == 0) {
		co_print_text(print, "cloudosd");
		co_print_text(print, ctl->client->release);
		co_print_u64(print, ctl->client->version);
		co_print_i64(print, ctl->client->daemon_pid);
	}
	ctl->no_daemon = false; /* its absence is an answer here */
	return ctl_printed(ctl, co_print_end(print));
}

int cmd_completion(struct ctl *ctl)
{
	if (strcmp(ctl->operands[0], "bash") == 0)
		ctl_completion_bash(ctl->style.out);
	else if (strcmp(ctl->operands[0], "zsh") == 0)
		ctl_completion_zsh(ctl->style.out);
	else
		return ctl_usage(ctl,
				 "there are completions for bash and zsh, not for "
				 "\"%.60s\"",
				 ctl->operands[0]);
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_help(struct ctl *ctl)
{
	char words[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < ctl->noperands && used < sizeof(words); i++)
		used += (size_t) snprintf(words + used, sizeof(words) - used, "%s%s",
					  i ? " " : "", ctl->operands[i]);
	if (ctl_option(ctl, "man"))
		ctl_man(ctl->style.out);
	else if (used >= sizeof(words) || !ctl_help(ctl->style.out, words))
		return ctl_usage(ctl,
				 "there is no command \"%.100s\"; `" CTL_PROGRAM
				 " help` lists them",
				 words);
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}
