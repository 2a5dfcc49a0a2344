/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets into a data channel that has two keys.
 * Input, by its first byte modulo 3 (modulo 6 and at least 3: with the best AEAD back end, else
 * with OpenSSL, which makes keys faster):
 *   0: a packet as received
 *   1: flags (bit 0: key id 1, bit 1: the channel seals first, bit 2: the key is known to
 *      work), how many mutations (low 4 bits), each an offset (2, big endian) and a byte to xor;
 *      the rest is payload, sealed by the peer and then mutated
 *   2: packet ids (4 each, big endian) that the peer seals
 */
#include <errno.h>

#include "../unit/slow.h"
#include "base/bytes.h"
#include "fuzz.h"
#include "tunnel/data.h"
#include "tunnel/wire.h"

#define PAYLOAD_MAX 4096u
#define IDS_MAX	    256u

/* Key 0 is AES in the primary slot, key 1 is ChaCha20 in the secondary. */
static void install(struct sl_data *data, uint8_t key_id, uint8_t direction, enum sl_key_slot slot)
{
	struct sl_data_key key = {
		.cipher = key_id ? SL_CIPHER_CHACHA20_POLY1305 : SL_CIPHER_AES_256_GCM,
		.key_id = key_id,
		.direction = direction,
	};

	for (unsigned n = 0; n < sizeof(key.material); n++)
		key.material[n] = (uint8_t)(n ^ key_id);
	must(!sl_data_key_install(data, slot, &key));
}

static struct sl_data *channel(const struct sl_aead_ops *ops)
{
	struct sl_data *data;

	must(!sl_data_create(&data));
	sl_data_set_aead(data, ops);
	install(data, 0, 0, SL_KEY_PRIMARY);
	install(data, 1, 0, SL_KEY_SECONDARY);
	return data;
}

static struct sl_data *peer(const struct sl_aead_ops *ops, uint8_t key_id)
{
	struct sl_data *data;

	must(!sl_data_create(&data));
	sl_data_set_aead(data, ops);
	install(data, key_id, 1, SL_KEY_PRIMARY);
	return data;
}

/* What can be said of an error without a cipher. */
static void check_error(int err, const uint8_t *packet, size_t len)
{
	if (len && packet[0] >> 3 != P_DATA_V2)
		must(err == -EPROTO);
	else if (len < SL_DATA_OVERHEAD)
		must(err == -EINVAL);
	else if (len > DATA_PACKET_MAX)
		must(err == -EPROTO);
	else if ((packet[0] & 7) > 1)
		must(err == -ENOKEY);
	else
		must(err == -EBADMSG || err == -EALREADY || err == -EKEYREJECTED);
}

/* Open a copy; the packet stays. */
static int open_copy(struct sl_data *data, const uint8_t *packet, size_t len,
		     struct sl_data_opened *out)
{
	uint8_t *copy = exact(packet, len);
	int err = sl_data_open(data, copy, len, out);

	if (err) {
		check_error(err, packet, len);
	} else {
		must(out->payload == copy + SL_DATA_OVERHEAD);
		must(out->len == len - SL_DATA_OVERHEAD);
		must(out->key_id == (packet[0] & 7));
	}
	exact_free(copy, len);
	return err;
}

static void fuzz_raw(const struct sl_aead_ops *ops, const uint8_t *bytes, size_t len)
{
	struct sl_data *data = channel(ops);
	struct sl_data_opened out;
	int first = open_copy(data, bytes, len, &out), second = open_copy(data, bytes, len, &out);

	/* A key that has opened something is never found to be the peer's as well. */
	must(second == (first ? first : -EALREADY));
	sl_data_release(data);
}

/* Returns how many bytes of input the mutations were. */
static size_t mutate(const uint8_t *bytes, size_t len, unsigned n, uint8_t *packet, size_t sealed)
{
	size_t used = 0;

	for (; n && len - used >= 3; n--, used += 3)
		if (sealed)
			packet[sl_get_be16(bytes + used) % sealed] ^= bytes[used + 2];
	return used;
}

static void check_payload(struct sl_data *data, const uint8_t *packet, size_t len,
			  const uint8_t *payload)
{
	uint8_t *copy = exact(packet, len);
	struct sl_data_opened out;

	must(!sl_data_open(data, copy, len, &out));
	must(!memcmp(out.payload, payload, len - SL_DATA_OVERHEAD));
	must(out.newest);
	exact_free(copy, len);
}

static void fuzz_mutated(const struct sl_aead_ops *ops, const uint8_t *bytes, size_t len)
{
	uint8_t packet[SL_DATA_OVERHEAD + PAYLOAD_MAX], good[sizeof(packet)],
		head[SL_DATA_OVERHEAD];
	uint8_t key_id = bytes[0] & 1;
	unsigned mutations = bytes[1] & 15;
	struct sl_data *data = channel(ops), *from = peer(ops, key_id);
	size_t skip = 2 + mutate(bytes + 2, len - 2, mutations, NULL, 0), sealed;
	uint32_t payload = (uint32_t)sl_min(len - skip, PAYLOAD_MAX), half = payload / 2;
	struct sl_data_opened out;
	const struct sl_piece pieces[2] = {
		{bytes + skip, good + SL_DATA_OVERHEAD, half},
		{bytes + skip + half, good + SL_DATA_OVERHEAD + half, payload - half}};

	if (bytes[0] & 2)
		must(sl_data_seal(data, head, NULL, 0) == SL_DATA_OVERHEAD);
	if (bytes[0] & 4) {
		must(sl_data_seal(from, head, NULL, 0) == SL_DATA_OVERHEAD);
		must(!open_copy(data, head, sizeof(head), &out));
	}
	sealed = SL_DATA_OVERHEAD + payload;
	must(sl_data_seal(from, good, pieces, 2) == (int)sealed);
	memcpy(packet, good, sealed);
	mutate(bytes + 2, len - 2, mutations, packet, sealed);
	if (memcmp(packet, good, sealed))
		must(open_copy(data, packet, sealed, &out));
	check_payload(data, good, sealed, bytes + skip);
	must(open_copy(data, good, sealed, &out) == -EALREADY);
	sl_data_release(data);
	sl_data_release(from);
}

/* Seal an empty packet with any id, as a peer that keeps no rule would. */
static void seal_any(struct sl_data *from, uint32_t id, uint8_t packet[SL_DATA_OVERHEAD])
{
	const struct data_key *key = from->keys[SL_KEY_PRIMARY];
	uint8_t nonce[AEAD_NONCE_LEN];

	memset(packet, 0, SL_DATA_OVERHEAD);
	packet[0] = P_BYTE(P_DATA_V2, key->key_id);
	sl_put_be32(packet + 4, id);
	sl_put_be32(nonce, id);
	memcpy(nonce + 4, key->seal.iv, DATA_IV_LEN);
	must(!sl_aead_seal(key->seal.aead, nonce, packet, 8, NULL, 0, packet + 8));
}

/* All ids that were opened, and the window's rule. */
static void fuzz_ids(const struct sl_aead_ops *ops, const uint8_t *bytes, size_t len)
{
	struct sl_data *data = channel(ops), *from = peer(ops, 0);
	uint32_t seen[IDS_MAX], top = 0;
	unsigned n = 0;

	for (; len >= 4 && n < IDS_MAX; bytes += 4, len -= 4) {
		uint32_t id = sl_get_be32(bytes);
		bool old = !id || (id < top && top - id > REPLAY_WINDOW);
		uint8_t packet[SL_DATA_OVERHEAD];
		struct sl_data_opened out;
		int err;

		for (unsigned i = 0; i < n; i++)
			old |= seen[i] == id;
		seal_any(from, id, packet);
		err = open_copy(data, packet, sizeof(packet), &out);
		must(err == (old ? -EALREADY : 0));
		if (old)
			continue;
		must(out.newest == (id > top));
		seen[n++] = id;
		top = sl_max(top, id);
	}
	sl_data_release(data);
	sl_data_release(from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_aead_ops *ops;

	if (size < 3)
		return 0;
	ops = data[0] % 6 < 3 ? &sl_aead_openssl : NULL;
	switch (data[0] % 3) {
	case 0:
		fuzz_raw(ops, data + 1, size - 1);
		break;
	case 1:
		fuzz_mutated(ops, data + 1, size - 1);
		break;
	default:
		fuzz_ids(ops, data + 1, size - 1);
	}
	return 0;
}
