/* SPDX-License-Identifier: BSD-2-Clause */
/* UNDER_TSAN: is there ThreadSanitizer, which cannot take a signal in each place? */
#ifndef SL_TESTS_UNDER_TSAN_H
#define SL_TESTS_UNDER_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#endif
