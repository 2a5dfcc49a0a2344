/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/print.h"
#include "cli/show.h"

struct rates {
	double pps;
	double bps;
};

void show_start(struct show *show, const char *const names[2], bool json)
{
	*show = (struct show){
		.names = {names[0], names[1]},
		.json = json,
		.terminal = !json && isatty(STDOUT_FILENO),
		.start_ns = sl_now_ns(),
	};
	show->last_ns = show->start_ns;
}

static uint64_t drops_of(const struct sl_link_stats *s, unsigned reason)
{
	return s->in.drops[reason] + s->between.drops[reason] + s->out.drops[reason];
}

/* A port may cut and copy by itself what the link need not. */
static uint64_t cut_of(const struct sl_link_stats *s)
{
	return s->in.cut + s->between.cut + s->out.cut;
}

static uint64_t copied_of(const struct sl_link_stats *s)
{
	return s->in.copied + s->between.copied + s->out.copied;
}

static struct rates rates_of(const struct sl_link_stats *now, const struct sl_link_stats *before,
			     double seconds)
{
	if (seconds <= 0)
		return (struct rates){0, 0};
	return (struct rates){
		.pps = (double)(now->out.packets - before->out.packets) / seconds,
		.bps = (double)(now->out.bytes - before->out.bytes) * 8 / seconds,
	};
}

/*
 * JSON.
 */

static json_object *drops_json(const struct sl_link_stats *s)
{
	json_object *drops = json_object_new_object();

	for (unsigned i = 0; i < SL_DROP_COUNT; i++)
		if (drops_of(s, i))
			json_object_object_add(drops, sl_drop_name(i),
					       json_object_new_uint64(drops_of(s, i)));
	return drops;
}

static json_object *direction_json(const struct show *show, unsigned from,
				   const struct sl_link_stats *s, struct rates rates)
{
	json_object *d = json_object_new_object();

	json_object_object_add(d, "from", json_object_new_string(show->names[from]));
	json_object_object_add(d, "to", json_object_new_string(show->names[!from]));
	json_object_object_add(d, "packets", json_object_new_uint64(s->out.packets));
	json_object_object_add(d, "bytes", json_object_new_uint64(s->out.bytes));
	json_object_object_add(d, "pps", print_decimal(rates.pps, 1));
	json_object_object_add(d, "bps", print_decimal(rates.bps, 0));
	json_object_object_add(d, "cut", json_object_new_uint64(cut_of(s)));
	json_object_object_add(d, "copied", json_object_new_uint64(copied_of(s)));
	json_object_object_add(d, "drops", drops_json(s));
	json_object_object_add(d, "gone", json_object_new_boolean(s->gone));
	return d;
}

static void print_object(const struct show *show, const struct sl_link_stats now[2],
			 const struct rates rates[2], double interval, bool final)
{
	json_object *o = json_object_new_object(), *directions = json_object_new_array();
	double time = (double)(sl_now_ns() - show->start_ns) / SL_NS_PER_S;

	for (unsigned from = 0; from < 2; from++)
		if (now[from].exists)
			json_object_array_add(directions,
					      direction_json(show, from, &now[from], rates[from]));
	json_object_object_add(o, "time", print_decimal(time, 6));
	json_object_object_add(o, "interval", print_decimal(interval, 6));
	json_object_object_add(o, "final", json_object_new_boolean(final));
	json_object_object_add(o, "directions", directions);
	print_json(o);
}

/*
 * For people.
 */

static void print_drops(const struct sl_link_stats *s, char *to, size_t size)
{
	size_t used = 0;

	*to = '\0';
	for (unsigned i = 0; i < SL_DROP_COUNT && used < size; i++)
		if (drops_of(s, i))
			used += (size_t)snprintf(to + used, size - used, " %s %llu",
						 sl_drop_name(i),
						 (unsigned long long)drops_of(s, i));
}

static void print_line(const struct show *show, const struct sl_link_stats now[2],
		       const struct rates rates[2])
{
	char line[512], drops[256], bps[16], pps[16];
	size_t used = 0;

	for (unsigned from = 0; from < 2 && used < sizeof(line); from++) {
		if (!now[from].exists)
			continue;
		print_drops(&now[from], drops, sizeof(drops));
		used += (size_t)snprintf(
			line + used, sizeof(line) - used, "%s%s %sbit/s %s pkt/s%s%s%s",
			used ? "   " : "", from ? "<-" : "->",
			print_scaled(rates[from].bps, bps, sizeof(bps)),
			print_scaled(rates[from].pps, pps, sizeof(pps)),
			now[from].gone ? " (gone)" : "", *drops ? " drops:" : "", drops);
	}
	print_status(show->terminal, line);
}

static void print_total(const struct show *show, unsigned from, const struct sl_link_stats *s,
			struct rates rates)
{
	char drops[256], bytes[16], bps[16];

	print_drops(s, drops, sizeof(drops));
	printf("%s -> %s\n  %llu packets, %sbyte, %sbit/s; drops:%s\n", show->names[from],
	       show->names[!from], (unsigned long long)s->out.packets,
	       print_scaled((double)s->out.bytes, bytes, sizeof(bytes)),
	       print_scaled(rates.bps, bps, sizeof(bps)), *drops ? drops : " none");
	if (cut_of(s) || copied_of(s))
		printf("  %llu super-packets cut, %llu packets copied\n",
		       (unsigned long long)cut_of(s), (unsigned long long)copied_of(s));
}

static void show_one(struct show *show, const struct sl_link *link, bool final)
{
	static const struct sl_link_stats zero;
	uint64_t now_ns = sl_now_ns();
	double seconds = (double)(now_ns - (final ? show->start_ns : show->last_ns)) / SL_NS_PER_S;
	struct sl_link_stats now[2];
	struct rates rates[2];

	for (unsigned from = 0; from < 2; from++) {
		sl_link_get_stats(link, from, &now[from]);
		rates[from] = rates_of(&now[from], final ? &zero : &show->last[from], seconds);
	}
	if (show->json)
		print_object(show, now, rates, seconds, final);
	else if (!final)
		print_line(show, now, rates);
	else if (show->terminal)
		printf("\r\033[K");
	for (unsigned from = 0; final && !show->json && from < 2; from++)
		if (now[from].exists)
			print_total(show, from, &now[from], rates[from]);
	memcpy(show->last, now, sizeof(now));
	show->last_ns = now_ns;
}

void show_interval(struct show *show, const struct sl_link *link)
{
	show_one(show, link, false);
}

void show_final(struct show *show, const struct sl_link *link)
{
	show_one(show, link, true);
}
