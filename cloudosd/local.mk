# SPDX-License-Identifier: MIT
include personality/blackroad/local.mk
include cloudosd/service/local.mk
include cloudosd/sites/local.mk
include cloudosd/ctr/local.mk
include cloudosd/image/local.mk

# Built inside the folder of its name: the build folder cannot hold both.
bin_PROGRAMS += cloudosd/cloudosd
cloudosd_cloudosd_SOURCES = \
	%D%/main.c %D%/daemon.h \
	%D%/service/bridge.h %D%/bridge_inside.h %D%/bridge.c %D%/bridge_own.c %D%/bridge_ring.c \
	%D%/addresses.h %D%/addresses.c \
	%D%/call.h %D%/call.c \
	%D%/client.h \
	%D%/config.def %D%/config.h %D%/config.c \
	%D%/containers.h %D%/containers_inside.h %D%/containers.c \
	%D%/containers_base.c %D%/containers_bundle.c %D%/containers_network.c %D%/containers_subnet.c \
	%D%/containers_volume.c %D%/containers_logs.c \
	%D%/containers_monitor.c \
	%D%/containers_runtime.c \
	%D%/containers_user.c \
	%D%/containers_work.c \
	%D%/control.h %D%/control.c \
	%D%/core.h %D%/core.c \
	%D%/http/server.h %D%/http/inside.h %D%/http/server.c %D%/http/listen.c \
	%D%/http/connection.c %D%/http/output.c %D%/http/answer.c %D%/http/stream.c \
	%D%/http/access.c %D%/http/peer_holder.h %D%/http/peer_uid.c %D%/http/peer_holder.c \
	%D%/http/client.h %D%/http/client_inside.h %D%/http/client_backend.c %D%/http/client.c %D%/http/wire.h %D%/http/wire.c \
	%D%/http/outgoing.h %D%/http/outgoing.c \
	%D%/http/front.h %D%/http/front_inside.h %D%/http/front.c \
	%D%/http/front_connection.c %D%/http/front_head.h %D%/http/front_head.c \
	%D%/guests.h %D%/guests.c \
	%D%/housed.h %D%/housed.c \
	%D%/images.h %D%/images.c \
	%D%/jobs.h %D%/jobs.c \
	%D%/keeper_link.h %D%/keeper_link.c \
	%D%/leftover.h %D%/leftover.c \
	%D%/link.h %D%/link.c \
	%D%/loop.h %D%/loop.c \
	%D%/marshal.h %D%/marshal.c \
	%D%/member.h %D%/member.c \
	%D%/memory.h %D%/memory.c \
	%D%/names.h %D%/names.c \
	%D%/netns.h %D%/netns.c \
	%D%/notify.h %D%/notify.c \
	%D%/peer.h %D%/peer_inside.h %D%/peer.c %D%/peer_request.c %D%/peer_watch.c \
	%D%/pending.h %D%/pending.c \
	%D%/relay.h %D%/relay.c \
	%D%/request.h %D%/request.c \
	%D%/request_channel.c %D%/request_name.c %D%/request_service.c %D%/request_site.c \
	%D%/request_session.c %D%/request_store.c \
	%D%/serving.h %D%/serving.c \
	%D%/session.h %D%/session.c \
	%D%/handlers_file.h %D%/handlers_file.c \
	%D%/site.h %D%/site.c \
	%D%/spawn.h %D%/spawn.c \
	%D%/site_file.h %D%/site_file.c \
	%D%/sockets.h %D%/sockets.c \
	%D%/table.h %D%/table.c \
	%D%/telemetry.h %D%/telemetry.c \
	%D%/ticks.h \
	%D%/trace.h %D%/trace.c \
	personality/call.h personality/host.h personality/hosts.c \
	personality/cloudos/cloudos.h \
	personality/cloudos/container.c \
	personality/cloudos/dispatch.c \
	personality/cloudos/directory.c \
	personality/cloudos/error.c \
	personality/cloudos/ipc.c \
	personality/cloudos/service.c \
	personality/cloudos/shm.c \
	personality/cloudos/structs.def personality/cloudos/structs.c \
	personality/cloudos/version.c \
	cloudosd/state.h cloudosd/state.c \
	personality/http.h $(BLACKROAD_SOURCES)
cloudosd_cloudosd_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
cloudosd_cloudosd_LDADD = libpersonality.a libservice.a libsites.a libstore.a libring.a \
	libctr.a libco.a \
	$(CO_HTTP_LIBS) $(UV_LIBS) $(SQLITE_LIBS) $(YAML_LIBS) $(Z_LIBS) -ldl

# The registry of names, for a daemon that finds no installed file.
services-yaml.h: packaging/services.yaml
	$(AM_V_GEN)$(SED) -e 's/["\\]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $(srcdir)/packaging/services.yaml >$@
BUILT_SOURCES += services-yaml.h
CLEANFILES += services-yaml.h
cloudosd/cloudosd-names.$(OBJEXT): services-yaml.h

pkglibexec_PROGRAMS += cloudos-keeper
cloudos_keeper_SOURCES = \
	%D%/keeper/keeper.h %D%/keeper/keeper.c \
	%D%/table.h %D%/table.c
cloudos_keeper_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
cloudos_keeper_LDADD = libco.a
EXTRA_DIST += %D%/README.md %D%/http/README.md %D%/ctr/README.md %D%/keeper/README.md
