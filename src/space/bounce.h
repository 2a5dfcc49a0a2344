/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounce pool: memory that the other side sees, handed out in pieces, each for a buffer that it
 * does not see. Buddies, so that pieces of all sizes come and go for ever; what is known of a piece
 * lies in memory of our own. One thread at a time.
 */
#ifndef SL_SPACE_BOUNCE_H
#define SL_SPACE_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

#define BOUNCE_UNIT   512u /* bytes: the smallest piece */
#define BOUNCE_ORDERS 22   /* the largest pool: 1 GiB */

/** struct bounce_unit - @order: of the piece that begins here; a piece in use: of which buffer; a
 * free one: its neighbours in the list of its order */
struct bounce_unit {
	union {
		void *buffer;
		struct {
			uint32_t next, prev;
		};
	};
	uint32_t len;
	uint8_t order, state;
};

/** struct bounce - @free: the first free piece of each order; @orders: a bit for each list that is
 * not empty */
struct bounce {
	uint8_t *base;
	struct bounce_unit *units;
	uint32_t n_units, orders;
	uint32_t free[BOUNCE_ORDERS];
};

/** sl_bounce_len() - what a pool for @bytes has: a power of two, at least a unit. Return: 0 for too
 * many */
size_t sl_bounce_len(size_t bytes);

/** sl_bounce_open() - all of @len bytes at @base, as sl_bounce_len() said; the caller's. Return: 0;
 * -ENOMEM */
int sl_bounce_open(struct bounce *b, void *base, size_t len);

/** sl_bounce_close() - forget it */
void sl_bounce_close(struct bounce *b);

/** sl_bounce_clear() - take all pieces back; nobody has them any more */
void sl_bounce_clear(struct bounce *b);

/**
 * sl_bounce_take() - a piece for @buffer
 * @at: where it lies in the pool
 *
 * Return: 0; -ENOSPC when there is none now; -EMSGSIZE when there is never one. No reason.
 */
int sl_bounce_take(struct bounce *b, void *buffer, uint32_t len, size_t *at);

/** sl_bounce_give() - the piece at @at is free again. Return: 0, with its @buffer and @len; -EINVAL
 * when no piece begins there */
int sl_bounce_give(struct bounce *b, size_t at, void **buffer, uint32_t *len);

#endif
