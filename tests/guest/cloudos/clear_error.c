/* SPDX-License-Identifier: MIT */
/* clear_error, raw and through libcloudos. */
#include "guest.h"

#include <pthread.h>

static void *clears(void *arg)
{
	*(long *) arg = RAW(clear_error);
	return NULL;
}

int main(void)
{
	error_info_t info;
	pthread_t thread;
	long result = -1;

	check_number(RAW(clear_error), 0, "with nothing to clear it succeeds");
	check_number(RAW(service_deregister, WORD("clear.nobody")),
		     RAW_CODE(CLOUDOS_ENOENT), "a call fails");
	if (pthread_create(&thread, NULL, clears, &result) != 0 ||
	    pthread_join(thread, NULL) != 0)
		die("no thread");
	check_number(result, 0, "another thread clears its own");
	check_number(last_error().error_code, CLOUDOS_ENOENT,
		     "this one keeps its error");
	check_number(RAW(clear_error), 0, "it clears it");
	info = last_error();
	check(info.error_code == CLOUDOS_SUCCESS && info.message[0] == '\0',
	      "and has none");

	check_number(cloudos_sys_close(-1), CLOUDOS_EINVAL,
		     "a failure that libcloudos remembers");
	check_number(cloudos_clear_error(), 0, "is cleared");
	check(cloudos_get_last_error(&info) == 0 && info.error_code == CLOUDOS_SUCCESS,
	      "as well");
	return done();
}
