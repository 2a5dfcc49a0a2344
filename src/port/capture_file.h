/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files (libpcap), and that none is overwritten while it is in use. */
#ifndef SL_PORT_CAPTURE_FILE_H
#define SL_PORT_CAPTURE_FILE_H

#include <pcap/pcap.h>

/* What tcpdump uses: more than any packet of a link has. */
#define CAPTURE_SNAPLEN 262144

/**
 * capture_file_create() - make or empty a file and write the head of a capture
 * @path:  "-" for the standard output
 * @layer: 2 for Ethernet, 3 for raw IP
 * @pcap:  for pcap_close(), after the dumper
 * @dump:  for pcap_dump() and pcap_dump_close()
 *
 * Return: 0; -EBUSY when some capture_file_hold() or capture_file_create() has the
 * file; another negative errno; with a reason. Nothing is left open then.
 */
int capture_file_create(const char *path, unsigned layer, pcap_t **pcap, pcap_dumper_t **dump);

/** capture_file_hold() - keep a file that is being read from being overwritten, until it is closed
 */
void capture_file_hold(pcap_t *reading);

#endif
