/* SPDX-License-Identifier: MIT */
/*
 * Prints files: asks SYSTEM::VFS who serves the path, and that driver for the bytes, a page
 * at a time.  Whose files they are it does not know.
 */
#include "system.h"

PAGE_HERE;

static void print(const char *path)
{
	static char text[PAGE + 1];
	uint64_t driver = driver_of(path);
	uint64_t size =
		driver ? send_message(driver, FILE_SIZE, put_text(0, path), page).value
		       : 0;

	if (!size) {
		kprint(path);
		kprint(": no such file\n");
	}
	for (uint64_t at = 0; at < size;) {
		uint64_t n;

		copy(page, &at, sizeof(at));
		n = send_message(driver, FILE_LOAD, put_text(8, path), page).value;
		if (!n)
			break;
		copy(text, page, n);
		text[n] = 0;
		kprint(text);
		at += n;
	}
}

int main(int argc, char **argv)
{
	uint64_t done;

	for (int i = 1; i < argc; i++)
		print(argv[i]);
	done = find_named_channel("files::done").value;
	if (done) /* who has started us waits for that */
		send_message(done, 0, 0, 0);
	return 0;
}
