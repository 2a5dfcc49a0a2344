/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters: kind:key=value,key=value
 * One table says what a port or model takes; parsing, error texts with suggestions, --help and
 * completion all come from it. A comma or a backslash in a value has a backslash before it.
 */
#ifndef SLUICE_PARAM_H
#define SLUICE_PARAM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sl_param_type {
	SL_PARAM_STRING, /* any text up to max bytes */
	SL_PARAM_UINT,	 /* decimal, min to max */
	SL_PARAM_BOOL,	 /* on or off */
	SL_PARAM_WORD,	 /* one of those that the table's value names, as in "server|client" */
	SL_PARAM_RATE,	 /* per second: decimal with k, M or G behind it, or max (0) */
	SL_PARAM_MAC,	 /* six bytes in hex, colons between them; unicast */
	SL_PARAM_CIDR,	 /* IPv4 or IPv6 address / prefix length */
	SL_PARAM_FILE,	 /* a path; completion offers files */
	SL_PARAM_DEVICE, /* where a PCI device is; completion offers those that there are */
	SL_PARAM_SIZE,	 /* bytes: decimal with K, M, G or T behind it, powers of 1024 */
	SL_PARAM_FLAG,	 /* a key that stands alone: it is given or not */
};

enum {
	SL_PARAM_REQUIRED = 1u << 0,
	SL_PARAM_MANY = 1u << 1, /* may be given more than once */
	/* Two ports of one kind with the same values in all of these are the same port. */
	SL_PARAM_IDENTITY = 1u << 2,
	SL_PARAM_FIRST = 1u << 3, /* the first value is its, without a key: kind:VALUE,key=... */
};

/**
 * struct sl_param - one key; a table of them ends with a NULL name
 * @name:  the key
 * @type:  how its value is written
 * @flags: SL_PARAM_REQUIRED and so on
 * @min:   least value, or least length of a string
 * @max:   greatest value, or greatest length of a string
 * @value: what stands for the value in help, such as "IF"
 * @help:  one line, with the default
 */
struct sl_param {
	const char *name;
	enum sl_param_type type;
	uint32_t flags;
	uint64_t min;
	uint64_t max;
	const char *value;
	const char *help;
};

struct sl_args;

/**
 * sl_args_parse() - parse what stands behind "kind:"
 * @kind:   for messages
 * @text:   "key=value,key=value", may be empty
 * @params: the table; must outlive the result
 * @out:    the result, owned by the caller
 *
 * Return: 0; -EINVAL with a reason that names key, value and what is allowed, and the nearest key
 * for one that does not exist; -ENOMEM.
 */
int sl_args_parse(const char *kind, const char *text, const struct sl_param *params,
		  struct sl_args **out);

/**
 * sl_args_release() - free what sl_args_parse() made
 * @args: NULL is allowed; texts it gave out are gone
 */
void sl_args_release(struct sl_args *args);

/**
 * sl_args_count() - how often a key was given
 * @args: the parsed list
 * @key:  a name of its table
 *
 * Return: 0 or more; more than 1 only with SL_PARAM_MANY.
 */
unsigned sl_args_count(const struct sl_args *args, const char *key);

/**
 * sl_args_text() - a value as it was written, escapes taken away
 * @args: the parsed list
 * @key:  a name of its table
 * @n:    which of several, from 0
 *
 * Return: the list's own string, valid until its release; NULL if not given.
 */
const char *sl_args_text(const struct sl_args *args, const char *key, unsigned n);

/**
 * sl_args_uint() - the value of a UINT, SIZE or RATE key; of a WORD key, which it is, from 0
 * @args:      the parsed list
 * @key:       a name of its table
 * @otherwise: the default
 *
 * Return: the first given, in min to max of the table (0 for a rate of "max"), or @otherwise.
 */
uint64_t sl_args_uint(const struct sl_args *args, const char *key, uint64_t otherwise);

/**
 * sl_args_bool() - the value of a BOOL key, or whether a FLAG was given
 * @args:      the parsed list
 * @key:       a name of its table
 * @otherwise: the default
 *
 * Return: true for on, false for off, @otherwise if not given.
 */
bool sl_args_bool(const struct sl_args *args, const char *key, bool otherwise);

/**
 * sl_args_mac() - the value of a MAC key
 * @args: the parsed list
 * @key:  a name of its table
 * @mac:  filled in, in the order of transmission; untouched if not given
 *
 * Return: true if it was given.
 */
bool sl_args_mac(const struct sl_args *args, const char *key, uint8_t mac[6]);

/**
 * sl_args_same() - do two argument lists of one table name the same thing?
 * @a: a parsed list
 * @b: another
 *
 * Return: true when the table has identity keys, at least one is given, and all are equal.
 */
bool sl_args_same(const struct sl_args *a, const struct sl_args *b);

/**
 * sl_param_nearest() - the word of a list that a misspelt one was meant to be
 * @word:  what was written
 * @words: what is allowed, ends with NULL
 *
 * Return: one of @words, or NULL when none is near.
 */
const char *sl_param_nearest(const char *word, const char *const *words);

#ifdef __cplusplus
}
#endif
#endif
