# SPDX-License-Identifier: MIT
include tests/table/local.mk
