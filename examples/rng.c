/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of one's own: entropy (virtio 1.2, 5.4), for QEMU's vhost-user-rng-pci and others.
 *
 *	rng vhost-user:path=rng.sock
 *
 * docs/offer.md goes through it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <sluice/guard.h>
#include <sluice/offer.h>
#include <sluice/reason.h>

#define DEVICE_ID 4   /* virtio 1.2, 5 */
#define MOST	  256 /* bytes that getrandom(2) gives at once, whatever happens */

static struct sl_worker *worker;

static void info(const struct sl_model *m, struct sl_model_info *i)
{
	(void)m;
	*i = (struct sl_model_info){
		.device_id = DEVICE_ID, .queues = 1, .queue_size = 64, .pieces = 8};
}

static void get_config(const struct sl_model *m, void *config)
{
	(void)m, (void)config; /* it has none */
}

/* 5.4.6.1: one or more random bytes; it may be less than the whole buffer. */
static void request(struct sl_model *m, struct sl_request *req)
{
	uint32_t len = req->write_len < MOST ? req->write_len : MOST;
	uint8_t bytes[MOST];

	(void)m;
	if (getrandom(bytes, len, 0) != (ssize_t)len || sl_request_write(req, 0, bytes, len))
		len = 0; /* the driver took its memory away */
	sl_request_done(req, len);
}

static void close_model(struct sl_model *m)
{
	(void)m;
}

static const struct sl_model_ops ops = {
	.size = sizeof(ops),
	.kind = "rng",
	.info = info,
	.get_config = get_config,
	.request = request,
	.close = close_model,
};

static void say(void *ctx, enum sl_log_level level, const char *line)
{
	(void)ctx, (void)level;
	fprintf(stderr, "rng: %s\n", line);
}

/* The memory of a driver can go away at any time: see <sluice/guard.h>. */
static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	if (sl_guard_handler(sig, si, ctx))
		return;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_signal(int sig)
{
	(void)sig;
	sl_worker_stop(worker);
}

static int fail(void)
{
	fprintf(stderr, "rng: %s\n", sl_reason());
	return 1;
}

int main(int argc, char **argv)
{
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sl_log log = {say, NULL, SL_LOG_INFO};
	struct sl_model model = {.ops = &ops};
	struct sl_offer *offer;
	int ret;

	if (argc != 2 || sl_worker_create(SL_POLL_OFF, &worker))
		return fprintf(stderr, "usage: rng vhost-user:path=SOCKET\n"), 2;
	if (sl_offer_create(&(struct sl_offer_config){&model, argv[1], worker, NULL, NULL, &log},
			    &offer))
		return fail();
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	ret = sl_worker_run(worker);
	if (ret || sl_offer_stop(offer))
		ret = fail();
	sl_offer_release(offer);
	sl_worker_release(worker);
	return ret;
}
