# SPDX-License-Identifier: MIT
include %D%/conformance/local.mk
include %D%/unit/store.mk
include %D%/fault/store.mk
