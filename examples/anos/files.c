/* SPDX-License-Identifier: MIT */
/*
 * A tiny file server: two files in memory under "mem:", behind SYSTEM::VFS.  Starts
 * boot:/cat.elf with the paths it is given and ends when that has read them.
 */
#include "system.h"

enum { STACK = 16384, DONE = 2 };

static const struct {
	const char *path, *text;
} files[] = {
	{ "mem:/greeting", "A file that is only in memory.\n" },
	{ "mem:/poem", "Channel to channel,\npage to page.\n" },
};

PAGE_HERE;
static uint8_t request[PAGE] __attribute__((aligned(PAGE)));
static uint8_t stack[STACK] __attribute__((aligned(16)));
static uint64_t driver;

static int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static const char *find(const char *path)
{
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (same(path, files[i].path))
			return files[i].text;
	return 0;
}

/* The bytes of a file from an offset on, over the request. */
static uint64_t load(void)
{
	const char *text = find((const char *) request + 8);
	uint64_t offset, size = text ? length_of(text) : 0;

	copy(&offset, request, sizeof(offset));
	if (offset >= size)
		return 0;
	size = size - offset < PAGE ? size - offset : PAGE;
	copy(request, text + offset, size);
	return size;
}

static void serve(void)
{
	for (;;) {
		uint64_t tag = 0, size = 0;
		struct result message = recv_message(driver, &tag, &size, request);
		const char *text;
		uint64_t value = 0;

		if (message.type != OK)
			kill_current_task();
		request[PAGE - 1] = 0;
		if (tag == FILE_SIZE) {
			text = find((const char *) request);
			value = text ? length_of(text) : 0;
		} else if (tag == FILE_LOAD) {
			value = load();
		}
		reply_message(message.value, value);
	}
}

int main(int argc, char **argv)
{
	/* enough to read and to print, and no more */
	static const uint64_t calls[] = { 1, 8, 15, 16 };
	uint64_t done = create_channel().value, tag, size;
	struct result message;

	driver = create_channel().value;
	create_thread(serve, stack + STACK - 8, NORMAL);
	if (serve_prefix("mem:", driver) != 1)
		kprint("mem: is somebody else's\n");
	register_channel_name(done, "files::done");
	argv[0] = "boot:/cat.elf";
	if (spawn(argc, (const char *const *) argv, 4, calls) <= 0) {
		kprint("cannot start boot:/cat.elf\n");
		destroy_channel(driver);
		return 1;
	}
	message = recv_message(done, &tag, &size, page);
	reply_message(message.value, 1);
	destroy_channel(driver); /* and with it the thread ends */
	return 0;
}
