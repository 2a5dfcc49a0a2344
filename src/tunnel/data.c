/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data channel.
 *
 * Two ends that seal with the same half of a key repeat each other's nonces, and nothing on
 * the wire looks odd: every packet is just not authentic. So until a first packet from the peer
 * is authentic, what comes is tried with our own half as well. If it opens, it is either a
 * packet of ours that someone sent back, which proves nothing and must not end a good key, or one
 * that we never sealed.
 */
#include <openssl/crypto.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/reason.h"
#include "tunnel/data.h"
#include "tunnel/wire.h"

#define AAD_LEN	      8 /* opcode and key id, peer id, packet id */
#define BLOCK	      16u
#define HALF	      (SL_DATA_MATERIAL / 2)
#define HMAC	      (HALF / 2) /* within a half; the cipher's key is at its start */
#define MIRROR_STRIDE 1024u
#define MIRROR_PIECES (DATA_PACKET_MAX / MIRROR_STRIDE + 1)

static void make_nonce(uint32_t id, const uint8_t iv[DATA_IV_LEN], uint8_t nonce[AEAD_NONCE_LEN])
{
	sl_put_be32(nonce, id);
	memcpy(nonce + 4, iv, DATA_IV_LEN);
}

static void shut_both(struct sl_data *data)
{
	sl_latch_shut(&data->opening);
	sl_latch_shut(&data->sealing);
}

static void open_both(struct sl_data *data)
{
	sl_latch_open(&data->sealing);
	sl_latch_open(&data->opening);
}

int sl_data_create(struct sl_data **out)
{
	struct sl_data *data = sl_alloc_lines(sizeof(*data));

	if (!data)
		return sl_fail(ENOMEM, "no memory for a data channel");
	sl_latch_init(&data->sealing);
	sl_latch_init(&data->opening);
	*out = data;
	return 0;
}

static void key_release(struct data_key *key)
{
	if (!key)
		return;
	sl_aead_release(key->seal.aead);
	sl_aead_release(key->open.aead);
	sl_aead_release(key->open.mirror);
	OPENSSL_cleanse(key, sizeof(*key));
	free(key);
}

void sl_data_release(struct sl_data *data)
{
	if (!data)
		return;
	key_release(data->keys[SL_KEY_PRIMARY]);
	key_release(data->keys[SL_KEY_SECONDARY]);
	sl_latch_destroy(&data->sealing);
	sl_latch_destroy(&data->opening);
	free(data);
}

void sl_data_set_aead(struct sl_data *data, const struct sl_aead_ops *ops)
{
	data->aead = ops;
}

void sl_data_set_peer_id(struct sl_data *data, uint32_t peer_id)
{
	sl_latch_shut(&data->sealing);
	data->peer_id = peer_id; /* its upper byte makes room for opcode and key id */
	sl_latch_open(&data->sealing);
}

static int key_check(const struct sl_data_key *key)
{
	if (key->key_id > P_KEY_ID(0xff))
		return sl_fail(EINVAL, "key id %u is more than 7", key->key_id);
	if (key->direction > 1)
		return sl_fail(EINVAL, "key direction %u is neither 0 nor 1", key->direction);
	/* Two keys that differ only in the IV are no accident of a random generator either. */
	if (!CRYPTO_memcmp(key->material, key->material + HALF, AEAD_KEY_LEN))
		return sl_fail(EINVAL,
			       "both halves of key %u are the same: each direction needs "
			       "one of its own",
			       key->key_id);
	return 0;
}

static int key_create(const struct sl_aead_ops *ops, const struct sl_data_key *from,
		      struct data_key **out)
{
	const uint8_t *ours = from->material + from->direction * HALF;
	const uint8_t *theirs = from->material + !from->direction * HALF;
	struct data_key *key = sl_alloc_lines(sizeof(*key));
	int err;

	if (!key)
		return sl_fail(ENOMEM, "no memory for a key");
	key->key_id = from->key_id;
	memcpy(key->seal.iv, ours + HMAC, DATA_IV_LEN);
	memcpy(key->open.iv, theirs + HMAC, DATA_IV_LEN);
	err = sl_aead_create(ops, from->cipher, ours, true, &key->seal.aead);
	if (!err)
		err = sl_aead_create(ops, from->cipher, theirs, false, &key->open.aead);
	if (!err)
		err = sl_aead_create(ops, from->cipher, ours, false, &key->open.mirror);
	if (err) {
		key_release(key);
		return err;
	}
	*out = key;
	return 0;
}

int sl_data_key_install(struct sl_data *data, enum sl_key_slot slot, const struct sl_data_key *key)
{
	const struct data_key *other;
	struct data_key *made = NULL, *loser;
	bool taken;
	int err = key_check(key);

	if (!err)
		err = key_create(data->aead, key, &made);
	if (err)
		return err;
	shut_both(data);
	other = data->keys[!slot];
	taken = other && other->key_id == key->key_id;
	loser = taken ? made : data->keys[slot];
	if (!taken)
		data->keys[slot] = made;
	open_both(data);
	key_release(loser);
	return taken ? sl_fail(EINVAL, "the other slot has a key with id %u", key->key_id) : 0;
}

void sl_data_key_swap(struct sl_data *data)
{
	struct data_key *was;

	shut_both(data);
	was = data->keys[SL_KEY_PRIMARY];
	data->keys[SL_KEY_PRIMARY] = data->keys[SL_KEY_SECONDARY];
	data->keys[SL_KEY_SECONDARY] = was;
	open_both(data);
}

void sl_data_key_delete(struct sl_data *data, enum sl_key_slot slot)
{
	struct data_key *was;

	shut_both(data);
	was = data->keys[slot];
	data->keys[slot] = NULL;
	open_both(data);
	key_release(was);
}

bool sl_data_key_worn(struct sl_data *data)
{
	const struct data_key *key;
	bool worn;

	shut_both(data);
	key = data->keys[SL_KEY_PRIMARY];
	worn = key && (key->seal.dead || key->seal.last >= DATA_WORN(DATA_IDS_END) ||
		       key->seal.blocks >= DATA_WORN(DATA_BLOCKS_MAX) ||
		       key->open.failures >= DATA_WORN(DATA_FAILURES_MAX));
	open_both(data);
	return worn;
}

static int key_seal(struct data_key *key, uint32_t peer_id, uint8_t *head,
		    const struct sl_piece *pieces, unsigned n, size_t payload)
{
	struct data_sealer *s = &key->seal;
	uint64_t blocks = s->blocks + (payload + BLOCK - 1) / BLOCK + 1;
	uint8_t nonce[AEAD_NONCE_LEN];
	int err;

	if (s->dead)
		return -EKEYREJECTED;
	if (s->last + 1 >= DATA_IDS_END || blocks > DATA_BLOCKS_MAX)
		return -EKEYEXPIRED;
	s->last++; /* used up, even when the cipher fails: some of it may have got out */
	s->blocks = blocks;
	sl_put_be32(head, peer_id);
	head[0] = P_BYTE(P_DATA_V2, key->key_id);
	sl_put_be32(head + 4, s->last);
	make_nonce(s->last, s->iv, nonce);
	err = sl_aead_seal(s->aead, nonce, head, AAD_LEN, pieces, n, head + AAD_LEN);
	if (!err && s->last <= DATA_FIRST_TAGS)
		memcpy(s->tags[s->last], head + AAD_LEN, AEAD_TAG_LEN);
	return err;
}

static int seal(struct sl_data *data, uint8_t *head, const struct sl_piece *pieces, unsigned n)
{
	struct data_key *key = data->keys[SL_KEY_PRIMARY];
	uint64_t payload = 0;
	int err;

	for (unsigned i = 0; i < n; i++)
		payload += pieces[i].len;
	if (payload > DATA_PACKET_MAX - SL_DATA_OVERHEAD)
		return -EMSGSIZE;
	if (!key)
		return -ENOKEY;
	err = key_seal(key, data->peer_id, head, pieces, n, payload);
	return err ? err : (int)payload + SL_DATA_OVERHEAD;
}

int sl_data_seal(struct sl_data *data, uint8_t head[SL_DATA_OVERHEAD],
		 const struct sl_piece *pieces, unsigned n)
{
	int ret;

	sl_latch_enter(&data->sealing);
	ret = seal(data, head, pieces, n);
	sl_latch_leave(&data->sealing);
	return ret;
}

int sl_data_seal_aside(struct sl_data *data, const uint32_t *unsent, uint8_t head[SL_DATA_OVERHEAD],
		       const struct sl_piece *pieces, unsigned n)
{
	int ret;

	sl_latch_shut(&data->sealing);
	ret = sl_load_relaxed(unsent) ? -EBUSY : seal(data, head, pieces, n);
	sl_latch_open(&data->sealing);
	return ret;
}

/* Does our own half open it? The packet stays as it is. */
static bool mirror_opens(const struct data_key *key, const uint8_t *packet, size_t len)
{
	struct sl_piece pieces[MIRROR_PIECES];
	uint8_t nonce[AEAD_NONCE_LEN], sink[MIRROR_STRIDE]; /* for every piece: nobody reads it */
	unsigned n = 0;
	int err;

	for (size_t at = SL_DATA_OVERHEAD; at < len; at += MIRROR_STRIDE)
		pieces[n++] = (struct sl_piece){.in = packet + at,
						.out = sink,
						.len = (uint32_t)sl_min(len - at, MIRROR_STRIDE)};
	make_nonce(sl_get_be32(packet + 4), key->seal.iv, nonce);
	err = sl_aead_open(key->open.mirror, nonce, packet, AAD_LEN, pieces, n, packet + AAD_LEN);
	OPENSSL_cleanse(sink, sizeof(sink));
	return !err;
}

/* Did we seal this packet, of which we know that our half did? In doubt, yes. */
static bool ours(const struct data_sealer *s, uint32_t id, const uint8_t *tag)
{
	if (id > s->last)
		return false;
	return id > DATA_FIRST_TAGS || !memcmp(s->tags[id], tag, AEAD_TAG_LEN);
}

/* 0: the packet is not our half's, or that was not asked. It is asked before the peer's half is
 * tried, as that happens in place; once for a good key, and a few times for one under attack. */
static int check_mirror(struct sl_data *data, struct data_key *key, const uint8_t *packet,
			size_t len)
{
	bool dead;

	if (!key->open.mirror || key->open.mirror_tries >= DATA_MIRROR_TRIES)
		return 0;
	key->open.mirror_tries++;
	if (!mirror_opens(key, packet, len))
		return 0;
	sl_latch_shut(&data->sealing);
	dead = !ours(&key->seal, sl_get_be32(packet + 4), packet + AAD_LEN);
	key->seal.dead |= dead;
	sl_latch_open(&data->sealing);
	key->open.dead = dead;
	return dead ? -EKEYREJECTED : -EBADMSG;
}

static int key_open(struct sl_data *data, struct data_key *key, uint8_t *packet, size_t len,
		    struct sl_data_opened *out)
{
	const struct sl_piece payload = {
		.in = packet + SL_DATA_OVERHEAD,
		.out = packet + SL_DATA_OVERHEAD,
		.len = (uint32_t)(len - SL_DATA_OVERHEAD),
	};
	uint32_t id = sl_get_be32(packet + 4);
	struct data_opener *o = &key->open;
	uint8_t nonce[AEAD_NONCE_LEN];
	int err;

	if (o->dead)
		return -EKEYREJECTED;
	if (o->failures >= DATA_FAILURES_MAX)
		return -EKEYEXPIRED;
	make_nonce(id, o->iv, nonce);
	err = check_mirror(data, key, packet, len);
	if (!err)
		err = sl_aead_open(o->aead, nonce, packet, AAD_LEN, &payload, 1, packet + AAD_LEN);
	if (err) {
		o->failures++;
		return err;
	}
	sl_aead_release(o->mirror);
	o->mirror = NULL;
	err = sl_replay_commit(&o->replay, id);
	if (err < 0)
		return err;
	*out = (struct sl_data_opened){
		.payload = payload.out, .len = payload.len, .key_id = key->key_id, .newest = err};
	return 0;
}

int sl_data_open(struct sl_data *data, uint8_t *packet, size_t len, struct sl_data_opened *out)
{
	int err = -ENOKEY;

	if (len && P_OPCODE(packet[0]) != P_DATA_V2)
		return -EPROTO;
	if (len < SL_DATA_OVERHEAD)
		return -EINVAL;
	if (len > DATA_PACKET_MAX)
		return -EPROTO;
	sl_latch_enter(&data->opening);
	for (unsigned i = 0; i < sl_array_len(data->keys); i++) {
		struct data_key *key = data->keys[i];

		if (key && key->key_id == P_KEY_ID(packet[0])) {
			err = key_open(data, key, packet, len, out);
			break;
		}
	}
	sl_latch_leave(&data->opening);
	return err;
}
