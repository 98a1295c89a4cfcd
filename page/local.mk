# SPDX-License-Identifier: MIT
# The page of the gateway: its files become a table in the daemon, compressed.
PAGE_FILES = \
	%D%/index.html \
	%D%/style.css \
	%D%/app.js \
	%D%/containers.js \
	%D%/core.js \
	%D%/events.js \
	%D%/guests.js \
	%D%/jobs.js \
	%D%/live.js \
	%D%/logs.js \
	%D%/metrics.js \
	%D%/overview.js \
	%D%/rpc.js \
	%D%/state.js \
	%D%/stream.js \
	%D%/trace.js

# personality/blackroad/page.c serves it
%D%/page_files.c: %D%/embed.sh $(PAGE_FILES)
	$(AM_V_GEN)$(MKDIR_P) %D% && set -e; files=; \
	for f in $(PAGE_FILES); do \
		if test -f "$$f"; then files="$$files $$f"; \
		else files="$$files $(srcdir)/$$f"; fi; done; \
	if test -f %D%/embed.sh; then script=%D%/embed.sh; \
	else script=$(srcdir)/%D%/embed.sh; fi; \
	LC_ALL=C $(SHELL) $$script $$files > $@.new && mv $@.new $@

nodist_cloudosd_cloudosd_SOURCES = %D%/page_files.c
EXTRA_DIST += %D%/README.md %D%/embed.sh $(PAGE_FILES)
CLEANFILES += %D%/page_files.c
