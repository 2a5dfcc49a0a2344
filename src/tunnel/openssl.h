/* SPDX-License-Identifier: BSD-2-Clause */
/* What OpenSSL says went wrong. Clear its queue (ERR_clear_error) before what may fail. */
#ifndef SL_TUNNEL_OPENSSL_H
#define SL_TUNNEL_OPENSSL_H

#include <openssl/err.h>

/* The oldest error's: those behind it only say who else failed because of it. */
static inline const char *sl_openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return reason ? reason : "no reason given";
}

#endif
