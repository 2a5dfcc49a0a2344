/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What uses a space: a device, a container, a peer that is told of every mapping in it.
 */
#ifndef SLUICE_SPACE_USER_H
#define SLUICE_SPACE_USER_H

#include <sluice/space.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct sl_space_user - what is told of every mapping: the head of a device, a container
 * @ops:    what it does; it does not call the space in there, but for sl_space_memlock()
 * @name:   what sentences call it
 * @limits: what it can take, NULL for anything; while it is attached they only shrink, and never
 *          below what is mapped
 */
struct sl_space_user {
	const struct sl_space_user_ops *ops;
	const char *name;
	const struct sl_iova_limits *limits;
};

/**
 * struct sl_space_user_ops - a kind of user
 * @map:   0, or a negative errno and a reason: then nothing has happened
 * @unmap: the device does not reach the memory any more when it returns; cannot fail
 */
struct sl_space_user_ops {
	int (*map)(struct sl_space_user *user, const struct sl_mapping *mapping);
	void (*unmap)(struct sl_space_user *user, const struct sl_mapping *mapping);
};

/**
 * sl_space_attach() - tell a user of all mappings, there already and to come
 * @space: where
 * @user:  stays the caller's, and stays until it is detached or the space released
 *
 * Return: 0; -ERANGE or -EINVAL when its limits exclude a mapping; -EINVAL when they are
 * wrong; -EEXIST when it is attached already; -ENOMEM; or what its map() says, after what
 * it had mapped was unmapped.
 */
int sl_space_attach(struct sl_space *space, struct sl_space_user *user);

/** sl_space_detach() - unmap all from @user, the last first, and forget it; unknown is fine */
void sl_space_detach(struct sl_space *space, struct sl_space_user *user);

/**
 * sl_space_memlock() - for a user that pins memory and was told ENOMEM: is it the limit?
 * @space: what is mapped, and what is just being mapped
 *
 * Return: 0; -ENOMEM when all that is mapped is more than RLIMIT_MEMLOCK, both in the reason.
 */
int sl_space_memlock(const struct sl_space *space);

#ifdef __cplusplus
}
#endif
#endif
