# SPDX-License-Identifier: MIT
TESTS += %D%/bootstrap.test %D%/deb.test %D%/layout.test %D%/scripts.test %D%/units.test
EXTRA_DIST += %D%/README.md %D%/lib.sh %D%/bootstrap.test %D%/deb.test %D%/layout.test \
	%D%/scripts.test %D%/units.test
