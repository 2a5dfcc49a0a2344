/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the recorder (ring_model.c) hands to the explorer (explore.c): for each of the
 * two threads, every path its code can take, as a list of memory operations with the
 * values that the loads are assumed to have read.
 */
#ifndef SL_MODEL_H
#define SL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PRODUCER,
	CONSUMER,
	THREADS
};

enum {
	/* Atomic places. The first writer is in brackets; the flags have two. */
	END,		/* [producer] */
	BEGIN,		/* [consumer] */
	RECALL,		/* [producer] */
	PRODUCER_SLEEP, /* need_wakeup of the producer */
	CONSUMER_SLEEP, /* need_wakeup of the consumer */
	ATOMICS,
	/* Plain ones: ring entries and buffers. */
	SLOT = ATOMICS,
	BUFFER = SLOT + 4,
	PLACES = BUFFER + 4,
};

enum kind {
	LOAD,
	STORE,
	FENCE,
	SIGNAL,
	WAIT,
	BLOCK,
	READ,
	WRITE
};

struct op {
	enum kind kind;
	uint8_t place;
	uint8_t value; /* read or written; of a READ what must be read, ANY_VALUE: anything */
	bool ordered;  /* a LOAD is acquire, a STORE release */
	const char *function;
};

#define ANY_VALUE 255
#define OPS_MAX	  192
#define LIST_MAX  48

/* POLLS: looks again and again, has seen all there is, and finds nothing to do. */
enum ending {
	DONE,
	ASLEEP,
	BROKEN,
	WRONG,
	POLLS
};

struct list {
	uint8_t count;
	uint8_t at[LIST_MAX];
};

struct path {
	struct op ops[OPS_MAX];
	int count;
	enum ending ending;
	uint64_t loads[ATOMICS], stores[ATOMICS]; /* values, one bit each */
	struct list on[PLACES];			  /* operations on a place */
	struct list signals, waits;
	int16_t fence_before[OPS_MAX], fence_after[OPS_MAX]; /* -1: none */
};

struct paths {
	struct path *path;
	int count, room;
};

/* Of one exploration. */
struct result {
	uint64_t pairs;	     /* of paths whose values fit together */
	uint64_t candidates; /* assignments of a store to each load */
	uint64_t executions; /* those that C17 allows */
	uint64_t bad;	     /* and that break a property */
	bool in_order;	     /* the example needs no load that reads from a later store */
	char *example;
};

/* Explore all pairs; stop at the first in-order violation when @stop. */
void explore(const struct paths paths[THREADS], bool stop, struct result *result);

const char *model_place(int place);

#endif
