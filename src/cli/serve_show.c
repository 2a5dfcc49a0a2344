/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/print.h"
#include "cli/serve_show.h"

struct rates {
	double seconds, requests, interrupts, bytes;
};

static const char *state_name(const struct sl_offer *offer)
{
	static const char *const names[] = {"fenced", "waiting", "set-up", "running", "ended"};

	return names[sl_offer_get_state(offer)];
}

/* All queues as if they were one; @broken: of the first that is. */
static struct sl_offer_queue_stats sum_of(const struct sl_offer *offer)
{
	struct sl_offer_queue_stats sum = {0}, q;

	for (uint16_t i = 0; !sl_offer_get_stats(offer, i, &q); i++) {
		sum.running |= q.running;
		sum.requests += q.requests;
		sum.kicks += q.kicks;
		sum.interrupts += q.interrupts;
		sum.suppressed += q.suppressed;
		sum.resumed += q.resumed;
		sum.in_flight += q.in_flight;
		sum.broken = sum.broken ? sum.broken : q.broken;
	}
	return sum;
}

static void add_bytes(void *ctx, const char *name, uint64_t value)
{
	size_t len = strlen(name);

	if (len >= 5 && !strcmp(name + len - 5, "bytes"))
		*(uint64_t *)ctx += value;
}

static uint64_t bytes_of(const struct sl_model *model)
{
	uint64_t bytes = 0;

	if (model->ops->stats)
		model->ops->stats(model, add_bytes, &bytes);
	return bytes;
}

static struct rates rates_of(const struct serve_seen *now, const struct serve_seen *before)
{
	struct rates r = {.seconds = (double)(now->at_ns - before->at_ns) / SL_NS_PER_S};

	if (r.seconds <= 0)
		return r;
	r.requests = (double)(now->requests - before->requests) / r.seconds;
	r.interrupts = (double)(now->interrupts - before->interrupts) / r.seconds;
	r.bytes = (double)(now->bytes - before->bytes) / r.seconds;
	return r;
}

/*
 * JSON.
 */

static void add_uint(json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_uint64(value));
}

static json_object *queue_json(const struct sl_offer_queue_stats *q)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "running", json_object_new_boolean(q->running));
	add_uint(o, "size", q->size);
	add_uint(o, "requests", q->requests);
	add_uint(o, "kicks", q->kicks);
	add_uint(o, "interrupts", q->interrupts);
	add_uint(o, "suppressed", q->suppressed);
	add_uint(o, "resumed", q->resumed);
	add_uint(o, "in_flight", q->in_flight);
	json_object_object_add(o, "broken", q->broken ? json_object_new_string(q->broken) : NULL);
	return o;
}

static void add_stat(void *ctx, const char *name, uint64_t value)
{
	add_uint(ctx, name, value);
}

static void print_object(const struct serve_show *show, const struct sl_offer *offer,
			 const struct rates *r, bool final)
{
	json_object *o = json_object_new_object(), *queues = json_object_new_array(),
		    *model = json_object_new_object();
	double time = (double)(sl_now_ns() - show->start.at_ns) / SL_NS_PER_S;
	struct sl_offer_queue_stats q;

	for (uint16_t i = 0; !sl_offer_get_stats(offer, i, &q); i++)
		json_object_array_add(queues, queue_json(&q));
	if (show->model->ops->stats)
		show->model->ops->stats(show->model, add_stat, model);
	json_object_object_add(o, "time", print_decimal(time, 6));
	json_object_object_add(o, "interval", print_decimal(r->seconds, 6));
	json_object_object_add(o, "final", json_object_new_boolean(final));
	json_object_object_add(o, "state", json_object_new_string(state_name(offer)));
	json_object_object_add(o, "requests_per_second", print_decimal(r->requests, 1));
	json_object_object_add(o, "bytes_per_second", print_decimal(r->bytes, 0));
	json_object_object_add(o, "queues", queues);
	json_object_object_add(o, "model", model);
	print_json(o);
}

/*
 * For people.
 */

static void print_line(const struct serve_show *show, const struct sl_offer *offer,
		       const struct sl_offer_queue_stats *sum, const struct rates *r)
{
	char line[256], requests[16], bytes[16], interrupts[16];

	if (sum->running)
		snprintf(line, sizeof(line), "%s req/s  %sB/s  %u in flight  %s interrupts/s%s%s",
			 print_scaled(r->requests, requests, sizeof(requests)),
			 print_scaled(r->bytes, bytes, sizeof(bytes)), sum->in_flight,
			 print_scaled(r->interrupts, interrupts, sizeof(interrupts)),
			 sum->broken ? "  broken: " : "", sum->broken ? sum->broken : "");
	else
		snprintf(line, sizeof(line), "%s%s%s", state_name(offer),
			 sum->broken ? "  broken: " : "", sum->broken ? sum->broken : "");
	print_status(show->terminal, line);
}

static void print_stat(void *ctx, const char *name, uint64_t value)
{
	bool *any = ctx;

	if (value)
		printf("%s%s %llu", *any ? ", " : "  ", name, (unsigned long long)value);
	*any |= value;
}

static void print_total(const struct serve_show *show, const struct sl_offer_queue_stats *sum,
			const struct rates *r)
{
	char requests[16], bytes[16];
	bool any = false;

	printf("%llu requests in %.1f s: %s/s, %sB/s; %llu resumed\n",
	       (unsigned long long)sum->requests, r->seconds,
	       print_scaled(r->requests, requests, sizeof(requests)),
	       print_scaled(r->bytes, bytes, sizeof(bytes)), (unsigned long long)sum->resumed);
	printf("  kicks %llu, interrupts %llu, suppressed %llu\n", (unsigned long long)sum->kicks,
	       (unsigned long long)sum->interrupts, (unsigned long long)sum->suppressed);
	if (show->model->ops->stats)
		show->model->ops->stats(show->model, print_stat, &any);
	if (any)
		printf("\n");
}

static void show_one(struct serve_show *show, const struct sl_offer *offer, bool final)
{
	struct sl_offer_queue_stats sum = sum_of(offer);
	struct serve_seen now = {sum.requests, sum.interrupts, bytes_of(show->model), sl_now_ns()};
	struct rates r = rates_of(&now, final ? &show->start : &show->last);

	if (show->json)
		print_object(show, offer, &r, final);
	else if (!final)
		print_line(show, offer, &sum, &r);
	else if (show->terminal)
		printf("\r\033[K");
	if (final && !show->json)
		print_total(show, &sum, &r);
	show->last = now;
}

void serve_show_start(struct serve_show *show, const struct sl_model *model, bool json)
{
	*show = (struct serve_show){
		.model = model, .json = json, .terminal = !json && isatty(STDOUT_FILENO)};
	show->start.at_ns = show->last.at_ns = sl_now_ns();
}

void serve_show_interval(struct serve_show *show, const struct sl_offer *offer)
{
	show_one(show, offer, false);
}

void serve_show_final(struct serve_show *show, const struct sl_offer *offer)
{
	show_one(show, offer, true);
}
