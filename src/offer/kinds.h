/* SPDX-License-Identifier: BSD-2-Clause */
/* Every model and every transport. The tables are in model.c and offer.c. */
#ifndef SL_OFFER_KINDS_H
#define SL_OFFER_KINDS_H

#include "offer/offer.h"

extern const struct sl_model_ops sl_model_blk;

extern const struct transport_ops sl_transport_uduse;
extern const struct transport_ops sl_transport_vduse;
extern const struct transport_ops sl_transport_vhost_user;

#define SOCK_PATH_MAX	107 /* struct sockaddr_un */
#define VDUSE_STATE_DIR "/run/sluice"
#define VDUSE_NAME_MOST 64 /* of a name; the kernel allows 255 */

/* Parameters of transports, for a port that is one has some of its own beside them. */
/* clang-format off */
#define SL_VHOST_USER_PARAMS                                                                       \
	{"path", SL_PARAM_FILE, SL_PARAM_IDENTITY, 1, SOCK_PATH_MAX, "SOCK", "the UNIX socket"},   \
	{"fd", SL_PARAM_UINT, 0, 0, 1048576, "N",                                                  \
	 "an open UNIX socket in its place: one that listens, or is connected"},                   \
	{"mode", SL_PARAM_WORD, 0, 0, 0, "listen|connect",                                         \
	 "wait for a front end there, or connect to one again and again (listen)"},                \
	{"packed", SL_PARAM_BOOL, 0, 0, 1, "on|off", "offer packed virtqueues (on)"}

#define SL_VDUSE_PARAMS                                                                            \
	{"name", SL_PARAM_STRING, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY, 1, VDUSE_NAME_MOST,       \
	 "NAME", "the device: /dev/vduse/NAME, and what vdpa(8) calls it"},                        \
	{"attach", SL_PARAM_BOOL, 0, 0, 0, "on|off",                                               \
	 "attach it to the kernel's vDPA bus; off: vdpa dev add does it (off)"},                   \
	{"umem", SL_PARAM_BOOL, 0, 0, 0, "on|off",                                                 \
	 "memory of our own for the driver's buffers; takes locked memory (off)"},                 \
	{"packed", SL_PARAM_BOOL, 0, 0, 0, "on|off", "offer packed virtqueues (off)"},             \
	{"state", SL_PARAM_FILE, 0, 1, 4095, "DIR",                                                \
	 "folder of the in-flight log, which a killed process leaves behind (" VDUSE_STATE_DIR ")"}

#define SL_UDUSE_PARAMS                                                                            \
	{"path", SL_PARAM_FILE, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY, 1, SOCK_PATH_MAX, "SOCK",   \
	 "where its driver's process listens; the device is called as this file is"},              \
	{"packed", SL_PARAM_BOOL, 0, 0, 0, "on|off",                                               \
	 "offer packed virtqueues (a NIC: off, else on)"},                                         \
	{"state", SL_PARAM_FILE, 0, 1, 4095, "DIR",                                                \
	 "folder of the in-flight log, which a killed process leaves behind (the socket's)"}
/* clang-format on */

#endif
