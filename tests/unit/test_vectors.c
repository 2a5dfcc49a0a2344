/* SPDX-License-Identifier: BSD-2-Clause */
/* What stock OpenVPN sealed opens, and what we seal is what it sealed, bit for bit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends.h"
#include "session_vectors.h"
#include "slow.h"
#include "tunnel/data.h"

#define SESSIONS (sizeof(sessions) / sizeof(sessions[0]))

static struct sl_data *end_make(const struct session *s, uint8_t direction)
{
	struct sl_data_key key = {.cipher = s->cipher, .direction = direction};
	struct sl_data *data;

	memcpy(key.material, s->material, sizeof(key.material));
	assert_int_equal(sl_data_create(&data), 0);
	sl_data_set_aead(data, backend);
	assert_int_equal(sl_data_key_install(data, SL_KEY_PRIMARY, &key), 0);
	return data;
}

static void check_opens(struct sl_data *data, const struct session_packet *packet)
{
	size_t len = SL_DATA_OVERHEAD + packet->len;
	uint8_t *copy = exact(packet->sealed, len);
	struct sl_data_opened opened;

	assert_int_equal(sl_data_open(data, copy, len, &opened), 0);
	assert_ptr_equal(opened.payload, copy + SL_DATA_OVERHEAD);
	assert_int_equal(opened.len, packet->len);
	assert_int_equal(opened.key_id, 0);
	assert_true(opened.newest);
	assert_memory_equal(opened.payload, packet->plain, packet->len);
	memcpy(copy, packet->sealed, len);
	assert_int_equal(sl_data_open(data, copy, len, &opened), -EALREADY);
	exact_free(copy, len);
}

static void test_opens(void **state)
{
	(void)state;
	for (size_t s = 0; s < SESSIONS; s++)
		for (uint8_t direction = 0; direction < 2; direction++) {
			struct sl_data *receiver = end_make(&sessions[s], !direction);

			for (unsigned n = 0; n < SESSION_PACKETS; n++)
				check_opens(receiver, &sessions[s].sent[direction][n]);
			sl_data_release(receiver);
		}
}

static void check_seals(struct sl_data *data, const struct session_packet *packet)
{
	const uint8_t *head = packet->sealed;
	size_t len = SL_DATA_OVERHEAD + packet->len;
	uint8_t *sealed = exact(packet->sealed, len);
	struct sl_piece piece = {packet->plain, sealed + SL_DATA_OVERHEAD, packet->len};

	memset(sealed, 0, len);
	sl_data_set_peer_id(data, (uint32_t)(head[1] << 16 | head[2] << 8 | head[3]));
	assert_int_equal(sl_data_seal(data, sealed, &piece, 1), len);
	assert_memory_equal(sealed, packet->sealed, len);
	exact_free(sealed, len);
}

static void test_seals(void **state)
{
	(void)state;
	for (size_t s = 0; s < SESSIONS; s++)
		for (uint8_t direction = 0; direction < 2; direction++) {
			struct sl_data *sender = end_make(&sessions[s], direction);

			for (unsigned n = 0; n < SESSION_PACKETS; n++)
				check_seals(sender, &sessions[s].sent[direction][n]);
			sl_data_release(sender);
		}
}

/* Any bit: the key id is unknown, the opcode another, or the tag does not fit. */
static void test_every_bit_counts(void **state)
{
	(void)state;
	for (size_t s = 0; s < SESSIONS; s++) {
		const struct session_packet *packet = &sessions[s].sent[0][0];
		size_t len = SL_DATA_OVERHEAD + packet->len;

		for (size_t bit = 0; bit < len * 8; bit++) {
			struct sl_data *receiver = end_make(&sessions[s], 1);
			uint8_t *copy = malloc(len);
			struct sl_data_opened opened;

			assert_non_null(copy);
			memcpy(copy, packet->sealed, len);
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_true(sl_data_open(receiver, copy, len, &opened) < 0);
			free(copy);
			sl_data_release(receiver);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_seals),
		cmocka_unit_test(test_every_bit_counts),
	};

	return backends_run(tests, sizeof(tests) / sizeof(tests[0]));
}
