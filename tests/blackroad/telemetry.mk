# SPDX-License-Identifier: MIT
# Logs, metrics, events and what follows them, over HTTP.
co_telemetry_tests = %D%/events.py %D%/logs.py %D%/metrics.py %D%/stream.py
TESTS += $(co_telemetry_tests)
EXTRA_DIST += $(co_telemetry_tests) %D%/feeds.py
