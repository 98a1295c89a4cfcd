# SPDX-License-Identifier: MIT
# What guest and host share; libcloudos/local.mk installs include/cloudos.
EXTRA_DIST += %D%/README.md \
	%D%/co/guest.h %D%/co/ipc.h %D%/co/limits.def %D%/co/limits.h \
	%D%/co/op.h %D%/co/op-begin.h %D%/co/op-end.h %D%/co/op-rows.h \
	%D%/co/ring.h %D%/co/sites.h %D%/co/status.def %D%/co/status.h \
	%D%/co/trap.h \
	%D%/co/wire.def %D%/co/wire.h
