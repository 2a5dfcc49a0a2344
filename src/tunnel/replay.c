/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 6479: bits in a ring of words, of which whole ones are cleared as the window moves on. */
#include <errno.h>

#include "base/bytes.h"
#include "tunnel/replay.h"

#define WORDS ((uint32_t)sl_array_len(((struct replay *)0)->seen))

static void advance(struct replay *replay, uint32_t id)
{
	uint32_t word = replay->top / 64, entered = sl_min(id / 64 - word, WORDS);

	while (entered--)
		replay->seen[++word % WORDS] = 0;
	replay->top = id;
}

int sl_replay_commit(struct replay *replay, uint32_t id)
{
	uint64_t *seen = &replay->seen[id / 64 % WORDS], bit = 1ull << id % 64;
	bool newest = id > replay->top;

	if (!id)
		return -EALREADY;
	if (newest)
		advance(replay, id);
	else if (replay->top - id > REPLAY_WINDOW || *seen & bit)
		return -EALREADY;
	*seen |= bit;
	return newest;
}
