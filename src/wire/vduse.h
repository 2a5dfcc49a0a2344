/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VDUSE's kernel side says (<linux/vduse.h>), checked: the kernel's, or somebody's who speaks
 * the same over a socket and is not to be trusted.
 */
#ifndef SL_WIRE_VDUSE_H
#define SL_WIRE_VDUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vduse.h>

#define VDUSE_REQUEST_LEN sizeof(struct vduse_dev_request)

/**
 * sl_vduse_request() - make sense of a control request
 * @bytes:  as it was read
 * @len:    how many
 * @queues: that the device has
 * @out:    a copy, whose values are in range
 *
 * Return: 0; -EPROTO for one that cannot be, with a reason: its id is in @out when @len is right.
 */
int sl_vduse_request(const void *bytes, size_t len, uint32_t queues, struct vduse_dev_request *out);

/** sl_vduse_response() - to @request, all zero but for its id, its queue and @result */
void sl_vduse_response(const struct vduse_dev_request *request, uint32_t result,
		       struct vduse_dev_response *out);

/**
 * sl_vduse_entry() - can this be an entry of the IOTLB?
 * @entry: as VDUSE_IOTLB_GET_FD filled it in
 * @from:  what came before ends below it
 *
 * Return: 0; -EPROTO with a reason: empty, out of order, larger than memory can be, no access.
 */
int sl_vduse_entry(const struct vduse_iotlb_entry *entry, uint64_t from);

/**
 * sl_vduse_vq_info() - can this be a queue that is ready?
 * @info:     as VDUSE_VQ_GET_INFO filled it in
 * @packed:   of which kind
 * @size_max: entries, as it was set up
 *
 * Return: 0; -EPROTO with a reason.
 */
int sl_vduse_vq_info(const struct vduse_vq_info *info, bool packed, uint32_t size_max);

#endif
