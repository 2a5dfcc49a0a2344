/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions whose peer is not proven yet. There are a few places; a site that wants more than its
 * share pushes out one of its own, and when all are taken one makes room: the oldest of those
 * that have not begun with TLS, or else the oldest.
 */
#ifndef SL_TUNNEL_PENDING_H
#define SL_TUNNEL_PENDING_H

#include "tunnel/session.h"

#define PENDING_MAX	 16
#define PENDING_PER_SITE 4

struct pending {
	struct session *of[PENDING_MAX];
};

/** sl_pending_add() - @s is the table's until it is removed or has to make room */
void sl_pending_add(struct pending *pending, struct session *s);

/** sl_pending_remove() - @s is the caller's again; one that is not there is fine */
void sl_pending_remove(struct pending *pending, const struct session *s);

/** sl_pending_any() - one of them, or NULL */
struct session *sl_pending_any(const struct pending *pending);

/** sl_pending_clear() - release them all */
void sl_pending_clear(struct pending *pending);

#endif
