/* SPDX-License-Identifier: MIT */
/* Paints the framebuffer: three stripes and a white corner. */
#include "anos.h"

struct framebuffer {
	uint64_t physical;
	uint32_t width, height, pitch, bits;
	uint32_t reserved[4];
};

int main(int argc, char **argv)
{
	static uint32_t *const pixels = (uint32_t *) 0x500000000;
	static const uint32_t stripes[] = { 0xc02020, 0x20c020, 0x2020c0 };
	struct framebuffer screen = { 0 };
	uint64_t size;

	(void) argv;
	if (get_framebuffer_phys(&screen).type != OK) {
		kprint("there is no framebuffer\n");
		return 1;
	}
	size = ((uint64_t) screen.pitch * screen.height + 4095) & ~4095UL;
	if (map_physical(screen.physical, pixels, size, READ | WRITE).type != OK) {
		kprint("the framebuffer cannot be mapped\n");
		return 1;
	}
	for (uint32_t y = 0; y < screen.height; y++)
		for (uint32_t x = 0; x < screen.width; x++)
			pixels[y * (screen.pitch / 4) + x] =
				x < 8 && y < 8 ? 0xffffff
					       : stripes[3 * y / screen.height];
	kprint("painted\n");
	while (argc > 1) /* until somebody has looked */
		task_sleep_current(1000000000);
	return 0;
}
