# SPDX-License-Identifier: MIT
# Programs as services of BlackRoad OS.
service_tests = %D%/services.py %D%/examples.py
TESTS += $(service_tests)
EXTRA_DIST += $(service_tests) %D%/listener.py %D%/README.md
