/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * int sl_guard_copy(void *to, const void *from, size_t len): guard.c has the rest.
 *
 * Nothing is on the stack and no register of the caller's is touched, so that a fault at any
 * instruction before sl_guard_fault may go on there: in a function that returns to the caller of
 * sl_guard_copy(), with what the arguments have become.
 */
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

	.text
	.p2align 4
	.globl sl_guard_copy, sl_guard_begin, sl_guard_fault
	.hidden sl_guard_begin, sl_guard_fault, sl_guard_failed
	.type sl_guard_copy, @function
	.type sl_guard_fault, @function
sl_guard_copy:
sl_guard_begin:
	.cfi_startproc
	_CET_ENDBR
	xor	%eax, %eax
	cmp	$8, %rdx
	je	8f
	cmp	$2, %rdx
	je	2f
	cmp	$16, %rdx
	je	16f
	cmp	$4, %rdx
	je	4f
	cmp	$1, %rdx
	je	1f
	mov	%rdx, %rcx
	rep movsb
	ret
16:	mov	(%rsi), %rcx
	mov	8(%rsi), %r8
	mov	%rcx, (%rdi)
	mov	%r8, 8(%rdi)
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
1:	movzbl	(%rsi), %ecx
	mov	%cl, (%rdi)
	ret
sl_guard_fault:
	jmp	sl_guard_failed
	.cfi_endproc
	.size sl_guard_copy, . - sl_guard_copy

	.section .note.GNU-stack, "", @progbits
