# SPDX-License-Identifier: MIT
TESTS += %D%/i386.sh
EXTRA_DIST += %D%/i386.sh %D%/i386_guest.c
