/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offer: a virtio device that this process is, for a virtual machine (vhost-user) or for the
 * host's own kernel (VDUSE). A model says what it does, a transport how it is reached.
 * docs/offer.md.
 */
#ifndef SLUICE_OFFER_H
#define SLUICE_OFFER_H

#include <sluice/log.h>
#include <sluice/model.h>
#include <sluice/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct sl_offer_config - what is offered, how, and who does the work
 * @model:  the offer's once sl_offer_create() returned 0
 * @via:    "vhost-user:path=/run/disk.sock", "vduse:name=disk0,attach=on"
 * @worker: who serves it; not owned, must outlive the offer
 * @ended:  called once, by the worker, when the offer has become SL_OFFER_ENDED; optional
 * @ctx:    handed to it
 * @log:    NULL for silence; must outlive the offer
 */
struct sl_offer_config {
	struct sl_model *model;
	const char *via;
	struct sl_worker *worker;
	void (*ended)(void *ctx);
	void *ctx;
	const struct sl_log *log;
};

/**
 * struct sl_offer_queue_stats - what one virtqueue did since the offer was made
 * @running:    it is set up, and not stopped
 * @size:       its entries
 * @requests:   buffers taken
 * @kicks:      notifications by its driver
 * @interrupts: ... and of its driver
 * @suppressed: that were not needed: the driver did not want them
 * @resumed:    requests of a process before that were done again
 * @in_flight:  taken and not given back
 * @broken:     what the driver did wrong, NULL while it keeps to the rules
 */
struct sl_offer_queue_stats {
	bool running;
	uint16_t size;
	uint64_t requests, kicks, interrupts, suppressed, resumed;
	uint32_t in_flight;
	const char *broken;
};

/** enum sl_offer_state - as far as it has come */
enum sl_offer_state {
	SL_OFFER_FENCED,  /* waits for what a killed process has left behind */
	SL_OFFER_WAITING, /* nobody drives it */
	SL_OFFER_SET_UP,  /* somebody sets it up */
	SL_OFFER_RUNNING, /* it serves requests */
	SL_OFFER_ENDED,	  /* it was taken away for good; the reason was logged */
};

/** struct sl_transport_kind - a way to offer a device, for help and completion */
struct sl_transport_kind {
	const char *kind, *help;
	const struct sl_param *params;
};

/** sl_offer_kinds() - all ways there are; ends with NULL */
const struct sl_transport_kind *const *sl_offer_kinds(void);

/** sl_model_kinds() - all models that come with the library; ends with NULL */
const struct sl_model_ops *const *sl_model_kinds(void);

/**
 * sl_model_open() - make a model from text
 * @spec: "blk,file=disk.img,queues=2"
 * @log:  NULL for silence; must outlive the model
 * @out:  the model, owned by the caller; m->ops->close() frees it
 *
 * Return: 0; -EINVAL when the text is wrong; or what its open() says.
 */
int sl_model_open(const char *spec, const struct sl_log *log, struct sl_model **out);

/**
 * sl_offer_create() - offer a model
 * @config: copied; see there
 * @out:    the offer, owned by the caller
 *
 * The worker must not be running yet, or must be run by the calling thread. Drivers may come and go
 * from then on.
 *
 * Return: 0; -EINVAL when the way is written wrong; or what opening the transport says, with a
 * reason. On failure the model is still the caller's.
 */
int sl_offer_create(const struct sl_offer_config *config, struct sl_offer **out);

/** sl_offer_changed() - the model's configuration space has changed: tell the driver */
void sl_offer_changed(struct sl_offer *offer);

/** sl_offer_get_state() - how far it has come; any thread */
enum sl_offer_state sl_offer_get_state(const struct sl_offer *offer);

/** sl_offer_get_stats() - of a virtqueue; any thread. Return: 0; -EINVAL when there is none such */
int sl_offer_get_stats(const struct sl_offer *offer, uint16_t queue,
		       struct sl_offer_queue_stats *stats);

/**
 * sl_offer_stop() - take nothing new, finish what was taken, leave the transport in order
 * @offer: nobody runs its worker any more
 *
 * Return: 0; -ETIMEDOUT when requests do not come to an end in ten seconds, or a driver does not
 * let go: what is left is in the in-flight log, as after a kill.
 */
int sl_offer_stop(struct sl_offer *offer);

/** sl_offer_release() - sl_offer_stop() if that was not done; closes the model; NULL is allowed */
void sl_offer_release(struct sl_offer *offer);

#ifdef __cplusplus
}
#endif
#endif
