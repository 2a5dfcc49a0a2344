/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fakes of a kernel stand behind wrapped calls. What they share: what was called, and what is to
 * fail. To be included where "kernel" is known: it has said[], calls, fail_at, fail_with, failed[].
 */
#ifndef FAKE_CALLS_H
#define FAKE_CALLS_H

int __real_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __real_eventfd(unsigned value, int flags);
int __real_fcntl64(int fd, int command, ...);
void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_fcntl64(int fd, int command, ...);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);

__attribute__((format(printf, 1, 2))) static inline void say(const char *fmt, ...)
{
	size_t len = strlen(kernel.said);
	va_list args;

	va_start(args, fmt);
	vsnprintf(kernel.said + len, sizeof(kernel.said) - len, fmt, args);
	va_end(args);
}

/* What was called since the last question is this. */
static inline void said(const char *what)
{
	if (strcmp(kernel.said, what))
		fail_msg("called: \"%s\"\n     not: \"%s\"", kernel.said, what);
	kernel.said[0] = '\0';
}

static inline bool to_fail(const char *what)
{
	if (!kernel.fail_at || ++kernel.calls != kernel.fail_at)
		return false;
	snprintf(kernel.failed, sizeof(kernel.failed), "%s", what);
	errno = kernel.fail_with;
	return true;
}

#endif
