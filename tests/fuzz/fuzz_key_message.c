/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any plaintext through the parsers of key messages and peer info.
 * Input: bit 0: from a client; the message as it comes.
 */
#include <errno.h>
#include <string.h>

#include "../unit/slow.h"
#include "fuzz.h"
#include "tunnel/key_message.h"

static void check_info(const char *text)
{
	struct peer_info info;
	char *copy = (char *)exact(text, strlen(text) + 1);

	sl_peer_info_parse(copy, &info);
	must(info.ciphers < 1u << SL_CIPHER_COUNT);
	must(info.n_ciphers == (unsigned)__builtin_popcount(info.ciphers));
	for (unsigned n = 0; n < info.n_ciphers; n++) {
		must(info.ciphers & 1u << info.in_order[n]);
		info.ciphers &= ~(1u << info.in_order[n]);
	}
	must(!info.ciphers);
	must(memchr(info.version, 0, sizeof(info.version)));
	for (const char *c = info.version; *c; c++)
		must(*c >= ' ' && *c <= '~' && strstr(text, "IV_VER="));
	must(!info.iv_proto || strstr(text, "IV_PROTO="));
	must(!info.n_ciphers || strstr(text, "IV_CIPHERS="));
	free(copy);
}

static int parse(const uint8_t *data, size_t len, bool client, struct key_message *out)
{
	uint8_t *b = exact(data, len);
	int used = sl_key_message_parse(b, len, client, out);

	must(memchr(out->options, 0, KEY_TEXT_MAX) && memchr(out->peer_info, 0, KEY_TEXT_MAX));
	must(used == -EAGAIN || used == -EINVAL || (used > 0 && (size_t)used <= len));
	must(used <= KEY_MESSAGE_MAX && (used != -EAGAIN || len < KEY_MESSAGE_MAX));
	exact_free(b, len);
	return used;
}

/* What it says, said again: parsed, it says the same. */
static void check_again(const struct key_message *m, bool client)
{
	static uint8_t built[KEY_MESSAGE_MAX];
	struct key_message again;
	int len = sl_key_message_build(m, client, built, sizeof(built));

	must(len > 0);
	must(parse(built, (size_t)len, client, &again) == len);
	must(!memcmp(&again, m, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_message m, part;
	bool client;
	int used;

	if (!size)
		return 0;
	client = data[0] & 1;
	data++;
	size--;
	used = parse(data, size, client, &m);
	if (used > 0) {
		check_again(&m, client);
		must(parse(data, (size_t)used, client, &part) == used);
		must(!memcmp(&part, &m, sizeof(m)));
		must(parse(data, (size_t)used - 1, client, &part) == -EAGAIN);
	}
	/* What was refused is not taken when more of it comes, nor before it was whole. */
	if (size && used == -EAGAIN)
		must(parse(data, size - 1, client, &part) != -EINVAL);
	check_info(m.peer_info);
	check_info(m.options);
	return 0;
}
