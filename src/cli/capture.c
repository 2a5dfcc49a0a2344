/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "cli/capture.h"
#include "packet/frags.h"
#include "port/capture_file.h"

struct capture {
	pthread_mutex_t lock; /* every worker that sends writes here */
	pcap_t *pcap;
	pcap_dumper_t *dump;
	uint8_t packet[CAPTURE_SNAPLEN];
};

int capture_open(const char *path, unsigned layer, struct capture **out)
{
	struct capture *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a capture");
	pthread_mutex_init(&c->lock, NULL);
	ret = sl_capture_file_create(path, layer, &c->pcap, &c->dump);
	if (ret)
		capture_close(c);
	else
		*out = c;
	return ret;
}

bool capture_packet(struct capture *c, const struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct pcap_pkthdr hdr = {.len = sl_ring_packet_len(ring, packet)};
	bool good;

	hdr.caplen = sl_min(hdr.len, CAPTURE_SNAPLEN);
	gettimeofday(&hdr.ts, NULL);
	pthread_mutex_lock(&c->lock);
	sl_frags_copy(ring, packet, 0, c->packet, hdr.caplen);
	pcap_dump((u_char *)c->dump, &hdr, c->packet);
	good = !ferror(pcap_dump_file(c->dump));
	pthread_mutex_unlock(&c->lock);
	return good;
}

bool capture_flush(struct capture *c)
{
	return !c || !pcap_dump_flush(c->dump);
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->dump)
		pcap_dump_close(c->dump);
	if (c->pcap)
		pcap_close(c->pcap);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
