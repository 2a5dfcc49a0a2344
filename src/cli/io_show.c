/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/io.h"
#include "cli/print.h"

/*
 * Latency: buckets of 1/32 of a power of two, below 32 of 1.
 */

static unsigned bucket_of(uint64_t ns)
{
	unsigned shift = ns < IO_LATENCY_STEPS ? 0 : 58 - (unsigned)__builtin_clzll(ns);

	return shift * IO_LATENCY_STEPS + (unsigned)(ns >> shift);
}

void io_latency_add(struct io_latency *l, uint64_t ns)
{
	l->count++;
	l->sum += ns;
	l->max = sl_max(l->max, ns);
	l->buckets[bucket_of(ns)]++;
}

/* The end of the bucket in which it lies. */
uint64_t io_latency_at(const struct io_latency *l, double percent)
{
	uint64_t wanted = (uint64_t)((double)l->count * percent / 100), seen = 0;

	for (unsigned i = 0; i < IO_LATENCY_BUCKETS; i++) {
		unsigned shift = i < 2 * IO_LATENCY_STEPS ? 0 : i / IO_LATENCY_STEPS - 1;
		uint64_t end = ((uint64_t)(i - shift * IO_LATENCY_STEPS) + 1) << shift;

		seen += l->buckets[i];
		if (seen > wanted)
			return sl_min(end - 1, l->max);
	}
	return l->max;
}

static double mean_of(uint64_t sum, uint64_t count)
{
	return count ? (double)sum / (double)count : 0;
}

static double per_second(uint64_t n, uint64_t ns)
{
	return ns ? (double)n * SL_NS_PER_S / (double)ns : 0;
}

/*
 * JSON.
 */

static json_object *device_json(const struct io_disk *disk)
{
	const struct virtio_blk_state *s = &disk->state;
	json_object *d = json_object_new_object();

	json_object_object_add(d, "capacity",
			       json_object_new_uint64(s->capacity * VIRTIO_BLK_SECTOR));
	json_object_object_add(d, "block_size", json_object_new_int64(s->block_size));
	json_object_object_add(d, "queues", json_object_new_int(s->queues));
	json_object_object_add(d, "features", json_object_new_uint64(disk->features));
	json_object_object_add(d, "read_only", json_object_new_boolean(s->read_only));
	return d;
}

static json_object *latency_json(const struct io_latency *l)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "mean", print_decimal(mean_of(l->sum, l->count), 0));
	json_object_object_add(o, "p50", json_object_new_uint64(io_latency_at(l, 50)));
	json_object_object_add(o, "p99", json_object_new_uint64(io_latency_at(l, 99)));
	json_object_object_add(o, "max", json_object_new_uint64(l->max));
	return o;
}

static void add_counts(json_object *o, const struct io_stats *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"requests", s->requests},     {"bytes", s->bytes},	{"errors", s->errors},
		{"mismatches", s->mismatches}, {"checked", s->checked}, {"foreign", s->foreign},
		{"reconnects", s->reconnects}, {"resumed", s->resumed}, {"kicks", s->kicks},
		{"sleeps", s->sleeps},
	};

	for (unsigned i = 0; i < sl_array_len(counts); i++)
		json_object_object_add(o, counts[i].name, json_object_new_uint64(counts[i].value));
}

static void show_json(const struct io_show *show, const struct io_stats *s, double iops, double bps,
		      bool final)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "time", print_decimal((double)s->ns / SL_NS_PER_S, 6));
	json_object_object_add(o, "final", json_object_new_boolean(final));
	json_object_object_add(o, "op", json_object_new_string(sl_io_ops[show->o->op]));
	json_object_object_add(o, "iops", print_decimal(iops, 1));
	json_object_object_add(o, "bytes_per_second", print_decimal(bps, 0));
	add_counts(o, s);
	json_object_object_add(o, "latency_ns", latency_json(&s->latency));
	if (final)
		json_object_object_add(o, "device", device_json(show->disk));
	print_json(o);
}

/*
 * For people.
 */

static void show_device(const struct io_disk *disk)
{
	const struct virtio_blk_state *s = &disk->state;
	char size[16];

	printf("%s: %sB in blocks of %u bytes, %u queue%s%s%s%s%s%s%s%s\n", disk->o->path,
	       print_scaled((double)s->capacity * VIRTIO_BLK_SECTOR, size, sizeof(size)),
	       s->block_size, s->queues, s->queues == 1 ? "" : "s",
	       s->read_only ? ", read only" : "", s->flush ? ", flush" : "",
	       s->discard ? ", discard" : "", s->write_zeroes ? ", write zeroes" : "",
	       sl_virtio_has(disk->v, VIRTIO_F_RING_PACKED) ? ", packed" : ", split",
	       sl_virtio_has(disk->v, VIRTIO_F_INDIRECT_DESC) ? ", indirect" : "",
	       sl_virtio_has(disk->v, VIRTIO_F_IN_ORDER) ? ", in order" : "");
	fflush(stdout);
}

static void print_troubles(const struct io_stats *s)
{
	if (s->checked || s->foreign || s->mismatches)
		printf("  %llu blocks verified, %llu wrong, %llu unknown\n",
		       (unsigned long long)s->checked, (unsigned long long)s->mismatches,
		       (unsigned long long)s->foreign);
	if (s->reconnects)
		printf("  reconnected %llu times, with %llu requests in flight\n",
		       (unsigned long long)s->reconnects, (unsigned long long)s->resumed);
}

static void show_people(const struct io_show *show, const struct io_stats *s, double iops,
			double bps, bool final)
{
	char line[256], i[16], b[16];

	if (!final) {
		snprintf(line, sizeof(line), "%s IOPS  %sB/s  %.1f us", print_scaled(iops, i, 16),
			 print_scaled(bps, b, 16),
			 mean_of(s->latency.sum - show->last_sum,
				 s->requests - show->last_requests) /
				 SL_NS_PER_US);
		print_status(show->terminal, line);
		return;
	}
	printf("%s%s: %llu requests in %.2f s, %s IOPS, %sB/s, %llu errors\n",
	       show->terminal ? "\r\033[K" : "", sl_io_ops[show->o->op],
	       (unsigned long long)s->requests, (double)s->ns / SL_NS_PER_S,
	       print_scaled(iops, i, 16), print_scaled(bps, b, 16), (unsigned long long)s->errors);
	printf("  latency in us: mean %.1f, median %.1f, 99 %% %.1f, max %.1f\n",
	       mean_of(s->latency.sum, s->latency.count) / SL_NS_PER_US,
	       (double)io_latency_at(&s->latency, 50) / SL_NS_PER_US,
	       (double)io_latency_at(&s->latency, 99) / SL_NS_PER_US,
	       (double)s->latency.max / SL_NS_PER_US);
	print_troubles(s);
}

void io_show_start(struct io_show *show, const struct io_options *o, const struct io_disk *disk)
{
	*show = (struct io_show){
		.o = o, .disk = disk, .terminal = !o->json && isatty(STDOUT_FILENO)};
	if (!o->json)
		show_device(disk);
}

void io_show_interval(struct io_show *show, const struct io_stats *s)
{
	uint64_t ns = s->ns - show->last_ns;
	double iops = per_second(s->requests - show->last_requests, ns);
	double bps = per_second(s->bytes - show->last_bytes, ns);

	(show->o->json ? show_json : show_people)(show, s, iops, bps, false);
	show->last_ns = s->ns;
	show->last_requests = s->requests;
	show->last_bytes = s->bytes;
	show->last_sum = s->latency.sum;
}

void io_show_final(struct io_show *show, const struct io_stats *s)
{
	(show->o->json ? show_json : show_people)(show, s, per_second(s->requests, s->ns),
						  per_second(s->bytes, s->ns), true);
}

void io_say(const struct io_show *show, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%ssluice io: ", show->terminal ? "\r\033[K" : "");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}
