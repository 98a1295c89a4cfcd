# SPDX-License-Identifier: MIT
noinst_LIBRARIES += libservice.a
libservice_a_SOURCES = \
	%D%/host.h \
	%D%/container.h %D%/container.c \
	%D%/container_ask.c \
	%D%/container_config.h %D%/container_config.c \
	%D%/container_image.h %D%/container_image.c \
	%D%/container_inside.h \
	%D%/container_life.c \
	%D%/container_make.c \
	%D%/container_op.c \
	%D%/container_record.c \
	%D%/container_runtime.h \
	%D%/container_save.c \
	%D%/container_spec.h %D%/container_spec.c \
	%D%/container_words.c \
	%D%/volume.h %D%/volume.c \
	%D%/cron.h %D%/cron.c \
	%D%/errors.h %D%/errors.c \
	%D%/attached.def %D%/attached.h %D%/attached.c \
	%D%/configured.h %D%/configured.c %D%/configured_inside.h \
	%D%/configured_command.c %D%/configured_http.c %D%/spawn.h \
	%D%/handler.h %D%/handler.c %D%/handler_inside.h \
	%D%/handler_builtin.c %D%/handler_call.c \
	%D%/guests.h \
	%D%/handler.h \
	%D%/expiry.h %D%/expiry.c \
	%D%/events.h %D%/events.c %D%/feed.h %D%/feed.c %D%/feed_add.h %D%/feed_add.c \
	%D%/logs.h %D%/logs.c %D%/metrics.h %D%/metrics.c %D%/series.h %D%/series.c \
	%D%/traces.h %D%/traces.c \
	%D%/health.h %D%/health.c \
	%D%/https.h %D%/https.c \
	%D%/idempotency.h %D%/idempotency.c \
	%D%/image.h %D%/image_inside.h %D%/image.c %D%/image_request.c \
	%D%/instance.h %D%/instance.c \
	%D%/ipc.h %D%/ipc.c %D%/ipc_inside.h %D%/ipc_connection.c \
	%D%/ipc_name.c %D%/ipc_port.c %D%/ipc_stats.h %D%/ipc_stats.c %D%/ipc_wait.c \
	%D%/job.h %D%/job_inside.h %D%/job.c %D%/job_list.c %D%/job_record.c %D%/job_request.c \
	%D%/job_run.c %D%/job_tick.c %D%/job_write.c \
	%D%/message.h %D%/message.c %D%/message_inside.h \
	%D%/message_box.c %D%/message_give.c \
	%D%/message_saved.h %D%/message_saved.c \
	%D%/names.h %D%/names.c \
	%D%/outgoing.h \
	%D%/probe.h %D%/probe.c \
	%D%/process.h %D%/process.c \
	%D%/query.c \
	%D%/registry.h %D%/registry.c \
	%D%/shm.h %D%/shm.c \
	%D%/spec.h %D%/spec.c \
	%D%/state.h %D%/state.c \
	%D%/target.h %D%/target.c \
	%D%/zone.h %D%/zone.c \
	%D%/zones.h %D%/zones.c
EXTRA_DIST += %D%/README.md
