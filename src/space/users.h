/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is told of a space's mappings, for those who share themselves: a container. */
#ifndef SL_SPACE_USERS_H
#define SL_SPACE_USERS_H

#include <sluice/space_user.h>

/* The user after @last (NULL: the first) that does @ops; NULL when there is none. */
struct sl_space_user *sl_space_next_user(const struct sl_space *space,
					 const struct sl_space_user_ops *ops,
					 const struct sl_space_user *last);

#endif
