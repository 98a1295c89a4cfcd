# SPDX-License-Identifier: MIT
include tests/unit/service.mk
