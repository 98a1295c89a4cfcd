# SPDX-License-Identifier: MIT
EXTRA_DIST += %D%/containers-conformance.md
EXTRA_DIST += %D%/containers.md
EXTRA_DIST += %D%/README.md \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/gateway.md %D%/glossary.md %D%/handlers.md %D%/telemetry.md %D%/testing.md \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/glossary.md %D%/handlers.md %D%/services.md %D%/testing.md \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/glossary.md %D%/handlers.md %D%/telemetry.md %D%/testing.md \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/glossary.md %D%/handlers.md %D%/jobs.md %D%/telemetry.md %D%/testing.md \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/glossary.md %D%/handlers.md %D%/state.md %D%/telemetry.md %D%/testing.md \
	%D%/adding-a-personality.md %D%/adding-an-operation.md \
	%D%/spec/anos.md %D%/spec/blackroad.md %D%/spec/clankeros.md \
	%D%/spec/cloudos.md %D%/spec/playsys.md
EXTRA_DIST += %D%/images.md
EXTRA_DIST += \
	%D%/images/page-containers.png %D%/images/page-guests.png %D%/images/page-jobs.png %D%/images/page-logs.png \
	%D%/images/page-metrics.png %D%/images/page-overview.png %D%/images/page-phone.png \
	%D%/images/page-state.png %D%/images/page-trace.png
# Manual pages: cloudosctl writes its own, the others are written by hand.
dist_man_MANS = %D%/man/cloudos-exec.1 %D%/man/cloudosd.8 %D%/man/cloudosd.yaml.5
nodist_man_MANS = %D%/man/cloudosctl.1
CLEANFILES += %D%/man/cloudosctl.1
%D%/man/cloudosctl.1: cloudosctl$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) %D%/man && ./cloudosctl help --man >$@.new && mv $@.new $@

# What cloudosctl prints of the tables; tests/cli/ctl-personality.sh compares it.
personality_pages = \
	%D%/personality/anos.md %D%/personality/blackroad.md %D%/personality/clankeros.md \
	%D%/personality/cloudos.md %D%/personality/linux.md %D%/personality/playsys.md
EXTRA_DIST += $(personality_pages)
.PHONY: update-personality-documents
update-personality-documents: cloudosctl$(EXEEXT)
	for page in $(personality_pages); do \
		name=`basename $$page .md` && \
		./cloudosctl personality show $$name -o markdown >$(srcdir)/$$page || exit 1; \
	done
update-documents: update-personality-documents
EXTRA_DIST += %D%/confine.md
EXTRA_DIST += %D%/containers-network.md
