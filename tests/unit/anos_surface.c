/* SPDX-License-Identifier: MIT */
/* The display of an Anos machine, and its picture read back.  HOST. */
#include <fcntl.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "personality/anos/system/surface.h"
#include "tests/run.h"

enum { WIDTH = 37, HEIGHT = 5 };

static uint32_t colour(uint32_t x, uint32_t y)
{
	return 0xff000000U | x << 16 | y << 8 | (x + y);
}

START_TEST(a_picture_has_every_pixel_in_its_colour)
{
	struct co_err err = { 0 };
	png_image image = { .version = PNG_IMAGE_VERSION };
	uint8_t rgb[HEIGHT][WIDTH][3];
	FILE *out = tmpfile();
	uint32_t *pixels;
	int fd;

	ck_assert_int_eq(anos_surface_new(WIDTH, HEIGHT, &fd, &err), 0);
	pixels = mmap(NULL, WIDTH * HEIGHT * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	ck_assert_ptr_ne(pixels, MAP_FAILED);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
		pixels[i] = colour(i % WIDTH, i / WIDTH);
	ck_assert_int_eq(anos_surface_png(fd, WIDTH, HEIGHT, out, &err), 0);
	rewind(out);
	ck_assert_int_ne(png_image_begin_read_from_stdio(&image, out), 0);
	ck_assert_uint_eq(image.width, WIDTH);
	ck_assert_uint_eq(image.height, HEIGHT);
	ck_assert_uint_eq(image.format & PNG_FORMAT_FLAG_ALPHA, 0);
	image.format = PNG_FORMAT_RGB;
	ck_assert_int_ne(png_image_finish_read(&image, NULL, rgb, 0, NULL), 0);
	for (uint32_t y = 0; y < HEIGHT; y++)
		for (uint32_t x = 0; x < WIDTH; x++) {
			ck_assert_uint_eq(rgb[y][x][0], x);
			ck_assert_uint_eq(rgb[y][x][1], y);
			ck_assert_uint_eq(rgb[y][x][2], x + y);
		}
	(void) fclose(out);
	(void) munmap(pixels, WIDTH * HEIGHT * 4);
	(void) close(fd);
}
END_TEST

START_TEST(a_display_is_found_by_the_process_that_has_it)
{
	struct co_err err = { 0 };
	uint32_t width = 0, height = 0;
	int fd, found;

	ck_assert_int_eq(anos_surface_find(getpid(), &found, &width, &height, &err),
			 CO_NOT_FOUND);
	ck_assert_int_eq(anos_surface_new(WIDTH, HEIGHT, &fd, &err), 0);
	ck_assert_int_eq(anos_surface_find(getpid(), &found, &width, &height, &err), 0);
	ck_assert_uint_eq(width, WIDTH);
	ck_assert_uint_eq(height, HEIGHT);
	ck_assert_int_eq((int) pwrite(fd, "x", 1, 3), 1);
	ck_assert_int_eq((int) pwrite(found, "x", 1, 3), -1);
	ck_assert_int_ne(ftruncate(fd, 1), 0); /* nobody makes it smaller */
	(void) close(found);
	(void) close(fd);
	ck_assert_int_ne(anos_surface_find(-1, &found, &width, &height, &err), 0);
}
END_TEST

START_TEST(only_names_of_displays_are_displays)
{
	uint32_t width, height;

	ck_assert(anos_surface_name("/memfd:cloudos-display-800x600 (deleted)", &width,
				    &height));
	ck_assert_uint_eq(width, 800);
	ck_assert_uint_eq(height, 600);
	ck_assert(
		!anos_surface_name("/memfd:cloudos-display-800x600", &width, &height));
	ck_assert(!anos_surface_name("/memfd:cloudos-display-0x600 (deleted)", &width,
				     &height));
	ck_assert(!anos_surface_name("/memfd:cloudos-display-99999x6 (deleted)", &width,
				     &height));
	ck_assert(!anos_surface_name("/memfd:cloudos-display-999999x6 (deleted)",
				     &width, &height));
	ck_assert(!anos_surface_name("/memfd:cloudos-display--8x6 (deleted)", &width,
				     &height));
	ck_assert(!anos_surface_name("/tmp/cloudos-display-8x6 (deleted)", &width,
				     &height));
	ck_assert(!anos_surface_name("", &width, &height));
}
END_TEST

START_TEST(a_display_has_a_sensible_size)
{
	struct co_err err = { 0 };
	int fd;

	ck_assert_int_eq(anos_surface_new(0, 5, &fd, &err), CO_INVALID);
	ck_assert_int_eq(anos_surface_new(5, 0, &fd, &err), CO_INVALID);
	ck_assert_int_eq(anos_surface_new(16385, 1, &fd, &err), CO_INVALID);
	ck_assert_int_eq(anos_surface_new(UINT32_MAX, UINT32_MAX, &fd, &err),
			 CO_INVALID);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("anos surface");

	tcase_add_test(tc, a_picture_has_every_pixel_in_its_colour);
	tcase_add_test(tc, a_display_is_found_by_the_process_that_has_it);
	tcase_add_test(tc, only_names_of_displays_are_displays);
	tcase_add_test(tc, a_display_has_a_sensible_size);
	return run_tests(tc);
}
