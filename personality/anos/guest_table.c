/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Which handler makes which call of Anos.  What is missing here is ABSENT in
 * ops.def, and answers that it is not implemented.
 */
#include <personality/anos/guest.h>

/* clang-format off */
anos_handler *const anos_handlers[CO_ANOS_CALLS] = {
	[1] = anos_kprint,
	[2] = anos_kputchar,
	[3] = anos_create_thread,
	[4] = anos_get_mem_info,
	[5] = anos_sleep,
	[6] = anos_create_process,
	[7] = anos_map_virtual,
	[8] = anos_send_message,
	[9] = anos_recv_message,
	[10] = anos_reply_message,
	[11] = anos_create_channel,
	[12] = anos_destroy_channel,
	[13] = anos_register_channel_name,
	[14] = anos_remove_channel_name,
	[15] = anos_find_named_channel,
	[16] = anos_kill_current_task,
	[17] = anos_unmap_virtual,
	[18] = anos_create_region,
	[19] = anos_destroy_region,
	[20] = anos_map_firmware_tables,
	[21] = anos_map_physical,
	[22] = anos_alloc_physical_pages,
	[23] = anos_alloc_interrupt_vector,
	[24] = anos_wait_interrupt,
	[25] = anos_read_kernel_log,
	[26] = anos_get_framebuffer_phys,
	[CO_ANOS_LIST_CHANNELS] = anos_debug,
	[CO_ANOS_CHANNEL_STATS] = anos_debug,
	[CO_ANOS_TRACE_MESSAGES] = anos_debug,
};
