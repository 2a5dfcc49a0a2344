/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tunnel/address.h"

static int fail(const char *key, const char *text)
{
	return sl_fail(EINVAL,
		       "%s=%s is no address: one is written 192.0.2.1:1194 or [2001:db8::1]:1194, "
		       "names are not looked up",
		       key, text);
}

int sl_address_parse(const char *key, const char *text, struct sl_address *out)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM,
	};
	const char *colon = strrchr(text, ':'), *host = text, *end = colon;
	bool bracketed = text[0] == '[';
	struct addrinfo *found;
	char copy[ADDRESS_TEXT];

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return fail(key, text);
	if (bracketed) {
		host++;
		if (--end <= host || *end != ']')
			return fail(key, text);
	}
	if (end <= host || (size_t)(end - host) >= sizeof(copy))
		return fail(key, text);
	snprintf(copy, sizeof(copy), "%.*s", (int)(end - host), host);
	/* getaddrinfo() takes "1" and "0x7f.1" for IPv4 addresses, and so would we guess. */
	if (!bracketed && !inet_pton(AF_INET, copy, &(struct in_addr){0}))
		return fail(key, text);
	/* ... and for a port any number, of which it takes the lower 16 bits. */
	if (strlen(colon + 1) > 5 || strtoul(colon + 1, NULL, 10) > 65535 ||
	    getaddrinfo(copy, colon + 1, &hints, &found))
		return fail(key, text);
	memset(out, 0, sizeof(*out));
	if (found->ai_family == (bracketed ? AF_INET6 : AF_INET)) {
		memcpy(&out->sa, found->ai_addr, found->ai_addrlen);
		out->len = found->ai_addrlen;
	}
	freeaddrinfo(found);
	return out->len ? 0 : fail(key, text);
}

const char *sl_address_format(const struct sl_address *address, char to[ADDRESS_TEXT])
{
	char host[64], port[8];

	if (!address->len || getnameinfo(&address->sa, address->len, host, sizeof(host), port,
					 sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(to, ADDRESS_TEXT, "nowhere");
	else if (address->sa.sa_family == AF_INET)
		snprintf(to, ADDRESS_TEXT, "%s:%s", host, port);
	else
		snprintf(to, ADDRESS_TEXT, "[%s]:%s", host, port);
	return to;
}

static bool same_bytes(const struct sl_address *a, const struct sl_address *b, size_t of_ipv6)
{
	if (!a->len || !b->len || a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, of_ipv6) &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

bool sl_address_same_site(const struct sl_address *a, const struct sl_address *b)
{
	return same_bytes(a, b, 8);
}

bool sl_address_equal(const struct sl_address *a, const struct sl_address *b)
{
	return same_bytes(a, b, 16) && sl_address_port(a) == sl_address_port(b);
}
