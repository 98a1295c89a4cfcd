/* SPDX-License-Identifier: MIT */
/* commands.def as data.  HOST. */
#include "cli/ctl.h"
#include "lib/cleanup.h"

/* clang-format off */
#define UNWRAP(...) __VA_ARGS__
#define OPTION(letter, name, value, what) { letter, name, value, what },
#define COMMON(letter, name, value, what)
#define COMMAND(handler, words, operands, options, summary, more) \
	static const struct ctl_option options_##handler[] = { UNWRAP options { 0, NULL, NULL, NULL } }; \
	_Static_assert(co_countof(options_##handler) <= CTL_OPTIONS_MAX, "raise CTL_OPTIONS_MAX");
#include "cli/commands.def"
#undef COMMAND
#undef COMMON

const struct ctl_option ctl_common[] = {
#define COMMON(letter, name, value, what) { letter, name, value, what },
#define COMMAND(handler, words, operands, options, summary, more)
#include "cli/commands.def"
#undef COMMAND
#undef COMMON
	{ 0, NULL, NULL, NULL }
};

const struct ctl_command ctl_commands[] = {
#define COMMON(letter, name, value, what)
#define COMMAND(handler, words, operands, options, summary, more) \
	{ words, operands, options_##handler, summary, more, cmd_##handler },
#include "cli/commands.def"
#undef COMMAND
#undef COMMON
};
/* clang-format on */

const size_t ctl_ncommands = co_countof(ctl_commands);
