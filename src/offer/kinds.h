/* SPDX-License-Identifier: BSD-2-Clause */
/* Every model and every transport. The tables are in model.c and offer.c. */
#ifndef SL_OFFER_KINDS_H
#define SL_OFFER_KINDS_H

#include "offer/offer.h"

extern const struct sl_model_ops sl_model_blk;

extern const struct transport_ops sl_transport_vduse;
extern const struct transport_ops sl_transport_vhost_user;

#endif
