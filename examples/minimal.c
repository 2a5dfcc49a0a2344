/* SPDX-License-Identifier: BSD-2-Clause */
/* Joins two ports: minimal gen:count=1000000 null: */
#include <stdio.h>
#include <string.h>

#include <sluice/sluice.h>

static void ended(void *worker)
{
	sl_worker_stop(worker);
}

static int fail(const char *what, int ret)
{
	fprintf(stderr, "%s: %s (%s)\n", what, sl_reason(), strerror(-ret));
	return 1;
}

/* Both ports are the link's as soon as there is one. */
static int join(struct sl_port *a, struct sl_port *b, struct sl_worker *worker)
{
	struct sl_link_config config = {
		.ports = {a, b},
		.workers = &worker,
		.n_workers = 1,
		.ended = ended,
		.ctx = worker,
	};
	struct sl_link_stats stats;
	struct sl_link *link;
	int ret = sl_link_create(&config, &link);

	if (ret) {
		a->ops->close(a);
		b->ops->close(b);
		return fail("link", ret);
	}
	ret = sl_worker_run(worker);
	sl_link_stop(link);
	sl_link_get_stats(link, 0, &stats);
	sl_link_release(link);
	printf("%llu packets\n", (unsigned long long)stats.out.packets);
	return ret ? fail("worker", ret) : 0;
}

static int open_and_join(char **specs, struct sl_worker *worker)
{
	struct sl_port *a, *b;
	int ret = sl_port_open(specs[0], NULL, &a);

	if (ret)
		return fail(specs[0], ret);
	ret = sl_port_open(specs[1], NULL, &b);
	if (ret) {
		a->ops->close(a);
		return fail(specs[1], ret);
	}
	return join(a, b, worker);
}

int main(int argc, char **argv)
{
	struct sl_worker *worker;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: minimal PORT PORT\n");
		return 2;
	}
	ret = sl_worker_create(SL_POLL_ADAPTIVE, &worker);
	if (ret)
		return fail("worker", ret);
	ret = open_and_join(argv + 1, worker);
	sl_worker_release(worker);
	return ret;
}
