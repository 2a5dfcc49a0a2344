/* SPDX-License-Identifier: BSD-2-Clause */
/* Fingerprints as text. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/reason.h"
#include "tunnel/identity.h"

#define HINT                                                                                       \
	"it is what sluice keygen or openssl x509 -fingerprint -sha256 prints: 64 hex digits, "    \
	"with a colon between any two bytes or without colons"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int wrong(const char *text, size_t at, const char *wanted)
{
	unsigned char c = (unsigned char)text[at];

	if (!c)
		return sl_fail(EINVAL, "the fingerprint ends after %zu characters; " HINT, at);
	if (c < ' ' || c > '~')
		return sl_fail(EINVAL,
			       "the fingerprint has byte 0x%02x at position %zu, not %s; " HINT, c,
			       at + 1, wanted);
	return sl_fail(EINVAL, "the fingerprint has \"%c\" at position %zu, not %s; " HINT, c,
		       at + 1, wanted);
}

int sl_fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_LEN])
{
	uint8_t bytes[FINGERPRINT_LEN] = {0};
	bool colons = false;
	size_t at = 0;

	for (size_t n = 0; n < FINGERPRINT_LEN; n++) {
		if (n == 1)
			colons = text[at] == ':';
		if (n && colons && text[at++] != ':')
			return wrong(text, at - 1, "a colon");
		for (size_t end = at + 2; at < end; at++) {
			if (digit(text[at]) < 0)
				return wrong(text, at, "a hex digit");
			bytes[n] = (uint8_t)(bytes[n] << 4 | digit(text[at]));
		}
	}
	if (text[at])
		return wrong(text, at, "its end");
	memcpy(out, bytes, sizeof(bytes));
	return 0;
}

void sl_fingerprint_format(const uint8_t fingerprint[FINGERPRINT_LEN],
			   char out[SL_FINGERPRINT_SIZE])
{
	for (size_t n = 0; n < FINGERPRINT_LEN; n++)
		snprintf(out + 3 * n, 4, n + 1 < FINGERPRINT_LEN ? "%02X:" : "%02X",
			 fingerprint[n]);
}
