# SPDX-License-Identifier: MIT
# The gateway as its clients see it.
TESTS += %D%/rpc.py
EXTRA_DIST += %D%/rpc.py
