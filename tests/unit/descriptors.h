/* SPDX-License-Identifier: BSD-2-Clause */
/* How many descriptors this process has open: for unit tests and fuzz targets that look for leaks.
 */
#ifndef SL_TESTS_DESCRIPTORS_H
#define SL_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <stdlib.h>

static inline unsigned descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!folder)
		abort();
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

#endif
