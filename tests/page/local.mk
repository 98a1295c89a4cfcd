# SPDX-License-Identifier: MIT
# The page in a browser; its files and the listings it shows as HTTP clients see them.
page_tests = %D%/views.py %D%/frame.py tests/blackroad/page.py tests/blackroad/guests.py
TESTS += $(page_tests)
EXTRA_DIST += $(page_tests) %D%/README.md %D%/browser.py %D%/service.py %D%/shots.py %D%/worker.py %D%/world.py
