/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: records what a program gets from SSL_export_keying_material(), a line
 * "LABEL HEX" each, at the end of the file that SLT_EXPORTER names.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

typedef int export_fn(SSL *s, unsigned char *out, size_t olen, const char *label, size_t llen,
		      const unsigned char *context, size_t contextlen, int use_context);

static void record(const unsigned char *out, size_t olen, const char *label, size_t llen)
{
	const char *path = getenv("SLT_EXPORTER");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		abort();
	fprintf(file, "%.*s ", (int)llen, label);
	for (size_t n = 0; n < olen; n++)
		fprintf(file, "%02x", out[n]);
	fputc('\n', file);
	fclose(file);
}

int SSL_export_keying_material(SSL *s, unsigned char *out, size_t olen, const char *label,
			       size_t llen, const unsigned char *context, size_t contextlen,
			       int use_context)
{
	export_fn *real = (export_fn *)dlsym(RTLD_NEXT, "SSL_export_keying_material");
	int ret = real(s, out, olen, label, llen, context, contextlen, use_context);

	if (ret == 1)
		record(out, olen, label, llen);
	return ret;
}
