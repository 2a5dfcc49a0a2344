/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "space/bounce.h"

#define NONE UINT32_MAX

enum state {
	INSIDE, /* of a piece that begins before */
	FREE,
	USED,
};

/* The order of the smallest piece that has @len bytes. */
static unsigned order_of(size_t len)
{
	size_t units = (len + BOUNCE_UNIT - 1) / BOUNCE_UNIT;

	return units < 2 ? 0 : (unsigned)(64 - __builtin_clzl(units - 1));
}

size_t sl_bounce_len(size_t bytes)
{
	unsigned order = order_of(bytes);

	return order < BOUNCE_ORDERS ? (size_t)BOUNCE_UNIT << order : 0;
}

static void put(struct bounce *b, uint32_t at, unsigned order)
{
	struct bounce_unit *u = &b->units[at];

	u->state = FREE;
	u->order = (uint8_t)order;
	u->prev = NONE;
	u->next = b->orders >> order & 1 ? b->free[order] : NONE;
	if (u->next != NONE)
		b->units[u->next].prev = at;
	b->free[order] = at;
	b->orders |= 1u << order;
}

static void take(struct bounce *b, uint32_t at)
{
	struct bounce_unit *u = &b->units[at];

	u->state = INSIDE;
	if (u->next != NONE)
		b->units[u->next].prev = u->prev;
	if (u->prev != NONE)
		b->units[u->prev].next = u->next;
	else if (u->next != NONE)
		b->free[u->order] = u->next;
	else
		b->orders &= ~(1u << u->order);
}

int sl_bounce_open(struct bounce *b, void *base, size_t len)
{
	*b = (struct bounce){.base = base, .n_units = (uint32_t)(len / BOUNCE_UNIT)};
	b->units = calloc(b->n_units, sizeof(*b->units));
	if (!b->units)
		return sl_fail(ENOMEM, "no memory for a bounce pool");
	put(b, 0, order_of(len));
	return 0;
}

void sl_bounce_close(struct bounce *b)
{
	free(b->units);
	b->units = NULL;
}

void sl_bounce_clear(struct bounce *b)
{
	memset(b->units, 0, b->n_units * sizeof(*b->units));
	b->orders = 0;
	put(b, 0, order_of((size_t)b->n_units * BOUNCE_UNIT));
}

int sl_bounce_take(struct bounce *b, void *buffer, uint32_t len, size_t *at)
{
	unsigned want = order_of(len), order;
	uint32_t piece;

	if ((1u << want) > b->n_units)
		return -EMSGSIZE;
	if (!(b->orders >> want))
		return -ENOSPC;
	order = want + (unsigned)__builtin_ctz(b->orders >> want);
	piece = b->free[order];
	take(b, piece);
	while (order > want) {
		order--;
		put(b, piece + (1u << order), order);
	}
	b->units[piece] = (struct bounce_unit){
		.buffer = buffer, .len = len, .order = (uint8_t)want, .state = USED};
	*at = (size_t)piece * BOUNCE_UNIT;
	return 0;
}

int sl_bounce_give(struct bounce *b, size_t at, void **buffer, uint32_t *len)
{
	uint32_t piece = (uint32_t)(at / BOUNCE_UNIT), buddy;
	unsigned order;

	if (at % BOUNCE_UNIT || at / BOUNCE_UNIT >= b->n_units || b->units[piece].state != USED)
		return sl_fail(EINVAL, "no piece of the bounce pool begins at %zu", at);
	*buffer = b->units[piece].buffer;
	*len = b->units[piece].len;
	order = b->units[piece].order;
	b->units[piece].state = INSIDE;
	for (; (1u << order) < b->n_units; order++) {
		buddy = piece ^ 1u << order;
		if (b->units[buddy].state != FREE || b->units[buddy].order != order)
			break;
		take(b, buddy);
		piece &= buddy;
	}
	put(b, piece, order);
	return 0;
}
