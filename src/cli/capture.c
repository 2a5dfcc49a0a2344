/* SPDX-License-Identifier: BSD-2-Clause */
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "cli/capture.h"
#include "packet/frags.h"

#define SNAPLEN 262144

struct capture {
	pthread_mutex_t lock; /* every worker that sends writes here */
	pcap_t *pcap;
	pcap_dumper_t *dump;
	uint8_t packet[SNAPLEN];
};

int capture_open(const char *path, unsigned layer, struct capture **out)
{
	struct capture *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a capture");
	pthread_mutex_init(&c->lock, NULL);
	c->pcap = pcap_open_dead(layer == 3 ? DLT_RAW : DLT_EN10MB, SNAPLEN);
	if (!c->pcap)
		ret = sl_fail(ENOMEM, "no memory for a capture");
	else if (!(c->dump = pcap_dump_open(c->pcap, path)))
		ret = sl_fail(EINVAL, "cannot write the capture: %s", pcap_geterr(c->pcap));
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

	hdr.caplen = sl_min(hdr.len, SNAPLEN);
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
