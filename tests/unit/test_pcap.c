/* SPDX-License-Identifier: BSD-2-Clause */
/* Port pcap: captures in memory (memfd), a ring by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <sluice/port.h>
#include <sluice/reason.h>

#define BUFFERS 256

struct bench {
	struct sl_port *port;
	struct sl_ring *ring;
	struct sl_log log;
	unsigned lines;
	char line[600]; /* the last */
};

static void remember(void *ctx, enum sl_log_level level, const char *line)
{
	struct bench *b = ctx;

	assert_int_equal(level, SL_LOG_ERROR);
	snprintf(b->line, sizeof(b->line), "%s", line);
	b->lines++;
}

static int bench_open(struct bench *b, const char *how, int fd, uint32_t size)
{
	const struct sl_ring_config config = {size, 128, -1, -1};
	char spec[64];
	int ret;

	memset(b, 0, sizeof(*b));
	b->log = (struct sl_log){remember, b, SL_LOG_DEBUG};
	snprintf(spec, sizeof(spec), "pcap:%s=/proc/self/fd/%d", how, fd);
	ret = sl_port_open(spec, &b->log, &b->port);
	if (!ret)
		assert_int_equal(sl_ring_create(&config, &b->ring), 0);
	return ret;
}

static void bench_close(struct bench *b)
{
	assert_false(sl_ring_broken(b->ring));
	b->port->ops->close(b->port);
	sl_ring_release(b->ring);
}

static int join(struct bench *b, unsigned layer)
{
	const struct sl_port_info other = {.layer = layer, .mtu = 1500};

	return b->port->ops->join(b->port, &other);
}

static struct sl_counters stats(const struct bench *b)
{
	struct sl_counters c = {0};

	b->port->ops->stats(b->port, 0, &c);
	return c;
}

static int rx(struct bench *b)
{
	return b->port->ops->rx(b->port, 0, b->ring);
}

static int memory_file(const void *bytes, size_t len)
{
	int fd = memfd_create("test_pcap", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

/*
 * Files by hand, as in the pcap draft (draft-ietf-opsawg-pcap, 4 and 5).
 */

struct file {
	uint8_t bytes[600000];
	size_t len;
};

static void put32(struct file *f, uint32_t v)
{
	memcpy(f->bytes + f->len, &v, 4);
	f->len += 4;
}

static struct file *file_start(uint32_t link)
{
	static struct file f;

	f.len = 0;
	put32(&f, 0xa1b2c3d4);
	put32(&f, 2 | 4 << 16);
	put32(&f, 0);
	put32(&f, 0);
	put32(&f, 262144);
	put32(&f, link);
	return &f;
}

static void file_record(struct file *f, uint32_t caplen, uint32_t len, uint8_t seed)
{
	put32(f, 1);
	put32(f, 2);
	put32(f, caplen);
	put32(f, len);
	for (uint32_t n = 0; n < caplen; n++)
		f->bytes[f->len++] = (uint8_t)(seed + n * 7);
}

static int open_file(struct bench *b, const struct file *f, uint32_t size)
{
	int fd = memory_file(f->bytes, f->len), ret = bench_open(b, "read", fd, size);

	close(fd); /* the port has its own */
	return ret;
}

static void refused(const void *bytes, size_t len, const char *said)
{
	int fd = memory_file(bytes, len);
	struct bench b;

	assert_int_equal(bench_open(&b, "read", fd, 16), -EINVAL);
	if (!strstr(sl_reason(), said) || !strstr(sl_reason(), "/proc/self/fd/"))
		fail_msg("\"%s\" does not say \"%s\" and the path", sl_reason(), said);
	close(fd);
}

/* Take one packet of @len bytes that were made from @seed. */
static void expect(struct bench *b, uint32_t len, uint8_t seed)
{
	uint32_t at;
	struct sl_packet *packet;

	assert_true(sl_ring_ready(b->ring, &at) > 0);
	packet = sl_ring_packet(b->ring, at);
	assert_int_equal(packet->frag.len, len);
	assert_int_equal(packet->more, 0);
	assert_int_equal(packet->flags, SL_PACKET_WRITABLE);
	for (uint32_t n = 0; n < len; n++)
		if (packet->frag.addr[n] != (uint8_t)(seed + n * 7))
			fail_msg("byte %u of %u is wrong", n, len);
	/* What is promised around it is there. */
	memset(packet->frag.addr - packet->headroom, 0xee, packet->headroom);
	memset(packet->frag.addr + len, 0xee, packet->frag.tailroom);
	sl_ring_consume(b->ring, 1);
}

/*
 * Round trips.
 */

static const uint32_t lengths[] = {1, 14, 15, 60, 61, 1514, 4096, 9014, 65535, 65599, 65600};

#define N_LENGTHS (sizeof(lengths) / sizeof(*lengths))

/* In 1, 2, or 3 fragments. */
static void send_one(struct bench *b, uint8_t *bytes, uint32_t len, unsigned pieces)
{
	struct sl_frag frags[3];
	uint32_t at, done = 0;

	for (unsigned n = 0; n < pieces; n++) {
		uint32_t part = n + 1 == pieces ? len - done : len / pieces;

		frags[n] = (struct sl_frag){bytes + done, part, 0, 0};
		done += part;
	}
	assert_true(sl_ring_room(b->ring, &at) > 0);
	*sl_ring_packet(b->ring, at) = (struct sl_packet){0};
	assert_int_equal(sl_ring_chain(b->ring, at, frags, pieces), 0);
	sl_ring_post(b->ring, 1);
	assert_int_equal(b->port->ops->tx(b->port, 0, b->ring), 1);
	assert_int_equal(sl_ring_returned(b->ring, &at), 1);
	sl_ring_reclaim(b->ring, 1);
}

static uint64_t write_all(int fd, unsigned layer)
{
	static uint8_t bytes[65600];
	struct sl_counters c;
	uint64_t total = 0;
	struct bench b;

	assert_int_equal(bench_open(&b, "write", fd, 16), 0);
	assert_int_equal(join(&b, layer), 0);
	for (unsigned n = 0; n < N_LENGTHS; n++) {
		for (uint32_t i = 0; i < lengths[n]; i++)
			bytes[i] = (uint8_t)(n + i * 7);
		send_one(&b, bytes, lengths[n], 1 + n % 3);
		total += lengths[n];
	}
	c = stats(&b);
	assert_int_equal(c.tx.packets, N_LENGTHS);
	assert_int_equal(c.tx.bytes, total);
	assert_int_equal(sl_count_drops(&c.tx), 0);
	b.port->ops->stop(b.port);
	assert_int_equal(b.lines, 0);
	bench_close(&b);
	return total;
}

static void read_all(int fd, unsigned layer, uint64_t total)
{
	struct sl_port_info info;
	struct sl_counters c;
	struct bench b;
	unsigned n = 0;

	assert_int_equal(bench_open(&b, "read", fd, 4), 0);
	b.port->ops->info(b.port, &info);
	assert_int_equal(info.layer, layer);
	assert_int_equal(info.dirs, SL_PORT_RX | SL_PORT_TX);
	for (int got; (got = rx(&b)) != -ENODATA;)
		for (assert_true(got > 0 && got <= 4); got; got--, n++)
			expect(&b, lengths[n], (uint8_t)n);
	assert_int_equal(n, N_LENGTHS);
	assert_int_equal(rx(&b), -ENODATA);
	c = stats(&b);
	assert_int_equal(c.rx.packets, N_LENGTHS);
	assert_int_equal(c.rx.bytes, total);
	assert_int_equal(sl_count_drops(&c.rx), 0);
	bench_close(&b);
}

static void round_trip(unsigned layer, uint32_t link)
{
	int fd = memory_file("", 0);
	uint64_t total = write_all(fd, layer);
	uint32_t header[6];

	assert_int_equal(pread(fd, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(header[0], 0xa1b2c3d4);
	assert_int_equal(header[5], link);
	read_all(fd, layer, total);
	close(fd);
}

static void test_round_trip_ethernet(void **state)
{
	(void)state;
	round_trip(2, 1);
}

static void test_round_trip_ip(void **state)
{
	(void)state;
	round_trip(3, 101);
}

/* Somebody who reads along finds whole packets whenever the port has nothing to do. */
static void test_flushed_before_sleep(void **state)
{
	int fd = memory_file("", 0);
	uint8_t bytes[60] = {0};
	struct bench b;

	(void)state;
	assert_int_equal(bench_open(&b, "write", fd, 16), 0);
	assert_int_equal(join(&b, 2), 0);
	send_one(&b, bytes, sizeof(bytes), 1);
	b.port->ops->arm(b.port, 0, SL_PORT_TX);
	assert_int_equal(lseek(fd, 0, SEEK_END), 24 + 16 + 60);
	bench_close(&b);
	close(fd);
}

/*
 * Reading.
 */

static void test_bad_headers(void **state)
{
	struct file *f = file_start(1);

	(void)state;
	refused("", 0, "cannot read");
	for (size_t len = 1; len < 24; len++)
		refused(f->bytes, len, "cannot read");
	f->bytes[0] ^= 0xff;
	refused(f->bytes, f->len, "cannot read");
	f = file_start(1);
	f->bytes[4] = 99; /* version */
	refused(f->bytes, f->len, "cannot read");
}

static void test_other_link_types(void **state)
{
	static const uint32_t links[] = {0, 9, 105, 113, 127, 276, 65535};

	(void)state;
	for (size_t n = 0; n < sizeof(links) / sizeof(*links); n++) {
		const struct file *f = file_start(links[n]);

		refused(f->bytes, f->len, "neither Ethernet nor raw IP");
	}
}

static void test_link_types(void **state)
{
	static const struct {
		uint32_t link;
		unsigned layer;
	} links[] = {{1, 2}, {101, 3}, {228, 3}, {229, 3}};
	struct sl_port_info info;
	struct bench b;

	(void)state;
	for (size_t n = 0; n < sizeof(links) / sizeof(*links); n++) {
		assert_int_equal(open_file(&b, file_start(links[n].link), 16), 0);
		b.port->ops->info(b.port, &info);
		assert_int_equal(info.layer, links[n].layer);
		assert_int_equal(join(&b, links[n].layer), 0);
		assert_int_equal(rx(&b), -ENODATA);
		assert_int_equal(b.lines, 0);
		bench_close(&b);
	}
}

/* Cut off within the second packet: the first is given, the rest is told. */
static void test_truncated_file(void **state)
{
	struct file *f = file_start(1);
	size_t whole;
	struct bench b;

	(void)state;
	file_record(f, 60, 60, 1);
	whole = f->len;
	file_record(f, 60, 60, 2);
	for (size_t len = whole + 1; len < whole + 76; len += 5) {
		f->len = len;
		assert_int_equal(open_file(&b, f, 16), 0);
		assert_int_equal(rx(&b), 1);
		expect(&b, 60, 1);
		assert_int_equal(rx(&b), -ENODATA);
		assert_int_equal(rx(&b), -ENODATA);
		assert_int_equal(b.lines, 1);
		assert_non_null(strstr(b.line, "/proc/self/fd/"));
		assert_non_null(strstr(b.line, "truncated"));
		bench_close(&b);
	}
}

static void test_corrupt_record(void **state)
{
	struct file *f = file_start(1);
	struct bench b;

	(void)state;
	file_record(f, 60, 60, 1);
	put32(f, 1);
	put32(f, 1);
	put32(f, 0x7fffffff);
	put32(f, 0x7fffffff);
	assert_int_equal(open_file(&b, f, 16), 0);
	assert_int_equal(rx(&b), 1);
	expect(&b, 60, 1);
	assert_int_equal(rx(&b), -ENODATA);
	assert_int_equal(b.lines, 1);
	bench_close(&b);
}

static void test_dropped_records(void **state)
{
	struct file *f = file_start(1);
	struct sl_counters c;
	struct bench b;

	(void)state;
	file_record(f, 60, 60, 1);
	file_record(f, 0, 0, 0);     /* empty */
	file_record(f, 60, 61, 0);   /* cut off when captured */
	file_record(f, 60, 1500, 0); /* the same */
	file_record(f, 0, 1500, 0);  /* nothing left of it */
	file_record(f, 65600, 65600, 2);
	file_record(f, 65601, 65601, 0); /* oversized */
	file_record(f, 262144, 262144, 0);
	file_record(f, 60, 60, 3);
	assert_int_equal(open_file(&b, f, 16), 0);
	assert_int_equal(rx(&b), 3);
	expect(&b, 60, 1);
	expect(&b, 65600, 2);
	expect(&b, 60, 3);
	assert_int_equal(rx(&b), -ENODATA);
	c = stats(&b);
	assert_int_equal(c.rx.packets, 3);
	assert_int_equal(c.rx.bytes, 65720);
	assert_int_equal(c.rx.drops[SL_DROP_TRUNCATED] + c.rx.drops[SL_DROP_MALFORMED], 6);
	assert_int_equal(sl_count_drops(&c.rx), 6);
	assert_true(c.rx.drops[SL_DROP_TRUNCATED] >= 4);
	assert_int_equal(b.lines, 0);
	bench_close(&b);
}

/* A consumer that keeps everything: nothing that is lent is written over. */
static void test_lent_buffers(void **state)
{
	struct file *f = file_start(1);
	unsigned got = 0;
	struct bench b;

	(void)state;
	for (unsigned n = 0; n < 2 * BUFFERS + 10; n++)
		file_record(f, 60, 60, (uint8_t)n);
	assert_int_equal(open_file(&b, f, 1024), 0);
	for (int n; (n = rx(&b)) > 0; got += (unsigned)n)
		;
	assert_int_equal(got, BUFFERS);
	assert_int_equal(rx(&b), 0);
	for (unsigned n = 0; n < 2 * BUFFERS + 10; n++) {
		expect(&b, 60, (uint8_t)n);
		assert_true(rx(&b) >= -ENODATA);
	}
	assert_int_equal(rx(&b), -ENODATA);
	assert_int_equal(stats(&b).rx.packets, 2 * BUFFERS + 10);
	bench_close(&b);
}

static void test_region(void **state)
{
	struct file *f = file_start(1);
	const uint8_t *base, *addr;
	struct sl_port_info info;
	struct bench b;
	uint32_t at;

	(void)state;
	file_record(f, 65600, 65600, 1);
	assert_int_equal(open_file(&b, f, 16), 0);
	b.port->ops->info(b.port, &info);
	assert_int_equal(info.n_regions, 1);
	assert_int_equal(rx(&b), 1);
	assert_int_equal(sl_ring_ready(b.ring, &at), 1);
	base = info.regions[0].base;
	addr = sl_ring_packet(b.ring, at)->frag.addr;
	assert_int_equal(sl_ring_packet(b.ring, at)->frag.region, info.regions[0].id);
	assert_true(addr >= base && addr + 65600 <= base + info.regions[0].len);
	expect(&b, 65600, 1);
	bench_close(&b);
}

/* What a reading port is given is counted and forgotten. */
static void test_reader_is_a_sink(void **state)
{
	uint8_t bytes[60] = {0};
	struct bench b;

	(void)state;
	assert_int_equal(open_file(&b, file_start(1), 16), 0);
	send_one(&b, bytes, sizeof(bytes), 2);
	assert_int_equal(stats(&b).tx.packets, 1);
	assert_int_equal(stats(&b).tx.bytes, 60);
	bench_close(&b);
}

static void test_arm(void **state)
{
	struct bench b;

	(void)state;
	assert_int_equal(open_file(&b, file_start(1), 16), 0);
	assert_int_equal(b.port->ops->fd(b.port, 0, SL_PORT_RX), -1);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX), SL_PORT_READY);
	assert_int_equal(rx(&b), -ENODATA);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX), 0);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_TX), SL_PORT_READY);
	bench_close(&b);
}

/*
 * Errors.
 */

static void bad(const char *spec, const char *said, const char *also)
{
	struct sl_port *port = NULL;

	assert_true(sl_port_open(spec, NULL, &port) < 0);
	if (!strstr(sl_reason(), said) || !strstr(sl_reason(), also))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", sl_reason(), said, also);
}

static void test_parameters(void **state)
{
	(void)state;
	bad("pcap:", "read=FILE", "write=FILE");
	bad("pcap:read=/dev/null,write=/dev/null", "read=FILE", "write=FILE");
	bad("pcap:read=", "read", "needs a value");
	bad("pcap:reed=x", "reed", "did you mean \"read\"");
	bad("pcap:read=/nonexistent/file", "/nonexistent/file", "No such file");
	bad("pcap:read=/proc/self", "/proc/self", "not a file");
	bad("pcap:read=/dev/null", "/dev/null", "cannot read");
}

static void test_unwritable_path(void **state)
{
	const struct sl_port_info other = {.layer = 2};
	struct sl_port *port;

	(void)state;
	assert_int_equal(sl_port_open("pcap:write=/nonexistent/file", NULL, &port), 0);
	assert_int_equal(port->ops->join(port, &other), -ENOENT);
	assert_non_null(strstr(sl_reason(), "/nonexistent/file"));
	assert_non_null(strstr(sl_reason(), "No such file"));
	port->ops->close(port);
}

/* A file in use is not written over; several may read it. */
static void test_file_in_use(void **state)
{
	struct file *f = file_start(1);
	struct bench reader, other, writer;
	int fd;

	(void)state;
	file_record(f, 60, 60, 1);
	fd = memory_file(f->bytes, f->len);
	assert_int_equal(bench_open(&reader, "read", fd, 16), 0);
	assert_int_equal(bench_open(&other, "read", fd, 16), 0);
	bench_close(&other);
	assert_int_equal(bench_open(&writer, "write", fd, 16), 0);
	assert_int_equal(join(&writer, 2), -EBUSY);
	assert_non_null(strstr(sl_reason(), "/proc/self/fd/"));
	bench_close(&writer);
	assert_int_equal(rx(&reader), 1);
	expect(&reader, 60, 1);
	bench_close(&reader);
	assert_int_equal(lseek(fd, 0, SEEK_END), f->len);
	close(fd);
}

static void open_full(struct bench *b)
{
	const struct sl_ring_config config = {16, 128, -1, -1};

	memset(b, 0, sizeof(*b));
	b->log = (struct sl_log){remember, b, SL_LOG_DEBUG};
	assert_int_equal(sl_port_open("pcap:write=/dev/full", &b->log, &b->port), 0);
	assert_int_equal(sl_ring_create(&config, &b->ring), 0);
	assert_int_equal(join(b, 2), 0);
}

static void check_full(const struct bench *b)
{
	assert_int_equal(b->lines, 1); /* told once */
	assert_non_null(strstr(b->line, "/dev/full"));
	assert_non_null(strstr(b->line, "No space left"));
}

static void test_full_disk(void **state)
{
	static uint8_t bytes[9000];
	struct sl_counters c;
	struct bench b;

	(void)state;
	open_full(&b);
	for (unsigned n = 0; n < 20; n++)
		send_one(&b, bytes, sizeof(bytes), 1);
	c = stats(&b);
	assert_int_equal(c.tx.packets + c.tx.drops[SL_DROP_REFUSED], 20);
	assert_true(c.tx.drops[SL_DROP_REFUSED] >= 19);
	b.port->ops->stop(b.port);
	check_full(&b);
	bench_close(&b);
}

/* So little that it is only stdio that holds it: told before sleeping, or at the end. */
static void test_full_disk_late(void **state)
{
	uint8_t bytes[60] = {0};
	struct bench b;

	(void)state;
	open_full(&b);
	send_one(&b, bytes, sizeof(bytes), 1);
	b.port->ops->stop(b.port);
	check_full(&b);
	bench_close(&b);
	open_full(&b);
	send_one(&b, bytes, sizeof(bytes), 1);
	errno = 0;
	b.port->ops->arm(b.port, 0, SL_PORT_TX);
	check_full(&b);
	errno = 0;
	send_one(&b, bytes, sizeof(bytes), 1);
	assert_int_equal(stats(&b).tx.drops[SL_DROP_REFUSED], 1);
	b.port->ops->stop(b.port);
	check_full(&b);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_ethernet),
		cmocka_unit_test(test_round_trip_ip),
		cmocka_unit_test(test_flushed_before_sleep),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_other_link_types),
		cmocka_unit_test(test_link_types),
		cmocka_unit_test(test_truncated_file),
		cmocka_unit_test(test_corrupt_record),
		cmocka_unit_test(test_dropped_records),
		cmocka_unit_test(test_lent_buffers),
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_reader_is_a_sink),
		cmocka_unit_test(test_arm),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_unwritable_path),
		cmocka_unit_test(test_file_in_use),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_full_disk_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
