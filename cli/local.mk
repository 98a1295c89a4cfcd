# SPDX-License-Identifier: MIT
# What cloudosctl and cloudos-exec share.
noinst_LIBRARIES += libcocli.a
libcocli_a_SOURCES = \
	%D%/client.h %D%/client.c \
	%D%/probe.h %D%/probe.c %D%/probe_engine.c %D%/probe_trap.c \
	%D%/start.h %D%/start.c
libcocli_a_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
EXTRA_DIST += %D%/README.md

# cloudosctl
bin_PROGRAMS += cloudosctl
cloudosctl_SOURCES = \
	%D%/ctl.h %D%/cloudosctl.c \
	%D%/commands.def %D%/commands.c \
	%D%/options.c %D%/help.c %D%/completion.c %D%/talk.c \
	%D%/gateway.h %D%/gateway.c %D%/gateway_show.c \
	%D%/http_ask.h %D%/http_ask.c %D%/cmd_check.c \
	%D%/print.h %D%/print.c \
	%D%/units.h %D%/units.c \
	%D%/container.h %D%/container.c %D%/container_config.h %D%/container_config.c \
	%D%/container_options.c \
	%D%/attach.h %D%/attach.c \
	%D%/apply.h %D%/apply_file.c %D%/apply_order.c %D%/apply_plan.c %D%/apply_do.c \
	%D%/guest.h %D%/guest.c %D%/guest_keep.c \
	%D%/cmd_apply.c %D%/cmd_guest.c \
	%D%/cmd_container.c %D%/cmd_container_run.c %D%/cmd_container_logs.c \
	%D%/cmd_container_stats.c %D%/cmd_container_files.c %D%/cmd_image.c \
	%D%/cmd_volume.c \
	%D%/cmd_about.c %D%/cmd_channel.c %D%/cmd_daemon.c %D%/cmd_doctor.c %D%/doctor.h %D%/doctor_container.c \
	%D%/cmd_job.c \
	%D%/cmd_event.c %D%/cmd_log.c %D%/cmd_metric.c %D%/cmd_page.c \
	%D%/cmd_personality.c %D%/cmd_rpc.c %D%/cmd_service.c %D%/cmd_session.c %D%/cmd_state.c \
	%D%/cmd_store.c %D%/cmd_surface.c
cloudosctl_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
cloudosctl_LDADD = libcocli.a libctr.a libservice.a libanossystem.a libpersonality.a $(CO_HTTP_LIBS) libco.a $(YAML_LIBS) $(PNG_LIBS) -ldl

# Its completions and its manual page come out of commands.def.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_bashcompletion_DATA = completions/cloudosctl
nodist_zshcompletion_DATA = completions/_cloudosctl
CLEANFILES += $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA)
completions/cloudosctl: cloudosctl$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) completions && ./cloudosctl completion bash >$@.new && mv $@.new $@
completions/_cloudosctl: cloudosctl$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) completions && ./cloudosctl completion zsh >$@.new && mv $@.new $@

# cloudos-exec
bin_PROGRAMS += cloudos-exec
cloudos_exec_SOURCES = \
	%D%/cloudos-exec.c \
	%D%/anos.h %D%/anos.c \
	%D%/choose.h %D%/choose.c \
	%D%/confine.h %D%/confine.c %D%/confine_inside.h %D%/confine_view.c \
	%D%/prefetch.h %D%/prefetch.c \
	%D%/filter.h %D%/filter.c \
	%D%/launch.h %D%/launch.c \
	%D%/peer.h %D%/peer.c \
	%D%/ptrace.h %D%/ptrace.c \
	%D%/relay.h %D%/relay.c \
	%D%/service.h %D%/service.c \
	%D%/system.h %D%/system.c %D%/system_debug.c %D%/system_start.c \
	%D%/trap.h %D%/trap.c
cloudos_exec_CFLAGS = $(AM_CFLAGS) $(CO_BANNED)
# static, so that it runs in containers whatever they have
cloudos_exec_LDFLAGS = $(CO_CTR_LDFLAGS)
cloudos_exec_LDADD = libcocli.a libctr.a liblaunch.a libanossystem.a libpersonality.a libring.a libco.a $(SECCOMP_LIBS)
