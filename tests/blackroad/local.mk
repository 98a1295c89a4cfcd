# SPDX-License-Identifier: MIT
TESTS += %D%/contract.py
EXTRA_DIST += %D%/contract.py
