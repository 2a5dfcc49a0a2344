/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ciphers, with each back end: published vectors; that pieces are the payload however it is
 * cut; that back ends agree, and touch nothing but what they are given.
 */
#include "packets.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/mman.h>

#include <sluice/reason.h>

#include "backends.h"
#include "base/bytes.h"
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

	assert_int_equal(sl_aead_create(backend, cipher, key, seals, &aead), 0);
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
	assert_int_equal(sl_aead_create(backend, SL_CIPHER_COUNT, key, true, &aead), -EINVAL);
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
		assert_int_equal(sl_aead_seal(seal, nonce, NULL, 0, NULL, 0, tag), 0);
		assert_int_equal(sl_aead_open(seal, nonce, NULL, 0, NULL, 0, tag), -EBADMSG);
		sl_aead_release(open);
		sl_aead_release(seal);
	}
}

/*
 * Two back ends, in memory that ends where their bytes do. No sanitizer sees into a library's
 * assembler; a page that is not there does.
 */
#define FENCED 65536u

/* @len bytes that a page follows, or that follow a page, which is not there. */
struct fenced {
	uint8_t *map, *bytes;
};

static void fenced_make(struct fenced *f)
{
	const size_t page = 4096;

	f->map = mmap(NULL, FENCED + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->map, MAP_FAILED);
	assert_int_equal(mprotect(f->map + page, FENCED, PROT_READ | PROT_WRITE), 0);
}

static uint8_t *fenced_put(uint64_t *r, struct fenced *f, uint32_t len)
{
	f->bytes = f->map + 4096 + (random_next(r) & 1 ? 0 : FENCED - len);
	return f->bytes;
}

/* One packet, and everything it touches. */
struct agreement {
	struct fenced key, nonce, aad, tag, plain, sealed;
	enum sl_cipher cipher;
	uint32_t aad_len, len;
};

static bool agreement_opens(struct agreement *a, uint64_t *r, struct sl_aead *open,
			    struct fenced *to)
{
	struct sl_piece pieces[9];
	unsigned n = cut(r, a->sealed.bytes, fenced_put(r, to, a->len), a->len, pieces);
	int err = sl_aead_open(open, a->nonce.bytes, a->aad.bytes, a->aad_len, pieces, n,
			       a->tag.bytes);

	want(!err || err == -EBADMSG);
	return !err;
}

/* One bit is wrong, somewhere. */
static void agreement_corrupt(struct agreement *a, uint64_t *r, struct sl_aead *open,
			      struct fenced *to)
{
	struct {
		uint8_t *bytes;
		uint32_t len;
	} parts[] = {{a->tag.bytes, 16},
		     {a->nonce.bytes, 12},
		     {a->aad.bytes, a->aad_len},
		     {a->sealed.bytes, a->len}};
	unsigned part = random_in(r, 0, 3);
	uint8_t *at, bit = (uint8_t)(1u << random_in(r, 0, 7));

	if (!parts[part].len)
		part = 0;
	at = parts[part].bytes + random_in(r, 0, parts[part].len - 1);
	*at ^= bit;
	want(!agreement_opens(a, r, open, to));
	*at ^= bit;
}

/* @first seals a into pieces, @second another way; each opens the other's. */
static void agreement_check(struct agreement *a, uint64_t *r, const struct sl_aead_ops *first,
			    const struct sl_aead_ops *second, struct fenced *to)
{
	struct sl_aead *seal[2], *open[2];
	struct sl_piece pieces[9];
	uint8_t tag[16];
	unsigned n;

	for (int i = 0; i < 2; i++) {
		const struct sl_aead_ops *ops = i ? second : first;

		want(!sl_aead_create(ops, a->cipher, a->key.bytes, true, &seal[i]));
		want(!sl_aead_create(ops, a->cipher, a->key.bytes, false, &open[i]));
	}
	n = cut(r, a->plain.bytes, a->sealed.bytes, a->len, pieces);
	want(!sl_aead_seal(seal[0], a->nonce.bytes, a->aad.bytes, a->aad_len, pieces, n,
			   a->tag.bytes));
	memcpy(tag, a->tag.bytes, 16);
	memcpy(fenced_put(r, to, a->len), a->plain.bytes, a->len);
	n = cut(r, to->bytes, to->bytes, a->len, pieces); /* in place */
	want(!sl_aead_seal(seal[1], a->nonce.bytes, a->aad.bytes, a->aad_len, pieces, n,
			   a->tag.bytes));
	want(!memcmp(tag, a->tag.bytes, 16));
	want(!memcmp(to->bytes, a->sealed.bytes, a->len));
	for (int i = 0; i < 2; i++) {
		agreement_corrupt(a, r, open[i], to);
		want(agreement_opens(a, r, open[i], to));
		want(!memcmp(to->bytes, a->plain.bytes, a->len));
		sl_aead_release(seal[i]);
		sl_aead_release(open[i]);
	}
}

static void test_back_ends_agree(void **state)
{
	struct agreement a;
	struct fenced *const all[] = {&a.key, &a.nonce, &a.aad, &a.tag, &a.plain, &a.sealed};
	struct fenced to;

	(void)state;
	for (size_t n = 0; n < sl_array_len(all); n++)
		fenced_make(all[n]);
	fenced_make(&to);
	for (seed = 1; seed <= 3000; seed++) {
		uint64_t r = seed;

		a.cipher = random_in(&r, 0, SL_CIPHER_COUNT - 1);
		a.len = random_in(&r, 0, seed % 50 ? 2000 : 65000);
		a.aad_len = random_in(&r, 0, 3) ? 8 : random_in(&r, 0, 40);
		random_fill(&r, fenced_put(&r, &a.key, 32), 32);
		random_fill(&r, fenced_put(&r, &a.nonce, 12), 12);
		random_fill(&r, fenced_put(&r, &a.aad, a.aad_len), a.aad_len);
		random_fill(&r, fenced_put(&r, &a.plain, a.len), a.len);
		fenced_put(&r, &a.tag, 16);
		fenced_put(&r, &a.sealed, a.len);
		agreement_check(&a, &r, backend, &sl_aead_openssl, &to);
	}
	for (size_t n = 0; n < sl_array_len(all); n++)
		munmap(all[n]->map, FENCED + 2 * 4096);
	munmap(to.map, FENCED + 2 * 4096);
}

static void test_names(void **state)
{
	const uint8_t key[32] = {0};
	struct sl_aead *best, *this = aead_make(SL_CIPHER_AES_256_GCM, key, true);

	(void)state;
	assert_string_equal(sl_aead_name(this), backend->name);
	assert_int_equal(sl_aead_create(NULL, SL_CIPHER_AES_256_GCM, key, true, &best), 0);
#ifdef HAVE_IPSEC_MB
	if (sl_aead_ipsec_mb.usable(SL_CIPHER_AES_256_GCM))
		assert_string_equal(sl_aead_name(best), "ipsec-mb");
	else
#endif
		assert_string_equal(sl_aead_name(best), "openssl");
	sl_aead_release(best);
	sl_aead_release(this);
}

static bool never(enum sl_cipher cipher)
{
	(void)cipher;
	return false;
}

static void test_unusable(void **state)
{
	const struct sl_aead_ops ops = {.name = "abacus", .usable = never};
	const uint8_t key[32] = {0};
	struct sl_aead *aead;

	(void)state;
	assert_int_equal(sl_aead_create(&ops, SL_CIPHER_AES_256_GCM, key, true, &aead), -ENOTSUP);
	assert_string_equal(sl_reason(), "this CPU lacks what abacus needs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_no_pieces),	cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_unknown_cipher),	cmocka_unit_test(test_failing_cipher),
		cmocka_unit_test(test_back_ends_agree), cmocka_unit_test(test_names),
		cmocka_unit_test(test_unusable),
	};

	return backends_run(tests, sizeof(tests) / sizeof(tests[0]));
}
