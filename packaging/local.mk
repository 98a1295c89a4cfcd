# SPDX-License-Identifier: MIT
# What is installed beside the programs, and the Debian package.

# ---- systemd units; the folders are options of configure ----
nodist_systemduserunit_DATA = packaging/systemd/user/cloudosd.service
nodist_systemdsystemunit_DATA = packaging/systemd/system/cloudosd.service
EXTRA_DIST += %D%/systemd/cloudosd-user.service.in %D%/systemd/cloudosd.service.in
CLEANFILES += $(nodist_systemduserunit_DATA) $(nodist_systemdsystemunit_DATA)

UNIT_EDIT = $(SED) -e 's,@bindir\@,$(bindir),g' -e 's,@pkglibexecdir\@,$(pkglibexecdir),g'

packaging/systemd/user/cloudosd.service: %D%/systemd/cloudosd-user.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(UNIT_EDIT) $(srcdir)/%D%/systemd/cloudosd-user.service.in >$@
packaging/systemd/system/cloudosd.service: %D%/systemd/cloudosd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(UNIT_EDIT) $(srcdir)/%D%/systemd/cloudosd.service.in >$@

# ---- examples, as a folder: a new one is installed without being named here ----
dist_noinst_SCRIPTS += examples/tour.sh
dist_doc_DATA = README.md COPYING

install-data-hook:
	$(MKDIR_P) '$(DESTDIR)$(docdir)/examples'
	cp -R '$(srcdir)/examples/.' '$(DESTDIR)$(docdir)/examples/'
	find '$(DESTDIR)$(docdir)/examples' '(' -name local.mk -o -name '*.o' -o -name .dirstamp -o -path '*/.deps*' ')' -delete
	find '$(DESTDIR)$(docdir)/examples' -exec chmod u+w,go-w,a+rX {} +

uninstall-hook:
	rm -rf '$(DESTDIR)$(docdir)/examples'

# ---- the registry of names ----
dist_pkgdata_DATA = %D%/services.yaml

# ---- make deb ----
EXTRA_DIST += %D%/README.md %D%/debian/build %D%/debian/control.in %D%/debian/prerm \
	%D%/debian/postrm %D%/debian/triggers

deb:
	$(srcdir)/%D%/debian/build '$(abs_srcdir)' '$(abs_builddir)' '$(PACKAGE_VERSION)'
.PHONY: deb

clean-local:
	rm -rf deb
	rm -f cloudos_*_*.deb
