/* SPDX-License-Identifier: MIT */
/* GUEST.  The loader's first word, read and written; see config.h. */
#include <shim/config.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>

/* A number and the `;` behind it; false if there is none that fits into 64 bits. */
static bool number(const char **at, unsigned base, uint64_t *out)
{
	const char *first = *at;
	uint64_t value = 0;

	for (; **at != ';'; (*at)++) {
		char c = **at;
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned) (c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned) (c - 'a') + 10
							: 16;

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return *(*at)++ == ';' && *at - first > 1;
}

int shim_config_parse(struct shim_config *out, const char *text)
{
	const char *at = out->text + sizeof(CO_TRAP_CONFIG_MARK) - 1;
	uint64_t personality, flags, fd, length;
	size_t size = 0;

	while (text[size++] != '\0')
		if (size == sizeof(out->text))
			return -EINVAL;
	memcpy(out->text, text, size);
	if (memcmp(out->text, CO_TRAP_CONFIG_MARK, sizeof(CO_TRAP_CONFIG_MARK) - 1) !=
	    0)
		return -EINVAL;
	if (!number(&at, 10, &personality) || !number(&at, 16, &flags) ||
	    !number(&at, 16, &out->session) || !number(&at, 16, &fd) ||
	    !number(&at, 16, &length))
		return -EINVAL;
	if (personality > UINT32_MAX || flags > UINT32_MAX || fd > UINT32_MAX ||
	    length >= size - (size_t) (at - out->text))
		return -EINVAL;
	out->personality = (uint32_t) personality;
	out->flags = (uint32_t) flags;
	out->fd = (int32_t) fd;
	out->loader = at;
	out->loader_length = (uint32_t) length;
	out->folder = at + length;
	return 0;
}

/* Hexadecimal without 0x. */
static void hex(struct shim_fmt *out, uint64_t value)
{
	char digits[24];
	struct shim_fmt part = shim_fmt_init(digits, sizeof(digits));

	shim_fmt_hex(&part, value);
	shim_fmt_text(out, digits + 2);
	shim_fmt_text(out, ";");
}

uint32_t shim_config_print(char *to, const struct shim_config *config, uint32_t flags,
			   int32_t fd)
{
	struct shim_fmt out = shim_fmt_init(to, CO_TRAP_CONFIG_MAX);

	shim_fmt_text(&out, CO_TRAP_CONFIG_MARK);
	shim_fmt_dec(&out, config->personality);
	shim_fmt_text(&out, ";");
	hex(&out, flags);
	hex(&out, config->session);
	hex(&out, (uint32_t) fd);
	hex(&out, config->loader_length);
	/* the folder follows it in the same text */
	shim_fmt_text(&out, config->loader);
	return (uint32_t) (out.at - to) + 1;
}
