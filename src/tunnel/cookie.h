/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Session ids that need no memory: the answer to a hard reset carries one made of a secret,
 * the asker's address, its session id and the time (as OpenVPN 2.6's servers do). Whoever
 * sends it back has received it at that address.
 */
#ifndef SL_TUNNEL_COOKIE_H
#define SL_TUNNEL_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/address.h"
#include "tunnel/wire.h"

struct cookie_jar {
	uint8_t secret[32];
};

/** sl_cookie_jar_open() - a fresh secret; 0 or -EIO with a reason */
int sl_cookie_jar_open(struct cookie_jar *jar);

/** sl_cookie_make() - @peer_sid: the asker's, or all zero when we ask first */
void sl_cookie_make(const struct cookie_jar *jar, const struct sl_address *peer,
		    const uint8_t peer_sid[SID_LEN], uint64_t now_ns, uint8_t out[SID_LEN]);

/** sl_cookie_check() - was it made for this asker, or for its address, in the last minute? */
bool sl_cookie_check(const struct cookie_jar *jar, const struct sl_address *peer,
		     const uint8_t peer_sid[SID_LEN], uint64_t now_ns,
		     const uint8_t cookie[SID_LEN]);

#endif
