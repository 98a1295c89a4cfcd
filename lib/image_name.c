/* SPDX-License-Identifier: MIT */
/* Names of images.  HOST. */
#include "lib/image_name.h"

#include <stdio.h>

enum { PATH_MAX_ = 255, TAG_MAX = 128 };

static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool starts(struct co_span text, const char *with)
{
	return text.size > strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static struct co_span behind(struct co_span text, size_t n)
{
	return (struct co_span){ text.data + n, text.size - n };
}

static bool good_tag(struct co_span tag)
{
	if (!tag.size || tag.size > TAG_MAX || !is_word(tag.data[0]))
		return false;
	for (size_t i = 0; i < tag.size; i++)
		if (!is_word(tag.data[i]) && tag.data[i] != '.' && tag.data[i] != '-')
			return false;
	return true;
}

/* Between slashes: letters and digits, with . _ - only between them. */
static bool good_part(struct co_span part, bool host)
{
	if (!part.size || !is_word(part.data[0]) || part.data[0] == '_' ||
	    part.data[part.size - 1] == '.' || part.data[part.size - 1] == '-')
		return false;
	for (size_t i = 0; i < part.size; i++) {
		char c = part.data[i];

		if (!is_lower(c) && c != '.' && c != '_' && c != '-' &&
		    !(host && (is_word(c) || c == ':')))
			return false;
	}
	return true;
}

static bool good_path(struct co_span path)
{
	bool first = true;

	if (!path.size || path.size > PATH_MAX_)
		return false;
	for (;;) {
		const char *slash = memchr(path.data, '/', path.size);
		size_t n = slash ? (size_t) (slash - path.data) : path.size;

		if (!good_part((struct co_span){ path.data, n }, first && slash))
			return false;
		if (!slash)
			return true;
		path = behind(path, n + 1);
		first = false;
	}
}

int co_image_name(struct co_span text, char out[CO_IMAGE_NAME_SIZE], struct co_err *err)
{
	struct co_span path = text, tag = co_span("latest");
	size_t colon;

	if (!text.data)
		text = path = co_span("");
	/* more than once, so that a full name is always its own */
	while (starts(path, "docker.io/") || starts(path, "library/"))
		path = behind(path, strcspn(path.data, "/") + 1);
	for (colon = path.size;
	     colon > 0 && path.data[colon - 1] != ':' && path.data[colon - 1] != '/';
	     colon--)
		;
	if (colon > 0 && path.data[colon - 1] == ':') {
		tag = behind(path, colon);
		path.size = colon - 1;
	}
	if (!good_path(path) || !good_tag(tag))
		return co_fail(err, CO_INVALID,
			       "\"%.*s\" is no name of an image: small letters, "
			       "digits and . _ - between slashes, then :TAG",
			       (int) (text.size > 128 ? 128 : text.size), text.data);
	(void) snprintf(out, CO_IMAGE_NAME_SIZE, "%.*s:%.*s", (int) path.size,
			path.data, (int) tag.size, tag.data);
	return 0;
}

static bool all_hex(struct co_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!(text.data[i] >= '0' && text.data[i] <= '9') &&
		    !(text.data[i] >= 'a' && text.data[i] <= 'f'))
			return false;
	return true;
}

bool co_image_id_digits(struct co_span text, struct co_span *out_digits)
{
	if (text.data && starts(text, "sha256:"))
		text = behind(text, strlen("sha256:"));
	*out_digits = text;
	return text.data && text.size >= 4 && text.size <= 64 && all_hex(text);
}

bool co_image_is_digest(struct co_span text)
{
	struct co_span digits;

	return text.data && text.size == strlen("sha256:") + 64 &&
	       starts(text, "sha256:") && co_image_id_digits(text, &digits);
}
