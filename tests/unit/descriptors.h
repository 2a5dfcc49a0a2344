/* SPDX-License-Identifier: BSD-2-Clause */
/* How many descriptors this process has open: for those who look for leaks. */
#ifndef SL_TESTS_DESCRIPTORS_H
#define SL_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline unsigned descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

#endif
