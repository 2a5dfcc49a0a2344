/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include <sluice/offer.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "offer/kinds.h"

#define KIND_MAX 32

/* A new model is a file in this folder and a row here. */
static const struct sl_model_ops *const kinds[] = {&sl_model_blk, NULL};

const struct sl_model_ops *const *sl_model_kinds(void)
{
	return kinds;
}

int sl_model_open(const char *spec, const struct sl_log *log, struct sl_model **out)
{
	size_t len = strcspn(spec, ",");
	struct sl_args *args;
	char kind[KIND_MAX];
	int ret;

	if (len >= sizeof(kind) || !len)
		return sl_fail(EINVAL, "\"%.64s\" is no model: one is written blk,key=value,...",
			       spec);
	memcpy(kind, spec, len);
	kind[len] = '\0';
	for (size_t i = 0; kinds[i]; i++) {
		if (strcmp(kinds[i]->kind, kind))
			continue;
		ret = sl_args_parse(kind, spec[len] ? spec + len + 1 : "", kinds[i]->params, &args);
		if (ret)
			return ret;
		ret = kinds[i]->open(args, log, out);
		sl_args_release(args);
		return ret;
	}
	return sl_fail(EINVAL, "no model \"%s\"; there is blk", kind);
}
