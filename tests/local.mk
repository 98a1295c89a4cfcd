# SPDX-License-Identifier: MIT
include tests/libcloudos/local.mk
include tests/table/abi.mk
include tests/table/local.mk
include tests/transparency/local.mk
include tests/packaging/local.mk
