/* SPDX-License-Identifier: BSD-2-Clause */
#include "tunnel/pending.h"

/* Has it sent anything of TLS? A cookie is had for nothing, a handshake is not. */
static bool has_begun(const struct session *s)
{
	return s->key->reliable.expected > 1;
}

/* Which of the two is to make room? The one that has not begun, or else the older one. */
static struct session **weaker(struct session **a, struct session **b)
{
	if (!a)
		return b;
	if (has_begun(*a) != has_begun(*b))
		return has_begun(*a) ? b : a;
	return (*b)->made_at < (*a)->made_at ? b : a;
}

static struct session **place_for(struct pending *pending, const struct sl_address *from)
{
	struct session **unused = NULL, **weakest = NULL, **of_site = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct session **place = &pending->of[i];

		if (!*place) {
			unused = place;
			continue;
		}
		weakest = weaker(weakest, place);
		if (!sl_address_same_site(&(*place)->address, from))
			continue;
		of_site = weaker(of_site, place);
		count++;
	}
	if (count >= PENDING_PER_SITE)
		return of_site;
	return unused ? unused : weakest;
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
