/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <sluice/param.h>

#include "base/bytes.h"
#include "base/reason.h"

#define VALUES_MAX 32	   /* key=value pairs in one spec */
#define TEXT_MAX   4096	   /* bytes in one spec */
#define TEXT	   "%.64s" /* a value in a message: what is allowed comes behind it */

struct value {
	const struct sl_param *param;
	char *text;
	uint64_t number; /* UINT, SIZE, BOOL, FLAG, RATE, MAC */
};

struct sl_args {
	const struct sl_param *params;
	unsigned count;
	struct value values[VALUES_MAX];
	char text[]; /* the values, unescaped */
};

/*
 * The nearest word: Levenshtein distance, with two neighbours swapped as one change.
 */

#define WORD_MAX 32

static unsigned distance(const char *a, const char *b)
{
	size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (unsigned j = 0; j <= lb; j++)
		d[0][j] = j;
	for (unsigned i = 1; i <= la; i++) {
		d[i][0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			d[i][j] = sl_min(change, sl_min(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = sl_min(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

const char *sl_param_nearest(const char *word, const char *const *words)
{
	const char *nearest = NULL;
	size_t len = strnlen(word, WORD_MAX);
	unsigned best = len < 3 ? 2 : (unsigned)len / 3 + 2; /* as far away is another word */

	for (; *words; words++) {
		unsigned d = len && !strncasecmp(word, *words, len) ? 1 : distance(word, *words);

		if (d < best) {
			best = d;
			nearest = *words;
		}
	}
	return nearest;
}

/*
 * One value, by its type. Each says what it wants.
 */

static bool parse_decimal(const char *text, const char **rest, uint64_t *out)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return false;
	*rest = p;
	*out = n;
	return p != text;
}

static int parse_uint(const char *kind, struct value *v)
{
	const struct sl_param *p = v->param;
	const char *rest;

	if (!parse_decimal(v->text, &rest, &v->number) || *rest)
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is not a whole number from %" PRIu64 " to %" PRIu64,
			       kind, p->name, v->text, p->min, p->max);
	if (v->number < p->min || v->number > p->max)
		return sl_fail(EINVAL, "%s: %s=" TEXT " is out of range: %" PRIu64 " to %" PRIu64,
			       kind, p->name, v->text, p->min, p->max);
	return 0;
}

static int parse_bool(const char *kind, struct value *v)
{
	v->number = !strcmp(v->text, "on");
	if (v->number || !strcmp(v->text, "off"))
		return 0;
	return sl_fail(EINVAL, "%s: %s=" TEXT " is neither on nor off", kind, v->param->name,
		       v->text);
}

/* What is allowed, and what is shown in help, is one text: "server|client". */
static int parse_word(const char *kind, struct value *v)
{
	const char *word = v->param->value;
	size_t len = strlen(v->text);

	for (v->number = 0; *word; v->number++) {
		size_t word_len = strcspn(word, "|");

		if (word_len == len && !strncmp(word, v->text, len))
			return 0;
		word += word_len + (word[word_len] == '|');
	}
	return sl_fail(EINVAL, "%s: %s=" TEXT " is not one of %s", kind, v->param->name, v->text,
		       v->param->value);
}

struct unit {
	const char *suffix;
	uint64_t times;
};

/* A number with one of @units behind it, which end with a NULL suffix. */
static bool parse_units(const char *text, const struct unit *units, uint64_t *out)
{
	const char *rest;

	if (!parse_decimal(text, &rest, out))
		return false;
	while (units->suffix && strcmp(units->suffix, rest))
		units++;
	return units->suffix && !__builtin_mul_overflow(*out, units->times, out);
}

static int parse_rate(const char *kind, struct value *v)
{
	static const struct unit units[] = {
		{"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL}};
	const struct sl_param *p = v->param;

	if (!strcmp(v->text, "max"))
		return 0;
	if (!parse_units(v->text, units, &v->number))
		return sl_fail(EINVAL, "%s: %s=" TEXT " is not a rate such as 5000, 10k, 1M or max",
			       kind, p->name, v->text);
	if (v->number < p->min || v->number > p->max)
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is out of range: %" PRIu64 " to %" PRIu64
			       ", or max",
			       kind, p->name, v->text, p->min, p->max);
	return 0;
}

static int parse_size(const char *kind, struct value *v)
{
	static const struct unit units[] = {{"", 1},	       {"K", 1ull << 10}, {"M", 1ull << 20},
					    {"G", 1ull << 30}, {"T", 1ull << 40}, {NULL}};
	const struct sl_param *p = v->param;

	if (!parse_units(v->text, units, &v->number))
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is not a size such as 4096, 512K, 64M, 1G or 1T",
			       kind, p->name, v->text);
	if (v->number < p->min || v->number > p->max)
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is out of range: %" PRIu64 " to %" PRIu64 " bytes",
			       kind, p->name, v->text, p->min, p->max);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_mac(const char *kind, struct value *v)
{
	const char *p = v->text;
	bool good = strlen(p) == 17;

	for (unsigned i = 0; good && i < 6; i++, p += 3) {
		int high = hex_digit(p[0]), low = hex_digit(p[1]);

		good = high >= 0 && low >= 0 && (p[2] == ':' || (i == 5 && !p[2]));
		v->number = v->number << 8 | (unsigned)high << 4 | (unsigned)low;
	}
	if (!good)
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is not a MAC address such as 02:00:00:00:00:01",
			       kind, v->param->name, v->text);
	if (v->number >> 40 & 1 || !v->number)
		return sl_fail(EINVAL, "%s: %s=" TEXT " is not a unicast address", kind,
			       v->param->name, v->text);
	return 0;
}

static int parse_cidr(const char *kind, struct value *v)
{
	const char *slash = strchr(v->text, '/');
	char address[INET6_ADDRSTRLEN] = "";
	uint8_t bytes[16];
	uint64_t prefix;
	const char *rest;
	bool v6;

	if (slash && (size_t)(slash - v->text) < sizeof(address))
		memcpy(address, v->text, (size_t)(slash - v->text));
	v6 = strchr(address, ':');
	if (inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes) != 1 ||
	    !parse_decimal(slash + 1, &rest, &prefix) || *rest || prefix > (v6 ? 128 : 32))
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is not an address with a prefix length such as "
			       "10.0.0.1/24 or fd00::1/64",
			       kind, v->param->name, v->text);
	return 0;
}

static int parse_string(const char *kind, struct value *v)
{
	const struct sl_param *p = v->param;
	size_t len = strlen(v->text);

	if (len < p->min)
		return sl_fail(EINVAL, "%s: %s= needs a value: %s=%s", kind, p->name, p->name,
			       p->value);
	if (len > p->max)
		return sl_fail(EINVAL,
			       "%s: %s=" TEXT " is too long: %zu characters, at most %" PRIu64,
			       kind, p->name, v->text, len, p->max);
	return 0;
}

static int parse_value(const char *kind, struct value *v)
{
	if (!*v->text)
		return sl_fail(EINVAL, "%s: %s= needs a value: %s=%s", kind, v->param->name,
			       v->param->name, v->param->value);
	switch (v->param->type) {
	case SL_PARAM_UINT:
		return parse_uint(kind, v);
	case SL_PARAM_SIZE:
		return parse_size(kind, v);
	case SL_PARAM_FLAG:
		v->number = true;
		return 0;
	case SL_PARAM_BOOL:
		return parse_bool(kind, v);
	case SL_PARAM_WORD:
		return parse_word(kind, v);
	case SL_PARAM_RATE:
		return parse_rate(kind, v);
	case SL_PARAM_MAC:
		return parse_mac(kind, v);
	case SL_PARAM_CIDR:
		return parse_cidr(kind, v);
	case SL_PARAM_STRING:
	case SL_PARAM_FILE:
	case SL_PARAM_DEVICE:
		return parse_string(kind, v);
	}
	return sl_fail(EINVAL, "%s: %s has no type", kind, v->param->name);
}

/*
 * The list.
 */

/* Cut the next pair off *rest in place: up to a comma, backslashes taken away. */
static char *next_pair(char **rest)
{
	char *pair = *rest, *to = pair, *from = pair;

	for (; *from && *from != ','; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*rest = *from ? from + 1 : from;
	*to = '\0';
	return pair;
}

static const struct sl_param *find(const struct sl_param *params, const char *name)
{
	for (; params && params->name; params++)
		if (!strcmp(params->name, name))
			return params;
	return NULL;
}

static int fail_unknown(const char *kind, const char *key, const struct sl_param *params)
{
	const char *names[VALUES_MAX + 1] = {NULL};
	char list[256] = "";
	const char *nearest;
	size_t n = 0;

	for (; params && params->name && n < VALUES_MAX; params++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s%s", n ? ", " : "", params->name);
		names[n++] = params->name;
	}
	if (!n)
		return sl_fail(EINVAL, "%s: takes no parameters, \"" TEXT "\" was given", kind,
			       key);
	nearest = sl_param_nearest(key, names);
	if (nearest)
		return sl_fail(EINVAL, "%s: no parameter \"" TEXT "\"; did you mean \"%s\"?", kind,
			       key, nearest);
	return sl_fail(EINVAL, "%s: no parameter \"" TEXT "\"; it takes %s", kind, key, list);
}

static int fail_missing(const char *kind, const struct sl_param *p)
{
	if (p->flags & SL_PARAM_FIRST)
		return sl_fail(EINVAL, "%s: %s is missing: %s:%s", kind, p->name, kind, p->value);
	return sl_fail(EINVAL, "%s: %s is missing: %s:%s=%s", kind, p->name, kind, p->name,
		       p->value);
}

/* Whose value is @text, the first that was given? NULL when it is a key. */
static const struct sl_param *find_first(const struct sl_param *params, const char *text)
{
	if (strchr(text, '=') || find(params, text))
		return NULL;
	while (params && params->name && !(params->flags & SL_PARAM_FIRST))
		params++;
	return params && params->name ? params : NULL;
}

static int add_pair(const char *kind, char *pair, struct sl_args *args)
{
	char *equals = strchr(pair, '=');
	struct value *v = &args->values[args->count];

	v->param = args->count ? NULL : find_first(args->params, pair);
	if (v->param && !*pair)
		return fail_missing(kind, v->param);
	if (v->param) {
		v->text = pair;
		args->count++;
		return parse_value(kind, v);
	}
	if (equals)
		*equals = '\0';
	if (args->count == VALUES_MAX)
		return sl_fail(EINVAL, "%s: more than %d parameters", kind, VALUES_MAX);
	v->param = find(args->params, pair);
	if (!v->param)
		return fail_unknown(kind, pair, args->params);
	if (equals && v->param->type == SL_PARAM_FLAG)
		return sl_fail(EINVAL, "%s: %s takes no value, " TEXT " was given", kind, pair,
			       equals + 1);
	if (!equals && v->param->type != SL_PARAM_FLAG)
		return sl_fail(EINVAL, "%s: %s needs a value: %s=%s", kind, pair, pair,
			       v->param->value);
	if (sl_args_count(args, pair) && !(v->param->flags & SL_PARAM_MANY))
		return sl_fail(EINVAL, "%s: %s is given twice", kind, pair);
	v->text = equals ? equals + 1 : pair;
	args->count++;
	return parse_value(kind, v);
}

static int check_required(const char *kind, const struct sl_args *args)
{
	for (const struct sl_param *p = args->params; p && p->name; p++)
		if (p->flags & SL_PARAM_REQUIRED && !sl_args_count(args, p->name))
			return fail_missing(kind, p);
	return 0;
}

int sl_args_parse(const char *kind, const char *text, const struct sl_param *params,
		  struct sl_args **out)
{
	size_t len = strlen(text);
	struct sl_args *args;
	char *rest;
	int ret = 0;

	if (len > TEXT_MAX)
		return sl_fail(EINVAL, "%s: parameters of %zu bytes, at most %d", kind, len,
			       TEXT_MAX);
	args = calloc(1, sizeof(*args) + len + 1);
	if (!args)
		return sl_fail(ENOMEM, "no memory for parameters");
	args->params = params;
	memcpy(args->text, text, len + 1);
	for (rest = args->text; *rest && !ret;)
		ret = add_pair(kind, next_pair(&rest), args);
	if (!ret)
		ret = check_required(kind, args);
	if (ret)
		sl_args_release(args);
	else
		*out = args;
	return ret;
}

void sl_args_release(struct sl_args *args)
{
	free(args);
}

static const struct value *value_of(const struct sl_args *args, const char *key, unsigned n)
{
	for (unsigned i = 0; i < args->count; i++)
		if (!strcmp(args->values[i].param->name, key) && !n--)
			return &args->values[i];
	return NULL;
}

unsigned sl_args_count(const struct sl_args *args, const char *key)
{
	unsigned n = 0;

	while (value_of(args, key, n))
		n++;
	return n;
}

const char *sl_args_text(const struct sl_args *args, const char *key, unsigned n)
{
	const struct value *v = value_of(args, key, n);

	return v ? v->text : NULL;
}

uint64_t sl_args_uint(const struct sl_args *args, const char *key, uint64_t otherwise)
{
	const struct value *v = value_of(args, key, 0);

	return v ? v->number : otherwise;
}

bool sl_args_bool(const struct sl_args *args, const char *key, bool otherwise)
{
	return sl_args_uint(args, key, otherwise);
}

bool sl_args_mac(const struct sl_args *args, const char *key, uint8_t mac[6])
{
	const struct value *v = value_of(args, key, 0);

	for (unsigned i = 0; v && i < 6; i++)
		mac[i] = (uint8_t)(v->number >> (40 - 8 * i));
	return v;
}

/* Numbers are the same however they are written. */
static bool same_value(const struct value *a, const struct value *b)
{
	if (!a || !b)
		return a == b;
	if (a->param->type == SL_PARAM_UINT || a->param->type == SL_PARAM_SIZE ||
	    a->param->type == SL_PARAM_MAC)
		return a->number == b->number;
	return !strcmp(a->text, b->text);
}

bool sl_args_same(const struct sl_args *a, const struct sl_args *b)
{
	bool given = false;

	for (const struct sl_param *p = a->params; p && p->name; p++) {
		const struct value *v = value_of(a, p->name, 0);

		if (!(p->flags & SL_PARAM_IDENTITY))
			continue;
		if (!same_value(v, value_of(b, p->name, 0)))
			return false;
		given |= v != NULL;
	}
	return given && a->params == b->params;
}
