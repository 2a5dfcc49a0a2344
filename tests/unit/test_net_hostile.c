/* SPDX-License-Identifier: BSD-2-Clause */
/* Drivers and front ends that break the rules, take memory away, or have what is written marked. */
#include <linux/vhost_types.h>

#include "net_traffic.h"

#define PAGE	4096u
#define LOG_LEN ((GUEST_AT + GUEST_LEN) / PAGE / 8 + 1)

static bool errs(unsigned q)
{
	uint64_t n;

	return read(rig.queues[q].err, &n, sizeof(n)) == sizeof(n);
}

static bool is_broken(unsigned q)
{
	char what[32];

	snprintf(what, sizeof(what), "queue %u is broken", q);
	return strstr(front.log, what);
}

/* The other pair does not mind. */
static void others_go_on(void)
{
	static uint8_t bytes[60], packet[PACKET_MAX];
	const uint32_t room[] = {100};
	struct virtio_net_hdr_v1 hdr;

	give(1, 60, 1);
	assert_int_equal(rx(1), 1);
	consume(1, 60, 1);
	assert_int_equal(rx(1), 0);
	assert_int_equal(come_back(TX_OF(1)), 1);
	make_room(1, 1, room, 1);
	post(1, bytes, 60, 2, NULL, 1);
	assert_int_equal(tx(1), 1);
	assert_int_equal(arrived(1, room, 1, &hdr, packet), 60);
}

/* The front end begins anew, and gets what it asks for. */
static void begins_anew(void)
{
	disconnect();
	for (unsigned n = 0; n < 3; n++) {
		rx(0);
		control();
	}
	assert_false(info().attached);
	connect_front();
	start_driver(0, 4);
	give(0, 60, 7);
	assert_int_equal(rx(0), 1);
	consume(0, 60, 7);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 1);
}

/*
 * What a driver may make available. All of it in the last of three entries.
 */

static void set_desc(unsigned q, unsigned at, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct virtq_driver *vq = &rig.queues[q].vq;

	if (!vq->packed) {
		vq->desc[at] = (struct virtq_desc){addr, len, flags, 0};
		return;
	}
	vq->ring[at].addr = addr;
	vq->ring[at].len = len;
	vq->ring[at].flags |= flags;
}

static void nowhere(unsigned q)
{
	set_desc(q, 2, GUEST_AT + GUEST_LEN - 8, 100, q & 1 ? 0 : VIRTQ_DESC_F_WRITE);
}

static void other_direction(unsigned q)
{
	set_desc(q, 2, GUEST_AT + SLOT_AT(q, 2), 100, q & 1 ? VIRTQ_DESC_F_WRITE : 0);
	if (!(q & 1) && rig.queues[q].vq.packed)
		rig.queues[q].vq.ring[2].flags &= (uint16_t)~VIRTQ_DESC_F_WRITE;
}

static void no_end(unsigned q)
{
	for (unsigned n = 0; n < SIZE; n++) {
		set_desc(q, n, GUEST_AT + SLOT_AT(q, 2), 1,
			 VIRTQ_DESC_F_NEXT | (q & 1 ? 0 : VIRTQ_DESC_F_WRITE));
		if (!rig.queues[q].vq.packed)
			rig.queues[q].vq.desc[n].next = (uint16_t)n;
	}
}

static void bad_id(unsigned q)
{
	struct virtq_driver *vq = &rig.queues[q].vq;

	if (vq->packed)
		vq->ring[2].id = SIZE;
	else
		vq->avail->ring[2] = SIZE;
}

/* Three at once, the last of which is wrong. */
static void test_bad_buffers(void **state)
{
	void (*const wrongs[])(unsigned q) = {nowhere, other_direction, no_end, bad_id};
	static uint8_t bytes[100];
	const uint32_t room[] = {100};

	(void)state;
	for (unsigned n = 0; n < sl_array_len(wrongs); n++)
		for (unsigned q = 0; q < 2; q++) {
			memset(front.log, 0, sizeof(front.log));
			start_driver(0, 4);
			for (unsigned i = 0; i < 3; i++)
				assert_true(add(q, room, 1) >= 0);
			if (rig.queues[q].vq.packed) {
				publish(q);
				wrongs[n](q);
			} else {
				wrongs[n](q);
				publish(q);
			}
			errs(q);
			post(0, bytes, 60, 1, NULL, 1);
			for (unsigned i = 0; i < 3; i++) {
				assert_true(rx(0) <= 0 || q == 0);
				tx(0);
				post(0, bytes, 60, 1, NULL, 1);
			}
			assert_true(is_broken(q));
			assert_false(is_broken(!q));
			assert_true(errs(q));
			assert_false(errs(q)); /* once */
			assert_int_equal(rig.port->ops->arm(rig.port, 0, 3), POLLIN);
			others_go_on();
			while (left(0)) /* nobody else takes those */
				sl_ring_consume(rig.tx[0], 1);
			disconnect();
			assert_false(info().attached);
			connect_front();
		}
}

/* It breaks while packets of it are lent: they stay valid, and when they are back it can go. */
static void test_breaks_while_lent(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 4);
	for (unsigned n = 0; n < 2; n++)
		give(0, 60, n);
	assert_int_equal(rx(0), 2);
	assert_true(add(TX_OF(0), (const uint32_t[]){100}, 1) >= 0);
	if (rig.queues[TX_OF(0)].vq.packed) {
		publish(TX_OF(0));
		bad_id(TX_OF(0));
	} else {
		bad_id(TX_OF(0));
		publish(TX_OF(0));
	}
	rx(0);
	assert_true(is_broken(TX_OF(0)));
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 2);
	check_lent(0, at, 60, 0);
	check_lent(0, at + 1, 60, 1);
	say_get_base(TX_OF(0));
	rx(0);
	control();
	assert_int_equal(hear_base(), -1);
	sl_ring_abandon(rig.rx[0]);
	sl_ring_yield(rig.rx[0]);
	for (unsigned n = 0; n < 3; n++) {
		rx(0);
		control();
	}
	assert_int_not_equal(hear_base(), -1);
	others_go_on();
	begins_anew();
}

/*
 * Memory that goes.
 */

static void cut_off(void)
{
	rig_guard();
	assert_int_equal(ftruncate(front.memory, 0), 0);
}

/* All queues are broken, since all of their memory is gone; the driver's own view is too. */
static void comes_back(void)
{
	disconnect();
	for (unsigned n = 0; n < 3; n++) {
		rx(0);
		control();
	}
	assert_false(info().attached);
	assert_int_equal(ftruncate(front.memory, GUEST_LEN), 0);
	connect_front();
	start_driver(0, 4);
	others_go_on();
}

static void test_cut_while_lent(void **state)
{
	uint8_t bytes[PACKET_MAX];
	uint32_t at;

	(void)state;
	start_driver(0, 4);
	for (unsigned n = 0; n < 3; n++)
		give(0, 60, n);
	assert_int_equal(rx(0), 3);
	cut_off();
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 3);
	assert_int_equal(gather(rig.rx[0], sl_ring_packet(rig.rx[0], at), bytes), 60);
	assert_int_equal(bytes[0] | bytes[59], 0);
	assert_int_equal(rx(0), -EINPROGRESS);
	assert_true(is_broken(TX_OF(0)));
	assert_true(errs(TX_OF(0)));
	assert_int_equal(rx(1), 0);
	assert_true(is_broken(TX_OF(1)));
	sl_ring_consume(rig.rx[0], 3);
	assert_int_equal(rx(0), 0);
	comes_back();
}

static void test_cut_while_written(void **state)
{
	static uint8_t bytes[2][1000];
	const uint32_t room[] = {1100};

	(void)state;
	start_driver(0, 4);
	make_room(0, 4, room, 1);
	post(0, bytes[0], 1000, 0, NULL, 1);
	assert_int_equal(tx(0), 1);
	cut_off();
	post(0, bytes[1], 1000, 1, NULL, 1);
	tx(0); /* it may not know yet */
	assert_int_equal(tx(0), 0);
	assert_true(is_broken(RX_OF(0)));
	assert_true(errs(RX_OF(0)));
	while (left(0))
		sl_ring_consume(rig.tx[0], 1);
	comes_back();
}

/* Only buffers are cut off: the ring is still there. */
static void test_cut_buffers(void **state)
{
	static uint8_t bytes[1000];
	const uint32_t room[] = {1100};

	(void)state;
	start_driver(0, 4);
	make_room(0, 4, room, 1);
	give(0, 60, 0);
	rig_guard();
	assert_int_equal(ftruncate(front.memory, HALF_LEN), 0);
	post(0, bytes, 1000, 0, NULL, 1);
	tx(0);
	post(0, bytes, 1000, 0, NULL, 1);
	assert_int_equal(tx(0), 0);
	assert_true(is_broken(RX_OF(0)));
	rx(0);
	assert_int_equal(rx(0), 0);
	assert_true(is_broken(TX_OF(0)));
	while (left(0))
		sl_ring_consume(rig.tx[0], 1);
	while (ready(0))
		sl_ring_consume(rig.rx[0], 1);
	comes_back();
}

/*
 * What was written is marked.
 */

static uint8_t *map_log(int *fd)
{
	uint8_t *log;

	*fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(*fd, LOG_LEN), 0);
	log = mmap(NULL, LOG_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_ptr_not_equal(log, MAP_FAILED);
	return log;
}

static void set_log(int fd)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_BASE, 16);

	msg.payload.log = (struct vhost_user_log){LOG_LEN, 0};
	msg.fds[msg.n_fds++] = fd;
	say(&msg);
	assert_int_equal(hear(&msg), 0);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, rig.features | BIT(VHOST_F_LOG_ALL)));
}

/* Returns how many pages differ; all of those are marked. */
static unsigned check_marks(const uint8_t *before, const uint8_t *log)
{
	unsigned n = 0;

	for (uint64_t at = 0; at < GUEST_LEN; at += PAGE) {
		uint64_t page = (GUEST_AT + at) / PAGE;

		if (!memcmp(before + at, front.guest + at, PAGE))
			continue;
		assert_true(log[page / 8] >> page % 8 & 1);
		n++;
	}
	return n;
}

static unsigned marks(const uint8_t *log)
{
	unsigned n = 0;

	for (size_t i = 0; i < LOG_LEN; i++)
		n += (unsigned)__builtin_popcount(log[i]);
	return n;
}

static void traffic(uint8_t *before)
{
	static uint8_t bytes[3][5000];
	const uint32_t room[] = {3000, 1};

	make_room(0, 8, room, 2);
	for (unsigned n = 0; n < 3; n++) {
		give(0, 60, n);
		post(0, bytes[n], n ? 5000 : 60, n, NULL, n ? 3 : 1);
	}
	memcpy(before, front.guest, GUEST_LEN);
	assert_int_equal(tx(0), 3);
	assert_int_equal(rx(0), 3);
	for (unsigned n = 0; n < 3; n++)
		consume(0, 60, n);
	rx(0);
}

static void test_marks(void **state)
{
	uint8_t *before = malloc(GUEST_LEN), *log;
	unsigned changed, marked;
	int fd;

	(void)state;
	assert_non_null(before);
	log = map_log(&fd);
	start_driver(MERGE, 4);
	traffic(before);
	assert_true(check_marks(front.guest, log) == 0 && marks(log) == 0);
	set_log(fd);
	traffic(before);
	changed = check_marks(before, log);
	marked = marks(log);
	assert_true(changed >= 7); /* two used rings, five buffers */
	assert_true(marked >= changed && marked <= changed + 6);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, rig.features));
	traffic(before);
	assert_int_equal(marks(log), marked);
	munmap(log, LOG_LEN);
	sl_fd_close(&fd);
	free(before);
}

static const struct variant two_split = {"", 0, ",queues=2", 0, 0},
			    two_packed = {"", PACKED, ",queues=2", 0, 0},
			    two_split_in_order = {"", IN_ORDER | EVENTS, ",queues=2", 0, 0},
			    two_packed_in_order = {"", PACKED | IN_ORDER, ",queues=2", 0, 0};

#define WITH_TWO(f) WITH(f, two_split), WITH(f, two_packed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_bad_buffers),	      WITH_TWO(test_breaks_while_lent),
		WITH_TWO(test_cut_while_lent),	      WITH_TWO(test_cut_while_written),
		WITH_TWO(test_cut_buffers),	      WITH_TWO(test_marks),
		WITH(test_marks, two_split_in_order), WITH(test_marks, two_packed_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
