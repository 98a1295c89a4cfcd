/* SPDX-License-Identifier: MIT */
/*
 * The specification's own names for the functions of <cloudos/cloudos.h>, for programs
 * that are written with them.  They are macros, because libc owns some of the names:
 * shm_open and shm_unlink mean CloudOS's below this line, with CloudOS's arguments.
 * Include it after the headers of libc.
 */
#ifndef CLOUDOS_SEED_NAMES_H
#define CLOUDOS_SEED_NAMES_H

#include <cloudos/cloudos.h>
#include <sys/mman.h>

#define sys_exit                   cloudos_sys_exit
#define sys_fork                   cloudos_sys_fork
#define sys_execve                 cloudos_sys_execve
#define sys_wait4                  cloudos_sys_wait4
#define sys_getpid                 cloudos_sys_getpid
#define sys_getppid                cloudos_sys_getppid
#define sys_getuid                 cloudos_sys_getuid
#define sys_getgid                 cloudos_sys_getgid
#define sys_mmap                   cloudos_sys_mmap
#define sys_munmap                 cloudos_sys_munmap
#define sys_mprotect               cloudos_sys_mprotect
#define sys_brk                    cloudos_sys_brk
#define sys_open                   cloudos_sys_open
#define sys_close                  cloudos_sys_close
#define sys_read                   cloudos_sys_read
#define sys_write                  cloudos_sys_write
#define sys_lseek                  cloudos_sys_lseek
#define sys_mkdir                  cloudos_sys_mkdir
#define sys_rmdir                  cloudos_sys_rmdir
#define sys_opendir                cloudos_sys_opendir
#define sys_readdir                cloudos_sys_readdir
#define sys_socket                 cloudos_sys_socket
#define sys_bind                   cloudos_sys_bind
#define sys_listen                 cloudos_sys_listen
#define sys_accept                 cloudos_sys_accept
#define sys_connect                cloudos_sys_connect
#define sys_container_create       cloudos_sys_container_create
#define sys_container_start        cloudos_sys_container_start
#define sys_container_stop         cloudos_sys_container_stop
#define sys_container_destroy      cloudos_sys_container_destroy
#define sys_ai_load_model          cloudos_sys_ai_load_model
#define sys_ai_inference           cloudos_sys_ai_inference
#define sys_ai_unload_model        cloudos_sys_ai_unload_model
#define sys_cloud_register_service cloudos_sys_cloud_register_service
#define sys_cloud_discover_service cloudos_sys_cloud_discover_service
#define sys_cloud_scale            cloudos_sys_cloud_scale
#define ipc_send                   cloudos_ipc_send
#define ipc_receive                cloudos_ipc_receive
#define ipc_reply                  cloudos_ipc_reply
#define ipc_register_service       cloudos_ipc_register_service
#define ipc_discover_service       cloudos_ipc_discover_service
#define shm_create                 cloudos_shm_create
#define shm_open                   cloudos_shm_open
#define shm_map                    cloudos_shm_map
#define shm_unmap                  cloudos_shm_unmap
#define shm_unlink                 cloudos_shm_unlink
#define service_register           cloudos_service_register
#define service_deregister         cloudos_service_deregister
#define service_discover           cloudos_service_discover
#define service_health_check       cloudos_service_health_check
#define lb_create_pool             cloudos_lb_create_pool
#define lb_add_backend             cloudos_lb_add_backend
#define lb_remove_backend          cloudos_lb_remove_backend
#define lb_get_backend             cloudos_lb_get_backend
#define report_error               cloudos_report_error
#define get_last_error             cloudos_get_last_error
#define clear_error                cloudos_clear_error

#endif
