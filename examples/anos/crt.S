/* SPDX-License-Identifier: MIT */
/*
 * How an Anos program begins and ends, and how it calls: all that the examples have in the
 * place of libanos.  On the stack are four words: how many capabilities, where they are, how
 * many arguments, where those are.
 */
	.text
	.globl _start
_start:
	popq %rcx
	popq %rsi
	popq %r12
	popq %r13
	xorl %ebp, %ebp
	andq $-16, %rsp
1:	decq %rcx /* tokens[id] = token, for each pair */
	js 2f
	movq (%rsi), %rax
	movq 8(%rsi), %rdx
	movq %rdx, tokens(,%rax,8)
	addq $16, %rsi
	jmp 1b
2:	movq %r12, %rdi
	movq %r13, %rsi
	call main
	call kill_current_task
	ud2

	/* struct result name(a, b, c, d, e): the token in r9, the fourth argument in r10 */
	.macro call name, id
	.globl \name
\name:	movq tokens + 8 * \id(%rip), %r9
	movq %rcx, %r10
	syscall
	ret
	.endm
	call kprint, 1
	call kputchar, 2
	call create_thread, 3
	call get_mem_info, 4
	call task_sleep_current, 5
	call create_process, 6
	call map_virtual, 7
	call send_message, 8
	call recv_message, 9
	call reply_message, 10
	call create_channel, 11
	call destroy_channel, 12
	call register_channel_name, 13
	call remove_channel_name, 14
	call find_named_channel, 15
	call kill_current_task, 16
	call unmap_virtual, 17
	call create_region, 18
	call destroy_region, 19
	call map_firmware_tables, 20
	call map_physical, 21
	call alloc_physical_pages, 22
	call alloc_interrupt_vector, 23
	call wait_interrupt, 24
	call read_kernel_log, 25
	call get_framebuffer_phys, 26
	call debug_list_channels, 27
	call debug_show_channel_stats, 28
	call debug_trace_ipc_messages, 29

	.bss
	.globl tokens
tokens:	.skip 8 * 128
	.section .note.GNU-stack, "", @progbits
