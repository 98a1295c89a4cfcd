# SPDX-License-Identifier: MIT
include tests/transparency/local.mk
include tests/packaging/local.mk
