# SPDX-License-Identifier: MIT
# The HTTP server from outside: bytes, order, limits, who may ask.
http_tests = %D%/access.py %D%/limits.py %D%/malformed.py %D%/order.py
TESTS += $(http_tests)
EXTRA_DIST += $(http_tests) %D%/README.md %D%/talk.py

# What the endpoints say of themselves.
TESTS += tests/blackroad/openapi.py
EXTRA_DIST += tests/blackroad/openapi.py
# The gateway as its clients see it.
TESTS += %D%/jobs.py %D%/rpc.py
EXTRA_DIST += %D%/jobs.py %D%/rpc.py
TESTS += %D%/rpc.py
EXTRA_DIST += %D%/rpc.py
# The front of services.
TESTS += %D%/front.py
EXTRA_DIST += %D%/front.py %D%/front_service.py
# State.
TESTS += %D%/once.py %D%/state.py
EXTRA_DIST += %D%/once.py %D%/state.py %D%/unix.py
