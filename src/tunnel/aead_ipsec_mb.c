/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libipsec-mb as an AEAD back end.
 *
 * Its functions are reached through a manager of 200 KB, which one thread at a time may use. GCM
 * has no state in there: its functions are kept and the manager is not. A whole ChaCha20-Poly1305
 * packet is 15 to 35 % faster as a job, which needs one; one in pieces goes another way.
 *
 * The library never compares a tag, and where it checks parameters it says nothing when it refuses
 * one: no pointer that it gets is NULL.
 */
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include "base/memory.h"
#include "base/reason.h"
#include "tunnel/aead.h"

/* The library's own header aligns the key only where LINUX is defined. */
struct gcm {
	aes_gcm_enc_dec_t whole;
	aes_gcm_init_t init;
	aes_gcm_enc_dec_update_t update;
	aes_gcm_enc_dec_finalize_t finalize;
	struct gcm_context_data state;
	_Alignas(64) struct gcm_key_data key;
};

struct chacha {
	IMB_MGR *mgr;
	chacha_poly_enc_dec_update_t update;
	IMB_CIPHER_DIRECTION direction;
	IMB_CHAIN_ORDER order;
	struct chacha20_poly1305_context_data state;
	uint8_t key[AEAD_KEY_LEN];
};

struct mb {
	struct sl_aead aead;
	enum sl_cipher cipher;
	union {
		struct gcm gcm;
		struct chacha chacha;
	};
};

/* Without AES instructions the library has slow code that OpenSSL beats. */
static bool mb_usable(enum sl_cipher cipher)
{
	(void)cipher;
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
}

static int manager_create(IMB_MGR **out)
{
	const uint64_t failed = IMB_FEATURE_SELF_TEST;
	IMB_MGR *mgr = alloc_mb_mgr(0);

	if (!mgr)
		return sl_fail(ENOMEM, "no memory for a cipher");
	init_mb_mgr_auto(mgr, NULL);
	if ((mgr->features & (IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS)) == failed) {
		free_mb_mgr(mgr);
		return sl_fail(ENOTSUP, "libipsec-mb fails its own test on this machine");
	}
	*out = mgr;
	return 0;
}

static void gcm_init(struct gcm *gcm, IMB_MGR *mgr, const uint8_t *key, bool seals)
{
	gcm->whole = seals ? mgr->gcm256_enc : mgr->gcm256_dec;
	gcm->init = mgr->gcm256_init;
	gcm->update = seals ? mgr->gcm256_enc_update : mgr->gcm256_dec_update;
	gcm->finalize = seals ? mgr->gcm256_enc_finalize : mgr->gcm256_dec_finalize;
	IMB_AES256_GCM_PRE(mgr, key, &gcm->key);
	free_mb_mgr(mgr);
}

static void chacha_init(struct chacha *chacha, IMB_MGR *mgr, const uint8_t *key, bool seals)
{
	chacha->mgr = mgr;
	chacha->update =
		seals ? mgr->chacha20_poly1305_enc_update : mgr->chacha20_poly1305_dec_update;
	chacha->direction = seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	chacha->order = seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	memcpy(chacha->key, key, AEAD_KEY_LEN);
}

static int mb_create(enum sl_cipher cipher, const uint8_t *key, bool seals, struct sl_aead **out)
{
	struct mb *mb = sl_alloc_lines(sizeof(*mb));
	IMB_MGR *mgr = NULL;
	int err;

	if (!mb)
		return sl_fail(ENOMEM, "no memory for a cipher");
	err = manager_create(&mgr);
	if (err) {
		free(mb);
		return err;
	}
	mb->cipher = cipher;
	if (cipher == SL_CIPHER_AES_256_GCM)
		gcm_init(&mb->gcm, mgr, key, seals);
	else
		chacha_init(&mb->chacha, mgr, key, seals);
	*out = &mb->aead;
	return 0;
}

static void mb_release(struct sl_aead *aead)
{
	struct mb *mb = (void *)aead;

	if (mb->cipher == SL_CIPHER_CHACHA20_POLY1305)
		free_mb_mgr(mb->chacha.mgr);
	imb_clear_mem(mb, sizeof(*mb));
	free(mb);
}

static void gcm_run(struct gcm *gcm, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    const struct sl_piece *pieces, unsigned n, uint8_t *tag)
{
	if (n == 1 && pieces->len) {
		gcm->whole(&gcm->key, &gcm->state, pieces->out, pieces->in, pieces->len, nonce, aad,
			   aad_len, tag, AEAD_TAG_LEN);
		return;
	}
	gcm->init(&gcm->key, &gcm->state, nonce, aad, aad_len);
	for (unsigned i = 0; i < n; i++)
		if (pieces[i].len)
			gcm->update(&gcm->key, &gcm->state, pieces[i].out, pieces[i].in,
				    pieces[i].len);
	gcm->finalize(&gcm->key, &gcm->state, tag, AEAD_TAG_LEN);
}

static int chacha_whole(struct chacha *chacha, const uint8_t *nonce, const uint8_t *aad,
			size_t aad_len, const struct sl_piece *piece, uint8_t *tag)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(chacha->mgr);

	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->cipher_direction = chacha->direction;
	job->chain_order = chacha->order;
	job->enc_keys = chacha->key;
	job->dec_keys = chacha->key;
	job->key_len_in_bytes = AEAD_KEY_LEN;
	job->iv = nonce;
	job->iv_len_in_bytes = AEAD_NONCE_LEN;
	job->src = piece->in;
	job->dst = piece->out;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = piece->len;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = piece->len;
	job->u.CHACHA20_POLY1305.aad = aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = aad_len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = AEAD_TAG_LEN;
	job = IMB_SUBMIT_JOB(chacha->mgr); /* done when it returns: no lanes are filled for it */
	return job && job->status == IMB_STATUS_COMPLETED ? 0 : -EIO;
}

static int chacha_run(struct chacha *chacha, const uint8_t *nonce, const uint8_t *aad,
		      size_t aad_len, const struct sl_piece *pieces, unsigned n, uint8_t *tag)
{
	if (n == 1 && pieces->len)
		return chacha_whole(chacha, nonce, aad, aad_len, pieces, tag);
	IMB_CHACHA20_POLY1305_INIT(chacha->mgr, chacha->key, &chacha->state, nonce, aad, aad_len);
	for (unsigned i = 0; i < n; i++)
		if (pieces[i].len)
			chacha->update(chacha->key, &chacha->state, pieces[i].out, pieces[i].in,
				       pieces[i].len);
	IMB_CHACHA20_POLY1305_ENC_FINALIZE(chacha->mgr, &chacha->state, tag, AEAD_TAG_LEN);
	return 0;
}

/* Encrypt or decrypt, and make the tag that belongs to it. */
static int mb_run(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		  const struct sl_piece *pieces, unsigned n, uint8_t *tag)
{
	struct mb *mb = (void *)aead;

	if (!aad_len)
		aad = nonce;
	if (mb->cipher == SL_CIPHER_CHACHA20_POLY1305)
		return chacha_run(&mb->chacha, nonce, aad, aad_len, pieces, n, tag);
	gcm_run(&mb->gcm, nonce, aad, aad_len, pieces, n, tag);
	return 0;
}

static int mb_open(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		   const struct sl_piece *pieces, unsigned n, const uint8_t *tag)
{
	uint8_t expected[AEAD_TAG_LEN];
	bool good = !mb_run(aead, nonce, aad, aad_len, pieces, n, expected) &&
		    !CRYPTO_memcmp(expected, tag, AEAD_TAG_LEN);

	if (!good) /* it would make a forged packet authentic */
		imb_clear_mem(expected, sizeof(expected));
	return good ? 0 : -EBADMSG;
}

const struct sl_aead_ops sl_aead_ipsec_mb = {
	.name = "ipsec-mb",
	.usable = mb_usable,
	.create = mb_create,
	.release = mb_release,
	.seal = mb_run,
	.open = mb_open,
};
