/* SPDX-License-Identifier: MIT */
/* The calls of Anos as the examples use them; crt.S makes them. */
#ifndef ANOS_H
#define ANOS_H

#include <stdint.h>

struct result {
	int64_t type; /* OK, or what was wrong */
	uint64_t value;
};

enum {
	OK = 0,
	FAILURE = -1,
	BAD_NUMBER = -2,
	NOT_IMPLEMENTED = -3,
	BAD_ARGUMENTS = -4,
	BAD_NAME = -5,
	INCAPABLE = -254
};

enum { IDLE, NORMAL, HIGH, REALTIME }; /* classes of threads */
enum { READ = 1, WRITE = 2, EXECUTE = 4, AUTOMAP = 1 };

extern uint64_t tokens[128]; /* by id */

struct memory {
	uint64_t total, available;
};

struct range {
	uint64_t start, length;
};

struct process {
	void (*entry)(void);
	uint64_t stack, stack_size;
	uint8_t nregions, class;
	const struct range *regions;
	uint16_t nvalues;
	const uint64_t *values; /* the first is the highest word of the stack */
	uint64_t reserved;
};

struct result kprint(const char *text);
struct result kputchar(int c);
struct result create_thread(void (*run)(void), void *stack, uint64_t class);
struct result get_mem_info(struct memory *out);
struct result task_sleep_current(uint64_t nanoseconds);
struct result create_process(const struct process *process);
struct result map_virtual(uint64_t size, uint64_t base, uint64_t flags);
struct result send_message(uint64_t channel, uint64_t tag, uint64_t size, void *page);
struct result recv_message(uint64_t channel, uint64_t *tag, uint64_t *size, void *page);
struct result reply_message(uint64_t message, uint64_t value);
struct result create_channel(void);
struct result destroy_channel(uint64_t channel);
struct result register_channel_name(uint64_t channel, const char *name);
struct result remove_channel_name(const char *name);
struct result find_named_channel(const char *name);
struct result kill_current_task(void);
struct result unmap_virtual(uint64_t size, uint64_t base);
struct result create_region(uint64_t start, uint64_t end, uint64_t flags);
struct result destroy_region(uint64_t start);
struct result map_firmware_tables(void *rsdp);
struct result map_physical(uint64_t physical, void *base, uint64_t size,
			   uint64_t flags);
struct result alloc_physical_pages(uint64_t size);
struct result alloc_interrupt_vector(uint32_t device, uint64_t *address,
				     uint32_t *data);
struct result wait_interrupt(uint32_t vector, uint32_t *event);
struct result read_kernel_log(void *buffer, uint64_t size, uint64_t flags);
struct result get_framebuffer_phys(void *info);
struct result debug_list_channels(void);
struct result debug_show_channel_stats(void);
struct result debug_trace_ipc_messages(void);

#endif
