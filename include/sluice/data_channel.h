/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenVPN's data channel, P_DATA_V2 with an AEAD cipher: for a control plane of one's
 * own, in the model of ovpn-dco. A control plane owes what no data channel can check, or the
 * encryption is worth nothing: fresh key material for every key that is installed (packet ids start
 * at 1 with it: the same material twice repeats AEAD nonces), and opposite directions at the two
 * ends.
 *
 * One thread at a time seals, one opens; any may install, swap and delete meanwhile.
 */
#ifndef SLUICE_DATA_CHANNEL_H
#define SLUICE_DATA_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes before the payload of a P_DATA_V2 packet: opcode and key id, peer id (3), packet
 * id (4), tag (16). The first 8 are authenticated as well. */
#define SL_DATA_OVERHEAD 24

/* Two halves of cipher[64] and hmac[64], as an OpenVPN static key file or the exporter
 * "EXPORTER-OpenVPN-datakeys" has them. */
#define SL_DATA_MATERIAL 256

enum sl_cipher {
	SL_CIPHER_AES_256_GCM,
	SL_CIPHER_CHACHA20_POLY1305,
};
#define SL_CIPHER_COUNT 2
enum sl_key_slot {
	SL_KEY_PRIMARY,	  /* seals and opens */
	SL_KEY_SECONDARY, /* opens */
};

/**
 * struct sl_data_key - a key to install
 * @cipher:    both directions'
 * @key_id:    0 to 7, the other slot's excluded
 * @direction: 0: seals with the first half and opens with the second (a TLS client);
 *             1: the reverse (a TLS server)
 * @material:  key and implicit IV of both directions
 */
struct sl_data_key {
	enum sl_cipher cipher;
	uint8_t key_id;
	uint8_t direction;
	uint8_t material[SL_DATA_MATERIAL];
};

/**
 * struct sl_piece - payload bytes on their way through the cipher
 * @in:  where they are
 * @out: where they go; @in itself, or memory that overlaps no piece's @in
 * @len: how many
 */
struct sl_piece {
	const uint8_t *in;
	uint8_t *out;
	uint32_t len;
};

/**
 * struct sl_data_opened - an authentic packet
 * @payload: inside the packet that was opened, decrypted in place
 * @len:     bytes of it, may be 0
 * @key_id:  of the key that opened it
 * @newest:  its id is the highest so far: only then may its sender's address be believed (float)
 */
struct sl_data_opened {
	uint8_t *payload;
	uint32_t len;
	uint8_t key_id;
	bool newest;
};

struct sl_data;

/**
 * sl_data_create() - make a data channel without keys
 * @out: the channel, owned by the caller
 *
 * Return: 0 or -ENOMEM.
 */
int sl_data_create(struct sl_data **out);

/** sl_data_release() - wipe the keys and free; NULL is allowed */
void sl_data_release(struct sl_data *data);

/** sl_data_set_peer_id() - what sealed packets carry as peer id, 24 bits; 0 at first */
void sl_data_set_peer_id(struct sl_data *data, uint32_t peer_id);

/**
 * sl_data_key_install() - put a key into a slot; what was there is wiped
 * @data: the channel
 * @slot: where
 * @key:  copied; the caller wipes its own
 *
 * Return: 0; -EINVAL for an unknown cipher, key id or direction, a key id that the other
 * slot has, or two halves that are the same; -ENOMEM.
 */
int sl_data_key_install(struct sl_data *data, enum sl_key_slot slot, const struct sl_data_key *key);

/** sl_data_key_swap() - exchange the slots: the new key seals, the old one still opens */
void sl_data_key_swap(struct sl_data *data);

/** sl_data_key_delete() - wipe the key in a slot, if there is one */
void sl_data_key_delete(struct sl_data *data, enum sl_key_slot slot);

/** sl_data_key_worn() - is the primary key near one of its limits? Then it is time for a new
 * one: sealing stops at packet id 0xff000000 or 2^36 cipher blocks, opening after 2^36 failures. */
bool sl_data_key_worn(struct sl_data *data);

/**
 * sl_data_seal() - seal a packet with the primary key
 * @data:   the channel
 * @head:   SL_DATA_OVERHEAD bytes, filled in; they are to be sent before the payload
 * @pieces: the payload, in order
 * @n:      how many pieces
 *
 * Return: bytes of the sealed packet, head included; -ENOKEY without a primary key;
 * -EKEYEXPIRED when it has reached a limit; -EKEYREJECTED when the peer was seen to seal with
 * the same half; -EMSGSIZE beyond 65535 bytes; -EIO when the cipher fails. Leaves no reason.
 */
int sl_data_seal(struct sl_data *data, uint8_t head[SL_DATA_OVERHEAD],
		 const struct sl_piece *pieces, unsigned n);

/**
 * sl_data_open() - authenticate a packet, check that it is new, decrypt it in place
 * @data:   the channel
 * @packet: as received; its payload is garbage after a failure
 * @len:    bytes
 * @out:    filled in on success
 *
 * Return: 0; -EPROTO for what is no P_DATA_V2 packet; -EINVAL when it is too short; -ENOKEY
 * when no slot has its key id; -EBADMSG when it is not authentic; -EALREADY for a replay (or id
 * 0, or older than the window of 8192 ids); -EKEYEXPIRED after too many failures;
 * -EKEYREJECTED when the peer seals with the half that is ours: the key is dead both ways.
 * Leaves no reason.
 */
int sl_data_open(struct sl_data *data, uint8_t *packet, size_t len, struct sl_data_opened *out);

#ifdef __cplusplus
}
#endif
#endif
