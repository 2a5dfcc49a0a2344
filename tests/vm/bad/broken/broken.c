// SPDX-License-Identifier: BSD-2-Clause
/* Does not build. */
#include <linux/nowhere.h>
