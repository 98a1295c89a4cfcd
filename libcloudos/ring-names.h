/* SPDX-License-Identifier: MIT */
/*
 * The functions of ring/ by names of this library's, which no program wants for itself.
 * Included before everything else (-include); tests/libcloudos/symbols.sh finds what is
 * missing here.
 */
#ifndef LIBCLOUDOS_RING_NAMES_H
#define LIBCLOUDOS_RING_NAMES_H

/* clang-format off */
#define ring_answer_begin    cloudos__ring_answer_begin
#define ring_answer_end      cloudos__ring_answer_end
#define ring_attach          cloudos__ring_attach
#define ring_begin           cloudos__ring_begin
#define ring_bell_share      cloudos__ring_bell_share
#define ring_cancel          cloudos__ring_cancel
#define ring_capture_format  cloudos__ring_capture_format
#define ring_client_format   cloudos__ring_client_format
#define ring_client_open     cloudos__ring_client_open
#define ring_client_stop     cloudos__ring_client_stop
#define ring_detach          cloudos__ring_detach
#define ring_end             cloudos__ring_end
#define ring_get             cloudos__ring_get
#define ring_os_now          cloudos__ring_os_now
#define ring_os_wait         cloudos__ring_os_wait
#define ring_os_wake         cloudos__ring_os_wake
#define ring_os_yield        cloudos__ring_os_yield
#define ring_page_answer     cloudos__ring_page_answer
#define ring_page_back       cloudos__ring_page_back
#define ring_page_post       cloudos__ring_page_post
#define ring_peer_format     cloudos__ring_peer_format
#define ring_port_open       cloudos__ring_port_open
#define ring_port_refuse     cloudos__ring_port_refuse
#define ring_port_stop       cloudos__ring_port_stop
#define ring_post            cloudos__ring_post
#define ring_put             cloudos__ring_put
#define ring_receive         cloudos__ring_receive
#define ring_record          cloudos__ring_record
#define ring_room            cloudos__ring_room
#define ring_segment_map     cloudos__ring_segment_map
#define ring_segment_new     cloudos__ring_segment_new
#define ring_server_format   cloudos__ring_server_format
#define ring_taken           cloudos__ring_taken
#define ring_wait            cloudos__ring_wait
/* clang-format on */

#endif
