/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * int sl_guard_bytes(void *to, const void *from, size_t len): guard.c has the rest.
 *
 * Nothing is on the stack and no register of the caller's is touched, so that a fault at any
 * instruction before sl_guard_fault may go on there: it returns to the caller of
 * sl_guard_bytes().
 */
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

	.text
	.p2align 4
	.globl sl_guard_bytes, sl_guard_fault
	.hidden sl_guard_bytes, sl_guard_fault
	.type sl_guard_bytes, @function
	.type sl_guard_fault, @function
sl_guard_bytes:
	.cfi_startproc
	_CET_ENDBR
	xor	%eax, %eax
	cmp	$8, %rdx
	je	8f
	cmp	$4, %rdx
	je	4f
	cmp	$2, %rdx
	je	2f
	mov	%rdx, %rcx
	rep movsb
	ret
8:	mov	(%rsi), %rcx
	mov	%rcx, (%rdi)
	ret
4:	mov	(%rsi), %ecx
	mov	%ecx, (%rdi)
	ret
2:	movzwl	(%rsi), %ecx
	mov	%cx, (%rdi)
	ret
sl_guard_fault:
	mov	$1, %eax
	ret
	.cfi_endproc
	.size sl_guard_bytes, . - sl_guard_bytes

	.section .note.GNU-stack, "", @progbits
