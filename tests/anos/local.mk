# SPDX-License-Identifier: MIT
# Programs of Anos under the trap engine.
TESTS += %D%/programs.sh
dist_noinst_SCRIPTS += %D%/programs.sh
EXTRA_DIST += %D%/README.md %D%/hello.expected
%D%/programs.log: $(ANOS_EXAMPLES) cloudos-exec cloudos-loader-anos cloudosd cloudosctl
