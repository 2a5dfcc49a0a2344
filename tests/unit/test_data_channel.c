/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data channel: two ends that talk, one that lies, keys that come and go, limits, and
 * three threads at once; all with each AEAD back end. The wire format is checked with a cipher that
 * is called from here.
 */
#include "packets.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>

#include <sluice/reason.h>

#include "backends.h"
#include "tunnel/data.h"

#define MAX 1500u

static struct sl_data_key key_make(enum sl_cipher cipher, uint8_t key_id, uint8_t direction,
				   uint64_t material)
{
	struct sl_data_key key = {.cipher = cipher, .key_id = key_id, .direction = direction};

	random_fill(&material, key.material, sizeof(key.material));
	return key;
}

static void install(struct sl_data *data, enum sl_key_slot slot, const struct sl_data_key *key)
{
	assert_int_equal(sl_data_key_install(data, slot, key), 0);
}

static struct sl_data *end_make(enum sl_cipher cipher, uint8_t direction, uint64_t material)
{
	struct sl_data_key key = key_make(cipher, 0, direction, material);
	struct sl_data *data;

	assert_int_equal(sl_data_create(&data), 0);
	sl_data_set_aead(data, backend);
	install(data, SL_KEY_PRIMARY, &key);
	return data;
}

/* Two ends with the same key. */
struct pair {
	struct sl_data *a, *b;
};

static struct pair pair_make(enum sl_cipher cipher)
{
	return (struct pair){end_make(cipher, 0, 1), end_make(cipher, 1, 1)};
}

static void pair_free(struct pair *p)
{
	sl_data_release(p->a);
	sl_data_release(p->b);
}

/* Seal @text; returns what sl_data_seal() does. */
static int seal(struct sl_data *from, const void *text, uint32_t len, uint8_t *packet)
{
	struct sl_piece piece = {.in = text, .out = packet + SL_DATA_OVERHEAD, .len = len};

	return sl_data_seal(from, packet, &piece, 1);
}

/* Open a copy; true as the result says, false when it says 0 and the payload is not @text. */
static int open_copy(struct sl_data *to, const uint8_t *packet, size_t len, const void *text,
		     struct sl_data_opened *opened)
{
	uint8_t *copy = exact(packet, len);
	int err = sl_data_open(to, copy, len, opened);

	if (!err) {
		want(opened->payload == copy + SL_DATA_OVERHEAD);
		want(opened->len == len - SL_DATA_OVERHEAD);
		want(!memcmp(opened->payload, text, opened->len));
	}
	exact_free(copy, len);
	return err;
}

/* Seal and open a short packet. */
static int send(struct sl_data *from, struct sl_data *to)
{
	static const char text[] = "to be sealed";
	uint8_t packet[SL_DATA_OVERHEAD + sizeof(text)];
	struct sl_data_opened opened;
	int len = seal(from, text, sizeof(text), packet);

	return len < 0 ? len : open_copy(to, packet, (size_t)len, text, &opened);
}

static void test_back_end(void **state)
{
	struct sl_data_key key = key_make(SL_CIPHER_CHACHA20_POLY1305, 1, 0, 2);
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);

	(void)state;
	assert_string_equal(sl_aead_name(p.a->keys[SL_KEY_PRIMARY]->seal.aead), backend->name);
	assert_string_equal(sl_aead_name(p.a->keys[SL_KEY_PRIMARY]->open.aead), backend->name);
	sl_data_set_aead(p.a, NULL); /* the best, from the next key on */
	install(p.a, SL_KEY_SECONDARY, &key);
	assert_string_equal(sl_aead_name(p.a->keys[SL_KEY_PRIMARY]->seal.aead), backend->name);
	for (unsigned n = 0; sl_aead_at(n); n++)
		if (sl_aead_at(n)->usable(key.cipher)) {
			assert_ptr_equal(p.a->keys[SL_KEY_SECONDARY]->seal.aead->ops,
					 sl_aead_at(n));
			break;
		}
	pair_free(&p);
}

static void set_last(struct sl_data *data, uint32_t id)
{
	data->keys[SL_KEY_PRIMARY]->seal.last = id;
}

static void test_all_sizes(void **state)
{
	static uint8_t text[MAX], packet[SL_DATA_OVERHEAD + MAX];
	struct sl_data_opened opened;
	uint64_t r = 1;

	(void)state;
	random_fill(&r, text, sizeof(text));
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct pair p = pair_make(c);

		for (uint32_t len = 0; len <= MAX; len++) {
			for (int back = 0; back < 2; back++) {
				struct sl_data *from = back ? p.b : p.a, *to = back ? p.a : p.b;
				int sealed = seal(from, text, len, packet);

				seed = len;
				want(sealed == (int)len + SL_DATA_OVERHEAD);
				want(!open_copy(to, packet, (size_t)sealed, text, &opened));
				want(opened.newest && opened.key_id == 0);
			}
		}
		pair_free(&p);
	}
}

static void test_largest(void **state)
{
	const uint32_t max = 65535 - SL_DATA_OVERHEAD;
	uint8_t *text = calloc(1, max + 1), *packet = malloc(65536);
	const struct sl_piece huge[2] = {{.len = UINT32_MAX}, {.len = 11}};
	uint8_t head[SL_DATA_OVERHEAD];
	struct sl_data_opened opened;

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct pair p = pair_make(c);

		assert_int_equal(seal(p.a, text, max, packet), 65535);
		assert_int_equal(open_copy(p.b, packet, 65535, text, &opened), 0);
		assert_int_equal(seal(p.a, text, max + 1, packet), -EMSGSIZE);
		assert_int_equal(sl_data_seal(p.a, head, huge, 1), -EMSGSIZE);
		assert_int_equal(sl_data_seal(p.a, head, huge, 2), -EMSGSIZE);
		assert_int_equal(sl_data_open(p.b, packet, 65536, &opened), -EPROTO);
		/* None of them used up an id. */
		assert_int_equal(p.a->keys[SL_KEY_PRIMARY]->seal.last, 1);
		pair_free(&p);
	}
	free(text);
	free(packet);
}

static void test_pieces_in_place(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	struct sl_data_opened opened;

	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		uint8_t text[MAX], packet[SL_DATA_OVERHEAD + MAX];
		uint32_t len = random_in(&r, 0, MAX), at = 0;
		struct sl_piece pieces[8];
		unsigned n = 0;

		random_fill(&r, text, len);
		memcpy(packet + SL_DATA_OVERHEAD, text, len);
		for (; n < 8 && random_in(&r, 0, 9); n++) {
			uint8_t *bytes = packet + SL_DATA_OVERHEAD + at;

			pieces[n] = (struct sl_piece){bytes, bytes, random_in(&r, 0, len - at)};
			at += pieces[n].len;
		}
		want(sl_data_seal(p.a, packet, pieces, n) == (int)at + SL_DATA_OVERHEAD);
		want(!open_copy(p.b, packet, at + SL_DATA_OVERHEAD, text, &opened));
	}
	pair_free(&p);
}

/* P_DATA_V2 by the book, with nothing of the library: opcode 9 and key id, peer id (3), packet
 * id (4), tag (16), ciphertext; the AAD is the first 8; the nonce is the packet id and 8 bytes
 * of the half's hmac[64], which follows its cipher[64]. */
static bool book_open(enum sl_cipher cipher, const uint8_t *half, const uint8_t *packet, size_t len,
		      uint8_t *text)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12], tag[16], none[16];
	int n;
	bool good;

	memcpy(nonce, packet + 4, 4);
	memcpy(nonce + 4, half + 64, 8);
	memcpy(tag, packet + 8, 16);
	good = EVP_DecryptInit_ex(ctx, cipher ? EVP_chacha20_poly1305() : EVP_aes_256_gcm(), NULL,
				  half, nonce) &&
	       EVP_DecryptUpdate(ctx, NULL, &n, packet, 8) &&
	       EVP_DecryptUpdate(ctx, text, &n, packet + 24, (int)len - 24) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) &&
	       EVP_DecryptFinal_ex(ctx, none, &n);
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

static void check_wire_format(struct sl_data *data, enum sl_cipher cipher, uint8_t direction,
			      uint8_t key_id)
{
	static const char text[] = "no part of the library reads this";
	uint8_t packet[SL_DATA_OVERHEAD + sizeof(text)], out[sizeof(text)];
	struct sl_data_key key = key_make(cipher, key_id, direction, 9);
	const uint8_t head[8] = {(uint8_t)(0x48 + key_id), 0xab, 0xcd, 0xef, 0, 0, 0, 1};
	const uint8_t *half = key.material + 128 * direction;

	install(data, SL_KEY_PRIMARY, &key);
	assert_int_equal(seal(data, text, sizeof(text), packet), sizeof(packet));
	assert_memory_equal(packet, head, 8);
	assert_true(book_open(cipher, half, packet, sizeof(packet), out));
	assert_memory_equal(out, text, sizeof(text));
	set_last(data, 0x01020303);
	seal(data, text, sizeof(text), packet);
	assert_memory_equal(packet + 4, "\x01\x02\x03\x04", 4);
	assert_true(book_open(cipher, half, packet, sizeof(packet), out));
}

static void test_wire_format(void **state)
{
	struct sl_data *data;

	(void)state;
	assert_int_equal(sl_data_create(&data), 0);
	sl_data_set_aead(data, backend);
	sl_data_set_peer_id(data, 0xffabcdef);
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++)
		for (uint8_t direction = 0; direction < 2; direction++)
			for (uint8_t key_id = 0; key_id < 8; key_id++)
				check_wire_format(data, c, direction, key_id);
	sl_data_release(data);
}

static void test_every_bit_counts(void **state)
{
	uint8_t text[100] = {0x45}, packet[SL_DATA_OVERHEAD + sizeof(text)];
	struct sl_data_opened opened;

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		/* Before the first authentic packet, and after it. */
		for (int known = 0; known < 2; known++) {
			struct pair p = pair_make(c);

			if (known)
				assert_int_equal(send(p.a, p.b), 0);
			seal(p.a, text, sizeof(text), packet);
			for (unsigned bit = 0; bit < 8 * sizeof(packet); bit++) {
				int err = bit < 3 ? -ENOKEY : bit < 8 ? -EPROTO : -EBADMSG;

				packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
				assert_int_equal(
					open_copy(p.b, packet, sizeof(packet), text, &opened), err);
				packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
			assert_int_equal(open_copy(p.b, packet, sizeof(packet), text, &opened), 0);
			pair_free(&p);
		}
	}
}

static void test_truncated(void **state)
{
	uint8_t text[200] = {0}, packet[SL_DATA_OVERHEAD + sizeof(text) + 1] = {0};
	struct sl_data_opened opened;

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct pair p = pair_make(c);

		seal(p.a, text, sizeof(text), packet);
		for (size_t len = 0; len <= sizeof(packet); len++)
			if (len != sizeof(packet) - 1)
				assert_int_equal(open_copy(p.b, packet, len, text, &opened),
						 len < SL_DATA_OVERHEAD ? -EINVAL : -EBADMSG);
		assert_int_equal(open_copy(p.b, packet, sizeof(packet) - 1, text, &opened), 0);
		pair_free(&p);
	}
}

static void test_other_packets(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	uint8_t packet[SL_DATA_OVERHEAD] = {0};
	struct sl_data_opened opened;

	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		packet[0] = (uint8_t)first;
		assert_int_equal(sl_data_open(p.b, packet, 1, &opened),
				 first >> 3 == 9 ? -EINVAL : -EPROTO);
		assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened),
				 first >> 3 != 9 ? -EPROTO
				 : first & 7	 ? -ENOKEY
						 : -EBADMSG);
	}
	pair_free(&p);
}

static void test_replays(void **state)
{
	static const uint32_t ids[] = {5,
				       3,
				       9000,
				       9000 - REPLAY_WINDOW - 1,
				       9000 - REPLAY_WINDOW,
				       8999,
				       9001,
				       0xfeffffff,
				       0xfefffffe,
				       1};
	static const int results[] = {1, 0, 1, -EALREADY, 0, 0, 1, 1, 0, -EALREADY};
	struct sl_data_opened opened;
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct pair p = pair_make(c);

		for (size_t n = 0; n < sizeof(ids) / sizeof(ids[0]); n++) {
			set_last(p.a, ids[n] - 1);
			assert_int_equal(seal(p.a, NULL, 0, packet), SL_DATA_OVERHEAD);
			assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened),
					 results[n] < 0 ? results[n] : 0);
			if (results[n] >= 0)
				assert_int_equal(opened.newest, results[n]);
			assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened),
					 -EALREADY);
		}
		pair_free(&p);
	}
}

/* Seal an empty packet with any id, as an end that keeps no rule would. */
static void seal_any(struct sl_data *data, uint32_t id, uint8_t packet[SL_DATA_OVERHEAD])
{
	const struct data_key *key = data->keys[SL_KEY_PRIMARY];
	uint8_t nonce[12] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
			     (uint8_t)id};

	memset(packet, 0, SL_DATA_OVERHEAD);
	packet[0] = (uint8_t)(0x48 | key->key_id);
	memcpy(packet + 4, nonce, 4);
	memcpy(nonce + 4, key->seal.iv, 8);
	assert_int_equal(sl_aead_seal(key->seal.aead, nonce, packet, 8, NULL, 0, packet + 8), 0);
}

static void test_ids_at_the_ends(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	struct sl_data_opened opened;
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	seal_any(p.a, 0, packet);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EALREADY);
	seal_any(p.a, UINT32_MAX, packet);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), 0);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EALREADY);
	seal_any(p.a, 0, packet);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EALREADY);
	pair_free(&p);
}

/* A forged packet moves no window: its id may still come. */
static void test_forgery_leaves_window(void **state)
{
	struct pair p = pair_make(SL_CIPHER_CHACHA20_POLY1305);
	struct sl_data_opened opened;
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	assert_int_equal(send(p.a, p.b), 0);
	seal(p.a, NULL, 0, packet);
	packet[4] = 0x7f;
	assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened), -EBADMSG);
	packet[4] = 0;
	assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened), 0);
	assert_true(opened.newest);
	pair_free(&p);
}

static void test_slots(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	struct sl_data_key a1 = key_make(SL_CIPHER_CHACHA20_POLY1305, 1, 0, 2);
	struct sl_data_key b1 = key_make(SL_CIPHER_CHACHA20_POLY1305, 1, 1, 2);
	uint8_t old[SL_DATA_OVERHEAD];
	struct sl_data_opened opened;

	(void)state;
	assert_int_equal(send(p.a, p.b), 0);
	seal(p.a, NULL, 0, old);
	install(p.b, SL_KEY_SECONDARY, &b1);
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(send(p.b, p.a), 0); /* the secondary seals nothing */
	install(p.a, SL_KEY_SECONDARY, &a1);
	sl_data_key_swap(p.a);
	assert_int_equal(send(p.a, p.b), 0); /* new to new */
	assert_int_equal(p.b->keys[SL_KEY_SECONDARY]->open.replay.top, 1);
	assert_int_equal(send(p.b, p.a), 0); /* old to old */
	sl_data_key_swap(p.b);
	assert_int_equal(open_copy(p.b, old, sizeof(old), "", &opened), 0);
	assert_int_equal(opened.key_id, 0);
	assert_false(opened.newest);

	/* Back and forth: ids go on where they were. */
	sl_data_key_swap(p.a);
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(p.a->keys[SL_KEY_PRIMARY]->seal.last, 4);
	sl_data_key_swap(p.a);
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(p.a->keys[SL_KEY_PRIMARY]->seal.last, 2);

	sl_data_key_delete(p.b, SL_KEY_SECONDARY);
	sl_data_key_delete(p.b, SL_KEY_SECONDARY);
	assert_int_equal(open_copy(p.b, old, sizeof(old), "", &opened), -ENOKEY);
	assert_int_equal(send(p.a, p.b), 0);
	sl_data_key_swap(p.b); /* the primary is empty now */
	assert_int_equal(send(p.b, p.a), -ENOKEY);
	assert_int_equal(send(p.a, p.b), 0);
	sl_data_key_delete(p.b, SL_KEY_SECONDARY);
	assert_int_equal(send(p.a, p.b), -ENOKEY);
	assert_false(sl_data_key_worn(p.b));
	pair_free(&p);
}

static void test_install_refuses(void **state)
{
	struct sl_data_key good = key_make(SL_CIPHER_AES_256_GCM, 3, 0, 1), key;
	struct sl_data *data;

	(void)state;
	assert_int_equal(sl_data_create(&data), 0);
	sl_data_set_aead(data, backend);
	key = good;
	key.cipher = (enum sl_cipher)7;
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &key), -EINVAL);
	assert_string_equal(sl_reason(), "there is no cipher number 7");
	key = good;
	key.key_id = 8;
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &key), -EINVAL);
	assert_string_equal(sl_reason(), "key id 8 is more than 7");
	key = good;
	key.direction = 2;
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &key), -EINVAL);
	assert_string_equal(sl_reason(), "key direction 2 is neither 0 nor 1");
	key = good;
	memcpy(key.material + 128, key.material, 32); /* all that the cipher takes of a half */
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &key), -EINVAL);
	assert_non_null(strstr(sl_reason(), "both halves of key 3 are the same"));
	assert_null(data->keys[SL_KEY_PRIMARY]);

	install(data, SL_KEY_PRIMARY, &good);
	install(data, SL_KEY_PRIMARY, &good); /* its own place it may take */
	assert_int_equal(sl_data_key_install(data, SL_KEY_SECONDARY, &good), -EINVAL);
	assert_string_equal(sl_reason(), "the other slot has a key with id 3");
	assert_null(data->keys[SL_KEY_SECONDARY]);
	sl_data_key_swap(data);
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &good), -EINVAL);
	install(data, SL_KEY_SECONDARY, &good);
	sl_data_release(data);
	sl_data_release(NULL);
}

static void test_ids_run_out(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);

	(void)state;
	assert_int_equal(send(p.a, p.b), 0);
	assert_false(sl_data_key_worn(p.a));
	set_last(p.a, 0xff000000u / 16 * 15 - 2);
	assert_int_equal(send(p.a, p.b), 0);
	assert_false(sl_data_key_worn(p.a));
	assert_int_equal(send(p.a, p.b), 0);
	assert_true(sl_data_key_worn(p.a));
	set_last(p.a, 0xff000000u - 3);
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(send(p.a, p.b), 0);
	for (int n = 0; n < 3; n++)
		assert_int_equal(send(p.a, p.b), -EKEYEXPIRED);
	assert_int_equal(p.a->keys[SL_KEY_PRIMARY]->seal.last, 0xff000000u - 1);
	assert_true(sl_data_key_worn(p.a));
	assert_false(sl_data_key_worn(p.b));
	assert_int_equal(send(p.b, p.a), 0); /* it still opens */
	pair_free(&p);
}

static void test_blocks_run_out(void **state)
{
	const uint64_t limit = 1ull << 36;
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	uint64_t *blocks = &p.a->keys[SL_KEY_PRIMARY]->seal.blocks;
	uint8_t text[33] = {0}, packet[SL_DATA_OVERHEAD + sizeof(text)];

	(void)state;
	seal(p.a, text, 0, packet);
	assert_int_equal(*blocks, 1);
	seal(p.a, text, 1, packet);
	assert_int_equal(*blocks, 3);
	seal(p.a, text, 16, packet);
	assert_int_equal(*blocks, 5);
	seal(p.a, text, 33, packet);
	assert_int_equal(*blocks, 9);
	*blocks = limit / 16 * 15 - 1;
	assert_false(sl_data_key_worn(p.a));
	assert_int_equal(seal(p.a, text, 0, packet), SL_DATA_OVERHEAD);
	assert_true(sl_data_key_worn(p.a));
	*blocks = limit - 2;
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(*blocks, limit);
	assert_int_equal(send(p.a, p.b), -EKEYEXPIRED);
	assert_int_equal(send(p.b, p.a), 0);
	pair_free(&p);
}

static void test_failures_run_out(void **state)
{
	const uint64_t limit = 1ull << 36;
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	uint64_t *failures = &p.b->keys[SL_KEY_PRIMARY]->open.failures;
	uint8_t packet[SL_DATA_OVERHEAD] = {0x48};
	struct sl_data_opened opened;

	(void)state;
	*failures = limit / 16 * 15 - 1;
	assert_false(sl_data_key_worn(p.b));
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EBADMSG);
	assert_true(sl_data_key_worn(p.b));
	*failures = limit - 1;
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EBADMSG);
	assert_int_equal(sl_data_open(p.b, packet, sizeof(packet), &opened), -EKEYEXPIRED);
	assert_int_equal(send(p.a, p.b), -EKEYEXPIRED);
	assert_int_equal(send(p.b, p.a), 0);
	pair_free(&p);
}

static void test_cipher_fails(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	struct data_key *key = p.a->keys[SL_KEY_PRIMARY];
	struct sl_aead *good = key->seal.aead;
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	key->seal.aead = key->open.aead; /* cannot seal */
	assert_int_equal(seal(p.a, NULL, 0, packet), -EIO);
	key->seal.aead = good;
	assert_int_equal(seal(p.a, NULL, 0, packet), SL_DATA_OVERHEAD);
	assert_memory_equal(packet + 4, "\0\0\0\2", 4);
	pair_free(&p);
}

static void expect_dead(struct sl_data *data, const uint8_t *packet, size_t len)
{
	struct sl_data_opened opened;

	assert_int_equal(open_copy(data, packet, len, "", &opened), -EKEYREJECTED);
	assert_true(sl_data_key_worn(data));
}

/* Both ends took direction 0: whoever hears the other first is right to stop. */
static void test_same_half(void **state)
{
	static uint8_t text[40000];
	static uint8_t packet[SL_DATA_OVERHEAD + sizeof(text)];
	static const uint32_t sizes[] = {0, 1, 1023, 1024, 1025, 1500, sizeof(text)};

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
			/* This end has sealed nothing, less, as much (but other bytes). */
			for (int sealed = 0; sealed <= 2; sealed++) {
				struct sl_data *us = end_make(c, 0, 1), *them = end_make(c, 0, 1);
				size_t len;

				for (int i = 0; i < sealed; i++)
					seal(us, "ours", 4, packet);
				seal(them, text, sizes[n], packet);
				len = (size_t)seal(them, text, sizes[n], packet);
				expect_dead(us, packet, len);
				assert_int_equal(seal(us, NULL, 0, packet), -EKEYREJECTED);
				packet[10] ^= 1;
				expect_dead(us, packet, len);
				assert_int_equal(seal(them, NULL, 0, packet), SL_DATA_OVERHEAD);
				sl_data_release(us);
				sl_data_release(them);
			}
		}
	}
}

/* The peer's late packets prove it too, when this end has not got as far. */
static void test_same_half_late(void **state)
{
	struct sl_data *us = end_make(SL_CIPHER_AES_256_GCM, 1, 1);
	struct sl_data *them = end_make(SL_CIPHER_AES_256_GCM, 1, 1);
	struct sl_data_key fresh = key_make(SL_CIPHER_AES_256_GCM, 1, 1, 5);
	struct sl_data_opened opened;
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	set_last(us, 1000);
	set_last(them, 999);
	seal(them, NULL, 0, packet); /* id 1000: may be ours for all we know */
	assert_int_equal(open_copy(us, packet, sizeof(packet), "", &opened), -EBADMSG);
	assert_false(sl_data_key_worn(us));
	seal(them, NULL, 0, packet);
	expect_dead(us, packet, sizeof(packet));

	/* Another key is not affected. */
	install(us, SL_KEY_SECONDARY, &fresh);
	sl_data_key_swap(us);
	assert_false(sl_data_key_worn(us));
	assert_int_equal(seal(us, NULL, 0, packet), SL_DATA_OVERHEAD);
	sl_data_release(us);
	sl_data_release(them);
}

/* Nobody seals id 0: who does has the half and is not us. */
static void test_same_half_id_0(void **state)
{
	struct sl_data *us = end_make(SL_CIPHER_AES_256_GCM, 0, 1);
	struct sl_data *them = end_make(SL_CIPHER_AES_256_GCM, 0, 1);
	uint8_t packet[SL_DATA_OVERHEAD];

	(void)state;
	seal_any(them, 0, packet);
	expect_dead(us, packet, sizeof(packet));
	sl_data_release(us);
	sl_data_release(them);
}

static void test_reflection(void **state)
{
	static const char text[] = "sent back";
	uint8_t packets[40][SL_DATA_OVERHEAD + sizeof(text)];
	struct sl_data_opened opened;

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct pair p = pair_make(c);

		for (int n = 0; n < 40; n++)
			seal(p.a, text, sizeof(text), packets[n]);
		for (int n = 0; n < 40; n++)
			assert_int_equal(
				open_copy(p.a, packets[n], sizeof(packets[n]), "", &opened),
				-EBADMSG);
		assert_int_equal(p.a->keys[SL_KEY_PRIMARY]->open.failures, 40);
		assert_false(sl_data_key_worn(p.a));
		assert_int_equal(open_copy(p.b, packets[39], sizeof(packets[39]), text, &opened),
				 0);
		assert_int_equal(send(p.b, p.a), 0);
		assert_int_equal(send(p.a, p.b), 0);
		assert_int_equal(open_copy(p.a, packets[0], sizeof(packets[0]), "", &opened),
				 -EBADMSG);
		pair_free(&p);
	}
}

/* The mirror goes with the first authentic packet; garbage buys a few tries at most. */
static void test_mirror_ends(void **state)
{
	struct pair p = pair_make(SL_CIPHER_AES_256_GCM);
	struct sl_data *twin = end_make(SL_CIPHER_AES_256_GCM, 1, 1);
	struct data_opener *open = &p.b->keys[SL_KEY_PRIMARY]->open;
	uint8_t garbage[SL_DATA_OVERHEAD] = {0x48}, packet[SL_DATA_OVERHEAD];
	struct sl_data_opened opened;

	(void)state;
	assert_non_null(open->mirror);
	for (unsigned n = 0; n < 2 * DATA_MIRROR_TRIES; n++)
		sl_data_open(p.b, garbage, sizeof(garbage), &opened);
	assert_int_equal(open->mirror_tries, DATA_MIRROR_TRIES);
	seal(twin, NULL, 0, packet);
	assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened), -EBADMSG);
	assert_int_equal(send(p.a, p.b), 0);
	assert_null(open->mirror);
	open->mirror_tries = 0;
	assert_int_equal(open_copy(p.b, packet, sizeof(packet), "", &opened), -EBADMSG);
	assert_int_equal(send(p.a, p.b), 0);
	assert_int_equal(send(p.b, p.a), 0);
	sl_data_release(twin);
	pair_free(&p);
}

/*
 * Threads: each seals at one end and opens at the other, so that each end is sealed and opened
 * with at once, while a third changes the keys of both.
 */
#define TEXT 300u

struct threads {
	struct pair p;
	unsigned rounds;
	bool done;
	pthread_mutex_t lock; /* reflected */
	uint8_t reflected[2][SL_DATA_OVERHEAD];
};

struct talker {
	struct threads *t;
	bool back;
	unsigned opened, wrong;
};

/* What the other end has sealed last, sent back to it. */
static int reflect(struct talker *me, struct sl_data *to)
{
	uint8_t packet[SL_DATA_OVERHEAD];
	struct sl_data_opened opened;

	pthread_mutex_lock(&me->t->lock);
	memcpy(packet, me->t->reflected[!me->back], sizeof(packet));
	pthread_mutex_unlock(&me->t->lock);
	return packet[0] ? sl_data_open(to, packet, sizeof(packet), &opened) : -EBADMSG;
}

static void talk_once(struct talker *me, uint64_t *r, struct sl_data *from, struct sl_data *to)
{
	uint8_t text[TEXT] = {0}, packet[SL_DATA_OVERHEAD + TEXT];
	uint32_t len = random_in(r, 0, 3) ? random_in(r, 0, TEXT) : 0;
	struct sl_data_opened opened;
	int sealed, err;

	random_fill(r, text, len);
	sealed = seal(from, text, len, packet);
	if (sealed < 0) {
		me->wrong += sealed != -ENOKEY;
		return;
	}
	if (!len) {
		pthread_mutex_lock(&me->t->lock);
		memcpy(me->t->reflected[me->back], packet, SL_DATA_OVERHEAD);
		pthread_mutex_unlock(&me->t->lock);
	}
	err = sl_data_open(to, packet, (size_t)sealed, &opened);
	if (!err)
		me->wrong += opened.len != len || memcmp(opened.payload, text, len);
	else
		me->wrong += err != -ENOKEY && err != -EBADMSG;
	me->opened += !err;
	err = reflect(me, to);
	me->wrong += err != -EBADMSG && err != -ENOKEY;
}

static void *talk(void *arg)
{
	struct talker *me = arg;
	struct pair p = me->t->p;
	uint64_t r = me->back;

	while (!sl_load_relaxed(&me->t->done))
		talk_once(me, &r, me->back ? p.b : p.a, me->back ? p.a : p.b);
	return NULL;
}

/* A renegotiation: the new key opens at both ends before it seals at one. */
static void renew(struct threads *t, unsigned round)
{
	struct sl_data_key a = key_make(round % 2, (uint8_t)(round % 8), 0, round), b = a;

	b.direction = 1;
	install(t->p.a, SL_KEY_SECONDARY, &a);
	install(t->p.b, SL_KEY_SECONDARY, &b);
	sl_data_key_swap(t->p.a);
	sl_data_set_peer_id(t->p.a, round);
	sl_data_key_swap(t->p.b);
	assert_false(sl_data_key_worn(t->p.a));
	if (round % 3 == 0)
		sl_data_key_delete(t->p.a, SL_KEY_SECONDARY);
	if (round % 50 == 0)
		sl_data_key_delete(t->p.b, SL_KEY_PRIMARY);
}

static void test_threads(void **state)
{
	struct threads t = {.p = pair_make(SL_CIPHER_AES_256_GCM)};
	struct talker talkers[2] = {{.t = &t}, {.t = &t, .back = true}};
	pthread_t threads[2];

	(void)state;
	pthread_mutex_init(&t.lock, NULL);
	for (int n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, talk, &talkers[n]), 0);
	for (t.rounds = 1; t.rounds <= 500; t.rounds++) {
		renew(&t, t.rounds);
		sched_yield();
	}
	sl_store_relaxed(&t.done, true);
	for (int n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	for (int n = 0; n < 2; n++) {
		print_message("# %u packets opened\n", talkers[n].opened);
		assert_int_equal(talkers[n].wrong, 0);
		assert_true(talkers[n].opened > 0);
	}
	renew(&t, 2001);
	assert_int_equal(send(t.p.a, t.p.b), 0);
	assert_int_equal(send(t.p.b, t.p.a), 0);
	pthread_mutex_destroy(&t.lock);
	pair_free(&t.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back_end),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_pieces_in_place),
		cmocka_unit_test(test_wire_format),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_other_packets),
		cmocka_unit_test(test_replays),
		cmocka_unit_test(test_ids_at_the_ends),
		cmocka_unit_test(test_forgery_leaves_window),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_install_refuses),
		cmocka_unit_test(test_ids_run_out),
		cmocka_unit_test(test_blocks_run_out),
		cmocka_unit_test(test_failures_run_out),
		cmocka_unit_test(test_cipher_fails),
		cmocka_unit_test(test_same_half),
		cmocka_unit_test(test_same_half_late),
		cmocka_unit_test(test_same_half_id_0),
		cmocka_unit_test(test_reflection),
		cmocka_unit_test(test_mirror_ends),
		cmocka_unit_test(test_threads),
	};

	return backends_run(tests, sizeof(tests) / sizeof(tests[0]));
}
