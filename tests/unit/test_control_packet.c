/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of the control channel: what is built is parsed back, and every refusal. */
#include "packets.h"

#include <errno.h>

#include "base/bytes.h"
#include "tunnel/control_packet.h"

#define PACKET_MAX 4096

static const uint8_t opcodes[] = {
	P_CONTROL_SOFT_RESET_V1,	P_CONTROL_V1, P_ACK_V1, P_CONTROL_HARD_RESET_CLIENT_V2,
	P_CONTROL_HARD_RESET_SERVER_V2,
};

static bool is_hard_reset(uint8_t opcode)
{
	return opcode == P_CONTROL_HARD_RESET_CLIENT_V2 || opcode == P_CONTROL_HARD_RESET_SERVER_V2;
}

/* A packet that holds, with a payload of its own. */
static struct control_packet random_packet(uint64_t *r, uint8_t *payload)
{
	struct control_packet p = {.opcode = opcodes[random_in(r, 0, 4)]};
	bool ack = p.opcode == P_ACK_V1;

	p.key_id = (uint8_t)(is_hard_reset(p.opcode) ? 0 : random_in(r, 0, 7));
	p.n_acks = (uint8_t)random_in(r, ack, CONTROL_ACKS_MAX);
	random_fill(r, p.sid, SID_LEN);
	for (unsigned n = 0; n < p.n_acks; n++)
		p.acks[n] = (uint32_t)random_next(r);
	if (p.n_acks)
		random_fill(r, p.peer_sid, SID_LEN);
	if (!ack) {
		p.id = (uint32_t)random_next(r);
		p.payload_len = random_in(r, 0, random_next(r) & 1 ? 20 : CONTROL_PAYLOAD_MAX);
	}
	random_fill(r, payload, p.payload_len);
	p.payload = payload;
	return p;
}

static size_t build(const struct control_packet *p, uint8_t to[PACKET_MAX])
{
	int len = sl_control_packet_build(p, to, PACKET_MAX);

	want(len > 0);
	return len > 0 ? (size_t)len : 1;
}

static void want_same(const struct control_packet *a, const struct control_packet *b)
{
	want(a->opcode == b->opcode && a->key_id == b->key_id && a->id == b->id);
	want(!memcmp(a->sid, b->sid, SID_LEN) && !memcmp(a->peer_sid, b->peer_sid, SID_LEN));
	want(a->n_acks == b->n_acks && !memcmp(a->acks, b->acks, sizeof(a->acks)));
	want(a->payload_len == b->payload_len);
	want(!memcmp(a->payload, b->payload, a->payload_len));
}

static void test_round_trip(void **state)
{
	static uint8_t payload[CONTROL_PAYLOAD_MAX], built[PACKET_MAX], again[PACKET_MAX];

	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct control_packet p = random_packet(&r, payload), back;
		size_t len = build(&p, built);
		uint8_t *b = exact(built, len);

		want(sl_control_packet_parse(b, len, &back) == 0);
		want_same(&p, &back);
		want(back.payload + back.payload_len == b + len);
		want(sl_control_packet_build(&back, again, len - 1) == -EMSGSIZE);
		want(sl_control_packet_build(&back, again, len) == (int)len);
		want(!memcmp(again, b, len));
		exact_free(b, len);
	}
}

/* The header loses bytes: refused. Only the payload does: another packet, as valid. */
static void test_truncations(void **state)
{
	static uint8_t payload[CONTROL_PAYLOAD_MAX], built[PACKET_MAX];

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		uint64_t r = seed;
		struct control_packet p = random_packet(&r, payload), back;
		size_t len = build(&p, built);

		for (size_t n = 0; n < len; n++) {
			uint8_t *b = exact(built, n);
			bool whole = p.opcode != P_ACK_V1 && n >= len - p.payload_len;

			want(sl_control_packet_parse(b, n, &back) == (whole ? 0 : -EINVAL));
			exact_free(b, n);
		}
	}
}

/* Byte for byte, so that both directions cannot be wrong in the same way. */
static void test_layout(void **state)
{
	static const uint8_t control[] = {
		0x22, 1, 2, 3,	  4,	5,    6,    7, 8,  2,  0,  0,  0,  5,  0xff, 0xff,
		0xff, 0, 9, 0x0a, 0x0b, 0x0c, 0x0d, 0, 14, 15, 16, 17, 18, 19, 'h',  'i',
	};
	static const uint8_t ack[] = {0x2f, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0,
				      0,    1, 0, 9, 9, 9, 9, 9, 9, 9, 9};
	static const uint8_t reset[] = {0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0};
	struct control_packet p;
	uint8_t b[64];

	(void)state;
	assert_int_equal(sl_control_packet_parse(control, sizeof(control), &p), 0);
	assert_int_equal(p.opcode, P_CONTROL_V1);
	assert_int_equal(p.key_id, 2);
	assert_memory_equal(p.sid, "\1\2\3\4\5\6\7\10", SID_LEN);
	assert_int_equal(p.n_acks, 2);
	assert_int_equal(p.acks[0], 5);
	assert_int_equal(p.acks[1], 0xffffff00);
	assert_memory_equal(p.peer_sid, "\11\12\13\14\15\0\16\17", SID_LEN);
	assert_int_equal(p.id, 0x10111213);
	assert_int_equal(p.payload_len, 2);
	assert_memory_equal(p.payload, "hi", 2);
	assert_int_equal(sl_control_packet_build(&p, b, sizeof(b)), sizeof(control));
	assert_memory_equal(b, control, sizeof(control));

	assert_int_equal(sl_control_packet_parse(ack, sizeof(ack), &p), 0);
	assert_int_equal(p.opcode, P_ACK_V1);
	assert_int_equal(p.key_id, 7);
	assert_int_equal(p.acks[0], 256);
	assert_int_equal(p.payload_len, 0);
	assert_int_equal(sl_control_packet_build(&p, b, sizeof(b)), sizeof(ack));
	assert_memory_equal(b, ack, sizeof(ack));

	assert_int_equal(sl_control_packet_parse(reset, sizeof(reset), &p), 0);
	assert_int_equal(p.opcode, P_CONTROL_HARD_RESET_CLIENT_V2);
	assert_int_equal(sl_control_packet_build(&p, b, sizeof(b)), sizeof(reset));
	assert_memory_equal(b, reset, sizeof(reset));
}

static void test_opcodes(void **state)
{
	struct control_packet p = {.sid = "session", .peer_sid = "another", .n_acks = 1}, back;
	uint8_t b[64] = {0};

	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		bool ours = memchr(opcodes, P_OPCODE(first), sizeof(opcodes));

		p.opcode = (uint8_t)P_OPCODE(first);
		p.key_id = is_hard_reset(p.opcode) ? 0 : P_KEY_ID(first);
		b[0] = (uint8_t)first;
		assert_int_equal(sl_control_packet_parse(b, 1, &back), ours ? -EINVAL : -EPROTO);
		if (ours) {
			assert_true(sl_control_packet_build(&p, b, sizeof(b)) > 0);
			assert_int_equal(b[0], first & (is_hard_reset(p.opcode) ? 0xf8 : 0xff));
		} else {
			assert_int_equal(sl_control_packet_build(&p, b, sizeof(b)), -EINVAL);
			assert_int_equal(sl_control_packet_parse(b, sizeof(b), &back), -EPROTO);
		}
	}
	assert_int_equal(sl_control_packet_parse(NULL, 0, &back), -EINVAL);
}

/* One of each kind that holds, to be spoilt. */
static const struct control_packet good_control = {
	.opcode = P_CONTROL_V1, .key_id = 1, .n_acks = 1, .sid = "session", .peer_sid = "another"};
static const struct control_packet good_ack = {
	.opcode = P_ACK_V1, .key_id = 1, .n_acks = 1, .sid = "session", .peer_sid = "another"};
static const struct control_packet good_reset = {.opcode = P_CONTROL_HARD_RESET_SERVER_V2,
						 .sid = "session"};

static void test_build_refuses(void **state)
{
	struct control_packet bad[] = {good_control, good_control, good_control, good_control,
				       good_control, good_ack,	   good_ack,	 good_reset};
	static uint8_t payload[CONTROL_PAYLOAD_MAX + 1];
	uint8_t b[PACKET_MAX];

	(void)state;
	assert_true(sl_control_packet_build(&good_control, b, sizeof(b)) > 0);
	assert_true(sl_control_packet_build(&good_ack, b, sizeof(b)) > 0);
	assert_true(sl_control_packet_build(&good_reset, b, sizeof(b)) > 0);
	memset(bad[0].sid, 0, SID_LEN);
	memset(bad[1].peer_sid, 0, SID_LEN);
	bad[2].n_acks = CONTROL_ACKS_MAX + 1;
	bad[3].key_id = 8;
	bad[4].payload = payload;
	bad[4].payload_len = sizeof(payload);
	bad[5].n_acks = 0;
	bad[6].payload = payload;
	bad[6].payload_len = 1;
	bad[7].key_id = 1;
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		assert_int_equal(sl_control_packet_build(&bad[n], b, sizeof(b)), -EINVAL);
}

/* Build @good, change the byte at @at, add @more zeros behind it, and parse. */
static int parse_spoilt(const struct control_packet *good, size_t at, uint8_t byte, size_t more)
{
	static uint8_t b[PACKET_MAX];
	struct control_packet p;
	size_t len;

	memset(b, 0, sizeof(b));
	len = build(good, b);
	assert_int_equal(sl_control_packet_parse(b, len, &p), 0);
	b[at] = byte;
	return sl_control_packet_parse(b, len + more, &p);
}

static void test_parse_refuses(void **state)
{
	static const uint8_t one[SID_LEN] = {1};
	struct control_packet thin = good_control;

	(void)state;
	assert_int_equal(parse_spoilt(&good_control, 0, P_BYTE(P_CONTROL_V1, 7), 0), 0);
	assert_int_equal(parse_spoilt(&good_control, 9, 9, 200), -EINVAL); /* acks */
	assert_int_equal(parse_spoilt(&good_control, 9, 255, 2000), -EINVAL);
	assert_int_equal(parse_spoilt(&good_control, 9, 8, 0), -EINVAL); /* more than there are */
	assert_int_equal(parse_spoilt(&good_control, 9, 0, 0), 0);
	memcpy(thin.sid, one, SID_LEN);
	assert_int_equal(parse_spoilt(&thin, 1, 2, 0), 0);
	assert_int_equal(parse_spoilt(&thin, 1, 0, 0), -EINVAL); /* a session id of zeros */
	thin = good_control;
	memcpy(thin.peer_sid, one, SID_LEN);
	assert_int_equal(parse_spoilt(&thin, 14, 2, 0), 0);
	assert_int_equal(parse_spoilt(&thin, 14, 0, 0), -EINVAL);
	assert_int_equal(parse_spoilt(&good_ack, 9, 0, 0), -EINVAL); /* an ack of nothing */
	assert_int_equal(parse_spoilt(&good_ack, 0, P_BYTE(P_ACK_V1, 0), 1), -EINVAL);
	assert_int_equal(parse_spoilt(&good_reset, 0, 0x38, 0), 0);
	assert_int_equal(parse_spoilt(&good_reset, 0, 0x39, 0), -EINVAL); /* its key id */
	assert_int_equal(parse_spoilt(&good_reset, 0, 0x47, 0), -EINVAL);
	assert_int_equal(parse_spoilt(&good_reset, 0, 0x1f, 0), 0);
	assert_int_equal(parse_spoilt(&good_control, 0, 0x21, CONTROL_PAYLOAD_MAX), 0);
	assert_int_equal(parse_spoilt(&good_control, 0, 0x21, CONTROL_PAYLOAD_MAX + 1), -EINVAL);
}

/* An ack without acks, whole: what is refused is not its length. */
static void test_empty_ack(void **state)
{
	static const uint8_t ack[10] = {0x28, 1};
	static const uint8_t control[14] = {0x20, 1};
	struct control_packet p;

	(void)state;
	assert_int_equal(sl_control_packet_parse(ack, sizeof(ack), &p), -EINVAL);
	assert_int_equal(sl_control_packet_parse(control, sizeof(control), &p), 0);
	assert_int_equal(p.payload_len, 0);
}

static void test_hostile_bytes(void **state)
{
	static uint8_t payload[CONTROL_PAYLOAD_MAX], built[PACKET_MAX], again[PACKET_MAX];
	unsigned taken = 0;

	(void)state;
	for (seed = 1; seed <= 50000; seed++) {
		uint64_t r = seed;
		struct control_packet p = random_packet(&r, payload);
		uint32_t built_len = (uint32_t)build(&p, built);
		size_t len = random_in(&r, 0, built_len);
		uint8_t *b;

		for (uint32_t n = random_in(&r, 1, 4); n; n--)
			built[random_in(&r, 0, sl_min(built_len - 1, 20u))] =
				(uint8_t)random_next(&r);
		b = exact(built, len);
		if (!sl_control_packet_parse(b, len, &p)) {
			want(sl_control_packet_build(&p, again, sizeof(again)) == (int)len);
			want(!memcmp(again, b, len));
			taken++;
		}
		exact_free(b, len);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_layout),	      cmocka_unit_test(test_opcodes),
		cmocka_unit_test(test_build_refuses), cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_empty_ack),     cmocka_unit_test(test_hostile_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
