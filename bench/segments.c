/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a segment costs the tunnel in user space, with each cipher and AEAD back end and with none:
 * super-packets cut and sealed; opened and put together again; opened only. It is the tunnel
 * itself that does it, see pair.h.
 *
 *   segments [--json] [--rounds N] [--packets N]
 *   segments --once CIPHER BACK-END PATH BYTES N   no table; prints how many; see segments.sh
 *   segments --list                                what may follow --once, but for N
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define ENDS_MAX   8u
#define ROUNDS_MAX 99

static const struct shape shapes[] = {
	{IPPROTO_TCP, 52, 1396, 46, 6}, /* TSO; MTU 1448 */
	{IPPROTO_UDP, 28, 64, 64, 8},	/* USO */
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static const char *const ciphers[SL_CIPHER_COUNT] = {"AES-256-GCM", "CHACHA20-POLY1305"};
static const char *const paths[PATHS] = {"cut+seal", "open+coalesce", "open"};

static struct end {
	const char *name;
	enum sl_cipher cipher;
	const struct sl_aead_ops *ops;
} ends[ENDS_MAX];

static unsigned end_count;

static struct sample {
	double ns[ROUNDS_MAX], instructions;
} samples[ENDS_MAX][SHAPES][PATHS];

static void find_ends(void)
{
	const struct sl_aead_ops *ops;

	ends[end_count++] = (struct end){"none", 0, &pair_nothing};
	for (unsigned c = 0; c < SL_CIPHER_COUNT; c++)
		for (unsigned n = 0; (ops = sl_aead_at(n)) && end_count < ENDS_MAX; n++)
			if (ops->usable(c))
				ends[end_count++] = (struct end){ciphers[c], c, ops};
}

static void measure_one(unsigned e, unsigned s, int round, uint32_t count)
{
	struct used used[PATHS] = {0};

	for (int merges = 0; merges < 2; merges++) {
		double n = pair_run(ends[e].ops, ends[e].cipher, &shapes[s], merges, count, used);

		for (unsigned p = 0; p < PATHS; p++) {
			if (!used[p].ns) /* it was the other way */
				continue;
			samples[e][s][p].ns[round] = used[p].ns / n;
			samples[e][s][p].instructions = (double)used[p].instructions / n;
		}
	}
}

static void measure(int rounds, uint32_t count)
{
	for (int round = 0; round < rounds; round++)
		for (unsigned e = 0; e < end_count; e++)
			for (unsigned s = 0; s < SHAPES; s++)
				measure_one(e, s, round, count);
}

/*
 * Telling.
 */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void say(bool json, unsigned e, unsigned s, unsigned p, int rounds)
{
	struct sample *sample = &samples[e][s][p];
	char instructions[32] = "-";

	qsort(sample->ns, (size_t)rounds, sizeof(*sample->ns), compare);
	if (sample->instructions > 0)
		snprintf(instructions, sizeof(instructions), "%.0f", sample->instructions);
	printf(json ? "{\"path\":\"%s\",\"cipher\":\"%s\",\"back_end\":\"%s\",\"bytes\":%u,"
		      "\"ns_a_packet\":%.1f,\"min\":%.1f,\"max\":%.1f,\"instructions\":\"%s\"}\n"
		    : "| %s | %s | %s | %u | %.1f | %.1f | %.1f | %s |\n",
	       paths[p], ends[e].name, ends[e].ops->name, shapes[s].size, sample->ns[rounds / 2],
	       sample->ns[0], sample->ns[rounds - 1], instructions);
}

static void tell(bool json, int rounds)
{
	if (!json)
		printf("| path | cipher | back end | bytes | ns a packet | min | max | instructions "
		       "|\n|---|---|---|---|---|---|---|---|\n");
	for (unsigned s = 0; s < SHAPES; s++)
		for (unsigned p = 0; p < PATHS; p++)
			for (unsigned e = 0; e < end_count; e++)
				say(json, e, s, p, rounds);
}

/* One by one, for whoever counts from outside. */

static void list(void)
{
	for (unsigned s = 0; s < SHAPES; s++)
		for (unsigned p = 0; p < PATHS; p++)
			for (unsigned e = 0; e < end_count; e++)
				printf("%s %s %s %u\n", ends[e].name, ends[e].ops->name, paths[p],
				       shapes[s].size);
}

static int once(char *const words[5])
{
	struct used used[PATHS] = {0};

	for (unsigned s = 0; s < SHAPES; s++)
		for (unsigned e = 0; e < end_count; e++)
			for (unsigned p = 0; p < PATHS; p++)
				if (!strcmp(words[0], ends[e].name) &&
				    !strcmp(words[1], ends[e].ops->name) &&
				    !strcmp(words[2], paths[p]) &&
				    strtoul(words[3], NULL, 0) == shapes[s].size) {
					printf("%u\n",
					       pair_run(ends[e].ops, ends[e].cipher, &shapes[s],
							p != OPEN,
							(uint32_t)strtoul(words[4], NULL, 0),
							used));
					return 0;
				}
	fprintf(stderr, "--once takes a line of --list, and a number of packets\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint32_t count = 20000;
	char **alone = NULL;
	bool json = false;
	int rounds = 21, status = 0;

	find_ends();
	for (int n = 1; n < argc; n++) {
		if (!strcmp(argv[n], "--json"))
			json = true;
		else if (!strcmp(argv[n], "--list"))
			return list(), 0;
		else if (!strcmp(argv[n], "--once") && n + 5 < argc)
			alone = argv + n + 1;
		else if (!strcmp(argv[n], "--rounds") && n + 1 < argc)
			rounds = atoi(argv[++n]);
		else if (!strcmp(argv[n], "--packets") && n + 1 < argc)
			count = (uint32_t)strtoul(argv[++n], NULL, 0);
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || !count) {
		fprintf(stderr, "--rounds is 1 to %d, --packets at least 1\n", ROUNDS_MAX);
		return 2;
	}
	if (end_count < 1 + 2 * SL_CIPHER_COUNT)
		fprintf(stderr, "skipped: ipsec-mb is not here; sluice probe says why\n");
	pair_open();
	if (alone) {
		status = once(alone);
	} else {
		measure(rounds, count);
		tell(json, rounds);
	}
	pair_close();
	return status;
}
