/* SPDX-License-Identifier: BSD-2-Clause */
/* Port null: takes everything, gives nothing. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "port/kinds.h"
#include "port/sink.h"

struct null {
	struct sl_port port;
	struct sl_count tx;
};

static struct null *null_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct null, port);
}

static int null_open(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	struct null *null = calloc(1, sizeof(*null));

	(void)args;
	(void)log;
	if (!null)
		return sl_fail(ENOMEM, "no memory for a port");
	null->port.ops = &sl_port_null;
	*out = &null->port;
	return 0;
}

static void null_info(const struct sl_port *port, struct sl_port_info *info)
{
	(void)port;
	*info = (struct sl_port_info){
		.queues = 1,
		.dirs = SL_PORT_TX,
		.attached = 1,
		.accepts = SINK_ACCEPTS,
	};
}

static int null_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	(void)q;
	return sink_tx(ring, &null_of(port)->tx);
}

static void null_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	(void)q;
	sl_count_sum(&c->tx, &null_of(port)->tx);
}

static void null_close(struct sl_port *port)
{
	free(null_of(port));
}

static const struct sl_param null_params[] = {{NULL}};

const struct sl_port_ops sl_port_null = {
	.size = sizeof(struct sl_port_ops),
	.kind = "null",
	.help = "takes every packet and forgets it",
	.params = null_params,
	.open = null_open,
	.info = null_info,
	.tx = null_tx,
	.fd = sink_fd,
	.arm = sink_arm,
	.stats = null_stats,
	.close = null_close,
};
