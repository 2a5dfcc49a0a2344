/* SPDX-License-Identifier: BSD-2-Clause */
/* The ciphers: published vectors, and that pieces are the payload however it is cut. */
#include "packets.h"

#include <errno.h>
#include <openssl/err.h>

#include <sluice/reason.h>

#include "tunnel/aead.h"

#define MAX 1600u

struct vector {
	enum sl_cipher cipher;
	const char *key, *nonce, *aad, *plain, *sealed, *tag;
};

/* AES: McGrew and Viega's test cases 13 to 16, which NIST's validation took over.
 * ChaCha20: RFC 8439 2.8.2. */
static const struct vector vectors[] = {
	{SL_CIPHER_AES_256_GCM, "0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{SL_CIPHER_AES_256_GCM, "0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "00000000000000000000000000000000",
	 "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{SL_CIPHER_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	 "b094dac5d93471bdec1a502270e3cc6c"},
	{SL_CIPHER_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	{SL_CIPHER_CHACHA20_POLY1305,
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	 "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	 "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	 "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	 "637265656e20776f756c642062652069742e",
	 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	 "3ff4def08e4b7a9de576d26586cec64b6116",
	 "1ae10b594f09e26a7e902ecbd0600691"},
};

static uint32_t unhex(const char *text, uint8_t *to)
{
	uint32_t len = (uint32_t)strlen(text) / 2;

	for (uint32_t n = 0; n < len; n++) {
		char two[3] = {text[2 * n], text[2 * n + 1], 0};

		to[n] = (uint8_t)strtoul(two, NULL, 16);
	}
	return len;
}

static struct sl_aead *aead_make(enum sl_cipher cipher, const uint8_t *key, bool seals)
{
	struct sl_aead *aead;

	assert_int_equal(sl_aead_create(cipher, key, seals, &aead), 0);
	return aead;
}

static void check_vector(const struct vector *v)
{
	uint8_t key[32], nonce[12], aad[32], plain[128], sealed[128], tag[16], out[128], made[16];
	uint32_t aad_len, len;
	struct sl_piece piece;
	struct sl_aead *seal, *open;

	assert_int_equal(unhex(v->key, key), sizeof(key));
	assert_int_equal(unhex(v->nonce, nonce), sizeof(nonce));
	aad_len = unhex(v->aad, aad);
	len = unhex(v->plain, plain);
	assert_int_equal(unhex(v->sealed, sealed), len);
	assert_int_equal(unhex(v->tag, tag), sizeof(tag));
	seal = aead_make(v->cipher, key, true);
	open = aead_make(v->cipher, key, false);
	for (int twice = 0; twice < 2; twice++) {
		piece = (struct sl_piece){.in = plain, .out = out, .len = len};
		assert_int_equal(sl_aead_seal(seal, nonce, aad, aad_len, &piece, 1, made), 0);
		assert_memory_equal(out, sealed, len);
		assert_memory_equal(made, tag, sizeof(tag));
		piece = (struct sl_piece){.in = sealed, .out = out, .len = len};
		assert_int_equal(sl_aead_open(open, nonce, aad, aad_len, &piece, 1, tag), 0);
		assert_memory_equal(out, plain, len);
		made[twice] ^= 1;
		assert_int_equal(sl_aead_open(open, nonce, aad, aad_len, &piece, 1, made),
				 -EBADMSG);
	}
	sl_aead_release(seal);
	sl_aead_release(open);
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(vectors) / sizeof(vectors[0]); n++)
		check_vector(&vectors[n]);
}

/* Cut @len bytes into 1 to 9 pieces, some of them empty and without pointers. */
static unsigned cut(uint64_t *r, const uint8_t *in, uint8_t *out, uint32_t len, struct sl_piece *to)
{
	unsigned n = 0;

	while (n < 8 && random_in(r, 0, 5)) {
		uint32_t part = random_in(r, 0, 3) ? random_in(r, 0, len) : 0;

		to[n++] = (struct sl_piece){
			.in = part ? in : NULL, .out = part ? out : NULL, .len = part};
		in += part;
		out += part;
		len -= part;
	}
	to[n++] = (struct sl_piece){.in = in, .out = out, .len = len};
	return n;
}

static void test_pieces(void **state)
{
	(void)state;
	for (seed = 1; seed <= 4000; seed++) {
		static uint8_t plain[MAX], whole[MAX], out[MAX];
		uint64_t r = seed;
		uint8_t key[32], nonce[12], aad[8], tag[16], tag2[16];
		uint32_t len = random_in(&r, 0, random_in(&r, 0, 1) ? 80 : MAX);
		enum sl_cipher cipher = random_in(&r, 0, SL_CIPHER_COUNT - 1);
		struct sl_piece pieces[9] = {{.in = plain, .out = whole, .len = len}};
		struct sl_aead *seal, *open;
		bool in_place = random_next(&r) & 1;
		uint8_t *from = in_place ? out : plain;
		unsigned n;

		random_fill(&r, key, sizeof(key));
		random_fill(&r, nonce, sizeof(nonce));
		random_fill(&r, aad, sizeof(aad));
		random_fill(&r, plain, len);
		seal = aead_make(cipher, key, true);
		open = aead_make(cipher, key, false);
		want(!sl_aead_seal(seal, nonce, aad, sizeof(aad), pieces, 1, tag));
		if (in_place)
			memcpy(out, plain, len);
		n = cut(&r, from, out, len, pieces);
		want(!sl_aead_seal(seal, nonce, aad, sizeof(aad), pieces, n, tag2));
		want(!memcmp(out, whole, len) && !memcmp(tag, tag2, sizeof(tag)));

		from = in_place ? out : whole;
		n = cut(&r, from, out, len, pieces);
		want(!sl_aead_open(open, nonce, aad, sizeof(aad), pieces, n, tag));
		want(!memcmp(out, plain, len));
		sl_aead_release(seal);
		sl_aead_release(open);
	}
}

static void test_no_pieces(void **state)
{
	const uint8_t key[32] = {1}, nonce[12] = {2}, aad[8] = {3};
	const struct sl_piece empty = {0};
	uint8_t tag[16], tag2[16];

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct sl_aead *seal = aead_make(c, key, true), *open = aead_make(c, key, false);

		assert_int_equal(sl_aead_seal(seal, nonce, aad, 8, NULL, 0, tag), 0);
		assert_int_equal(sl_aead_seal(seal, nonce, aad, 8, &empty, 1, tag2), 0);
		assert_memory_equal(tag, tag2, 16);
		assert_int_equal(sl_aead_open(open, nonce, aad, 8, NULL, 0, tag), 0);
		assert_int_equal(sl_aead_open(open, nonce, aad, 8, &empty, 1, tag), 0);
		tag[15] ^= 0x80;
		assert_int_equal(sl_aead_open(open, nonce, aad, 8, NULL, 0, tag), -EBADMSG);
		assert_int_equal(sl_aead_seal(seal, nonce, NULL, 0, NULL, 0, tag), 0);
		assert_int_equal(sl_aead_open(open, nonce, NULL, 0, NULL, 0, tag), 0);
		sl_aead_release(seal);
		sl_aead_release(open);
	}
}

/* One bit wrong anywhere: not authentic; and the context is good for the next packet. */
static void test_every_bit_counts(void **state)
{
	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		uint8_t all[12 + 8 + 16 + 40] = {0}, out[40]; /* nonce, AAD, tag, sealed */
		const uint8_t key[32] = {7};
		struct sl_piece piece = {.in = all + 36, .out = all + 36, .len = 40};
		struct sl_aead *seal = aead_make(c, key, true), *open = aead_make(c, key, false);

		assert_int_equal(sl_aead_seal(seal, all, all + 12, 8, &piece, 1, all + 20), 0);
		piece.out = out;
		for (unsigned bit = 0; bit < 8 * sizeof(all); bit++) {
			all[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(sl_aead_open(open, all, all + 12, 8, &piece, 1, all + 20),
					 -EBADMSG);
			all[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(sl_aead_open(open, all, all + 12, 8, &piece, 1, all + 20),
					 0);
		}
		/* SSL_get_error() of whoever uses this thread next would take them for its own. */
		assert_int_equal(ERR_peek_error(), 0);
		sl_aead_release(seal);
		sl_aead_release(open);
	}
}

static void test_unknown_cipher(void **state)
{
	const uint8_t key[32] = {0};
	struct sl_aead *aead;

	(void)state;
	assert_int_equal(sl_aead_create(SL_CIPHER_COUNT, key, true, &aead), -EINVAL);
	assert_string_equal(sl_reason(), "there is no cipher number 2");
	sl_aead_release(NULL);
}

/* A cipher that fails says so: here one that was made for the other direction. */
static void test_failing_cipher(void **state)
{
	const uint8_t key[32] = {0}, nonce[12] = {0};
	uint8_t tag[16];

	(void)state;
	for (enum sl_cipher c = 0; c < SL_CIPHER_COUNT; c++) {
		struct sl_aead *open = aead_make(c, key, false), *seal = aead_make(c, key, true);

		assert_int_equal(sl_aead_seal(open, nonce, NULL, 0, NULL, 0, tag), -EIO);
		memset(tag, 0, sizeof(tag));
		assert_int_equal(sl_aead_open(seal, nonce, NULL, 0, NULL, 0, tag), -EBADMSG);
		sl_aead_release(open);
		sl_aead_release(seal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	       cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_no_pieces),      cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_unknown_cipher), cmocka_unit_test(test_failing_cipher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
