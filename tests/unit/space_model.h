/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A space against a model that is an array with a cell for every byte of three small windows: at
 * 0, around 2^32 and up to 2^64 - 1. Nothing can be mapped elsewhere; whatever else is asked for is
 * hostile. All sums are made with 128 bits. Driven by bytes: from a fuzzer, or random ones.
 */
#ifndef SL_TESTS_SPACE_MODEL_H
#define SL_TESTS_SPACE_MODEL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/reason.h>
#include <sluice/space_user.h>

#include "base/bytes.h"

#define WINDOW	192u
#define WINDOWS 3u
#define CELLS	(WINDOW * WINDOWS)
#define USERS	3u

typedef unsigned __int128 wide;

static const struct sl_iova_range windows[WINDOWS] = {
	{{0}, {WINDOW - 1}},
	{{(UINT64_C(1) << 32) - WINDOW / 2}, {(UINT64_C(1) << 32) + WINDOW / 2 - 1}},
	{{UINT64_MAX - WINDOW + 1}, {UINT64_MAX}},
};

struct cell {
	uint16_t id; /* of the region that is mapped there, 0 for none */
	uint32_t access;
	uint8_t *at;
};

struct model_user {
	struct sl_space_user user;
	bool attached;
	unsigned refuse_in; /* map() fails when this has counted down to 0 */
	uint16_t ids[CELLS];
};

static struct {
	struct sl_space *space;
	struct sl_iova_limits limits;
	struct cell cells[CELLS];
	struct model_user users[USERS];
	unsigned attached[USERS], n_attached; /* in order */
	uint16_t last_id;
	const uint8_t *in;
	size_t left;
	uint64_t calls, mapped, looked_up, placed, refused; /* that something happened at all */
} model;

#define MODEL_MUST(what)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: broken: %s; last reason: %s\n", __FILE__,          \
				__LINE__, #what, sl_reason());                                     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint8_t take_byte(void)
{
	if (!model.left)
		return 0;
	model.left--;
	return *model.in++;
}

static uint64_t take_word(void)
{
	uint64_t word = 0;

	for (unsigned n = 0; n < 8; n++)
		word = word << 8 | take_byte();
	return word;
}

/* -1: outside the windows. */
static int cell_of(wide iova)
{
	for (unsigned w = 0; w < WINDOWS; w++)
		if (iova >= windows[w].first.value && iova <= windows[w].last.value)
			return (int)(w * WINDOW + (unsigned)(iova - windows[w].first.value));
	return -1;
}

static uint64_t iova_of(unsigned cell)
{
	return windows[cell / WINDOW].first.value + cell % WINDOW;
}

static uint16_t id_at(wide iova)
{
	int n = cell_of(iova);

	return n < 0 ? 0 : model.cells[n].id;
}

static sl_iova take_iova(void)
{
	static const uint64_t edges[] = {0,
					 1,
					 UINT64_MAX,
					 UINT64_MAX - 1,
					 UINT64_MAX - WINDOW,
					 WINDOW,
					 UINT64_C(1) << 63,
					 UINT64_C(1) << 32};
	unsigned how = take_byte();

	if (how < 200)
		return (sl_iova){iova_of(how % WINDOWS * WINDOW + take_byte() % WINDOW)};
	if (how < 215)
		return (sl_iova){iova_of(how % WINDOWS * WINDOW + take_byte() % 12 * 16)};
	return (sl_iova){how < 250 ? edges[how % sl_array_len(edges)] : take_word()};
}

/* Mostly short; else absurd, or such that a sum with @iova is just at, or past, the end. */
static uint64_t take_len(sl_iova iova)
{
	unsigned how = take_byte();

	if (how < 120)
		return how % 40;
	if (how < 200)
		return how % 8 * 16;
	if (how < 210)
		return take_byte();
	if (how < 230)
		return -iova.value + how % 5 - 2;
	return how < 240 ? take_word() : UINT64_MAX >> how % 16 << how % 3;
}

/*
 * The users: each keeps its own idea of what is mapped.
 */

static void set_ids(struct model_user *user, const struct sl_mapping *m, uint16_t from, uint16_t to)
{
	MODEL_MUST(m->at.last.value - m->at.first.value == m->region.len - 1);
	for (wide a = m->at.first.value; a <= m->at.last.value; a++) {
		int n = cell_of(a);

		MODEL_MUST(n >= 0 && user->ids[n] == from);
		user->ids[n] = to;
	}
}

static int model_map(struct sl_space_user *u, const struct sl_mapping *m)
{
	struct model_user *user = sl_container_of(u, struct model_user, user);

	if (user->refuse_in && !--user->refuse_in) {
		model.refused++;
		return -EIO;
	}
	set_ids(user, m, 0, m->region.id);
	return 0;
}

static void model_unmap(struct sl_space_user *u, const struct sl_mapping *m)
{
	set_ids(sl_container_of(u, struct model_user, user), m, m->region.id, 0);
}

/*
 * What each call must say.
 */

static int allowed_by(const struct sl_iova_limits *l, wide first, wide end,
		      const struct sl_region *r)
{
	bool inside = !l;

	for (unsigned n = 0; l && n < l->n_ranges; n++)
		inside |= first >= l->ranges[n].first.value &&
			  end <= (wide)l->ranges[n].last.value + 1;
	if (!inside)
		return -ERANGE;
	if (l && l->page > 1 &&
	    ((uint64_t)first % l->page || r->len % l->page || (uintptr_t)r->base % l->page))
		return -EINVAL;
	return 0;
}

static int allowed(wide first, wide end, const struct sl_region *r)
{
	int err = allowed_by(&model.limits, first, end, r);

	for (unsigned n = 0; n < model.n_attached && !err; n++)
		err = allowed_by(model.users[model.attached[n]].user.limits, first, end, r);
	return err;
}

static int region_error(const struct sl_region *r)
{
	if (!r->len || !r->base || (wide)(uintptr_t)r->base + r->len > (wide)1 << 64)
		return -EINVAL;
	return r->access >= 1 && r->access <= 3 ? 0 : -EINVAL;
}

static bool will_refuse(void)
{
	for (unsigned n = 0; n < model.n_attached; n++)
		if (model.users[model.attached[n]].refuse_in == 1)
			return true;
	return false;
}

/* Without its users' refusals. */
static int map_error(sl_iova iova, const struct sl_region *r)
{
	wide first = iova.value, end = first + r->len;
	int err = region_error(r);

	if (!err && end > (wide)1 << 64)
		err = -ERANGE;
	if (!err)
		err = allowed(first, end, r);
	for (wide a = first; !err && a < end; a++)
		err = id_at(a) ? -EEXIST : 0;
	return err;
}

static void set_cells(wide first, const struct sl_region *r)
{
	for (size_t n = 0; n < r->len; n++)
		model.cells[cell_of(first + n)] =
			(struct cell){r->id, r->access, (uint8_t *)r->base + n};
	model.mapped++;
}

static struct sl_region take_region(uint64_t len)
{
	unsigned how = take_byte();
	uintptr_t base = 0x100000 + (uintptr_t)++model.last_id * 0x1000;

	if (!model.last_id)
		model.last_id = 1;
	if (how >= 240)
		base += how % 16;
	else if (how >= 236)
		base = how == 236 ? 0 : UINTPTR_MAX - how % 4;
	return (struct sl_region){.base = (void *)base,
				  .len = len,
				  .fd = -1,
				  .id = model.last_id,
				  .access = how % 30 ? how % 4 ? 3 : how % 3 + 1 : how / 30};
}

static void do_map_at(void)
{
	sl_iova iova = take_iova();
	struct sl_region r = take_region(take_len(iova));
	int want = map_error(iova, &r), got;

	if (!want && will_refuse())
		want = -EIO;
	got = sl_space_map_at(model.space, iova, &r);
	MODEL_MUST(got == want);
	if (!got)
		set_cells(iova.value, &r);
}

/* The lowest place by trying all of them; -ENOSPC. */
static int place_error(const struct sl_region *r, uint64_t align, sl_iova *out)
{
	uint64_t page = sl_max(model.limits.page, align);
	struct sl_region aligned = {.base = (void *)4096, .len = 4096};

	for (unsigned n = 0; n < model.n_attached; n++) {
		const struct sl_iova_limits *l = model.users[model.attached[n]].user.limits;

		page = sl_max(page, l ? l->page : 0);
	}
	for (unsigned n = 0; n < CELLS; n++) {
		wide first = iova_of(n), a = first;

		if ((page > 1 && iova_of(n) % page) || allowed(first, first + r->len, &aligned))
			continue;
		while (a < first + r->len && !id_at(a))
			a++;
		out->value = (uint64_t)first;
		if (a == first + r->len)
			return 0;
	}
	return -ENOSPC;
}

static void do_map(void)
{
	static const uint64_t aligns[] = {
		0, 0, 1, 2, 8, 32, 128, 3, UINT64_C(1) << 32, UINT64_C(1) << 63};
	uint64_t align = aligns[take_byte() % sl_array_len(aligns)];
	struct sl_region r = take_region(take_len((sl_iova){take_byte()}));
	sl_iova at = {~UINT64_C(0) / 3}, place = {0};
	int want = region_error(&r), got;

	if (!want && (align & (align - 1)))
		want = -EINVAL;
	if (!want)
		want = place_error(&r, align, &place);
	if (!want)
		want = map_error(place, &r);
	if (!want && will_refuse())
		want = -EIO;
	got = sl_space_map(model.space, &r, align, &at);
	MODEL_MUST(got == want);
	MODEL_MUST(at.value == (got ? ~UINT64_C(0) / 3 : place.value));
	if (got)
		return;
	set_cells(at.value, &r);
	model.placed++;
}

/* How many mappings lie in a range; -EINVAL when one is cut. */
static int covered(wide first, wide last)
{
	int count = 0;

	for (unsigned n = 0; n < CELLS; n++) {
		wide a = iova_of(n);
		bool begins = id_at(a) && (!n || model.cells[n - 1].id != id_at(a));

		if (!id_at(a) || a < first || a > last)
			continue;
		if ((a == first && !begins) ||
		    (a == last && n + 1 < CELLS && a < ~UINT64_C(0) && id_at(a + 1) == id_at(a)))
			return -EINVAL;
		count += begins;
	}
	return count;
}

static void unmap(struct sl_iova_range range)
{
	int want = covered(range.first.value, range.last.value);

	MODEL_MUST(sl_space_unmap(model.space, range) == want);
	for (unsigned n = 0; n < CELLS && want > 0; n++)
		if (iova_of(n) >= range.first.value && iova_of(n) <= range.last.value)
			model.cells[n] = (struct cell){0};
}

static void do_unmap(void)
{
	struct sl_iova_range range;
	sl_iova iova = take_iova();

	if (!sl_iova_span(iova, take_len(iova), &range))
		unmap(range);
}

/* A mapping as it is. */
static void do_unmap_one(void)
{
	unsigned first = take_byte() * 3 % CELLS, last;

	while (first < CELLS && !model.cells[first].id)
		first++;
	while (first && first < CELLS && model.cells[first - 1].id == model.cells[first].id)
		first--;
	if (first == CELLS)
		return;
	for (last = first; last + 1 < CELLS; last++)
		if (model.cells[last + 1].id != model.cells[first].id)
			break;
	unmap((struct sl_iova_range){{iova_of(first)}, {iova_of(last)}});
}

static int look_up(sl_iova iova, uint64_t len, uint32_t access, struct iovec *pieces, unsigned max)
{
	unsigned count = 0;

	if (!len)
		return -EINVAL;
	if ((wide)iova.value + len > (wide)1 << 64)
		return -ERANGE;
	for (wide a = iova.value, end = a + len; a < end; a++) {
		const struct cell *c = &model.cells[cell_of(a) < 0 ? 0 : cell_of(a)];

		if (!id_at(a))
			return -EFAULT;
		if (access & ~c->access)
			return -EACCES;
		if (a == iova.value || id_at(a - 1) != c->id) {
			if (count == max)
				return -EMSGSIZE;
			pieces[count++] = (struct iovec){c->at, 0};
		}
		pieces[count - 1].iov_len++;
	}
	return (int)count;
}

/* The first byte from somewhere on that is mapped, if one is. */
static sl_iova take_mapped(void)
{
	unsigned n = take_byte() * 3 % CELLS;

	while (n + 1 < CELLS && !model.cells[n].id)
		n++;
	return (sl_iova){iova_of(n)};
}

static void do_lookup(void)
{
	struct iovec want[8], got[8];
	sl_iova iova = take_byte() % 4 ? take_mapped() : take_iova();
	uint64_t len = take_len(iova);
	unsigned how = take_byte(), max = how % 8;
	uint32_t access = how / 8 % 8 > 3 ? SL_REGION_READ : how / 8 % 8;
	int count;

	if (how == 255)
		access = 4; /* no such right */
	count = look_up(iova, len, access, want, max);
	memset(got, 0x55, sizeof(got));
	MODEL_MUST(sl_space_lookup(model.space, iova, len, access, got, max) == count);
	for (int n = 0; n < count; n++)
		MODEL_MUST(got[n].iov_base == want[n].iov_base &&
			   got[n].iov_len == want[n].iov_len);
	for (unsigned n = max; n < 8; n++)
		MODEL_MUST(got[n].iov_len == 0x5555555555555555); /* never past its room */
	model.looked_up += count > 0;
}

static int attach_error(const struct model_user *user)
{
	size_t count;
	const struct sl_mapping *m = sl_space_mappings(model.space, &count);
	int err = user->attached ? -EEXIST : 0;

	for (size_t n = 0; n < count && !err; n++)
		err = allowed_by(user->user.limits, m[n].at.first.value,
				 (wide)m[n].at.last.value + 1, &m[n].region);
	return !err && user->refuse_in && user->refuse_in <= count ? -EIO : err;
}

static void do_attach(void)
{
	struct model_user *user = &model.users[take_byte() % USERS];
	int want = attach_error(user);

	MODEL_MUST(sl_space_attach(model.space, &user->user) == want);
	if (want)
		return;
	user->attached = true;
	model.attached[model.n_attached++] = (unsigned)(user - model.users);
}

static void do_detach(void)
{
	struct model_user *user = &model.users[take_byte() % USERS];
	unsigned kept = 0;

	sl_space_detach(model.space, &user->user);
	user->attached = false;
	for (unsigned n = 0; n < model.n_attached; n++)
		if (&model.users[model.attached[n]] != user)
			model.attached[kept++] = model.attached[n];
	model.n_attached = kept;
}

static void do_refuse(void)
{
	struct model_user *user = &model.users[take_byte() % USERS];

	user->refuse_in = take_byte() % 5;
}

/* The array is in order and says what the cells say; each user has what it should have. */
static void check_all(void)
{
	size_t count, bytes = 0;
	const struct sl_mapping *m = sl_space_mappings(model.space, &count);
	uint16_t ids[CELLS];
	static const uint16_t nothing[CELLS];

	for (size_t n = 0; n < count; n++) {
		MODEL_MUST(!n || sl_iova_cmp(m[n - 1].at.last, m[n].at.first) < 0);
		MODEL_MUST(id_at(m[n].at.first.value) == m[n].region.id);
		MODEL_MUST(id_at(m[n].at.last.value) == m[n].region.id);
		bytes += m[n].region.len;
	}
	for (unsigned n = 0; n < CELLS; n++) {
		ids[n] = model.cells[n].id;
		bytes -= ids[n] != 0;
	}
	MODEL_MUST(!bytes);
	for (unsigned n = 0; n < USERS; n++)
		MODEL_MUST(!memcmp(model.users[n].ids, model.users[n].attached ? ids : nothing,
				   sizeof(ids)));
}

static void model_start(void)
{
	static const struct sl_space_user_ops ops = {model_map, model_unmap};
	static const struct sl_iova_range some[] = {{{16}, {WINDOW - 1}},
						    {{UINT64_C(1) << 32}, {UINT64_MAX - 16}}};
	static const struct sl_iova_range few[] = {{{32}, {63}}, {{80}, {UINT64_MAX}}};
	static const struct sl_iova_limits kinds[] = {{some, 2, 0}, {some, 2, 8}, {few, 2, 4}};
	unsigned how = take_byte();

	memset(&model.cells, 0, sizeof(model.cells));
	model.limits = (struct sl_iova_limits){windows, WINDOWS, how % 3 * 4};
	model.n_attached = 0;
	for (unsigned n = 0; n < USERS; n++) {
		unsigned kind = how >> (2 + 2 * n) & 3;

		model.users[n] = (struct model_user){
			.user = {&ops, "a user", kind < 3 ? &kinds[kind] : NULL}};
	}
	MODEL_MUST(!sl_space_create(&model.limits, &model.space));
}

/* One life of a space. */
static void model_run(const uint8_t *in, size_t len)
{
	static void (*const calls[])(void) = {do_map_at,    do_map_at, do_map_at, do_map_at,
					      do_map,	    do_map,    do_map,	  do_unmap,
					      do_unmap_one, do_lookup, do_lookup, do_lookup,
					      do_lookup,    do_attach, do_detach, do_refuse};

	model.in = in;
	model.left = len;
	model_start();
	while (model.left) {
		calls[take_byte() % sl_array_len(calls)]();
		model.calls++;
		check_all();
	}
	sl_space_release(model.space);
	memset(model.cells, 0, sizeof(model.cells));
	for (unsigned n = 0; n < USERS; n++)
		for (unsigned c = 0; c < CELLS; c++)
			MODEL_MUST(!model.users[n].ids[c]);
}

#endif
