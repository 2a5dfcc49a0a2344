/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealing and opening one packet, with each cipher and AEAD back end: 64 and 1428 bytes in one
 * piece, and 1428 in two, as header and payload of a segment are. Packets and nonces change, out of
 * a burst of 64; the time is this thread's, the instructions too, where the processor counts them.
 *
 *   aead [--json] [--rounds N] [--packets N]
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tunnel/aead.h"

#define BURST	   64u
#define ROOM	   2048u
#define HEADER	   40u
#define AAD_LEN	   8u
#define ENDS_MAX   4u
#define ROUNDS_MAX 99

static const struct {
	uint32_t len;
	unsigned pieces;
} shapes[] = {{64, 1}, {1428, 1}, {1428, 2}};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static const char *const ciphers[SL_CIPHER_COUNT] = {"AES-256-GCM", "CHACHA20-POLY1305"};
static const char *const ways[] = {"seal", "open"};

struct packet {
	uint8_t nonce[AEAD_NONCE_LEN], aad[AAD_LEN], tag[AEAD_TAG_LEN];
	uint8_t plain[ROOM], sealed[ROOM], out[ROOM];
};

struct sample {
	double ns[ROUNDS_MAX], instructions;
};

static struct packet packets[BURST];
static struct sample samples[SL_CIPHER_COUNT][SHAPES][2][ENDS_MAX];
static const struct sl_aead_ops *ends[ENDS_MAX];
static unsigned end_count;

/*
 * Measuring.
 */

static int counter_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t counted(int fd)
{
	uint64_t value = 0;

	return fd >= 0 && read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static double nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static unsigned cut(const uint8_t *in, uint8_t *out, size_t shape, struct sl_piece pieces[2])
{
	uint32_t first = shapes[shape].pieces == 2 ? HEADER : shapes[shape].len;

	pieces[0] = (struct sl_piece){in, out, first};
	pieces[1] = (struct sl_piece){in + first, out + first, shapes[shape].len - first};
	return shapes[shape].pieces;
}

static void seal(struct sl_aead *aead, struct packet *p, size_t shape)
{
	struct sl_piece pieces[2];
	unsigned n = cut(p->plain, p->sealed, shape, pieces);

	if (sl_aead_seal(aead, p->nonce, p->aad, AAD_LEN, pieces, n, p->tag))
		abort();
}

static void open_one(struct sl_aead *aead, struct packet *p, size_t shape)
{
	struct sl_piece pieces[2];
	unsigned n = cut(p->sealed, p->out, shape, pieces);

	if (sl_aead_open(aead, p->nonce, p->aad, AAD_LEN, pieces, n, p->tag))
		abort();
}

/* @ns and @instructions: a packet's. */
static void run(struct sl_aead *aead, bool opens, size_t shape, unsigned count, double *ns,
		double *instructions)
{
	int fd = counter_open();
	uint64_t before = counted(fd);
	double start = nanoseconds();

	for (unsigned n = 0; n < count; n++)
		if (opens)
			open_one(aead, &packets[n % BURST], shape);
		else
			seal(aead, &packets[n % BURST], shape);
	*ns = (nanoseconds() - start) / count;
	*instructions = (double)(counted(fd) - before) / count;
	if (fd >= 0)
		close(fd);
}

static void measure_one(unsigned c, size_t shape, unsigned end, int round, unsigned count)
{
	static const uint8_t key[AEAD_KEY_LEN] = {1};
	struct sl_aead *sealer, *opener;
	struct sample *s;

	if (sl_aead_create(ends[end], c, key, true, &sealer) ||
	    sl_aead_create(ends[end], c, key, false, &opener))
		abort();
	for (unsigned n = 0; n < BURST; n++)
		seal(sealer, &packets[n], shape);
	s = &samples[c][shape][0][end];
	run(sealer, false, shape, count, &s->ns[round], &s->instructions);
	s = &samples[c][shape][1][end];
	run(opener, true, shape, count, &s->ns[round], &s->instructions);
	sl_aead_release(sealer);
	sl_aead_release(opener);
}

static void measure(int rounds, unsigned count)
{
	for (int round = 0; round < rounds; round++)
		for (unsigned c = 0; c < SL_CIPHER_COUNT; c++)
			for (size_t shape = 0; shape < SHAPES; shape++)
				for (unsigned end = 0; end < end_count; end++)
					measure_one(c, shape, end, round, count);
}

/*
 * Telling.
 */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Its values are in order afterwards: the ratio of each round comes first. */
static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

static double ratio(const struct sample *a, const struct sample *b, int rounds)
{
	double ratios[ROUNDS_MAX];

	for (int n = 0; n < rounds; n++)
		ratios[n] = a->ns[n] / b->ns[n];
	return median(ratios, rounds);
}

static void say(bool json, unsigned c, size_t shape, int way, unsigned end, int rounds, double part)
{
	struct sample *s = &samples[c][shape][way][end];
	double middle = median(s->ns, rounds);
	char instructions[32] = "-";

	if (s->instructions > 0)
		snprintf(instructions, sizeof(instructions), "%.0f", s->instructions);
	printf(json ? "{\"cipher\":\"%s\",\"way\":\"%s\",\"bytes\":%u,\"pieces\":%u,"
		      "\"back_end\":\"%s\",\"ns\":%.1f,\"min\":%.1f,\"max\":%.1f,"
		      "\"of_openssl\":%.2f,\"instructions\":\"%s\"}\n"
		    : "| %s | %s | %u | %u | %s | %.1f | %.1f | %.1f | %.2f | %s |\n",
	       ciphers[c], ways[way], shapes[shape].len, shapes[shape].pieces, ends[end]->name,
	       middle, s->ns[0], s->ns[rounds - 1], part, instructions);
}

/* The last back end is OpenSSL. */
static void tell_ends(bool json, unsigned c, size_t shape, int way, int rounds)
{
	struct sample *all = samples[c][shape][way];
	double parts[ENDS_MAX];

	for (unsigned end = 0; end < end_count; end++)
		parts[end] = ratio(&all[end], &all[end_count - 1], rounds);
	for (unsigned end = 0; end < end_count; end++)
		say(json, c, shape, way, end, rounds, parts[end]);
}

static void tell(bool json, int rounds)
{
	if (!json)
		printf("| cipher | way | bytes | pieces | back end | ns a packet | min | max | of "
		       "openssl's | instructions |\n|---|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned c = 0; c < SL_CIPHER_COUNT; c++)
		for (size_t shape = 0; shape < SHAPES; shape++)
			for (int way = 0; way < 2; way++)
				tell_ends(json, c, shape, way, rounds);
}

int main(int argc, char **argv)
{
	unsigned count = 20000;
	bool json = false;
	int rounds = 21;

	for (int n = 1; n < argc; n++) {
		if (!strcmp(argv[n], "--json"))
			json = true;
		else if (!strcmp(argv[n], "--rounds") && n + 1 < argc)
			rounds = atoi(argv[++n]);
		else if (!strcmp(argv[n], "--packets") && n + 1 < argc)
			count = (unsigned)strtoul(argv[++n], NULL, 0);
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || !count) {
		fprintf(stderr, "--rounds is 1 to %d, --packets at least 1\n", ROUNDS_MAX);
		return 2;
	}
	for (unsigned n = 0; sl_aead_at(n) && n < ENDS_MAX; n++)
		if (sl_aead_at(n)->usable(SL_CIPHER_AES_256_GCM))
			ends[end_count++] = sl_aead_at(n);
	if (end_count < 2)
		fprintf(stderr, "skipped: ipsec-mb is not here; sluice probe says why\n");
	for (unsigned n = 0; n < BURST; n++)
		packets[n] = (struct packet){.nonce = {(uint8_t)n}, .plain = {0x45, (uint8_t)n}};
	measure(rounds, count);
	tell(json, rounds);
	return 0;
}
