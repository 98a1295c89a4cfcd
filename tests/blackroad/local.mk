# SPDX-License-Identifier: MIT
# The endpoints of BlackRoad OS, as HTTP clients see them: one file a topic.
blackroad_tests = \
	%D%/contract.py \
	%D%/events.py \
	%D%/guests.py \
	%D%/jobs.py \
	%D%/logs.py \
	%D%/metrics.py \
	%D%/once.py \
	%D%/openapi.py \
	%D%/page.py \
	%D%/rpc.py \
	%D%/state.py \
	%D%/stream.py
TESTS += $(blackroad_tests)
EXTRA_DIST += $(blackroad_tests) %D%/README.md %D%/feeds.py
