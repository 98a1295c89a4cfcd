# SPDX-License-Identifier: MIT
# The page in a browser, and its files as they are served.
page_tests = tests/blackroad/page.py tests/blackroad/guests.py
TESTS += $(page_tests)
EXTRA_DIST += $(page_tests) %D%/browser.py
