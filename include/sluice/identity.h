/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who one end of a tunnel is: a key and a self-signed certificate. The other end knows
 * it by the certificate's fingerprint (SHA-256 of its DER), as OpenVPN's --peer-fingerprint.
 */
#ifndef SLUICE_IDENTITY_H
#define SLUICE_IDENTITY_H

#ifdef __cplusplus
extern "C" {
#endif

/* "AB:CD:...": 32 bytes in hex with colons, and a NUL. */
#define SL_FINGERPRINT_SIZE 96

/**
 * sl_identity_generate() - make a new identity
 * @dir:         folder to write key.pem and cert.pem to; made if it is not there
 * @fingerprint: filled in
 *
 * Both files get mode 0600, a new folder 0700. OpenVPN takes them as --key and --cert.
 *
 * Return: 0; -EEXIST when there is an identity already, which is left alone; a negative
 * errno when a file cannot be written, none is left then.
 */
int sl_identity_generate(const char *dir, char fingerprint[SL_FINGERPRINT_SIZE]);

/**
 * sl_identity_show() - the fingerprint of an identity
 * @dir:         folder with key.pem and cert.pem
 * @fingerprint: filled in
 *
 * Return: 0; -ENOENT and the like when a file cannot be read; -EPERM when key.pem may be read or
 * written by others than its owner; -EINVAL when a file is malformed or the two do not belong
 * together.
 */
int sl_identity_show(const char *dir, char fingerprint[SL_FINGERPRINT_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
