/* SPDX-License-Identifier: BSD-2-Clause */
/* The version of the library. */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sl_version() - the version of the library that is running
 *
 * Return: a static string such as "0.1.0".
 */
const char *sl_version(void);

#ifdef __cplusplus
}
#endif
#endif
