/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice link --pcap: what crosses the link, as it crosses it, in a capture file. */
#ifndef SL_CLI_CAPTURE_H
#define SL_CLI_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/ring.h>

struct capture;

/** capture_open() - begin a capture of packets of @layer 2 or 3; 0 or a negative errno, reason left
 */
int capture_open(const char *path, unsigned layer, struct capture **out);

/** capture_packet() - add one; any thread. Returns false once the file cannot be written. */
bool capture_packet(struct capture *capture, const struct sl_ring *ring, uint32_t at);

/** capture_flush() - false when the file is not complete; true for NULL */
bool capture_flush(struct capture *capture);

/** capture_close() - finish the file; NULL is allowed */
void capture_close(struct capture *capture);

#endif
