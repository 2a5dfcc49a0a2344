/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that is killed between any two writes to rings and log, and one that comes after it: the
 * driver gets every buffer back, once.
 *
 * All that a device writes goes through sl_guard_copy(). Here it dies before the n-th write that
 * changes shared memory, for every n that there is; of a write of more than 8 bytes also between
 * its words. What a process knows is forgotten with it: the next device has the shared memory
 * alone.
 */
#include "base/bytes.h"
#include "virtq_rig.h"

int __real_sl_guard_copy(void *to, const void *from, size_t len);
int __wrap_sl_guard_copy(void *to, const void *from, size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void __real_free(void *at);
void __wrap_free(void *at);

#define OWNED_MAX 8

static struct {
	const uint8_t *from, *to; /* shared memory */
	uint64_t left;		  /* writes until it is killed */
	jmp_buf end;
	bool lives;
	void *owned[OWNED_MAX]; /* what the process has allocated: the kernel takes it back */
	unsigned n_owned;
} fate;

void *__wrap_calloc(size_t n, size_t len)
{
	void *at = __real_calloc(n, len);

	if (fate.lives && at) {
		assert_true(fate.n_owned < OWNED_MAX);
		fate.owned[fate.n_owned++] = at;
	}
	return at;
}

void __wrap_free(void *at)
{
	for (unsigned n = 0; n < fate.n_owned; n++)
		if (at == fate.owned[n])
			fate.owned[n] = fate.owned[--fate.n_owned];
	__real_free(at);
}

static void count_write(void)
{
	if (!fate.left--)
		longjmp(fate.end, 1);
}

int __wrap_sl_guard_copy(void *to, const void *from, size_t len)
{
	bool word = len == 1 || len == 2 || len == 4 || len == 8;
	uint8_t *at = to;

	if (at < fate.from || at >= fate.to)
		return __real_sl_guard_copy(to, from, len);
	/* Whole is only what is aligned, but the halves of a used element matter to nobody. */
	if (word) {
		count_write();
		return __real_sl_guard_copy(to, from, len);
	}
	for (size_t n = 0; n < len; n += 8) {
		count_write();
		if (__real_sl_guard_copy(at + n, (const uint8_t *)from + n, sl_min(len - n, 8)))
			return -EFAULT;
	}
	return 0;
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

enum {
	BUFFERS = 24,
	HELD_MAX = 6
};

/** struct story - of a run: what the driver knows, which nobody kills */
struct story {
	struct rig rig;
	uint32_t seed;
	uint64_t added, done;
	unsigned executed[BUFFERS], back[BUFFERS];
};

static void driver_collects(struct story *s)
{
	uint32_t len;
	uint64_t answer;
	int id;

	while ((id = rig_collect(&s->rig, &len)) >= 0) {
		const struct rig_options *o = &s->rig.options;
		uint64_t cookie = s->rig.buffers[id].cookie;

		assert_int_equal(len, 8 * (o->pieces - o->pieces / 2));
		memcpy(&answer, rig_bytes(&s->rig, (uint16_t)id) + 8 * (o->pieces - 1), 8);
		assert_true(answer == ~cookie);
		assert_true(s->executed[cookie] > 0);
		assert_int_equal(s->back[cookie]++, 0);
		if (o->in_order)
			assert_int_equal(cookie, s->done);
		s->done++;
	}
}

static void driver_adds(struct story *s)
{
	while (s->added < BUFFERS && rig_add(&s->rig, s->added) >= 0)
		if (!draw(&s->seed, 4) && ++s->added)
			break;
		else
			s->added++;
}

/* A device takes, answers, puts in any order and publishes, until all is done or it is killed. */
static void device_lives(struct story *s, bool resume)
{
	static struct rig_taken held[HELD_MAX];
	struct virtq_setup setup = rig_setup(&s->rig);
	unsigned n_held = 0, rounds = 0;

	setup.resume = resume;
	assert_int_equal(sl_virtq_device_open(&setup, &s->rig.vq), 0);
	while (s->done < BUFFERS) {
		assert_true(rounds++ < 2000); /* else something was lost */
		driver_adds(s);
		while (n_held < HELD_MAX && draw(&s->seed, 6)) {
			int err = rig_get(&s->rig, &held[n_held]);

			if (err) {
				assert_int_equal(err, -EAGAIN);
				break;
			}
			rig_answer(&s->rig, &held[n_held]);
			s->executed[s->rig.buffers[held[n_held++].chain.id].cookie]++;
		}
		while (n_held && draw(&s->seed, 4)) {
			unsigned pick = draw(&s->seed, n_held);
			struct virtq_chain chain = held[pick].chain;

			held[pick] = held[--n_held];
			assert_int_equal(sl_virtq_device_put(s->rig.vq, chain.id, chain.write_len),
					 0);
		}
		assert_true(sl_virtq_device_publish(s->rig.vq) >= 0);
		if (draw(&s->seed, 2))
			driver_collects(s);
	}
}

static void device_ends(struct story *s)
{
	fate.lives = false;
	while (fate.n_owned)
		free(fate.owned[0]);
	s->rig.vq = NULL;
	driver_collects(s);
}

/*
 * Killed after @first writes, and whoever comes after it after @then; false when it came to its end
 * without being killed.
 */
static bool tell(const struct rig_options *options, uint64_t first, uint64_t then)
{
	static struct story s;
	volatile uint64_t left = first;
	volatile unsigned lives = 0;

	memset(&fate, 0, sizeof(fate));
	memset(&s, 0, sizeof(s));
	s.seed = (uint32_t)(first * 31 + then);
	rig_make(&s.rig, options);
	fate.from = s.rig.memory;
	fate.to = s.rig.memory + s.rig.len;
	do {
		fate.left = left;
		left = lives ? UINT64_MAX : then;
		fate.lives = true;
		if (!setjmp(fate.end))
			device_lives(&s, lives > 0);
		device_ends(&s);
		lives++;
		assert_true(lives < 4);
	} while (s.done < BUFFERS);
	for (unsigned n = 0; n < BUFFERS; n++)
		assert_int_equal(s.back[n], 1);
	fate.from = fate.to = NULL;
	rig_close(&s.rig);
	return lives > 1;
}

static void everywhere(struct rig_options options, uint64_t then)
{
	uint64_t n = 0;

	while (tell(&options, n, then))
		n++;
	assert_true(n > 5 * BUFFERS);
}

static void each(uint64_t then, unsigned bits)
{
	struct rig_options options = {
		.size = bits & 1 ? 7 : 8,
		.packed = bits & 1,
		.event_idx = bits & 2,
		.indirect = bits & 4,
		.in_order = bits & 8,
		.log = true,
		.start = bits & 1 ? 5 : 65530,
	};

	for (options.pieces = 1; options.pieces <= 3; options.pieces++)
		everywhere(options, then);
}

static void test_killed_once(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 16; bits++)
		each(UINT64_MAX, bits);
}

/* The second one is killed as well, also while it takes over. */
static void test_killed_twice(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 16; bits++)
		for (uint64_t then = 0; then < 24; then += 1 + then / 2)
			each(then, bits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_once),
		cmocka_unit_test(test_killed_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
