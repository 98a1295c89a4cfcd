# SPDX-License-Identifier: MIT
# Programs of two systems that call each other: examples/interop and what befalls them.
TESTS += %D%/interop.py
EXTRA_DIST += %D%/README.md %D%/interop.py %D%/talk.py
