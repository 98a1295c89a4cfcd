# SPDX-License-Identifier: MIT
include cloudosd/service/local.mk
