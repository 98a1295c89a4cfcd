# SPDX-License-Identifier: MIT
# Guest programs: guest code, so without sanitizers; half of what they do is a bad pointer.
# They are linked as programs elsewhere are, with the archive; -static is libtool's, our
# library in the program and libc beside it.
GUEST_TEST_PREPROCESS = -D_GNU_SOURCE -I$(srcdir)/include -I$(srcdir)
GUEST_TEST_COMPILE = $(GUEST_CFLAGS) -pthread
GUEST_TEST_LINK = -static -pthread

guest_cloudos = \
	guest-cloudos-absent \
	guest-cloudos-bad_pointers \
	guest-cloudos-clear_error \
	guest-cloudos-container_create \
	guest-cloudos-container_destroy \
	guest-cloudos-container_get_status \
	guest-cloudos-container_pause \
	guest-cloudos-container_restart \
	guest-cloudos-container_start \
	guest-cloudos-container_stop \
	guest-cloudos-container_unpause \
	guest-cloudos-domain \
	guest-cloudos-fork_threads \
	guest-cloudos-get_last_error \
	guest-cloudos-interface_require \
	guest-cloudos-interface_version \
	guest-cloudos-ipc_direct \
	guest-cloudos-ipc_discover_service \
	guest-cloudos-ipc_namespaces \
	guest-cloudos-ipc_receive \
	guest-cloudos-ipc_register_service \
	guest-cloudos-ipc_reply \
	guest-cloudos-ipc_send \
	guest-cloudos-report_error \
	guest-cloudos-service_deregister \
	guest-cloudos-service_discover \
	guest-cloudos-service_health_check \
	guest-cloudos-service_register \
	guest-cloudos-shm_create \
	guest-cloudos-shm_map \
	guest-cloudos-shm_open \
	guest-cloudos-shm_unlink \
	guest-cloudos-shm_unmap \
	guest-cloudos-signals \
	guest-cloudos-sys_cloud_discover_service \
	guest-cloudos-sys_cloud_register_service \
	guest-cloudos-sys_container_create \
	guest-cloudos-sys_container_destroy \
	guest-cloudos-sys_container_start \
	guest-cloudos-sys_container_stop \
	guest-cloudos-sys_opendir \
	guest-cloudos-sys_readdir
check_PROGRAMS += $(guest_cloudos)

guest_cloudos_absent_SOURCES = %D%/cloudos/absent.c
guest_cloudos_absent_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_absent_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_absent_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_absent_LDADD = libcloudos.la
guest_cloudos_bad_pointers_SOURCES = %D%/cloudos/bad_pointers.c
guest_cloudos_bad_pointers_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_bad_pointers_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_bad_pointers_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_bad_pointers_LDADD = libcloudos.la
guest_cloudos_clear_error_SOURCES = %D%/cloudos/clear_error.c
guest_cloudos_clear_error_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_clear_error_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_clear_error_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_clear_error_LDADD = libcloudos.la
guest_cloudos_container_create_SOURCES = %D%/cloudos/container_create.c
guest_cloudos_container_create_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_create_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_create_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_create_LDADD = libcloudos.la
guest_cloudos_container_destroy_SOURCES = %D%/cloudos/container_destroy.c
guest_cloudos_container_destroy_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_destroy_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_destroy_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_destroy_LDADD = libcloudos.la
guest_cloudos_container_get_status_SOURCES = %D%/cloudos/container_get_status.c
guest_cloudos_container_get_status_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_get_status_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_get_status_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_get_status_LDADD = libcloudos.la
guest_cloudos_container_pause_SOURCES = %D%/cloudos/container_pause.c
guest_cloudos_container_pause_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_pause_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_pause_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_pause_LDADD = libcloudos.la
guest_cloudos_container_restart_SOURCES = %D%/cloudos/container_restart.c
guest_cloudos_container_restart_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_restart_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_restart_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_restart_LDADD = libcloudos.la
guest_cloudos_container_start_SOURCES = %D%/cloudos/container_start.c
guest_cloudos_container_start_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_start_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_start_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_start_LDADD = libcloudos.la
guest_cloudos_container_stop_SOURCES = %D%/cloudos/container_stop.c
guest_cloudos_container_stop_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_stop_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_stop_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_stop_LDADD = libcloudos.la
guest_cloudos_container_unpause_SOURCES = %D%/cloudos/container_unpause.c
guest_cloudos_container_unpause_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_container_unpause_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_container_unpause_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_container_unpause_LDADD = libcloudos.la
guest_cloudos_sys_container_create_SOURCES = %D%/cloudos/sys_container_create.c
guest_cloudos_sys_container_create_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_container_create_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_container_create_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_container_create_LDADD = libcloudos.la
guest_cloudos_sys_container_destroy_SOURCES = %D%/cloudos/sys_container_destroy.c
guest_cloudos_sys_container_destroy_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_container_destroy_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_container_destroy_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_container_destroy_LDADD = libcloudos.la
guest_cloudos_sys_container_start_SOURCES = %D%/cloudos/sys_container_start.c
guest_cloudos_sys_container_start_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_container_start_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_container_start_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_container_start_LDADD = libcloudos.la
guest_cloudos_sys_container_stop_SOURCES = %D%/cloudos/sys_container_stop.c
guest_cloudos_sys_container_stop_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_container_stop_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_container_stop_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_container_stop_LDADD = libcloudos.la
guest_cloudos_domain_SOURCES = %D%/cloudos/domain.c
guest_cloudos_domain_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_domain_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_domain_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_domain_LDADD = libcloudos.la
guest_cloudos_fork_threads_SOURCES = %D%/cloudos/fork_threads.c
guest_cloudos_fork_threads_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_fork_threads_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_fork_threads_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_fork_threads_LDADD = libcloudos.la
guest_cloudos_get_last_error_SOURCES = %D%/cloudos/get_last_error.c
guest_cloudos_get_last_error_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_get_last_error_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_get_last_error_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_get_last_error_LDADD = libcloudos.la
guest_cloudos_interface_require_SOURCES = %D%/cloudos/interface_require.c
guest_cloudos_interface_require_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_interface_require_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_interface_require_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_interface_require_LDADD = libcloudos.la
guest_cloudos_interface_version_SOURCES = %D%/cloudos/interface_version.c
guest_cloudos_interface_version_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_interface_version_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_interface_version_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_interface_version_LDADD = libcloudos.la
guest_cloudos_ipc_direct_SOURCES = %D%/cloudos/ipc_direct.c
guest_cloudos_ipc_direct_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_direct_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_direct_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_direct_LDADD = libcloudos.la
guest_cloudos_ipc_discover_service_SOURCES = %D%/cloudos/ipc_discover_service.c
guest_cloudos_ipc_discover_service_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_discover_service_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_discover_service_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_discover_service_LDADD = libcloudos.la
guest_cloudos_ipc_namespaces_SOURCES = %D%/cloudos/ipc_namespaces.c
guest_cloudos_ipc_namespaces_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_namespaces_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_namespaces_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_namespaces_LDADD = libcloudos.la
guest_cloudos_ipc_receive_SOURCES = %D%/cloudos/ipc_receive.c
guest_cloudos_ipc_receive_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_receive_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_receive_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_receive_LDADD = libcloudos.la
guest_cloudos_ipc_register_service_SOURCES = %D%/cloudos/ipc_register_service.c
guest_cloudos_ipc_register_service_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_register_service_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_register_service_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_register_service_LDADD = libcloudos.la
guest_cloudos_ipc_reply_SOURCES = %D%/cloudos/ipc_reply.c
guest_cloudos_ipc_reply_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_reply_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_reply_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_reply_LDADD = libcloudos.la
guest_cloudos_ipc_send_SOURCES = %D%/cloudos/ipc_send.c
guest_cloudos_ipc_send_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_ipc_send_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_ipc_send_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_ipc_send_LDADD = libcloudos.la
guest_cloudos_report_error_SOURCES = %D%/cloudos/report_error.c
guest_cloudos_report_error_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_report_error_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_report_error_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_report_error_LDADD = libcloudos.la
guest_cloudos_service_deregister_SOURCES = %D%/cloudos/service_deregister.c
guest_cloudos_service_deregister_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_service_deregister_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_service_deregister_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_service_deregister_LDADD = libcloudos.la
guest_cloudos_service_discover_SOURCES = %D%/cloudos/service_discover.c
guest_cloudos_service_discover_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_service_discover_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_service_discover_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_service_discover_LDADD = libcloudos.la
guest_cloudos_service_health_check_SOURCES = %D%/cloudos/service_health_check.c
guest_cloudos_service_health_check_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_service_health_check_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_service_health_check_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_service_health_check_LDADD = libcloudos.la
guest_cloudos_service_register_SOURCES = %D%/cloudos/service_register.c
guest_cloudos_service_register_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_service_register_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_service_register_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_service_register_LDADD = libcloudos.la
guest_cloudos_shm_create_SOURCES = %D%/cloudos/shm_create.c
guest_cloudos_shm_create_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_shm_create_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_shm_create_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_shm_create_LDADD = libcloudos.la
guest_cloudos_shm_map_SOURCES = %D%/cloudos/shm_map.c
guest_cloudos_shm_map_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_shm_map_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_shm_map_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_shm_map_LDADD = libcloudos.la
guest_cloudos_shm_open_SOURCES = %D%/cloudos/shm_open.c
guest_cloudos_shm_open_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_shm_open_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_shm_open_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_shm_open_LDADD = libcloudos.la
guest_cloudos_shm_unlink_SOURCES = %D%/cloudos/shm_unlink.c
guest_cloudos_shm_unlink_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_shm_unlink_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_shm_unlink_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_shm_unlink_LDADD = libcloudos.la
guest_cloudos_shm_unmap_SOURCES = %D%/cloudos/shm_unmap.c
guest_cloudos_shm_unmap_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_shm_unmap_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_shm_unmap_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_shm_unmap_LDADD = libcloudos.la
guest_cloudos_signals_SOURCES = %D%/cloudos/signals.c
guest_cloudos_signals_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_signals_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_signals_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_signals_LDADD = libcloudos.la
guest_cloudos_sys_cloud_discover_service_SOURCES = %D%/cloudos/sys_cloud_discover_service.c
guest_cloudos_sys_cloud_discover_service_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_cloud_discover_service_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_cloud_discover_service_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_cloud_discover_service_LDADD = libcloudos.la
guest_cloudos_sys_cloud_register_service_SOURCES = %D%/cloudos/sys_cloud_register_service.c
guest_cloudos_sys_cloud_register_service_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_cloud_register_service_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_cloud_register_service_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_cloud_register_service_LDADD = libcloudos.la
guest_cloudos_sys_opendir_SOURCES = %D%/cloudos/sys_opendir.c
guest_cloudos_sys_opendir_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_opendir_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_opendir_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_opendir_LDADD = libcloudos.la
guest_cloudos_sys_readdir_SOURCES = %D%/cloudos/sys_readdir.c
guest_cloudos_sys_readdir_CPPFLAGS = $(GUEST_TEST_PREPROCESS)
guest_cloudos_sys_readdir_CFLAGS = $(GUEST_TEST_COMPILE)
guest_cloudos_sys_readdir_LDFLAGS = $(GUEST_TEST_LINK)
guest_cloudos_sys_readdir_LDADD = libcloudos.la

TESTS += %D%/notify.test %D%/launcher.test %D%/ptrace.test %D%/trap.test %D%/trap-memory.test %D%/examples.test
EXTRA_DIST += %D%/README.md %D%/run.sh %D%/notify.test %D%/launcher.test %D%/ptrace.test %D%/trap.test %D%/trap-memory.test %D%/examples.test \
	%D%/cloudos/guest.h %D%/cloudos/message.h %D%/cloudos/shm.h %D%/cloudos/net.h %D%/cloudos/folder.h %D%/cloudos/container.h
