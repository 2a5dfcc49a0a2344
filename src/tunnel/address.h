/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a peer is: an address and a UDP port, IPv4 or IPv6. */
#ifndef SL_TUNNEL_ADDRESS_H
#define SL_TUNNEL_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#define ADDRESS_TEXT 80 /* "[address%scope]:port" and a NUL */

/** struct sl_address - all zero: none */
struct sl_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

/**
 * sl_address_parse() - "192.0.2.1:1194" or "[2001:db8::1]:1194"; names are not looked up
 * @key: what is being parsed, for the reason: "local"
 *
 * Return: 0 or -EINVAL with a reason.
 */
int sl_address_parse(const char *key, const char *text, struct sl_address *out);

/** sl_address_format() - the same text back; returns @to */
const char *sl_address_format(const struct sl_address *address, char to[ADDRESS_TEXT]);

/** sl_address_equal() - the same host, scope and port? */
bool sl_address_equal(const struct sl_address *a, const struct sl_address *b);

/** sl_address_same_site() - the same IPv4 host or IPv6 network of 64 bits, whatever the port? */
bool sl_address_same_site(const struct sl_address *a, const struct sl_address *b);

static inline in_port_t sl_address_port(const struct sl_address *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

#endif
