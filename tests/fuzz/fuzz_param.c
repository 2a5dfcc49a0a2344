/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as the parameters of a table with every type, and its two halves, cut at the
 * first line end or in the middle, as the specs of two ports.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <sluice/param.h>
#include <sluice/port.h>
#include <sluice/reason.h>

#include "fuzz.h"

static const struct sl_param table[] = {
	{"name", SL_PARAM_STRING, SL_PARAM_IDENTITY, 1, 15, "IF", "a name"},
	{"size", SL_PARAM_UINT, SL_PARAM_MANY, 10, 2000, "N", "a size"},
	{"big", SL_PARAM_UINT, SL_PARAM_IDENTITY, 0, UINT64_MAX, "N", "any number"},
	{"offload", SL_PARAM_BOOL, 0, 0, 1, "on|off", "a switch"},
	{"rate", SL_PARAM_RATE, 0, 5, 1000000000, "PPS|max", "a rate"},
	{"mac", SL_PARAM_MAC, SL_PARAM_IDENTITY, 0, 0, "MAC", "an address"},
	{"addr", SL_PARAM_CIDR, SL_PARAM_MANY, 0, 0, "CIDR", "addresses"},
	{"file", SL_PARAM_FILE, 0, 1, 4095, "FILE", "a path"},
	{"kind", SL_PARAM_WORD, 0, 0, 0, "red|green", "one of two"},
	{"mem", SL_PARAM_SIZE, 0, 512, 1ull << 50, "SIZE", "how much"},
	{"null", SL_PARAM_FLAG, 0, 0, 0, "", "given or not"},
	{NULL},
};

/* In memory of exactly its size; ends at the first zero byte. */
static char *text_of(const uint8_t *data, size_t size)
{
	size_t len = strnlen((const char *)data, size);
	char *text = malloc(len + 1);

	if (!text)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

static void check_values(const struct sl_args *args)
{
	uint64_t rate = sl_args_uint(args, "rate", 5), size = sl_args_uint(args, "size", 10);
	uint64_t mem = sl_args_uint(args, "mem", 512);
	uint8_t mac[6] = {2};

	must(size >= 10 && size <= 2000);
	must(mem >= 512 && mem <= 1ull << 50);
	must(!rate || (rate >= 5 && rate <= 1000000000));
	sl_args_mac(args, "mac", mac);
	must(!(mac[0] & 1));
	if (sl_args_bool(args, "offload", false))
		must(!strcmp(sl_args_text(args, "offload", 0), "on"));
}

static void check_args(const struct sl_args *args)
{
	bool identity = false;

	check_values(args);
	for (const struct sl_param *p = table; p->name; p++) {
		unsigned count = sl_args_count(args, p->name);

		must(count <= 1 || p->flags & SL_PARAM_MANY);
		must(!sl_args_text(args, p->name, count));
		identity |= count && p->flags & SL_PARAM_IDENTITY;
		for (unsigned n = 0; n < count; n++)
			must(*sl_args_text(args, p->name, n));
		if (count && (p->type == SL_PARAM_STRING || p->type == SL_PARAM_FILE))
			must(strlen(sl_args_text(args, p->name, 0)) <= p->max);
	}
	must(sl_args_same(args, args) == identity);
}

static void parse(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);
	struct sl_args *args = NULL;
	int ret = sl_args_parse("fuzz", text, table, &args);

	must(ret == 0 || ret == -EINVAL);
	if (ret)
		must(!strncmp(sl_reason(), "fuzz: ", 6) && sl_reason()[6]);
	else
		check_args(args);
	if (!ret)
		sl_args_release(args);
	free(text);
}

static void compare(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	size_t half = line ? (size_t)(line - data) : size / 2, skip = line ? 1 : 0;
	char *a = text_of(data, half), *b = text_of(data + half + skip, size - half - skip);
	int ret = sl_port_same(a, b);

	must(ret == 0 || ret == 1 || ret == -EINVAL);
	must(ret >= 0 || *sl_reason());
	must(sl_port_same(b, a) == ret);
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	parse(data, size);
	compare(data, size);
	return 0;
}
