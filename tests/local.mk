# SPDX-License-Identifier: MIT
include %D%/conformance/local.mk
