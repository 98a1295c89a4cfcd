# SPDX-License-Identifier: MIT
# The public headers and the library that CloudOS programs link.
cloudosincludedir = $(includedir)/cloudos
cloudosinclude_HEADERS = \
	include/cloudos/ai.h \
	include/cloudos/base.h \
	include/cloudos/cloud.h \
	include/cloudos/cloudos.h \
	include/cloudos/container.h \
	include/cloudos/device.h \
	include/cloudos/error.h \
	include/cloudos/ipc.h \
	include/cloudos/lb.h \
	include/cloudos/network.h \
	include/cloudos/numbers.h \
	include/cloudos/posix.h \
	include/cloudos/security.h \
	include/cloudos/seed-names.h \
	include/cloudos/service.h \
	include/cloudos/version.h \
	include/cloudos/vfs.h
