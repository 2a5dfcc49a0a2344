/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link under stress: both directions at once, one to eight threads, ports that go away and
 * come back, recalls, changes of features, and a thread that reads the counters meanwhile.
 */
#include "rig.h"

#define QUEUES	4
#define EVENTS	40
#define ALL_CAN (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)

static uint64_t seed;

struct reader {
	struct rig *r;
	pthread_t thread;
	uint32_t stop;
	uint32_t went_back;
	uint64_t reads;
};

static void *read_stats(void *arg)
{
	struct reader *reader = arg;
	uint64_t before[2] = {0, 0};

	while (!get(&reader->stop)) {
		for (unsigned from = 0; from < 2; from++) {
			struct sl_link_stats s;
			uint64_t sum;

			sl_link_get_stats(reader->r->link, from, &s);
			sum = s.in.packets + s.out.packets + sl_count_drops(&s.between);
			if (sum < before[from])
				set(&reader->went_back, 1);
			before[from] = sum;
			set(&reader->reads, reader->reads + 1);
		}
		usleep(50);
	}
	return NULL;
}

/* The other port is given something to do, and this one takes something again. */
static void progress(struct rig *r, unsigned side)
{
	uint64_t given = fake_given(r->f[!side]), taken = fake_taken(r->f[side]);

	until(r, fake_given(r->f[!side]) > given + 100);
	until(r, fake_taken(r->f[side]) > taken + 100);
}

static void go_and_come(struct rig *r, unsigned side, unsigned how)
{
	struct fake *f = r->f[side];
	uint32_t *flags[] = {&f->gone_rx, &f->gone_tx, &f->gone_control, &f->away};
	uint64_t given = fake_given(r->f[!side]);

	set(flags[how], 1);
	fake_poke(f);
	until(r, get(&f->stopped));
	until(r, fake_given(r->f[!side]) > given + 300);
	set(&f->back, 1);
	fake_poke(f);
	until(r, !get(&f->stopped));
}

static void both_gone(struct rig *r, unsigned how)
{
	for (unsigned i = 0; i < 2; i++) {
		set(how & 1 ? &r->f[i]->gone_rx : &r->f[i]->gone_tx, 1);
		fake_poke(r->f[i]);
	}
	/* By now both may have gone, or one that had nobody to give it anything. */
	until(r, get(&r->f[0]->stopped) || get(&r->f[1]->stopped));
	for (unsigned i = 0; i < 2; i++) {
		set(&r->f[i]->gone_control, 1);
		fake_poke(r->f[i]);
		until(r, get(&r->f[i]->stopped));
		set(&r->f[i]->back, 1);
		fake_poke(r->f[i]);
		until(r, !get(&r->f[i]->stopped));
	}
}

static void recall(struct rig *r, unsigned side)
{
	uint32_t recalls = get(&r->f[side]->recalls);

	set(&r->f[side]->want_recall, 1);
	fake_poke(r->f[side]);
	until(r, get(&r->f[side]->recalls) > recalls);
}

static void change(struct rig *r, unsigned side, uint32_t accepts)
{
	set(&r->f[side]->new_emits, ALL_CAN);
	set(&r->f[side]->new_accepts, accepts);
	set(&r->f[side]->change, 1);
	fake_poke(r->f[side]);
	until(r, !get(&r->f[side]->change));
}

static void event(struct rig *r, uint64_t *random)
{
	unsigned side = (unsigned)(fake_random(random) & 1),
		 how = (unsigned)(fake_random(random) % 4);

	switch (fake_random(random) % 5) {
	case 0:
		both_gone(r, how);
		break;
	case 1:
	case 2:
		go_and_come(r, side, how);
		break;
	case 3:
		recall(r, side);
		break;
	default:
		change(r, side, how & 1 ? ALL_CAN : 0);
	}
	progress(r, 0);
	progress(r, 1);
}

static void stress(const struct mode *m, uint64_t random)
{
	static struct reader reader; /* a failing test leaves the reader running */
	static struct rig r;

	reader = (struct reader){0};
	rig_make(&r, m, QUEUES, QUEUES - 1);
	for (unsigned i = 0; i < 2; i++) {
		r.f[i]->mode = fake_random(&random) & 1 ? SINK_ASYNC : SINK_SYNC;
		r.f[i]->info.emits = ALL_CAN;
		r.f[i]->info.accepts = fake_random(&random) & 1 ? ALL_CAN : 0;
	}
	rig_join(&r);
	reader.r = &r;
	pthread_create(&reader.thread, NULL, read_stats, &reader);
	fake_offer(r.f[0], FAKE_MANY);
	fake_offer(r.f[1], FAKE_MANY);
	for (unsigned n = 0; n < EVENTS; n++)
		event(&r, &random);
	fake_offer(r.f[0], 0);
	fake_offer(r.f[1], 0);
	until(&r, fake_taken(r.f[1]) + rig_lost(&r, 0) == fake_given(r.f[0]));
	until(&r, fake_taken(r.f[0]) + rig_lost(&r, 1) == fake_given(r.f[1]));
	rest(&r);
	set(&reader.stop, 1);
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.went_back, 0);
	assert_true(reader.reads);
	rig_close(&r);
}

static void test_stress(void **state)
{
	static const unsigned workers[] = {1, 2, 3, 4, 6, 8};

	(void)state;
	for (unsigned i = 0; i < sizeof(workers) / sizeof(*workers); i++) {
		print_message("# seed %llu, %u workers\n", (unsigned long long)seed, workers[i]);
		stress(&(struct mode){workers[i], true}, seed + i);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stress),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
