/* SPDX-License-Identifier: MIT */
/* The bounds of limits.def as constants: CO_LIMIT_SESSIONS and so on.  SHARED. */
#ifndef CO_LIMITS_H
#define CO_LIMITS_H

enum co_limit {
#define LIMIT(name, value, unit, what) CO_LIMIT_##name = (value),
#include <co/limits.def>
#undef LIMIT
};

#endif
