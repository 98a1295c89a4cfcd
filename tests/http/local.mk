# SPDX-License-Identifier: MIT
# The HTTP server and the front of services, from outside: bytes, order, limits, who may ask.
http_tests = %D%/access.py %D%/front.py %D%/limits.py %D%/malformed.py %D%/order.py
TESTS += $(http_tests)
EXTRA_DIST += $(http_tests) %D%/README.md %D%/front_service.py %D%/talk.py %D%/unix.py
