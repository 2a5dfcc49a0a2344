/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "port/kinds.h"

#define KIND_MAX 32

/* A new kind of port is a file in this folder and a row here. */
static const struct sl_port_ops *const kinds[] = {
	&sl_port_tap,	     &sl_port_tun,   &sl_port_tunnel, &sl_port_pci,
	&sl_port_vhost_user, &sl_port_vduse, &sl_port_uduse,  &sl_port_virtio_user,
	&sl_port_pcap,	     &sl_port_gen,   &sl_port_null,   NULL,
};

const struct sl_port_ops *const *sl_port_kinds(void)
{
	return kinds;
}

static int fail_unknown(const char *kind)
{
	const char *names[sl_array_len(kinds)];
	const char *nearest;
	char list[sl_array_len(kinds) * KIND_MAX] = "";
	size_t used = 0;

	for (size_t i = 0; i < sl_array_len(kinds); i++)
		names[i] = kinds[i] ? kinds[i]->kind : NULL;
	nearest = sl_param_nearest(kind, names);
	if (nearest)
		return sl_fail(EINVAL, "no kind of port \"%s\"; did you mean \"%s:\"?", kind,
			       nearest);
	for (size_t i = 0; kinds[i]; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s:", i ? ", " : "",
					 kinds[i]->kind);
	return sl_fail(EINVAL, "no kind of port \"%s\"; there are %s", kind, list);
}

static int parse(const char *spec, const struct sl_port_ops **ops, struct sl_args **args)
{
	size_t len = strcspn(spec, ":");
	char kind[KIND_MAX];

	if (len >= sizeof(kind) || !len)
		return sl_fail(EINVAL, "\"%.64s\" is no port: one is written kind:key=value,...",
			       spec);
	memcpy(kind, spec, len);
	kind[len] = '\0';
	for (size_t i = 0; kinds[i]; i++) {
		if (strcmp(kinds[i]->kind, kind))
			continue;
		*ops = kinds[i];
		return sl_args_parse(kind, spec[len] ? spec + len + 1 : "", kinds[i]->params, args);
	}
	return fail_unknown(kind);
}

int sl_port_open(const char *spec, const struct sl_log *log, struct sl_port **out)
{
	const struct sl_port_ops *ops;
	struct sl_args *args;
	int ret = parse(spec, &ops, &args);

	if (ret)
		return ret;
	ret = ops->open(args, log, out);
	sl_args_release(args);
	return ret;
}

int sl_port_same(const char *a, const char *b)
{
	const struct sl_port_ops *ops_a, *ops_b;
	struct sl_args *args_a, *args_b;
	int ret = parse(a, &ops_a, &args_a);

	if (ret)
		return ret;
	ret = parse(b, &ops_b, &args_b);
	if (!ret) {
		ret = ops_a == ops_b && sl_args_same(args_a, args_b);
		sl_args_release(args_b);
	}
	sl_args_release(args_a);
	return ret;
}
