/* SPDX-License-Identifier: BSD-2-Clause */
/* Key method 2. What is read came through TLS, but from a peer that may do what it likes. */
#include <strings.h>

#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "tunnel/key_message.h"

#define KEY_METHOD	2
#define KEY_METHOD_MASK 0x0f /* the upper bits are for flags, which OpenVPN ignores */
#define PRE_MASTER_LEN	48
#define RANDOM_LEN	32

/*
 * Reading. The first failure stays: -EAGAIN when the bytes are not there yet.
 */

struct reader {
	const uint8_t *bytes;
	size_t at;
	size_t len;
	int err;
};

/* Step over @n bytes and return them; NULL after a failure. */
static const uint8_t *take(struct reader *r, size_t n)
{
	if (r->err)
		return NULL;
	if (r->at + n > KEY_MESSAGE_MAX)
		r->err = sl_fail(EINVAL, "the peer's key message is longer than %d bytes",
				 KEY_MESSAGE_MAX);
	else if (r->at + n > r->len)
		r->err = -EAGAIN;
	if (r->err)
		return NULL;
	r->at += n;
	return r->bytes + r->at - n;
}

static void take_head(struct reader *r)
{
	const uint8_t *byte;

	for (unsigned n = 0; n < 4; n++) {
		byte = take(r, 1);
		if (byte && *byte)
			r->err = sl_fail(EINVAL, "the peer's key message does not begin with 0");
	}
	byte = take(r, 1);
	if (byte && (*byte & KEY_METHOD_MASK) != KEY_METHOD)
		r->err = sl_fail(EINVAL, "the peer uses key method %d, we know method %d",
				 *byte & KEY_METHOD_MASK, KEY_METHOD);
}

/* @out has KEY_TEXT_MAX bytes, or is NULL for a text that nobody needs. */
static void take_text(struct reader *r, const char *what, char *out)
{
	const uint8_t *bytes = take(r, 2);
	size_t len;

	if (!bytes)
		return;
	len = sl_get_be16(bytes);
	if (len > KEY_TEXT_MAX) {
		r->err = sl_fail(EINVAL, "the peer's %s has %zu bytes, more than %d", what, len,
				 KEY_TEXT_MAX);
		return;
	}
	bytes = take(r, len);
	if (!bytes || !len)
		return;
	if (memchr(bytes, 0, len) != bytes + len - 1)
		r->err = sl_fail(EINVAL, "the peer's %s does not end with its only NUL", what);
	else if (out)
		memcpy(out, bytes, len);
}

int sl_key_message_parse(const uint8_t *bytes, size_t len, bool from_client,
			 struct key_message *out)
{
	struct reader r = {.bytes = bytes, .len = len};

	memset(out, 0, sizeof(*out));
	take_head(&r);
	take(&r, (from_client ? PRE_MASTER_LEN : 0) + 2 * RANDOM_LEN);
	take_text(&r, "options", out->options);
	take_text(&r, "user name", NULL);
	take_text(&r, "password", NULL);
	if (r.at < len)
		take_text(&r, "peer info", out->peer_info);
	return r.err ? r.err : (int)r.at;
}

/*
 * Writing.
 */

static uint8_t *put_text(uint8_t *to, const char *text)
{
	size_t len = *text ? strlen(text) + 1 : 0;

	sl_put_be16(to, (uint16_t)len);
	memcpy(to + 2, text, len);
	return to + 2 + len;
}

int sl_key_message_build(const struct key_message *message, bool as_client, uint8_t *to,
			 size_t room)
{
	size_t randoms = (as_client ? PRE_MASTER_LEN : 0) + 2 * RANDOM_LEN;
	size_t options = strnlen(message->options, KEY_TEXT_MAX);
	size_t peer_info = strnlen(message->peer_info, KEY_TEXT_MAX);
	size_t len = 4 + 1 + randoms + 4 * 2 + options + !!options + peer_info + !!peer_info;
	uint8_t *at = to;

	if (options == KEY_TEXT_MAX || peer_info == KEY_TEXT_MAX || len > room)
		return sl_fail(EMSGSIZE, "our key message is too long");
	sl_put_be32(at, 0);
	at[4] = KEY_METHOD;
	at += 5;
	if (RAND_bytes(at, (int)randoms) != 1)
		return sl_fail(EIO, "no random bytes for a key message");
	at = put_text(at + randoms, message->options);
	at = put_text(at, ""); /* user name */
	at = put_text(at, ""); /* password */
	at = put_text(at, message->peer_info);
	return (int)(at - to);
}

/*
 * Peer info.
 */

const char *sl_cipher_name(enum sl_cipher cipher)
{
	switch (cipher) {
	case SL_CIPHER_AES_256_GCM:
		return "AES-256-GCM";
	case SL_CIPHER_CHACHA20_POLY1305:
		return "CHACHA20-POLY1305";
	}
	return NULL;
}

/* Without a number, or with one that does not fit, @out stays as it is. */
static void parse_number(const char *text, size_t len, uint32_t *out)
{
	uint32_t number = 0;

	for (size_t n = 0; n < len; n++) {
		if (text[n] < '0' || text[n] > '9' || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, text[n] - '0', &number))
			return;
	}
	if (len)
		*out = number;
}

static void add_cipher(const char *name, size_t len, struct peer_info *out)
{
	for (unsigned c = 0; c < SL_CIPHER_COUNT; c++) {
		const char *ours = sl_cipher_name((enum sl_cipher)c);

		if (strlen(ours) != len || strncasecmp(name, ours, len) || out->ciphers & 1u << c)
			continue;
		out->ciphers |= 1u << c;
		out->in_order[out->n_ciphers++] = (enum sl_cipher)c;
	}
}

static void parse_ciphers(const char *text, size_t len, struct peer_info *out)
{
	const char *end = text + len;

	while (text < end) {
		const char *colon = memchr(text, ':', (size_t)(end - text));
		size_t name_len = (size_t)((colon ? colon : end) - text);

		add_cipher(text, name_len, out);
		text += name_len + 1;
	}
}

/* It is for the log: nothing that would move a terminal's cursor. */
static void parse_version(const char *text, size_t len, char *out, size_t room)
{
	len = sl_min(len, room - 1);
	for (size_t n = 0; n < len; n++)
		out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	out[len] = 0;
}

/* Does the line begin with @name? Then step over it. */
static bool skip(const char **line, size_t *len, const char *name)
{
	size_t n = strlen(name);

	if (*len < n || memcmp(*line, name, n) != 0)
		return false;
	*line += n;
	*len -= n;
	return true;
}

void sl_peer_info_parse(const char *text, struct peer_info *out)
{
	memset(out, 0, sizeof(*out));
	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *value = text;

		text += len;
		text += *text == '\n';
		if (skip(&value, &len, "IV_PROTO="))
			parse_number(value, len, &out->iv_proto);
		else if (skip(&value, &len, "IV_CIPHERS="))
			parse_ciphers(value, len, out);
		else if (skip(&value, &len, "IV_VER="))
			parse_version(value, len, out->version, sizeof(out->version));
	}
}
