/* SPDX-License-Identifier: BSD-2-Clause */
/* The back end of a device with requests, over the real offer, neither falls, nor waits, nor keeps
 * a descriptor, whatever its front end does. Input: see front_end.h. */
#include "front_end.h"

#define HELD 64u

static struct sl_worker *worker;
static struct sl_request *held[HELD];
static unsigned n_held, in_flight;
static bool hold;

/*
 * The model.
 */

static void info(const struct sl_model *m, struct sl_model_info *info)
{
	(void)m;
	*info = (struct sl_model_info){
		.device_id = 4, .queues = QUEUES, .queue_size = 64, .pieces = 8, .config_len = 24};
}

static void get_config(const struct sl_model *m, void *config)
{
	(void)m;
	memset(config, 1, 24);
}

static int set_config(struct sl_model *m, uint32_t offset, const void *from, uint32_t len)
{
	static uint8_t config[24];

	(void)m;
	must(offset <= 24 && len <= 24 - offset);
	memcpy(config + offset, from, len);
	return 0;
}

static void finish(struct sl_request *req)
{
	uint8_t bytes[64] = {0};

	must(in_flight--);
	sl_request_read(req, 0, bytes, sl_min(req->read_len, (uint32_t)sizeof(bytes)));
	sl_request_write(req, 0, bytes, sl_min(req->write_len, (uint32_t)sizeof(bytes)));
	sl_request_done(req, req->write_len);
}

static void request(struct sl_model *m, struct sl_request *req)
{
	(void)m;
	in_flight++;
	if (hold && n_held < HELD)
		held[n_held++] = req;
	else
		finish(req);
}

static void give_back(void)
{
	while (n_held)
		finish(held[--n_held]);
}

static void close_model(struct sl_model *m)
{
	(void)m;
	must(!n_held && !in_flight);
}

static const struct sl_model_ops model_ops = {.size = sizeof(model_ops),
					      .kind = "fuzz",
					      .info = info,
					      .get_config = get_config,
					      .set_config = set_config,
					      .request = request,
					      .close = close_model};

static void steps(struct front *f)
{
	(void)f;
	for (unsigned n = 0; n < STEPS_MAX; n++)
		if (!sl_worker_step(worker))
			break;
}

static void operate_device(uint8_t how)
{
	hold = how & 16;
	give_back();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct front f = {.data = data, .len = size, .protocol = 0x1b229};
	struct sl_model model = {.ops = &model_ops};
	struct sl_offer_config config = {.model = &model};
	unsigned had = descriptors();
	char via[32];

	hold = false;
	open_front(&f, via);
	must(!sl_worker_create(SL_POLL_OFF, &worker));
	config.via = via;
	config.worker = worker;
	must(!sl_offer_create(&config, &f.offer));
	run_front(&f);
	hold = false;
	give_back();
	sl_fd_close(&f.sock);
	must(!sl_offer_stop(f.offer));
	sl_offer_release(f.offer);
	sl_worker_release(worker);
	close_front(&f);
	must(descriptors() == had);
	return 0;
}
