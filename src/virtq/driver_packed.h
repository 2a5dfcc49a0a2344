/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a packed virtqueue: what driver.c hands on to it. */
#ifndef SL_VIRTQ_DRIVER_PACKED_H
#define SL_VIRTQ_DRIVER_PACKED_H

#include "virtq/driver.h"

int sl_virtq_add_packed(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
			unsigned n);
bool sl_virtq_publish_packed(struct virtq_driver *vq);
int sl_virtq_look_packed(struct virtq_driver *vq);
int sl_virtq_get_packed(struct virtq_driver *vq, uint32_t *len);
bool sl_virtq_arm_packed(struct virtq_driver *vq, uint16_t after);

/** sl_virtq_read_packed() - the next used descriptor. Return: an id; it and @len are checked */
int sl_virtq_read_packed(struct virtq_driver *vq, uint32_t *len);

#endif
