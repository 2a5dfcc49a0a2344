/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens what one end of a recorded session has sent.
 *
 * usage: replay_session CIPHER DIRECTION MATERIAL WIRE ADDRESS INNER
 *	CIPHER     aes-256-gcm or chacha20-poly1305
 *	DIRECTION  of the end that received: 0 for the TLS client, 1 for the server
 *	MATERIAL   what record_exporter.c wrote
 *	WIRE       a capture (Ethernet) of the session from its start
 *	ADDRESS    IPv4 address of the end that sent; the wire has UDP of this session only
 *	INNER      the IP packets that were inside are written to this capture
 *
 * Prints how many of them there were, and how many payloads that were no IP packets.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>

#include <sluice/data_channel.h>

#define LABEL	   "EXPORTER-OpenVPN-datakeys "
#define UDP_AT	   (14 + 20) /* Ethernet, IPv4 without options */
#define PAYLOAD_AT (UDP_AT + 8)
#define P_DATA_V2  9

/* The material of the session's first key. */
static void read_material(const char *path, uint8_t material[SL_DATA_MATERIAL])
{
	char line[1024];
	FILE *file = fopen(path, "r");

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		const char *hex = line + strlen(LABEL);

		if (strncmp(line, LABEL, strlen(LABEL)) != 0)
			continue;
		for (unsigned n = 0; n < SL_DATA_MATERIAL; n++)
			if (sscanf(hex + 2 * n, "%2hhx", &material[n]) != 1)
				errx(1, "%s: too short", path);
		fclose(file);
		return;
	}
	errx(1, "%s: no key", path);
}

static struct sl_data *make_channel(const char *cipher, const char *direction, const char *path)
{
	struct sl_data_key key = {.direction = direction[0] == '1'};
	struct sl_data *data;
	int ret;

	key.cipher = strcmp(cipher, "aes-256-gcm") == 0 ? SL_CIPHER_AES_256_GCM
							: SL_CIPHER_CHACHA20_POLY1305;
	read_material(path, key.material);
	ret = sl_data_create(&data);
	if (!ret)
		ret = sl_data_key_install(data, SL_KEY_PRIMARY, &key);
	if (ret)
		errx(1, "no data channel: %s", strerror(-ret));
	return data;
}

/* The UDP payload when it is a data packet from @sender; NULL for anything else. */
static const uint8_t *data_packet(const struct pcap_pkthdr *head, const uint8_t *frame,
				  const struct in_addr *sender, size_t *len)
{
	static const uint8_t ipv4[3] = {0x08, 0x00, 0x45};

	if (head->caplen != head->len)
		errx(1, "a packet was not captured whole");
	if (head->len <= PAYLOAD_AT || memcmp(frame + 12, ipv4, 3) != 0 || frame[23] != 17)
		return NULL;
	if (memcmp(frame + 26, sender, 4) != 0 || frame[PAYLOAD_AT] >> 3 != P_DATA_V2)
		return NULL;
	*len = (size_t)(frame[UDP_AT + 4] << 8 | frame[UDP_AT + 5]) - 8;
	if (*len > head->len - PAYLOAD_AT)
		errx(1, "an IP fragment, or a wrong UDP length");
	return frame + PAYLOAD_AT;
}

static bool open_packet(struct sl_data *data, const uint8_t *sealed, size_t len,
			const struct pcap_pkthdr *head, pcap_dumper_t *inner)
{
	struct sl_data_opened opened;
	struct pcap_pkthdr out = *head;
	static uint8_t copy[65536];
	bool ip;
	int ret;

	memcpy(copy, sealed, len);
	ret = sl_data_open(data, copy, len, &opened);
	if (ret)
		errx(1, "a packet of %zu bytes does not open: %s", len, strerror(-ret));
	ip = opened.len && (opened.payload[0] >> 4 == 4 || opened.payload[0] >> 4 == 6);
	out.caplen = out.len = opened.len;
	if (ip)
		pcap_dump((u_char *)inner, &out, opened.payload);
	return ip;
}

int main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE];
	unsigned packets = 0, others = 0;
	struct pcap_pkthdr *head;
	struct in_addr sender;
	const uint8_t *frame, *sealed;
	struct sl_data *data;
	pcap_dumper_t *inner;
	pcap_t *wire, *raw;
	size_t len;
	int ret;

	if (argc != 7 || inet_pton(AF_INET, argv[5], &sender) != 1)
		errx(2, "usage: replay_session CIPHER DIRECTION MATERIAL WIRE ADDRESS INNER");
	data = make_channel(argv[1], argv[2], argv[3]);
	wire = pcap_open_offline(argv[4], why);
	if (!wire)
		errx(1, "%s", why);
	raw = pcap_open_dead(DLT_RAW, 65535);
	inner = pcap_dump_open(raw, argv[6]);
	if (!inner)
		errx(1, "%s", pcap_geterr(raw));
	while ((ret = pcap_next_ex(wire, &head, &frame)) == 1) {
		sealed = data_packet(head, frame, &sender, &len);
		if (sealed && open_packet(data, sealed, len, head, inner))
			packets++;
		else
			others += sealed != NULL;
	}
	if (ret != PCAP_ERROR_BREAK)
		errx(1, "%s", pcap_geterr(wire));
	printf("%u packets, %u other payloads\n", packets, others);
	pcap_dump_close(inner);
	pcap_close(raw);
	pcap_close(wire);
	sl_data_release(data);
	return 0;
}
