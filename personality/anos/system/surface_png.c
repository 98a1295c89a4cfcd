/* SPDX-License-Identifier: MIT */
/* A display as a PNG image.  HOST.  The only user of libpng. */
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/anos/system/surface.h"

/* All of its pixels at about one time; a display that is smaller than it says is black
 * where there is nothing. */
static int pixels_read(int fd, uint8_t *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, to + done, n - done, (off_t) done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!got)
			break;
		done += (size_t) got;
	}
	memset(to + done, 0, n - done);
	return 0;
}

/* Blue, green, red, nothing: the fourth byte goes. */
static void pack(uint8_t *pixels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memmove(pixels + 3 * i, pixels + 4 * i, 3);
}

int anos_surface_png(int fd, uint32_t width, uint32_t height, FILE *out,
		     struct co_err *err)
{
	size_t count = (size_t) width * height;
	autofree uint8_t *pixels = malloc(count * 4);
	png_image image = { .version = PNG_IMAGE_VERSION,
			    .width = width,
			    .height = height,
			    .format = PNG_FORMAT_BGR };
	int rc;

	if (!pixels)
		return co_fail(err, CO_NO_MEMORY, "no memory for %ux%u pixels", width,
			       height);
	rc = pixels_read(fd, pixels, count * 4);
	if (rc)
		return co_fail_errno(err, rc, "cannot read the display");
	pack(pixels, count);
	rc = png_image_write_to_stdio(&image, out, 0, pixels, 0, NULL);
	if (!rc)
		(void) co_fail(err, CO_IO, "cannot write the image: %s", image.message);
	png_image_free(&image);
	return rc ? 0 : CO_IO;
}
