/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a packet costs to cross vhost-user-net: the driver is DPDK's virtio-user, the device DPDK's
 * net_vhost or sluice's port vhost-user. Both devices, each with a driver of its own, and all ends
 * in one thread: bursts of 32 go in at one end and out at the other, a slice of time with one
 * device, then with the other.
 *
 *   vhost_net [KEY=VALUE]...      see struct options; a line of JSON for each path and size
 *
 * Nobody writes or reads what is in the packets, but sluice's "copied", which copies each packet
 * out of the driver's memory, as net_vhost does: sluice lends it.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include <sluice/arena.h>
#include <sluice/port.h>
#include <sluice/reason.h>

#include "base/clock.h"

#define BURST	   32u
#define QUEUE	   256
#define MBUFS	   8191
#define STRIDE	   2240u /* between buffers: an odd number of cache lines, as DPDK spreads its own */
#define SLICES_MAX 999
#define PATHS	   5

struct options {
	unsigned packed, in_order, mrg_rxbuf; /* what the driver asks for; the devices offer all */
	unsigned huge;			      /* 2 MiB pages, which must have been reserved */
	unsigned cpu;
	unsigned slices, packets; /* how many slices a path, and packets a slice */
	unsigned path;		  /* only this one, and what it needs; PATHS: all */
	unsigned bytes;		  /* only these; 0: 64 and 1500 */
};

/* A device and its driver. */
struct rig {
	char sock[64];
	uint16_t driver;
	uint16_t vhost; /* DPDK's device */
	struct rte_mempool *driver_pool, *vhost_pool;
	struct sl_port *port;	  /* ours */
	struct sl_ring *in, *out; /* to it, from it */
	uint8_t *buffers;
	uint16_t region;
	char features[40]; /* that the driver has settled on, as it says in its log */
};

/* One way through a rig: each returns how many packets it has moved. */
struct path {
	const char *contender, *way;
	unsigned rig;
	uint32_t (*send)(struct rig *r, uint32_t len);
	uint32_t (*receive)(struct rig *r, uint32_t len);
};

static uint8_t copy_of[BURST * 8][STRIDE];

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "vhost_net: %s: %s\n", what, why);
	exit(1);
}

/*
 * DPDK's ends.
 */

static inline uint32_t eth_send(uint16_t port, struct rte_mempool *pool, uint32_t len)
{
	struct rte_mbuf *bufs[BURST];
	uint32_t n;

	if (rte_pktmbuf_alloc_bulk(pool, bufs, BURST))
		return 0;
	for (n = 0; n < BURST; n++) {
		bufs[n]->data_len = (uint16_t)len;
		bufs[n]->pkt_len = len;
	}
	n = rte_eth_tx_burst(port, 0, bufs, BURST);
	if (n < BURST)
		rte_pktmbuf_free_bulk(bufs + n, BURST - n);
	return n;
}

static inline uint32_t eth_receive(uint16_t port)
{
	struct rte_mbuf *bufs[BURST];
	uint32_t n = rte_eth_rx_burst(port, 0, bufs, BURST);

	rte_pktmbuf_free_bulk(bufs, n);
	return n;
}

/* Not inlined, so that a profile has a name for each end. */
static __attribute__((noinline)) uint32_t driver_send(struct rig *r, uint32_t len)
{
	return eth_send(r->driver, r->driver_pool, len);
}

static __attribute__((noinline)) uint32_t driver_receive(struct rig *r, uint32_t len)
{
	(void)len;
	return eth_receive(r->driver);
}

static __attribute__((noinline)) uint32_t device_send_dpdk(struct rig *r, uint32_t len)
{
	return eth_send(r->vhost, r->vhost_pool, len);
}

static __attribute__((noinline)) uint32_t device_receive_dpdk(struct rig *r, uint32_t len)
{
	(void)len;
	return eth_receive(r->vhost);
}

/*
 * Ours.
 */

static __attribute__((noinline)) uint32_t device_send_sluice(struct rig *r, uint32_t len)
{
	const struct sl_ring arrays = *r->in;
	uint32_t at, n = sl_ring_returned(r->in, &at), buffer = 0;

	if (n)
		sl_ring_reclaim(r->in, n);
	n = RTE_MIN(sl_ring_room(r->in, &at), BURST);
	sl_ring_for_each (packet, &arrays, at, n)
		*packet = (struct sl_packet){
			.frag = {r->buffers + buffer++ * STRIDE, len, r->region, 0},
		};
	if (n)
		sl_ring_post(r->in, n);
	if (r->port->ops->tx(r->port, 0, r->in) < 0)
		die("tx", sl_reason());
	return n;
}

static inline uint32_t port_receive(struct rig *r, bool copies)
{
	const struct sl_ring arrays = *r->out;
	uint32_t at, n, to = 0;

	if (r->port->ops->rx(r->port, 0, r->out) < 0)
		die("rx", sl_reason());
	n = sl_ring_ready(r->out, &at);
	if (copies)
		sl_ring_for_each (packet, &arrays, at, n)
			rte_memcpy(copy_of[to++ % (BURST * 8)], packet->frag.addr,
				   packet->frag.len);
	if (n)
		sl_ring_consume(r->out, n);
	return n;
}

static __attribute__((noinline)) uint32_t device_receive_sluice(struct rig *r, uint32_t len)
{
	(void)len;
	return port_receive(r, false);
}

static __attribute__((noinline)) uint32_t device_receive_copied(struct rig *r, uint32_t len)
{
	(void)len;
	return port_receive(r, true);
}

static const struct path paths[PATHS] = {
	{"dpdk", "to driver", 0, device_send_dpdk, driver_receive},
	{"sluice", "to driver", 1, device_send_sluice, driver_receive},
	{"dpdk", "from driver", 0, driver_send, device_receive_dpdk},
	{"sluice", "from driver", 1, driver_send, device_receive_sluice},
	{"sluice, copied", "from driver", 1, driver_send, device_receive_copied},
};

/*
 * Setting up: the driver blocks in its handshake, while another thread is the device.
 */

struct helper {
	struct sl_port *port;
	pthread_t thread;
	bool stop;
};

static void *answer(void *arg)
{
	struct helper *h = arg;
	struct pollfd fd = {h->port->ops->control_fd(h->port), POLLIN, 0};

	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		poll(&fd, 1, 1);
		if (h->port->ops->control(h->port, sl_now_ns()) < 0)
			die("control", sl_reason());
	}
	return NULL;
}

static struct rte_mempool *pool(const char *name)
{
	struct rte_mempool *made = rte_pktmbuf_pool_create(
		name, MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (!made)
		die("no memory for packets", rte_strerror(rte_errno));
	return made;
}

static uint16_t eth_open(const char *name, const char *args, struct rte_mempool *mbufs)
{
	const struct rte_eth_conf config = {0};
	uint16_t port;

	if (rte_eal_hotplug_add("vdev", name, args))
		die(name, rte_strerror(rte_errno));
	if (rte_eth_dev_get_port_by_name(name, &port) ||
	    rte_eth_dev_configure(port, 1, 1, &config) ||
	    rte_eth_rx_queue_setup(port, 0, QUEUE, SOCKET_ID_ANY, NULL, mbufs) ||
	    rte_eth_tx_queue_setup(port, 0, QUEUE, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(port))
		die(name, "does not start");
	return port;
}

static void open_dpdk(struct rig *r)
{
	char args[512];

	r->vhost_pool = pool("vhost");
	snprintf(args, sizeof(args), "iface=%s,queues=1", r->sock);
	r->vhost = eth_open("net_vhost0", args, r->vhost_pool);
}

static void open_sluice(struct rig *r, const struct options *o)
{
	const struct sl_ring_config config = {QUEUE, 4096, -1, -1};
	struct sl_arena *arena;
	char spec[512];

	snprintf(spec, sizeof(spec), "vhost-user:path=%s,packed=%s", r->sock,
		 o->packed ? "on" : "off");
	if (sl_port_open(spec, NULL, &r->port) || sl_ring_create(&config, &r->in) ||
	    sl_ring_create(&config, &r->out) || sl_arena_create(BURST * STRIDE, 0, &arena))
		die(spec, sl_reason());
	r->buffers = sl_arena_region(arena)->base;
	r->region = sl_arena_region(arena)->id;
}

/* The driver's log says what it has settled on. */
static void open_driver(struct rig *r, unsigned n, const struct options *o)
{
	static const char mark[] = "features after negotiate = ";
	char name[32], args[512], *said = NULL, *at;
	size_t len;
	FILE *log = open_memstream(&said, &len);

	snprintf(name, sizeof(name), "driver%u", n);
	r->driver_pool = pool(name);
	rte_openlog_stream(log);
	snprintf(name, sizeof(name), "net_virtio_user%u", n);
	snprintf(args, sizeof(args),
		 "path=%s,queues=1,queue_size=%d,packed_vq=%u,in_order=%u,mrg_rxbuf=%u", r->sock,
		 QUEUE, o->packed, o->in_order, o->mrg_rxbuf);
	r->driver = eth_open(name, args, r->driver_pool);
	rte_openlog_stream(stderr);
	fclose(log);
	for (at = said; (at = strstr(at, mark)); at += sizeof(mark) - 1)
		sscanf(at + sizeof(mark) - 1, "%39[0-9a-f]", r->features);
	free(said);
}

static void open_rig(struct rig *r, unsigned n, const char *dir, const struct options *o)
{
	struct helper helper = {0};

	snprintf(r->sock, sizeof(r->sock), "%s/%u", dir, n);
	if (n) {
		open_sluice(r, o);
		helper.port = r->port;
		if (pthread_create(&helper.thread, NULL, answer, &helper))
			die("pthread_create", "failed");
	} else {
		open_dpdk(r);
	}
	open_driver(r, n, o);
	usleep(50000); /* enabling the rings has no answer to wait for */
	if (n) {
		__atomic_store_n(&helper.stop, true, __ATOMIC_RELEASE);
		pthread_join(helper.thread, NULL);
	}
}

static void open_eal(const struct options *o)
{
	char text[256], *args[16], *rest = text;
	int n = 0;

	snprintf(text, sizeof(text),
		 "vhost_net -l %u -m 256 --iova-mode=va --no-pci --no-telemetry --log-level=*:3 "
		 "--file-prefix=vhost_net %s",
		 o->cpu, o->huge ? "--in-memory --single-file-segments" : "--no-huge --no-shconf");
	while ((args[n] = strtok_r(NULL, " ", &rest)))
		n++;
	if (rte_eal_init(n, args) < 0)
		die("DPDK", rte_strerror(rte_errno));
	rte_log_set_global_level(RTE_LOG_DEBUG);
	rte_log_set_level_pattern("pmd.net.virtio.init", RTE_LOG_DEBUG);
}

/*
 * Measuring.
 */

/* What else runs on the processor is not counted. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SL_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Not inlined: callgrind counts what is inside. */
static __attribute__((noinline)) double slice(const struct path *path, struct rig *r, uint32_t len,
					      uint32_t packets)
{
	uint64_t start = cpu_ns();
	uint32_t received = 0;

	for (uint32_t idle = 0; received < packets;) {
		uint32_t n;

		path->send(r, len);
		n = path->receive(r, len);
		received += n;
		idle = n ? 0 : idle + 1;
		if (idle > 100000)
			die(path->way, "no packet arrives");
	}
	start = cpu_ns() - start;
	while (path->receive(r, len))
		;
	return (double)start / received;
}

static void report(const struct path *path, const struct rig *r, uint32_t len, const double *ns,
		   unsigned n)
{
	printf("{\"contender\": \"%s\", \"way\": \"%s\", \"bytes\": %u, \"features\": \"%s\", \"ns\": [",
	       path->contender, path->way, len, r->features);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.2f", i ? ", " : "", ns[i]);
	puts("]}");
}

static void measure(struct rig *rigs, const struct options *o, uint32_t len)
{
	static double ns[PATHS][SLICES_MAX];

	for (unsigned s = 0; s <= o->slices; s++) /* the first is for warming up */
		for (unsigned p = 0; p < PATHS; p++)
			if (o->path == PATHS || o->path == p)
				ns[p][s ? s - 1 : 0] =
					slice(&paths[p], &rigs[paths[p].rig], len, o->packets);
	for (unsigned p = 0; p < PATHS; p++)
		if (o->path == PATHS || o->path == p)
			report(&paths[p], &rigs[paths[p].rig], len, ns[p], o->slices);
}

static void parse(int argc, char **argv, struct options *o)
{
	const struct {
		const char *key;
		unsigned *value;
	} keys[] = {
		{"packed", &o->packed},	  {"in_order", &o->in_order}, {"mrg_rxbuf", &o->mrg_rxbuf},
		{"huge", &o->huge},	  {"cpu", &o->cpu},	      {"slices", &o->slices},
		{"packets", &o->packets}, {"path", &o->path},	      {"bytes", &o->bytes}};

	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t k = 0, len = equals ? (size_t)(equals - argv[i]) : 0;

		while (k < RTE_DIM(keys) &&
		       (strlen(keys[k].key) != len || strncmp(keys[k].key, argv[i], len)))
			k++;
		if (k == RTE_DIM(keys) || sscanf(equals + 1, "%u", keys[k].value) != 1)
			die(argv[i], "not an option");
	}
	if (o->slices > SLICES_MAX || o->path > PATHS)
		die("slices, path", "too many");
}

int main(int argc, char **argv)
{
	char state[PATH_MAX];
	struct options o = {
		.in_order = 1, .mrg_rxbuf = 1, .slices = 20, .packets = 100000, .path = PATHS};
	struct rig rigs[2] = {0};
	char dir[] = "/tmp/vhost_net-XXXXXX";

	parse(argc, argv, &o);
	if (!mkdtemp(dir))
		die(dir, "cannot be made");
	open_eal(&o);
	for (unsigned n = 0; n < 2; n++)
		if (o.path == PATHS || paths[o.path].rig == n)
			open_rig(&rigs[n], n, dir, &o);
	for (unsigned len = 64; len <= 1500; len += 1500 - 64)
		if (!o.bytes || o.bytes == len)
			measure(rigs, &o, len);
	if (rigs[1].port)
		rigs[1].port->ops->close(rigs[1].port);
	unlink(rigs[0].sock);
	/* Where packed rings stand, for the driver is still there. */
	snprintf(state, sizeof(state), "%s.rings", rigs[1].sock);
	unlink(state);
	if (rmdir(dir))
		die(dir, "not empty: not closed in order");
	return 0;
}
