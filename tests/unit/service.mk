# SPDX-License-Identifier: MIT
# The services of cloudosd, on a fake host and a fake store.
SERVICE_TESTS = \
	%D%/attached \
	%D%/container \
	%D%/container_spec \
	%D%/cron \
	%D%/errors \
	%D%/feed \
	%D%/handler \
	%D%/health \
	%D%/idempotency \
	%D%/image \
	%D%/ipc \
	%D%/job \
	%D%/message \
	%D%/process \
	%D%/registry \
	%D%/shm \
	%D%/state \
	%D%/telemetry \
	%D%/zone
SERVICE_TEST_LIBS = libservice.a libco.a $(CHECK_LIBS) -ldl
SERVICE_FAKES = \
	%D%/fake_host.h %D%/fake_host.c \
	%D%/loopback.h %D%/loopback.c

if HAVE_CHECK
check_PROGRAMS += $(SERVICE_TESTS)
TESTS += $(SERVICE_TESTS)
endif

%C%_attached_SOURCES = %D%/attached.c $(SERVICE_FAKES)
%C%_attached_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_attached_LDADD = $(SERVICE_TEST_LIBS)

%C%_container_SOURCES = %D%/container.c %D%/memory_store.h %D%/memory_store.c $(SERVICE_FAKES)
%C%_container_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_container_LDADD = $(SERVICE_TEST_LIBS)

%C%_container_spec_SOURCES = %D%/container_spec.c
%C%_container_spec_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_container_spec_LDADD = $(SERVICE_TEST_LIBS)

%C%_cron_SOURCES = %D%/cron.c %D%/tzif.h %D%/tzif.c
%C%_cron_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_cron_LDADD = $(SERVICE_TEST_LIBS)

%C%_errors_SOURCES = %D%/errors.c
%C%_errors_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_errors_LDADD = $(SERVICE_TEST_LIBS)

%C%_handler_SOURCES = %D%/handler.c $(SERVICE_FAKES)
%C%_handler_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_handler_LDADD = $(SERVICE_TEST_LIBS)

%C%_health_SOURCES = %D%/health.c $(SERVICE_FAKES)
%C%_health_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_health_LDADD = $(SERVICE_TEST_LIBS)

%C%_image_SOURCES = %D%/image.c $(SERVICE_FAKES)
%C%_image_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_image_LDADD = libservice.a $(CO_IMAGE_LIBS) $(SERVICE_TEST_LIBS)

%C%_ipc_SOURCES = %D%/ipc.c $(SERVICE_FAKES)
%C%_ipc_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_ipc_LDADD = $(SERVICE_TEST_LIBS)

%C%_job_SOURCES = %D%/job.c %D%/job_schedule.c %D%/job_chaos.c %D%/job_fixture.h %D%/job_fixture.c \
	%D%/memory_store.h %D%/memory_store.c %D%/tzif.h %D%/tzif.c $(SERVICE_FAKES)
%C%_job_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_job_LDADD = $(SERVICE_TEST_LIBS)

%C%_message_SOURCES = %D%/message.c $(SERVICE_FAKES)
%C%_message_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_message_LDADD = $(SERVICE_TEST_LIBS)

%C%_process_SOURCES = %D%/process.c
%C%_process_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_process_LDADD = $(SERVICE_TEST_LIBS)

%C%_registry_SOURCES = %D%/registry.c %D%/registry_life.c %D%/registry_load.c \
	%D%/registry_fixture.h %D%/registry_fixture.c \
	%D%/fake_store.h %D%/fake_store.c $(SERVICE_FAKES)
%C%_registry_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_registry_LDADD = $(SERVICE_TEST_LIBS)

%C%_shm_SOURCES = %D%/shm.c
%C%_shm_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_shm_LDADD = $(SERVICE_TEST_LIBS)

%C%_state_SOURCES = %D%/state.c %D%/fake_host.h %D%/fake_host.c
%C%_state_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_state_LDADD = libservice.a libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
%C%_zone_SOURCES = %D%/zone.c %D%/tzif.h %D%/tzif.c
%C%_zone_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_zone_LDADD = $(SERVICE_TEST_LIBS)

%C%_feed_SOURCES = %D%/feed.c %D%/fake_rows.h %D%/fake_rows.c $(SERVICE_FAKES)
%C%_feed_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_feed_LDADD = $(SERVICE_TEST_LIBS)

%C%_telemetry_SOURCES = %D%/telemetry.c %D%/fake_rows.h %D%/fake_rows.c $(SERVICE_FAKES)
%C%_telemetry_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_telemetry_LDADD = $(SERVICE_TEST_LIBS)

%C%_idempotency_SOURCES = %D%/idempotency.c %D%/fake_host.h %D%/fake_host.c
%C%_idempotency_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
%C%_idempotency_LDADD = libservice.a libstoreclient.a $(STORE_LIBS) $(CHECK_LIBS)
