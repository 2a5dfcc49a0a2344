/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a buffer costs in a virtqueue: added, taken, used and got back in bursts of 32, by both
 * sides in one thread; and of that the device's side alone, when the queue is full. As many
 * instructions under valgrind --tool=callgrind bench/virtq --count NAME BUFFERS (of two counts take
 * the difference; of the device's side: callgrind_annotate --inclusive=yes, use_burst).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sluice/space.h>

#include "virtq/burst.h"
#include "virtq/device.h"
#include "virtq/driver.h"

#define SIZE	   256u
#define BURST	   32u
#define ELEMS_MAX  3u
#define ROUNDS	   11
#define IOVA	   0x100000u
#define MEMORY_LEN (1u << 20)
#define TABLES_LEN (SIZE * ELEMS_MAX * sizeof(struct virtq_desc))

static const struct variant {
	const char *name;
	struct virtq_options options;
	unsigned elems;
	bool burst; /* of packets: the device reads all elements */
} variants[] = {
	{"split", {.size = SIZE, .event_idx = true}, 1},
	{"split-3", {.size = SIZE, .event_idx = true}, 3},
	{"split-3-indirect", {.size = SIZE, .event_idx = true, .table_len = 3}, 3},
	{"split-in-order", {.size = SIZE, .event_idx = true, .in_order = true}, 1},
	{"packed", {.size = SIZE, .packed = true, .event_idx = true}, 1},
	{"packed-3", {.size = SIZE, .packed = true, .event_idx = true}, 3},
	{"packed-3-indirect", {.size = SIZE, .packed = true, .event_idx = true, .table_len = 3}, 3},
	{"packed-in-order", {.size = SIZE, .packed = true, .event_idx = true, .in_order = true}, 1},
	{"burst-split", {.size = SIZE, .event_idx = true}, 1, true},
	{"burst-split-2", {.size = SIZE, .event_idx = true}, 2, true},
	{"burst-split-3-indirect", {.size = SIZE, .event_idx = true, .table_len = 3}, 3, true},
	{"burst-split-in-order", {.size = SIZE, .event_idx = true, .in_order = true}, 1, true},
	{"burst-packed", {.size = SIZE, .packed = true, .event_idx = true}, 1, true},
	{"burst-packed-2", {.size = SIZE, .packed = true, .event_idx = true}, 2, true},
	{"burst-packed-3-indirect",
	 {.size = SIZE, .packed = true, .event_idx = true, .table_len = 3},
	 3,
	 true},
	{"burst-packed-in-order",
	 {.size = SIZE, .packed = true, .event_idx = true, .in_order = true},
	 1,
	 true},
};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static struct virtq_driver driver;
static struct virtq_device *device;
static struct sl_space *space;
static uint8_t *memory, *ring;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "virtq: this does not hold: %s\n", what);
	exit(1);
}

#define MUST(x) must((x), #x)

static void open_both(const struct variant *v)
{
	struct virtq_options o = v->options;
	struct virtq_layout layout = sl_virtq_layout(SIZE, o.packed);
	struct virtq_setup setup = {.size = SIZE,
				    .packed = o.packed,
				    .event_idx = o.event_idx,
				    .indirect = o.table_len,
				    .in_order = o.in_order,
				    .space = space,
				    .state = {.avail_wrap = true, .used_wrap = true}};

	memset(ring, 0, layout.len);
	setup.desc = ring;
	setup.driver = ring + layout.avail;
	setup.device = ring + layout.used;
	o.tables = memory;
	o.iova.value = IOVA;
	MUST(!sl_virtq_open(&driver, &o, ring));
	MUST(!sl_virtq_device_open(&setup, &device));
	sl_virtq_disarm(&driver);
	sl_virtq_device_disarm(device);
}

static void close_both(void)
{
	sl_virtq_device_close(device);
	sl_virtq_close(&driver);
}

/* As of a request to read from a disk, when there are three elements; returns how many fit. */
static unsigned add(const struct variant *v, unsigned most)
{
	struct virtq_elem e[ELEMS_MAX] = {{{IOVA + TABLES_LEN}, 16},
					  {{IOVA + TABLES_LEN + 4096}, 4096},
					  {{IOVA + TABLES_LEN + 16}, 1}};
	unsigned n = 0;

	while (n < most && sl_virtq_add(&driver, e, v->burst ? v->elems : 1, v->elems) >= 0)
		n++;
	sl_virtq_publish(&driver);
	return n;
}

static void use_burst(unsigned left)
{
	struct virtq_buffer bufs[BURST];
	struct iovec pieces[SIZE];

	while (left) {
		int n = sl_virtq_burst_take(device, false, bufs, BURST, pieces, SIZE);

		MUST(n > 0);
		MUST(!sl_virtq_burst_use(device, bufs, NULL, (unsigned)n));
		sl_virtq_device_publish(device);
		left -= (unsigned)n;
	}
}

static void use_each(void)
{
	struct iovec pieces[ELEMS_MAX];
	struct virtq_chain chain = {.pieces = pieces, .max = ELEMS_MAX};
	unsigned n = 0;

	while (!sl_virtq_device_get(device, &chain)) {
		sl_virtq_device_put(device, chain.id, chain.write_len);
		if (!(++n % BURST))
			sl_virtq_device_publish(device);
	}
	sl_virtq_device_publish(device);
}

static void use(const struct variant *v, unsigned n)
{
	if (v->burst)
		use_burst(n);
	else
		use_each();
}

static unsigned get_all(void)
{
	unsigned n = 0;
	uint32_t len;

	while (sl_virtq_get(&driver, &len) >= 0)
		n++;
	return n;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns ns a buffer. */
static double run(const struct variant *v, uint64_t buffers)
{
	uint64_t done = 0;
	double start;

	open_both(v);
	start = seconds();
	while (done < buffers) {
		use(v, add(v, BURST));
		done += get_all();
	}
	start = seconds() - start;
	close_both();
	return start * 1e9 / (double)done;
}

static double run_device(const struct variant *v, uint64_t buffers)
{
	uint64_t done = 0;
	double start, spent = 0;

	open_both(v);
	while (done < buffers) {
		unsigned n = add(v, SIZE);

		start = seconds();
		use(v, n);
		spent += seconds() - start;
		done += get_all();
	}
	close_both();
	return spent * 1e9 / (double)done;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int count(const char *name, uint64_t buffers)
{
	for (size_t v = 0; v < VARIANTS; v++)
		if (!strcmp(variants[v].name, name)) {
			run(&variants[v], buffers);
			return 0;
		}
	fprintf(stderr, "there is no %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	struct sl_region region = {.len = MEMORY_LEN, .fd = -1, .access = 3};
	static double ns[2][VARIANTS][ROUNDS];

	region.base = memory = aligned_alloc(4096, MEMORY_LEN);
	ring = aligned_alloc(4096, 16384);
	MUST(memory && ring && !sl_space_create(NULL, &space));
	MUST(!sl_space_map_at(space, (sl_iova){IOVA}, &region));
	if (argc == 4 && !strcmp(argv[1], "--count"))
		return count(argv[2], strtoull(argv[3], NULL, 0));
	for (int n = 0; n < ROUNDS; n++)
		for (size_t v = 0; v < VARIANTS; v++) {
			ns[0][v][n] = run(&variants[v], 500000);
			ns[1][v][n] = run_device(&variants[v], 500000);
		}
	printf("| virtqueue | elements | ns a buffer, both sides | the device's |\n"
	       "|---|---|---|---|\n");
	for (size_t v = 0; v < VARIANTS; v++) {
		qsort(ns[0][v], ROUNDS, sizeof(double), compare);
		qsort(ns[1][v], ROUNDS, sizeof(double), compare);
		printf("| %s | %u | %.1f | %.1f |\n", variants[v].name, variants[v].elems,
		       ns[0][v][ROUNDS / 2], ns[1][v][ROUNDS / 2]);
	}
	return 0;
}
