# SPDX-License-Identifier: MIT
# The golden file of the CloudOS ABI.
check_PROGRAMS += cloudos-abi
cloudos_abi_SOURCES = %D%/cloudos-abi.c %D%/cloudos-abi.def \
	personality/cloudos/ops.def personality/cloudos/versions.def
TESTS += cloudos-abi %D%/cloudos-abi.sh
EXTRA_DIST += %D%/cloudos-abi.sh %D%/cloudos-abi.txt
