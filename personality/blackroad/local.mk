# SPDX-License-Identifier: MIT
# The host part of BlackRoad OS, built into cloudosd: one file a line.
BLACKROAD_SOURCES = \
	personality/blackroad/caught.def \
	personality/blackroad/schemas.def \
	personality/blackroad/bind.c \
	personality/blackroad/blackroad.h \
	personality/blackroad/caught.h \
	personality/blackroad/checkup.c \
	personality/blackroad/containers.c \
	personality/blackroad/core.c \
	personality/blackroad/core.h \
	personality/blackroad/events.c \
	personality/blackroad/hosts.c \
	personality/blackroad/images.c \
	personality/blackroad/jobs.c \
	personality/blackroad/logs.c \
	personality/blackroad/metrics.c \
	personality/blackroad/once.c \
	personality/blackroad/once.h \
	personality/blackroad/openapi.c \
	personality/blackroad/page.c \
	personality/blackroad/page.h \
	personality/blackroad/programs.c \
	personality/blackroad/route.c \
	personality/blackroad/rows.c \
	personality/blackroad/rows.h \
	personality/blackroad/rpc.c \
	personality/blackroad/services.c \
	personality/blackroad/sse.c \
	personality/blackroad/sse.h \
	personality/blackroad/state.c \
	personality/blackroad/state.h \
	personality/blackroad/state_list.c \
	personality/blackroad/stream.c \
	personality/blackroad/volumes.c
