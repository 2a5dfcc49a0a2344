/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenVPN's protocol, as its wire format document and OpenVPN 2.6's ssl_pkt.h name things. */
#ifndef SL_TUNNEL_WIRE_H
#define SL_TUNNEL_WIRE_H

/* The first byte of every packet: opcode << 3 | key id. */
enum {
	P_CONTROL_HARD_RESET_CLIENT_V1 = 1,
	P_CONTROL_HARD_RESET_SERVER_V1 = 2,
	P_CONTROL_SOFT_RESET_V1 = 3,
	P_CONTROL_V1 = 4,
	P_ACK_V1 = 5,
	P_DATA_V1 = 6,
	P_CONTROL_HARD_RESET_CLIENT_V2 = 7,
	P_CONTROL_HARD_RESET_SERVER_V2 = 8,
	P_DATA_V2 = 9,
	P_CONTROL_HARD_RESET_CLIENT_V3 = 10, /* tls-crypt-v2: not supported */
	P_CONTROL_WKC_V1 = 11,
};

#define P_OPCODE(byte)	   ((byte) >> 3)
#define P_KEY_ID(byte)	   ((byte)&7)
#define P_BYTE(op, key_id) ((uint8_t)((op) << 3 | (key_id)))

#define SID_LEN		   8 /* session id */

/* IV_PROTO in peer info. */
enum {
	IV_PROTO_DATA_V2 = 1 << 1,
	IV_PROTO_TLS_KEY_EXPORT = 1 << 3,
	IV_PROTO_NCP_P2P = 1 << 5,
	IV_PROTO_CC_EXIT_NOTIFY = 1 << 7,
};

#define EXPORTER_DATA_KEYS "EXPORTER-OpenVPN-datakeys"
#define EXPORTER_PEER_ID   "EXPORTER-OpenVPN-p2p-peerid"

#endif
