/* SPDX-License-Identifier: BSD-2-Clause */
#include "tunnel/pending.h"

static struct session **older(struct session **a, struct session **b)
{
	return !a || (*b)->made_at < (*a)->made_at ? b : a;
}

static struct session **place_for(struct pending *pending, const struct sl_address *from)
{
	struct session **unused = NULL, **oldest = NULL, **of_host = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct session **place = &pending->of[i];

		if (!*place) {
			unused = place;
			continue;
		}
		oldest = older(oldest, place);
		if (!sl_address_same_host(&(*place)->address, from))
			continue;
		of_host = older(of_host, place);
		count++;
	}
	if (count >= PENDING_PER_HOST)
		return of_host;
	return unused ? unused : oldest;
}

void sl_pending_add(struct pending *pending, struct session *s)
{
	struct session **place = place_for(pending, &s->address);

	sl_session_release(*place);
	*place = s;
}

void sl_pending_remove(struct pending *pending, const struct session *s)
{
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (pending->of[i] == s)
			pending->of[i] = NULL;
}

struct session *sl_pending_any(const struct pending *pending)
{
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (pending->of[i])
			return pending->of[i];
	return NULL;
}

void sl_pending_clear(struct pending *pending)
{
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		sl_session_release(pending->of[i]);
		pending->of[i] = NULL;
	}
}
