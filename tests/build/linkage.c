/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every function that the shared library exports, called from outside once and with
 * a sense. linkage.py holds the list of symbols that this program needs against the
 * headers and against the library: a new function needs its call here.
 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include <sluice/sluice.h>

#define MUST(condition) must(condition, #condition, __LINE__)

static void must(int holds, const char *condition, int line)
{
	if (holds)
		return;
	fprintf(stderr, "linkage.c:%d: %s does not hold; last reason: %s\n", line, condition,
		sl_reason());
	exit(1);
}

static void version_and_reason(void)
{
	struct sl_arena *arena;

	MUST(strcmp(sl_version(), SL_VERSION) == 0);
	MUST(sl_arena_create(0, 0, &arena) == -EINVAL);
	MUST(sl_reason()[0] != '\0');
}

static void arena(void)
{
	const struct sl_region *region;
	struct sl_arena *arena;

	MUST(sl_arena_create(100, 7, &arena) == 0);
	region = sl_arena_region(arena);
	MUST(region->id == 7 && region->len >= 100);
	MUST(sl_arena_pages(arena) == SL_PAGES_HUGE || sl_arena_pages(arena) == SL_PAGES_THP);
	sl_arena_release(arena);
}

static int user_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	return user->limits && mapping->at.first.value == 0 ? -ENOMEM : 0;
}

static void user_unmap(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	MUST(user->name && mapping->region.len);
}

static void space(void)
{
	static const struct sl_space_user_ops ops = {user_map, user_unmap};
	static uint8_t memory[64];
	const struct sl_region region = {memory, 64, -1, 0, SL_REGION_READ, 0};
	struct sl_space_user user = {&ops, "linkage", NULL};
	struct sl_iova_range all = {{0}, {UINT64_MAX}};
	struct sl_space *s;
	struct iovec piece;
	size_t count;
	sl_iova at;

	MUST(sl_space_create(NULL, &s) == 0);
	MUST(sl_space_attach(s, &user) == 0);
	MUST(sl_space_map(s, &region, 0, &at) == 0 && at.value == 0);
	MUST(sl_iova_advance(at, 128, &at) && sl_space_map_at(s, at, &region) == 0);
	MUST(sl_space_lookup(s, at, 64, SL_REGION_READ, &piece, 1) == 1);
	MUST(piece.iov_base == memory && piece.iov_len == 64);
	MUST(sl_space_mappings(s, &count)[1].at.last.value == 191 && count == 2);
	MUST(sl_space_memlock(s) <= 0);
	MUST(sl_space_unmap(s, all) == 2);
	sl_space_detach(s, &user);
	sl_space_release(s);
}

static void guard(void)
{
	const siginfo_t info = {.si_code = SI_USER};
	static _Alignas(65536) char page[65536];
	char word[6] = "";
	ucontext_t ctx = {0};

	MUST(sl_guard_copy(word, "guard", 6) == 0 && !strcmp(word, "guard"));
	MUST(!sl_guard_handler(SIGBUS, &info, &ctx));
	MUST(sl_guard_keep(page, sizeof(page), sizeof(page)) == 0);
	MUST(!sl_guard_lost(page) && !sl_guard_losses());
	sl_guard_forget(page);
}

static void counters(void)
{
	struct sl_count sum = {.packets = 1}, more = {.packets = 2, .drops[SL_DROP_DOWN] = 3};

	sl_count_sum(&sum, &more);
	MUST(sum.packets == 3 && sl_count_drops(&sum) == 3);
	MUST(strcmp(sl_drop_name(SL_DROP_PEER_GONE), "peer-gone") == 0);
}

static void args(void)
{
	static const struct sl_param table[] = {
		{"name", SL_PARAM_STRING, SL_PARAM_IDENTITY, 1, 15, "NAME", "a name"},
		{"mtu", SL_PARAM_UINT, 0, 68, 65535, "N", "bytes"},
		{"up", SL_PARAM_BOOL, 0, 0, 0, NULL, "on or off"},
		{"mac", SL_PARAM_MAC, 0, 0, 0, "MAC", "an address"},
		{0},
	};
	static const char *const words[] = {"name", "mtu", NULL};
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t got[6];
	struct sl_args *a, *b;

	MUST(sl_args_parse("x", "name=t0,mtu=1400,up=on,mac=02:00:00:00:00:01", table, &a) == 0);
	MUST(sl_args_parse("x", "name=t0", table, &b) == 0);
	MUST(sl_args_count(b, "mtu") == 0 && sl_args_uint(a, "mtu", 0) == 1400);
	MUST(strcmp(sl_args_text(a, "name", 0), "t0") == 0);
	MUST(sl_args_bool(a, "up", false) && sl_args_bool(b, "up", true));
	MUST(sl_args_mac(a, "mac", got) && memcmp(got, mac, sizeof(mac)) == 0);
	MUST(sl_args_same(a, b));
	MUST(sl_param_nearest("nmae", words) == words[0]);
	sl_args_release(a);
	sl_args_release(b);
}

/* Three packets there and back, the first two out of order. */
static void ring_moves(struct sl_ring *ring)
{
	static uint8_t memory[2][64];
	const struct sl_frag frags[2] = {{memory[0], 64, 0, 0}, {memory[1], 64, 0, 0}};
	uint32_t first, at;

	MUST(sl_ring_room(ring, &first) == 4);
	for (uint32_t n = 0; n < 3; n++)
		MUST(sl_ring_chain(ring, first + n, frags, 2) == 0);
	MUST(sl_ring_frag_room(ring) == SL_PACKET_FRAGS_MAX - 3);
	sl_ring_post(ring, 3);
	sl_ring_wake_consumer(ring);

	MUST(sl_ring_consumer_sleep(ring));
	MUST(sl_ring_ready(ring, &at) == 3 && at == first);
	MUST(sl_ring_packet_len(ring, sl_ring_packet(ring, at)) == 128);
	sl_ring_take(ring, 2);
	sl_ring_done(ring, at + 1);
	MUST(sl_ring_in_flight(ring) == 2);
	sl_ring_done(ring, at);
	sl_ring_consume(ring, 1);
	sl_ring_wake_producer(ring);

	MUST(sl_ring_producer_sleep(ring));
	MUST(sl_ring_returned(ring, &at) == 3 && at == first);
	sl_ring_reclaim(ring, 3);
}

static void ring_recall(struct sl_ring *ring)
{
	uint32_t at;

	sl_ring_post(ring, 2);
	sl_ring_recall(ring);
	MUST(!sl_ring_recall_done(ring));
	MUST(sl_ring_recalled(ring) && sl_ring_ready(ring, &at) == 0);
	MUST(sl_ring_yield(ring) == 2);
	MUST(sl_ring_recall_done(ring));
	MUST(sl_ring_returned(ring, &at) == 2);
	sl_ring_reclaim(ring, 2);
}

static void ring_abandon(struct sl_ring *ring)
{
	uint32_t at;

	sl_ring_post(ring, 1);
	MUST(sl_ring_ready(ring, &at) == 1);
	sl_ring_take(ring, 1);
	sl_ring_abandon(ring);
	MUST(sl_ring_in_flight(ring) == 0 && sl_ring_returned(ring, &at) == 1);
}

static void ring(void)
{
	const struct sl_ring_config config = {
		.size = 4,
		.frags = SL_PACKET_FRAGS_MAX,
		.consumer_event = -1,
		.producer_event = -1,
	};
	struct sl_ring *ring;

	MUST(sl_ring_create(&config, &ring) == 0);
	ring_moves(ring);
	ring_recall(ring);
	ring_abandon(ring);
	MUST(!sl_ring_broken(ring));
	sl_ring_release(ring);
}

static void ports(void)
{
	const struct sl_port_ops *const *kind = sl_port_kinds();
	struct sl_port *port;

	while (*kind && strcmp((*kind)->kind, "null") != 0)
		kind++;
	MUST(*kind != NULL);
	MUST(sl_port_open("nul", NULL, &port) == -EINVAL);
	MUST(sl_port_open("null", NULL, &port) == 0 && port->ops == *kind);
	port->ops->close(port);
	MUST(sl_port_same("tap:name=t0", "tap:name=t0,mtu=1400") == 1);
}

/* Two ends of a data channel, which are each other's peer. */
static void data_channel(void)
{
	struct sl_data_key key = {SL_CIPHER_AES_256_GCM, .key_id = 1, .direction = 0};
	uint8_t packet[SL_DATA_OVERHEAD + 5] = {0};
	struct sl_piece piece = {(const uint8_t *)"hello", packet + SL_DATA_OVERHEAD, 5};
	struct sl_data_opened opened;
	struct sl_data *a, *b;

	key.material[0] = 1; /* the halves differ */
	MUST(sl_data_create(&a) == 0);
	MUST(sl_data_create(&b) == 0);
	sl_data_set_peer_id(a, 0x123456);
	MUST(sl_data_key_install(a, SL_KEY_SECONDARY, &key) == 0);
	sl_data_key_swap(a);
	key.direction = 1;
	MUST(sl_data_key_install(b, SL_KEY_PRIMARY, &key) == 0);
	MUST(sl_data_seal(a, packet, &piece, 1) == (int)sizeof(packet));
	MUST(packet[1] == 0x12 && memcmp(packet + SL_DATA_OVERHEAD, "hello", 5) != 0);
	MUST(sl_data_open(b, packet, sizeof(packet), &opened) == 0 && opened.newest);
	MUST(opened.len == 5 && !memcmp(opened.payload, "hello", 5) && opened.key_id == 1);
	MUST(!sl_data_key_worn(a));
	sl_data_key_delete(a, SL_KEY_PRIMARY);
	MUST(sl_data_seal(a, packet, &piece, 1) == -ENOKEY);
	sl_data_release(a);
	sl_data_release(b);
}

static void identity(void)
{
	char dir[] = "/tmp/slt-linkage-XXXXXX", file[64];
	char made[SL_FINGERPRINT_SIZE], shown[SL_FINGERPRINT_SIZE];

	MUST(mkdtemp(dir) != NULL);
	MUST(sl_identity_generate(dir, made) == 0 && strlen(made) == SL_FINGERPRINT_SIZE - 1);
	MUST(sl_identity_show(dir, shown) == 0 && !strcmp(made, shown));
	snprintf(file, sizeof(file), "%s/key.pem", dir);
	MUST(remove(file) == 0);
	snprintf(file, sizeof(file), "%s/cert.pem", dir);
	MUST(remove(file) == 0 && remove(dir) == 0);
}

/* No PCI at all, and a device that there is only as bytes. */
static void pci(void)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX] = {0x86, 0x80};
	struct sl_pci_addr addr, *list;
	struct sl_pci_config config;
	char text[SL_PCI_ADDR_SIZE];
	struct sl_pci_info info;

	MUST(sl_pci_addr_parse("00:1f.7", &addr) == 0);
	sl_pci_addr_format(&addr, text);
	MUST(strcmp(text, "0000:00:1f.7") == 0);
	MUST(sl_pci_list("/nowhere", &list) == -ENOENT);
	MUST(sl_pci_group("/nowhere", &addr, &list) == -ENOENT);
	MUST(sl_pci_get_info("/nowhere", &addr, &info) == -ENODEV);
	MUST(sl_pci_usable("/nowhere", &addr, SL_PCI_VFIO) == -ENODEV);
	MUST(sl_pci_config_read("/nowhere", &addr, bytes) == -ENOENT);
	MUST(sl_pci_config_decode(bytes, 64, &config) == 0 && config.vendor == 0x8086);
	MUST(sl_pci_cap_find(&config, SL_PCI_CAP_MSIX) == NULL);
	MUST(sl_pci_msix_check(&info, &config) == -ENOENT);
	MUST(strcmp(sl_pci_cap_name(SL_PCI_CAP_MSIX), "MSI-X") == 0);
}

/* A machine with one device, whose files are files; its UIO is a socket that stays silent. */
static const struct {
	const char *name;
	size_t len;
	const char *text;
} device_files[] = {
	{"sys/bus/pci/devices/0000:00:03.0/vendor", 0, "0x1234\n"},
	{"sys/bus/pci/devices/0000:00:03.0/device", 0, "0x11e8\n"},
	{"sys/bus/pci/devices/0000:00:03.0/subsystem_vendor", 0, "0x1af4\n"},
	{"sys/bus/pci/devices/0000:00:03.0/subsystem_device", 0, "0x1100\n"},
	{"sys/bus/pci/devices/0000:00:03.0/class", 0, "0x00ff00\n"},
	{"sys/bus/pci/devices/0000:00:03.0/revision", 0, "0x10\n"},
	{"sys/bus/pci/devices/0000:00:03.0/resource", 0, "0xfe000000 0xfe000fff 0x40200\n"},
	{"sys/bus/pci/devices/0000:00:03.0/config", 256, "\x34\x12\xe8\x11"},
	{"sys/bus/pci/devices/0000:00:03.0/resource0", 4096, ""},
	{"proc/self/pagemap", 0, ""},
	{"proc/kpageflags", 0, ""},
};

static int device_machine(char *root)
{
	char path[256];
	FILE *file;

	for (size_t i = 0; i < sizeof(device_files) / sizeof(*device_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, device_files[i].name);
		for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
			*p = '\0';
			mkdir(path, 0755);
		}
		file = fopen(path, "w");
		MUST(file && fputs(device_files[i].text, file) >= 0 && fclose(file) == 0);
		MUST(!device_files[i].len || truncate(path, (off_t)device_files[i].len) == 0);
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	MUST(st && where && kind >= 0);
	return remove(path);
}

static void device_registers(struct sl_device *dev)
{
	struct sl_device_region region;
	struct sl_mmio mmio;
	uint64_t value;

	MUST(sl_device_get_region(dev, 0, &region) == 0 && region.len == 4096);
	MUST(sl_device_map(dev, 0, &mmio) == 0 && sl_mmio_has(&mmio, 4092, 4));
	MUST(sl_device_write(dev, 0, 8, 4, 0x01020304) == 0 && sl_mmio_read8(&mmio, 8) == 4);
	MUST(sl_device_read(dev, 0, 8, 2, &value) == 0 && value == 0x0304);
	MUST(sl_device_bus_master(dev, true) == 0);
	MUST(sl_device_read(dev, SL_DEVICE_CONFIG, 4, 2, &value) == 0 && value == 6);
	MUST(sl_device_reset(dev, NULL) == -EOPNOTSUPP);
}

static void device_irq(struct sl_device *dev)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	MUST(sl_device_irq_count(dev, SL_IRQ_INTX) == 1);
	MUST(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &fd) == 0);
	MUST(sl_device_irq_unmask(dev) == 0 && sl_device_irq_mask(dev) == 0);
	MUST(close(fd) == 0);
}

/* Where this memory lies nobody says. */
static void device_memory(struct sl_device *dev)
{
	struct sl_dma *dma = NULL;

	if (sl_dma_create(dev, 1, 0, &dma) == 0)
		MUST(sl_dma_iova(dma, 0).value && sl_dma_region(dma)->len);
	MUST(!dma && sl_reason()[0]);
	sl_dma_release(dma);
}

static void device(void)
{
	struct sl_device_fds fds = SL_DEVICE_FDS_NONE;
	char root[] = "/tmp/slt-linkage-XXXXXX";
	struct sl_device_options options = {.root = root, .fds = &fds};
	struct sl_device *dev;
	int uio[2];

	MUST(mkdtemp(root) && device_machine(root) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, uio) == 0);
	fds.uio = uio[0];
	MUST(sl_device_open("0000:00:03.0", &options, &dev) == 0);
	MUST(sl_device_get_info(dev)->config.device == 0x11e8 && sl_device_space(dev));
	MUST(sl_device_event(dev) == -1 && sl_device_check(dev) == 0);
	device_registers(dev);
	device_irq(dev);
	device_memory(dev);
	sl_device_close(dev);
	close(uio[0]);
	close(uio[1]);
	MUST(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void ended(void *ctx)
{
	sl_worker_stop(ctx);
}

/* A generator of 100 packets, a sink, and a loop that ends when all have arrived. */
static void worker_and_link(void)
{
	struct sl_worker_stats rounds;
	struct sl_link_stats stats;
	struct sl_worker *worker;
	struct sl_link *link;
	struct sl_link_config config = {.workers = &worker, .n_workers = 1, .ended = ended};

	MUST(sl_worker_create(SL_POLL_ADAPTIVE, &worker) == 0);
	MUST(sl_worker_fd(worker) >= 0);
	MUST(sl_port_open("gen:count=100", NULL, &config.ports[0]) == 0);
	MUST(sl_port_open("null", NULL, &config.ports[1]) == 0);
	config.ctx = worker;
	MUST(sl_link_create(&config, &link) == 0);
	MUST(sl_worker_step(worker) >= 0);
	MUST(sl_worker_run(worker) == 0);
	sl_link_stop(link);
	sl_link_get_stats(link, 0, &stats);
	MUST(stats.in.packets == 100 && stats.out.packets == 100);
	sl_worker_get_stats(worker, &rounds);
	MUST(rounds.busy > 0 && rounds.rounds >= rounds.busy);
	sl_link_release(link);
	sl_worker_release(worker);
}

static void answer(struct sl_model *m, struct sl_request *req)
{
	(void)m;
	sl_request_done(req, 0);
}

/* Two bytes in two pieces. */
static void request(void)
{
	char bytes[2] = "ab", copy[2] = "";
	const struct iovec pieces[2] = {{&bytes[0], 1}, {&bytes[1], 1}};
	struct sl_request req = {.read = pieces, .write = pieces, .n_read = 2, .n_write = 2};

	req.read_len = req.write_len = 2;
	MUST(sl_request_read(&req, 0, copy, 2) == 0 && memcmp(copy, "ab", 2) == 0);
	MUST(sl_request_write(&req, 1, "c", 1) == 0 && bytes[1] == 'c');
	MUST(sl_request_write(&req, 1, "cd", 2) == -EINVAL);
}

/* A disk that nobody drives. */
static void offer(void)
{
	char folder[] = "/tmp/sl-linkage-XXXXXX", via[64];
	struct sl_offer_queue_stats stats;
	struct sl_offer_config config = {.via = via};
	struct sl_model_info info;
	struct sl_offer *offer;

	MUST(sl_model_kinds()[0] && sl_model_kinds()[0]->request != answer);
	MUST(sl_offer_kinds()[0] && sl_offer_kinds()[0]->params);
	MUST(sl_model_open("blk,mem=1M,queues=2", NULL, &config.model) == 0);
	config.model->ops->info(config.model, &info);
	MUST(info.device_id == 2 && info.queues == 2);
	MUST(mkdtemp(folder) != NULL);
	snprintf(via, sizeof(via), "vhost-user:path=%s/sock", folder);
	MUST(sl_worker_create(SL_POLL_OFF, &config.worker) == 0);
	MUST(sl_offer_create(&config, &offer) == 0);
	MUST(sl_offer_get_state(offer) == SL_OFFER_FENCED);
	MUST(sl_worker_step(config.worker) >= 0 && sl_offer_get_state(offer) == SL_OFFER_WAITING);
	sl_offer_changed(offer);
	MUST(sl_offer_get_stats(offer, 1, &stats) == 0 && !stats.running && !stats.requests);
	MUST(sl_offer_get_stats(offer, 2, &stats) == -EINVAL);
	MUST(sl_offer_stop(offer) == 0);
	sl_offer_release(offer);
	sl_worker_release(config.worker);
	MUST(rmdir(folder) == 0);
}

int main(void)
{
	version_and_reason();
	arena();
	space();
	guard();
	counters();
	args();
	ring();
	ports();
	data_channel();
	identity();
	pci();
	device();
	worker_and_link();
	request();
	offer();
	return 0;
}
