# SPDX-License-Identifier: MIT
include tests/guest/local.mk
include tests/libcloudos/local.mk
include tests/table/abi.mk
