/* SPDX-License-Identifier: MIT */
/* shm_map and shm_unmap: by number where the engine can, by libcloudos everywhere. */
#include "shm.h"

static bool is_mapped(const void *p)
{
	unsigned char one;

	return mincore((void *) ((uintptr_t) p & ~4095UL), 1, &one) == 0;
}

/* A supervisor cannot map into its guest, and says so. */
static bool engine_maps(int fd)
{
	long r = RAW(shm_map, WORD(fd), SHM_SIZE, PROT_READ, MAP_SHARED);

	if (r != RAW_CODE(CLOUDOS_EACCES))
		return true;
	check_refused(r, CLOUDOS_EACCES, "the number is refused under notify");
	check(strstr(last_error().message, "cloudos_shm_map") != NULL,
	      "and the reason says what to call");
	check_refused(RAW(shm_unmap, 4096, 4096), CLOUDOS_EACCES,
		      "as is that of shm_unmap");
	return false;
}

static void by_number(int fd, int reader, const char *seen)
{
	long r = RAW(shm_map, WORD(fd), SHM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *p = (char *) r, *private;
	void *other;

	check(r > 0, "the number maps it");
	p[1] = 'n';
	check_number(seen[1], 'n', "for all");
	private = (char *) RAW(shm_map, WORD(fd), 100, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE);
	private[1] = 'p';
	check(seen[1] == 'n' && private[1] == 'p', "or privately");
	check_refused(RAW(shm_map, WORD(reader), SHM_SIZE, PROT_READ | PROT_WRITE, 0),
		      CLOUDOS_EACCES, "a descriptor for reading is not written to");
	check_refused(RAW(shm_map, WORD(fd), SHM_SIZE + 1, PROT_READ, 0),
		      CLOUDOS_EINVAL, "more than there is is refused");
	check_refused(RAW(shm_map, WORD(fd), 0, PROT_READ, 0), CLOUDOS_EINVAL,
		      "and so is nothing");
	check_refused(RAW(shm_map, WORD(fd), SHM_SIZE, PROT_READ | PROT_EXEC, 0),
		      CLOUDOS_EINVAL, "memory to be run is refused");
	check_refused(
		RAW(shm_map, WORD(fd), SHM_SIZE, PROT_READ, MAP_FIXED | MAP_SHARED),
		CLOUDOS_EINVAL, "as are other flags");
	check_refused(RAW(shm_map, 1, 1, PROT_READ, 0), CLOUDOS_EINVAL,
		      "and what is no shared memory");
	check_refused(RAW(shm_map, 987, 1, PROT_READ, 0), CLOUDOS_EINVAL,
		      "or not open");
	check_number(RAW(shm_unmap, WORD(p), SHM_SIZE), 0, "shm_unmap takes it away");
	check(!is_mapped(p), "so that nothing is there");
	check_refused(RAW(shm_unmap, WORD(p), SHM_SIZE), CLOUDOS_EINVAL,
		      "which is then refused");
	other = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check_refused(RAW(shm_unmap, WORD(other), 4096), CLOUDOS_EINVAL,
		      "other memory is not unmapped");
	check(is_mapped(other), "and stays");
	check_refused(RAW(shm_unmap, WORD(private), 0), CLOUDOS_EINVAL,
		      "nothing is refused");
	check_number(RAW(shm_unmap, WORD(private), 100), 0, "a private one goes, too");
}

static int lib_code(int fd, size_t size, int prot, int flags)
{
	error_info_t info;

	if (cloudos_shm_map(fd, size, prot, flags) ||
	    cloudos_get_last_error(&info) != 0)
		return 1;
	return info.error_code;
}

static void by_library(int fd, int reader, const char *seen)
{
	char *p = cloudos_shm_map(fd, SHM_SIZE, PROT_READ | PROT_WRITE, 0);

	check(p != NULL, "libcloudos maps it");
	if (!p)
		return;
	p[2] = 'l';
	check_number(seen[2], 'l', "for all");
	check_number(lib_code(fd, SHM_SIZE + 1, PROT_READ, 0), CLOUDOS_EINVAL,
		     "more than there is is refused");
	check_number(lib_code(fd, SHM_SIZE, PROT_EXEC, 0), CLOUDOS_EINVAL,
		     "as is memory to be run");
	check_number(lib_code(fd, SHM_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED),
		     CLOUDOS_EINVAL, "other flags");
	check_number(lib_code(1, 1, PROT_READ, 0), CLOUDOS_EINVAL,
		     "what is no shared memory");
	check_number(lib_code(987, 1, PROT_READ, 0), CLOUDOS_EINVAL, "or not open");
	check_number(lib_code(reader, SHM_SIZE, PROT_WRITE, 0), CLOUDOS_EACCES,
		     "and writing to what is open for reading");
	check_number(cloudos_shm_unmap(p, SHM_SIZE), 0, "cloudos_shm_unmap");
	check(!is_mapped(p), "takes it away");
	check_number(cloudos_shm_unmap(p + 1, SHM_SIZE), CLOUDOS_EINVAL,
		     "what begins in a page is refused");
}

int main(void)
{
	int fd = shm_make("map.it", 0600);
	int reader = (int) RAW(shm_open, WORD("map.it"), O_RDONLY);
	const char *seen = fd < 0 ? NULL : shm_see(fd, PROT_READ);

	if (!seen || reader < 0)
		die("no shared memory");
	if (engine_maps(fd))
		by_number(fd, reader, seen);
	by_library(fd, reader, seen);
	check_number(RAW(shm_unlink, WORD("map.it")), 0, "it is unlinked");
	check(seen[2] == 'l', "and stays where it is mapped");
	return done();
}
