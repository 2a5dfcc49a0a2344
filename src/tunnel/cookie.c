/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "base/reason.h"
#include "tunnel/cookie.h"

#define SLOT_NS (30 * SL_NS_PER_S)

int sl_cookie_jar_open(struct cookie_jar *jar)
{
	if (RAND_bytes(jar->secret, sizeof(jar->secret)) != 1)
		return sl_fail(EIO, "there is no randomness");
	return 0;
}

static void make(const struct cookie_jar *jar, const struct sl_address *peer,
		 const uint8_t peer_sid[SID_LEN], uint64_t slot, uint8_t out[SID_LEN])
{
	struct {
		uint8_t host[16];
		uint8_t sid[SID_LEN];
		uint64_t slot;
		uint32_t scope;
		uint16_t port;
		uint16_t family;
	} in = {.slot = slot, .port = sl_address_port(peer), .family = peer->sa.sa_family};
	uint8_t mac[EVP_MAX_MD_SIZE] = {0};

	if (peer->sa.sa_family == AF_INET) {
		memcpy(in.host, &peer->in.sin_addr, sizeof(peer->in.sin_addr));
	} else {
		memcpy(in.host, &peer->in6.sin6_addr, sizeof(peer->in6.sin6_addr));
		in.scope = peer->in6.sin6_scope_id;
	}
	memcpy(in.sid, peer_sid, SID_LEN);
	HMAC(EVP_sha256(), jar->secret, sizeof(jar->secret), (const uint8_t *)&in, sizeof(in), mac,
	     NULL);
	memcpy(out, mac, SID_LEN);
}

void sl_cookie_make(const struct cookie_jar *jar, const struct sl_address *peer,
		    const uint8_t peer_sid[SID_LEN], uint64_t now_ns, uint8_t out[SID_LEN])
{
	make(jar, peer, peer_sid, now_ns / SLOT_NS, out);
}

bool sl_cookie_check(const struct cookie_jar *jar, const struct sl_address *peer,
		     const uint8_t peer_sid[SID_LEN], uint64_t now_ns,
		     const uint8_t cookie[SID_LEN])
{
	static const uint8_t nobody[SID_LEN];
	uint64_t slot = now_ns / SLOT_NS;
	uint8_t made[SID_LEN];
	bool good = false;

	for (unsigned back = 0; back < 2 && back <= slot; back++) {
		make(jar, peer, peer_sid, slot - back, made);
		good |= !CRYPTO_memcmp(made, cookie, SID_LEN);
		make(jar, peer, nobody, slot - back, made);
		good |= !CRYPTO_memcmp(made, cookie, SID_LEN);
	}
	return good;
}
