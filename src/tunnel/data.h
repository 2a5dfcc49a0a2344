/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data channel from inside. See <sluice/data_channel.h>.
 *
 * One thread seals and one opens, each through a latch of its own that is shut only by who changes
 * keys. Who shuts both shuts the opening one first.
 */
#ifndef SL_TUNNEL_DATA_H
#define SL_TUNNEL_DATA_H

#include <sluice/data_channel.h>

#include "base/latch.h"
#include "tunnel/aead.h"
#include "tunnel/replay.h"

#define DATA_PACKET_MAX	  65535u       /* bytes, as UDP's length field */
#define DATA_IDS_END	  0xff000000u  /* the first packet id that is not used (OpenVPN's) */
#define DATA_BLOCKS_MAX	  (1ull << 36) /* of 16 bytes, payload and AAD, each rounded up */
#define DATA_FAILURES_MAX (1ull << 36) /* tags that were wrong */
#define DATA_WORN(limit)  ((limit) / 16 * 15)
#define DATA_FIRST_TAGS	  16u /* tags of ours that are remembered, see data.c */
#define DATA_MIRROR_TRIES 64u /* packets that are tried with our own half */
#define DATA_IV_LEN	  8u

/**
 * struct data_sealer - our half of a key
 * @blocks: sealed
 * @last:   packet id used last; 0: none
 * @dead:   the peer seals with this half as well
 * @iv:     constant
 * @tags:   by packet id; that of an id which was never sent is 0
 */
struct data_sealer {
	struct sl_aead *aead;
	uint64_t blocks;
	uint32_t last;
	bool dead;
	uint8_t iv[DATA_IV_LEN];
	uint8_t tags[DATA_FIRST_TAGS + 1][AEAD_TAG_LEN];
};

/**
 * struct data_opener - the peer's half of a key
 * @mirror:       opens what our half sealed; NULL as soon as the peer's half was seen at work
 * @mirror_tries: packets it was tried with
 * @failures:     tags that were wrong
 * @dead:         as the sealer's
 * @iv:           constant
 */
struct data_opener {
	struct sl_aead *aead;
	struct sl_aead *mirror;
	unsigned mirror_tries;
	uint64_t failures;
	bool dead;
	uint8_t iv[DATA_IV_LEN];
	struct replay replay;
};

/**
 * struct data_key - an installed key
 * @key_id: constant
 * @seal:   behind the channel's sealing latch
 * @open:   behind the channel's opening latch
 */
struct data_key {
	uint8_t key_id;
	_Alignas(SL_LINE) struct data_sealer seal;
	_Alignas(SL_LINE) struct data_opener open;
};

/**
 * struct sl_data - a channel
 * @aead:    of the keys to come; NULL: the best
 * @keys:    by enum sl_key_slot; written with both latches shut, read inside either
 * @peer_id: as the sealer of a key
 */
struct sl_data {
	const struct sl_aead_ops *aead;
	struct data_key *keys[2];
	uint32_t peer_id;
	struct sl_latch sealing, opening;
};

/** sl_data_set_aead() - the back end of the keys to come, NULL for the best; before any other
 * thread knows the channel */
void sl_data_set_aead(struct sl_data *data, const struct sl_aead_ops *ops);

/**
 * sl_data_seal_aside() - sl_data_seal() for a thread that is not the one that seals: slow
 * @unsent: the one that seals sets it before it does, and clears it when all is sent: a packet that
 *          overtook what waits would push it out of the peer's replay window
 *
 * Return: as sl_data_seal(), and -EBUSY when *@unsent.
 */
int sl_data_seal_aside(struct sl_data *data, const uint32_t *unsent, uint8_t head[SL_DATA_OVERHEAD],
		       const struct sl_piece *pieces, unsigned n);

#endif
