/* SPDX-License-Identifier: MIT */
/*
 * One https request, through libcurl loaded at run time.  HOST.
 *
 * libcurl's headers are not needed to build: the six functions and dozen constants below
 * are its stable ABI (soname 4, since 2006).
 */
#include "cloudosd/service/https.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

enum { /* curl.h */
       GLOBAL_DEFAULT = 3,
       OPT_NOSIGNAL = 99,
       OPT_PROTOCOLS = 181,
       OPT_TIMEOUT_MS = 155,
       OPT_WRITEDATA = 10001,
       OPT_URL = 10002,
       OPT_ERRORBUFFER = 10010,
       OPT_USERAGENT = 10018,
       OPT_CAINFO = 10065,
       OPT_NOPROXY = 10177,
       OPT_WRITEFUNCTION = 20011,
       INFO_RESPONSE_CODE = 0x200002,
       PROTO_HTTPS = 2,
       E_OK = 0,
       E_WRITE_ERROR = 23,
       ERROR_SIZE = 256
};

static struct {
	void *handle;
	const char *name;
	int (*global_init)(long flags);
	void *(*easy_init)(void);
	int (*easy_setopt)(void *easy, int option, ...);
	int (*easy_perform)(void *easy);
	int (*easy_getinfo)(void *easy, int info, ...);
	void (*easy_cleanup)(void *easy);
	const char *(*easy_strerror)(int code);
} curl = { .name = "libcurl.so.4" };

void https_library(const char *name)
{
	if (curl.handle)
		(void) dlclose(curl.handle); /* it stays mapped if it wants to */
	curl.handle = NULL;
	curl.name = name;
}

/* POSIX wants dlsym's result stored through a void pointer. */
static bool find(void *handle, const char *name, void *out)
{
	void *symbol = dlsym(handle, name);

	memcpy(out, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static int load(struct co_err *err)
{
	void *handle;

	if (curl.handle)
		return 0;
	handle = dlopen(curl.name, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return co_fail(err, CO_UNSUPPORTED,
			       "https health checks need %s, which cannot be loaded; "
			       "install the package libcurl4 or use tcp://",
			       curl.name);
	if (!find(handle, "curl_global_init", &curl.global_init) ||
	    !find(handle, "curl_easy_init", &curl.easy_init) ||
	    !find(handle, "curl_easy_setopt", &curl.easy_setopt) ||
	    !find(handle, "curl_easy_perform", &curl.easy_perform) ||
	    !find(handle, "curl_easy_getinfo", &curl.easy_getinfo) ||
	    !find(handle, "curl_easy_cleanup", &curl.easy_cleanup) ||
	    !find(handle, "curl_easy_strerror", &curl.easy_strerror) ||
	    curl.global_init(GLOBAL_DEFAULT) != E_OK) {
		(void) dlclose(handle); /* nothing was done with it */
		return co_fail(
			err, CO_UNSUPPORTED,
			"https health checks need libcurl, and %s is not a working "
			"one; reinstall the package libcurl4 or use tcp://",
			curl.name);
	}
	curl.handle = handle;
	return 0;
}

int https_load(struct co_err *err)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	int r;

	(void) pthread_mutex_lock(&mutex); /* cannot fail: a plain mutex */
	r = load(err);
	(void) pthread_mutex_unlock(&mutex);
	return r;
}

/* The status line is all that is wanted: refuses the first byte of a body. */
static size_t refuse(char *data, size_t size, size_t n, void *arg)
{
	(void) data;
	(void) size;
	(void) n;
	(void) arg;
	return 0;
}

static bool set_options(void *easy, const char *url, uint32_t timeout_ms,
			const char *ca_file, char *message)
{
	return curl.easy_setopt(easy, OPT_URL, url) == E_OK &&
	       curl.easy_setopt(easy, OPT_PROTOCOLS, (long) PROTO_HTTPS) == E_OK &&
	       curl.easy_setopt(easy, OPT_NOSIGNAL, 1L) == E_OK &&
	       curl.easy_setopt(easy, OPT_TIMEOUT_MS, (long) timeout_ms) == E_OK &&
	       curl.easy_setopt(easy, OPT_USERAGENT, "cloudos-health") == E_OK &&
	       curl.easy_setopt(easy, OPT_NOPROXY, "*") == E_OK &&
	       curl.easy_setopt(easy, OPT_ERRORBUFFER, message) == E_OK &&
	       curl.easy_setopt(easy, OPT_WRITEFUNCTION, refuse) == E_OK &&
	       curl.easy_setopt(easy, OPT_WRITEDATA, NULL) == E_OK &&
	       (!*ca_file || curl.easy_setopt(easy, OPT_CAINFO, ca_file) == E_OK);
}

bool https_get(const char *url, uint32_t timeout_ms, const char *ca_file,
	       char *out_reason, size_t size)
{
	char message[ERROR_SIZE] = "";
	void *easy = curl.easy_init();
	long answer = 0;
	int r = -1;

	if (easy && set_options(easy, url, timeout_ms, ca_file, message))
		r = curl.easy_perform(easy);
	if (r == E_OK || r == E_WRITE_ERROR)
		(void) curl.easy_getinfo(easy, INFO_RESPONSE_CODE,
					 &answer); /* else 0 */
	if (easy)
		curl.easy_cleanup(easy);

	for (char *p = message; *p; p++) /* parts of it may come from the other side */
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (answer)
		(void) snprintf(out_reason, size, "GET was answered with %ld", answer);
	else if (r < 0)
		(void) snprintf(out_reason, size, "libcurl cannot make the request");
	else
		(void) snprintf(out_reason, size, "%s",
				message[0] ? message : curl.easy_strerror(r));
	return answer >= 200 && answer < 400;
}
