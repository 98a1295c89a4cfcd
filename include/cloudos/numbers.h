/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the private system calls: CLOUDOS_SYS_<name> for syscall(2), which works
 * from any language.  The functions of <cloudos/cloudos.h> use them; so may you.
 *
 * The raw result of a private call is >= 0, or -(2000 + n) for CLOUDOS_E<n>.  syscall()
 * of a C library turns that into -1 with errno 2000 + n; cloudos_raw_error() tells:
 *
 *	if (syscall(CLOUDOS_SYS_service_deregister, "hello") < 0)
 *		code = cloudos_raw_error(errno);        // CLOUDOS_ENOENT; 0: not ours
 *
 * Two errors are the kernel's own: ENOSYS says that the program is not running under
 * cloudos-exec, EINTR that a signal interrupted a call that may block.
 */
#ifndef CLOUDOS_NUMBERS_H
#define CLOUDOS_NUMBERS_H

#include <cloudos/base.h>

/* File system operations */
#define CLOUDOS_SYS_sys_opendir 20900
#define CLOUDOS_SYS_sys_readdir 20901

/* Containers: 20000 */
#define CLOUDOS_SYS_sys_container_create  20000
#define CLOUDOS_SYS_sys_container_start   20001
#define CLOUDOS_SYS_sys_container_stop    20002
#define CLOUDOS_SYS_sys_container_destroy 20003
#define CLOUDOS_SYS_container_create      20004
#define CLOUDOS_SYS_container_start       20005
#define CLOUDOS_SYS_container_stop        20006
#define CLOUDOS_SYS_container_restart     20007
#define CLOUDOS_SYS_container_pause       20008
#define CLOUDOS_SYS_container_unpause     20009
#define CLOUDOS_SYS_container_destroy     20010
#define CLOUDOS_SYS_container_get_status  20011

/* AI: 20100 */
#define CLOUDOS_SYS_sys_ai_load_model   20100
#define CLOUDOS_SYS_sys_ai_inference    20101
#define CLOUDOS_SYS_sys_ai_unload_model 20102
#define CLOUDOS_SYS_ai_load_model       20103
#define CLOUDOS_SYS_ai_unload_model     20104
#define CLOUDOS_SYS_ai_inference        20105
#define CLOUDOS_SYS_ai_get_model_info   20106
#define CLOUDOS_SYS_ai_optimize_model   20107

/* Cloud: 20200 */
#define CLOUDOS_SYS_sys_cloud_register_service 20200
#define CLOUDOS_SYS_sys_cloud_discover_service 20201
#define CLOUDOS_SYS_sys_cloud_scale            20202
#define CLOUDOS_SYS_cloud_register_node        20203
#define CLOUDOS_SYS_cloud_deregister_node      20204
#define CLOUDOS_SYS_cloud_report_metrics       20205
#define CLOUDOS_SYS_cloud_get_cluster_info     20206
#define CLOUDOS_SYS_cloud_scale_service        20207
#define CLOUDOS_SYS_cloud_update_service       20208

/* IPC: 20300 */
#define CLOUDOS_SYS_ipc_send             20300
#define CLOUDOS_SYS_ipc_receive          20301
#define CLOUDOS_SYS_ipc_reply            20302
#define CLOUDOS_SYS_ipc_register_service 20303
#define CLOUDOS_SYS_ipc_discover_service 20304

/* Shared memory: 20400 */
#define CLOUDOS_SYS_shm_create 20400
#define CLOUDOS_SYS_shm_open   20401
#define CLOUDOS_SYS_shm_map    20402
#define CLOUDOS_SYS_shm_unmap  20403
#define CLOUDOS_SYS_shm_unlink 20404

/* Services: 20500 */
#define CLOUDOS_SYS_service_register     20500
#define CLOUDOS_SYS_service_deregister   20501
#define CLOUDOS_SYS_service_discover     20502
#define CLOUDOS_SYS_service_health_check 20503

/* Load balancing: 20600 */
#define CLOUDOS_SYS_lb_create_pool    20600
#define CLOUDOS_SYS_lb_add_backend    20601
#define CLOUDOS_SYS_lb_remove_backend 20602
#define CLOUDOS_SYS_lb_get_backend    20603

/* Errors: 20700 */
#define CLOUDOS_SYS_report_error   20700
#define CLOUDOS_SYS_get_last_error 20701
#define CLOUDOS_SYS_clear_error    20702

/* Authentication and authorization: 20800 */
#define CLOUDOS_SYS_auth_authenticate      20800
#define CLOUDOS_SYS_auth_create_session    20801
#define CLOUDOS_SYS_auth_validate_session  20802
#define CLOUDOS_SYS_auth_destroy_session   20803
#define CLOUDOS_SYS_authz_check_permission 20804
#define CLOUDOS_SYS_authz_set_capability   20805
#define CLOUDOS_SYS_authz_has_capability   20806

/* Cryptography: 20850 */
#define CLOUDOS_SYS_crypto_generate_key 20850
#define CLOUDOS_SYS_crypto_encrypt      20851
#define CLOUDOS_SYS_crypto_decrypt      20852
#define CLOUDOS_SYS_crypto_hash         20853

/* Files through the file system service: 20902, after opendir and readdir */
#define CLOUDOS_SYS_vfs_mount   20902
#define CLOUDOS_SYS_vfs_unmount 20903
#define CLOUDOS_SYS_vfs_create  20904
#define CLOUDOS_SYS_vfs_delete  20905
#define CLOUDOS_SYS_vfs_rename  20906
#define CLOUDOS_SYS_vfs_stat    20907
#define CLOUDOS_SYS_file_open   20908
#define CLOUDOS_SYS_file_close  20909
#define CLOUDOS_SYS_file_read   20910
#define CLOUDOS_SYS_file_write  20911
#define CLOUDOS_SYS_file_seek   20912
#define CLOUDOS_SYS_file_ioctl  20913

/* Network interfaces: 21000 */
#define CLOUDOS_SYS_network_interface_up   21000
#define CLOUDOS_SYS_network_interface_down 21001
#define CLOUDOS_SYS_network_set_ip_address 21002
#define CLOUDOS_SYS_network_set_gateway    21003
#define CLOUDOS_SYS_network_get_stats      21004

/* Devices: 21100 */
#define CLOUDOS_SYS_device_probe    21100
#define CLOUDOS_SYS_device_remove   21101
#define CLOUDOS_SYS_device_suspend  21102
#define CLOUDOS_SYS_device_resume   21103
#define CLOUDOS_SYS_device_reset    21104
#define CLOUDOS_SYS_device_io_read  21105
#define CLOUDOS_SYS_device_io_write 21106
#define CLOUDOS_SYS_device_io_ioctl 21107
#define CLOUDOS_SYS_device_io_mmap  21108

/* Versions: 21900.  domain tells one daemon's world from another's */
#define CLOUDOS_SYS_interface_version 21900
#define CLOUDOS_SYS_interface_require 21901
#define CLOUDOS_SYS_domain            21902

#define CLOUDOS_RAW_BASE 2000

/* The CLOUDOS_E* code in the errno that syscall() left; 0 if that errno is the kernel's. */
static inline int cloudos_raw_error(int errnum)
{
	return errnum > CLOUDOS_RAW_BASE && errnum <= CLOUDOS_RAW_BASE + 19
		       ? CLOUDOS_RAW_BASE - errnum
		       : 0;
}

#endif
