/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files (libpcap), and that none is overwritten while it is in use. */
#ifndef SL_PORT_CAPTURE_FILE_H
#define SL_PORT_CAPTURE_FILE_H

#include <pcap/pcap.h>

/* What tcpdump uses: more than any packet of a link has. */
#define CAPTURE_SNAPLEN 262144

/**
 * sl_capture_file_create() - make or empty a file and write the head of a capture
 * @path:  no pipe, as writing must not block; "-" for the standard output
 * @layer: 2 for Ethernet, 3 for raw IP
 * @pcap:  for pcap_close(), after the dumper
 * @dump:  for pcap_dump() and pcap_dump_close()
 *
 * Return: 0; -EBUSY when some sl_capture_file_open() or sl_capture_file_create() has the
 * file; another negative errno; with a reason. Nothing is left open then.
 */
int sl_capture_file_create(const char *path, unsigned layer, pcap_t **pcap, pcap_dumper_t **dump);

/**
 * sl_capture_file_open() - open a capture to be read, and hold it: until it is closed,
 * sl_capture_file_create() leaves it alone
 * @path: a file; "-" for the standard input, which must be one too: reading a pipe
 *        would block, and a port never does
 * @pcap: for pcap_close()
 *
 * Return: 0 or a negative errno with a reason.
 */
int sl_capture_file_open(const char *path, pcap_t **pcap);

#endif
