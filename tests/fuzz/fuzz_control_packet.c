/* SPDX-License-Identifier: BSD-2-Clause */
/* Any datagram through the parser of the control channel: what it takes is built back the same. */
#include <errno.h>
#include <string.h>

#include "../unit/slow.h"
#include "fuzz.h"
#include "tunnel/control_packet.h"

static void check(const uint8_t *b, size_t len, const struct control_packet *p)
{
	uint8_t *room = malloc(len);

	must(room);
	must(p->n_acks <= CONTROL_ACKS_MAX && p->key_id <= 7);
	must(p->payload_len <= CONTROL_PAYLOAD_MAX && p->payload + p->payload_len == b + len);
	must(sl_control_packet_build(p, room, len - 1) == -EMSGSIZE);
	must(sl_control_packet_build(p, room, len) == (int)len);
	must(!memcmp(room, b, len));
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *b = exact(data, size);
	struct control_packet p;
	int err = sl_control_packet_parse(b, size, &p);

	must(err == 0 || err == -EINVAL || err == -EPROTO);
	if (!err)
		check(b, size, &p);
	exact_free(b, size);
	return 0;
}
