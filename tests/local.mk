# SPDX-License-Identifier: MIT
include %D%/cli/ctl.mk
