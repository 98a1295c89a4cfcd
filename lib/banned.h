/* SPDX-License-Identifier: MIT */
/*
 * Functions that do not compile in host code.  HOST.
 *
 * Given to the compiler with `-include` (CO_BANNED in lib/local.mk), in front of everything
 * else.  It reads the headers that declare these names first and then makes calls of them
 * (and only calls: a field named `system` is fine) an undeclared identifier that says
 * what is wrong.  Headers of other libraries may be included afterwards as they like.
 */
#ifndef CO_BANNED_H
#define CO_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* some of them are macros already, depending on the compiler and on _FORTIFY_SOURCE */
#undef alloca
#undef sprintf
#undef strcat
#undef strcpy
#undef strncat
#undef strncpy
#undef strtok
#undef vsprintf

/* no bound: snprintf, memcpy with a length that was compared */
#define strcpy(...)   strcpy_is_banned_use_snprintf
#define strcat(...)   strcat_is_banned_use_snprintf
#define sprintf(...)  sprintf_is_banned_use_snprintf
#define vsprintf(...) vsprintf_is_banned_use_vsnprintf
#define gets(...)     gets_is_banned_use_fgets

/* a bound that leaves the NUL out or counts from the wrong end */
#define strncpy(...) strncpy_is_banned_use_snprintf
#define strncat(...) strncat_is_banned_use_snprintf

/* a shell between us and what we want */
#define system(...) system_is_banned_use_posix_spawn
#define popen(...)  popen_is_banned_use_posix_spawn

/* unbounded stack */
#define alloca(...) alloca_is_banned_use_malloc

/* hidden state that threads share */
#define strtok(...)    strtok_is_banned_use_strtok_r
#define asctime(...)   asctime_is_banned_use_strftime
#define ctime(...)     ctime_is_banned_use_strftime
#define gmtime(...)    gmtime_is_banned_use_gmtime_r
#define localtime(...) localtime_is_banned_use_localtime_r

/* errors that cannot be told from results */
#define atoi(...) atoi_is_banned_use_strtol
#define atol(...) atol_is_banned_use_strtol
#define atof(...) atof_is_banned_use_strtod

/* a name that somebody else may take first */
#define mktemp(...)  mktemp_is_banned_use_mkstemp
#define tmpnam(...)  tmpnam_is_banned_use_mkstemp
#define tempnam(...) tempnam_is_banned_use_mkstemp

#endif
