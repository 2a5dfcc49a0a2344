/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice io: drive a disk over vhost-user or uduse. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/param.h>
#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/io.h"
#include "cli/run.h"

#define BLOCK_MAX (16u << 20)
#define DEPTH_MAX 4096
#define SIZE_MIN  128

const char *const sl_io_ops[] = {
	"read", "write", "randread", "randwrite", "flush", "discard", "write-zeroes", NULL,
};

const char *const sl_io_options[] = {
	"--op",	      "--bs",	      "--qd",	  "--time",	 "--offset",
	"--size",     "--queues",     "--poll",	  "--packed",	 "--indirect",
	"--in-order", "--queue-size", "--verify", "--reconnect", "--listen",
	"--stats",    "--json",	      "--help",	  NULL,
};

static void print_help(void)
{
	printf("Usage: sluice io [uduse:]SOCKET [options]\n\n"
	       "Drives the disk that a vhost-user back end is: reads, writes, verifies, measures.\n"
	       "SOCKET is a path, or fd:N for a socket that is connected already. With uduse: before\n"
	       "the path it is a VDUSE daemon that will connect there.\n\n"
	       "Options:\n"
	       "  --op OP            read, write, randread, randwrite, flush, discard or\n"
	       "                     write-zeroes (randread)\n"
	       "  --bs SIZE          bytes of a request (4k)\n"
	       "  --qd N             requests at once, of each queue (32)\n"
	       "  --time S           so many seconds; 0: as many requests as the range has blocks (5)\n"
	       "  --offset SIZE      where the range begins (0)\n"
	       "  --size SIZE        how long it is (all that is behind it)\n"
	       "  --queues N         queues, 1 to %d, all of them by one thread (1)\n"
	       "  --poll             look at the queues all the time, instead of being interrupted\n"
	       "  --packed           packed virtqueues\n"
	       "  --indirect         indirect descriptors\n"
	       "  --in-order         buffers come back in their order\n"
	       "  --queue-size N     entries of a virtqueue (as many as --qd needs)\n"
	       "  --verify           write what can be recognised, read it back; read: recognise it\n"
	       "  --reconnect S      when the back end is gone, wait S seconds for another (0)\n"
	       "  --listen           wait at SOCKET for the back end to connect\n"
	       "  --stats S          a line every S seconds; 0 for none (1)\n"
	       "  --json             one JSON object an interval and a final one\n"
	       "  -h, --help         this\n\n"
	       "Ends with 1 if a request failed, or a block was not what had been written.\n\n"
	       "Examples:\n"
	       "  sluice io /run/disk.sock --op randread --bs 4k --qd 32 --time 5 --poll\n"
	       "  sluice io /run/disk.sock --op randwrite --verify --reconnect 10\n"
	       "  sluice io uduse:/run/disk.sock --op randwrite --verify --reconnect 10\n"
	       "  sluice io /run/disk.sock --op read --verify --time 0 --size 64M\n",
	       VHOST_FRONT_QUEUES_MAX);
}

/*
 * Options.
 */

/* With k, M, G or T behind it: of 1024. */
static int parse_size(const char *option, const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	unsigned long long n;
	const char *unit;
	char *rest;

	errno = 0;
	n = strtoull(text, &rest, 10);
	unit = *rest ? strchr(units, tolower((unsigned char)*rest)) : NULL;
	if (errno || rest == text || *text == '-' || (*rest && (!unit || rest[1])))
		return sl_usage_error("io", "%s %s is not a size, as in 4096, 4k or 1G", option,
				      text);
	if (unit && n > UINT64_MAX >> 10 * (unit - units + 1))
		return sl_usage_error("io", "%s %s is too large", option, text);
	*out = unit ? n << 10 * (unit - units + 1) : n;
	return 0;
}

static int parse_number(const char *option, const char *text, unsigned max, uint16_t *out)
{
	char *rest;
	long n = strtol(text, &rest, 10);

	if (rest == text || *rest || n < 1 || n > (long)max)
		return sl_usage_error("io", "%s %s is not a number from 1 to %u", option, text,
				      max);
	*out = (uint16_t)n;
	return 0;
}

static int parse_op(const char *text, enum io_op *out)
{
	const char *nearest;

	for (int i = 0; sl_io_ops[i]; i++) {
		*out = (enum io_op)i;
		if (!strcmp(sl_io_ops[i], text))
			return 0;
	}
	nearest = sl_param_nearest(text, sl_io_ops);
	if (nearest)
		return sl_usage_error("io", "no --op \"%s\"; did you mean \"%s\"?", text, nearest);
	return sl_usage_error("io", "no --op \"%s\"", text);
}

static int parse_block(const char *text, uint32_t *out)
{
	uint64_t len = 0;
	int ret = parse_size("--bs", text, &len);

	if (ret)
		return ret;
	if (!len || len > BLOCK_MAX || len % VIRTIO_BLK_SECTOR)
		return sl_usage_error("io", "--bs %s is not a multiple of %u up to 16M", text,
				      VIRTIO_BLK_SECTOR);
	*out = (uint32_t)len;
	return 0;
}

static int parse_option(int c, char **argv, struct io_options *o)
{
	switch (c) {
	case 'O':
		return parse_op(optarg, &o->op);
	case 'b':
		return parse_block(optarg, &o->block);
	case 'd':
		return parse_number("--qd", optarg, DEPTH_MAX, &o->depth);
	case 't':
		return run_parse_seconds("io", "--time", optarg, &o->time);
	case 'o':
		return parse_size("--offset", optarg, &o->offset);
	case 's':
		return parse_size("--size", optarg, &o->size);
	case 'q':
		return parse_number("--queues", optarg, VHOST_FRONT_QUEUES_MAX, &o->queues);
	case 'Q':
		return parse_number("--queue-size", optarg, VIRTQ_SIZE_MAX, &o->queue_size);
	case 'r':
		return run_parse_seconds("io", "--reconnect", optarg, &o->reconnect);
	case 'S':
		return run_parse_seconds("io", "--stats", optarg, &o->stats);
	case 'h':
		print_help();
		return -1;
	default:
		return run_bad_option("io", c, argv, sl_io_options);
	}
}

static int parse_socket(const char *text, struct io_options *o)
{
	char *rest;
	long fd;

	o->path = text;
	if (!strncmp(text, "uduse:", 6)) {
		o->path += 6;
		o->uduse = true;
		return 0;
	}
	if (strncmp(text, "fd:", 3))
		return 0;
	fd = strtol(text + 3, &rest, 10);
	if (rest == text + 3 || *rest || fd < 0 || fd > INT32_MAX)
		return sl_usage_error("io", "%s is not fd: and a number", text);
	o->fd = (int)fd;
	return 0;
}

/* What does not go together. */
static int check(struct io_options *o)
{
	bool packed_size = o->queue_size & (o->queue_size - 1);

	if (o->verify && (o->op == IO_FLUSH || o->op == IO_DISCARD))
		return sl_usage_error("io", "--op %s has nothing to --verify", sl_io_ops[o->op]);
	if (packed_size && !o->packed)
		return sl_usage_error("io",
				      "--queue-size %u is not a power of two: of --packed queues "
				      "alone",
				      o->queue_size);
	if (o->uduse && o->listen)
		return sl_usage_error("io", "--listen is what uduse: always does");
	if (o->fd >= 0 && (o->listen || o->reconnect > 0))
		return sl_usage_error(
			"io", "there is no %s with fd:", o->listen ? "--listen" : "--reconnect");
	/* A request is a header, data and a status. */
	for (unsigned size = SIZE_MIN; !o->queue_size; size *= 2)
		if (size >= 3u * o->depth)
			o->queue_size = (uint16_t)size;
	return 0;
}

/* Returns 0, an exit status, or -1 when help was given and there is no more to do. */
static int parse(int argc, char **argv, struct io_options *o)
{
	int poll = 0, packed = 0, indirect = 0, in_order = 0, verify = 0, listen = 0, json = 0;
	const struct option longs[] = {
		{"op", required_argument, NULL, 'O'},
		{"bs", required_argument, NULL, 'b'},
		{"qd", required_argument, NULL, 'd'},
		{"time", required_argument, NULL, 't'},
		{"offset", required_argument, NULL, 'o'},
		{"size", required_argument, NULL, 's'},
		{"queues", required_argument, NULL, 'q'},
		{"queue-size", required_argument, NULL, 'Q'},
		{"reconnect", required_argument, NULL, 'r'},
		{"stats", required_argument, NULL, 'S'},
		{"poll", no_argument, &poll, 1},
		{"packed", no_argument, &packed, 1},
		{"indirect", no_argument, &indirect, 1},
		{"in-order", no_argument, &in_order, 1},
		{"verify", no_argument, &verify, 1},
		{"listen", no_argument, &listen, 1},
		{"json", no_argument, &json, 1},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int c, ret = 0;

	*o = (struct io_options){.fd = -1,
				 .op = IO_RANDREAD,
				 .block = 4096,
				 .depth = 32,
				 .queues = 1,
				 .time = 5,
				 .stats = 1};
	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		ret = c ? parse_option(c, argv, o) : 0;
	if (ret)
		return ret;
	if (argc - optind != 1)
		return sl_usage_error("io", "one socket is needed, %d given", argc - optind);
	o->poll = poll;
	o->packed = packed;
	o->indirect = indirect;
	o->in_order = in_order;
	o->verify = verify;
	o->listen = listen;
	o->json = json;
	ret = parse_socket(argv[optind], o);
	return ret ? ret : check(o);
}

int sl_cmd_io(int argc, char **argv)
{
	struct io_options o;
	struct io_disk disk;
	int signals, status = parse(argc, argv, &o);

	if (status)
		return status < 0 ? EXIT_OK : status;
	signals = run_signals();
	if (signals < 0) {
		fprintf(stderr, "sluice io: no descriptors: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (io_disk_open(&disk, &o, signals)) {
		fprintf(stderr, "sluice io: %s\n", sl_reason());
		status = EXIT_FAILED;
	} else {
		status = io_job(&disk, &o, signals);
	}
	io_disk_close(&disk);
	sl_fd_close(&signals);
	return status;
}
