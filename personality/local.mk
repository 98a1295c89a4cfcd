# SPDX-License-Identifier: MIT
# The tables of all personalities.  What the personalities do is built elsewhere:
# host parts into cloudosd, guest parts into libshim.a (shim/local.mk).
noinst_LIBRARIES += libpersonality.a
libpersonality_a_SOURCES = \
	%D%/personality.h %D%/personalities.def %D%/tables.c \
	%D%/cloudos/ops.def %D%/cloudos/errors.def %D%/cloudos/versions.def \
	%D%/blackroad/ops.def %D%/blackroad/caught.def \
	%D%/clankeros/ops.def \
	%D%/playsys/ops.def %D%/playsys/errors.def %D%/playsys/flags.def \
	%D%/anos/ops.def \
	%D%/linux/ops.def
EXTRA_DIST += \
	%D%/README.md \
	%D%/cloudos/README.md \
	%D%/blackroad/README.md \
	%D%/clankeros/README.md \
	%D%/playsys/README.md \
	%D%/anos/README.md \
	%D%/linux/README.md

include personality/anos/system/local.mk
