/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/reason.h"
#include "port/capture_file.h"

static bool is_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static bool is_pipe(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* "-" is a standard stream, which stays open itself. O_NONBLOCK: a pipe is to be refused, not
 * waited for. */
static int open_fd(const char *path, int flags, int standard)
{
	if (!strcmp(path, "-"))
		return fcntl(standard, F_DUPFD_CLOEXEC, 0);
	return open(path, flags | O_CLOEXEC | O_NONBLOCK, 0666);
}

static int check_readable(const char *path, int fd)
{
	if (fd < 0)
		return sl_fail(errno, "cannot read the capture %s: %m", path);
	if (!is_file(fd))
		return sl_fail(EINVAL, "cannot read the capture %s: it is not a file", path);
	/* Several may read one file. Where there are no locks there is no protection. */
	if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
		return sl_fail(EBUSY, "cannot read the capture %s: it is being written", path);
	return 0;
}

int sl_capture_file_open(const char *path, pcap_t **pcap)
{
	char err[PCAP_ERRBUF_SIZE] = "";
	int fd = open_fd(path, O_RDONLY, STDIN_FILENO);
	int ret = check_readable(path, fd);
	FILE *file = ret ? NULL : fdopen(fd, "r");

	if (!ret && !file)
		ret = sl_fail(errno, "cannot read the capture %s: %m", path);
	if (ret) {
		sl_fd_close(&fd);
		return ret;
	}
	*pcap = pcap_fopen_offline(file, err);
	if (*pcap)
		return 0;
	fclose(file);
	return sl_fail(EINVAL, "cannot read the capture %s: %s", path, err);
}

/* Truncated only once it is known to be nobody else's. */
static int check_writable(const char *path, int fd)
{
	/* ENXIO: a pipe that nobody reads yet. */
	if (fd < 0 ? errno == ENXIO : is_pipe(fd))
		return sl_fail(EINVAL, "cannot write a capture to %s: it is a pipe, not a file",
			       path);
	if (fd < 0)
		return sl_fail(errno, "cannot write a capture to %s: %m", path);
	if (!is_file(fd))
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return sl_fail(EBUSY,
			       "cannot write a capture to %s: that file is being read or written: "
			       "choose another",
			       path);
	return ftruncate(fd, 0) ? sl_fail(errno, "cannot write a capture to %s: %m", path) : 0;
}

static int open_file(const char *path, FILE **file)
{
	int fd = open_fd(path, O_WRONLY | O_CREAT, STDOUT_FILENO);
	int ret = check_writable(path, fd);

	if (!ret && !(*file = fdopen(fd, "w")))
		ret = sl_fail(errno, "cannot write a capture to %s: %m", path);
	if (ret)
		sl_fd_close(&fd);
	return ret;
}

int sl_capture_file_create(const char *path, unsigned layer, pcap_t **pcap, pcap_dumper_t **dump)
{
	FILE *file;
	int ret = open_file(path, &file);

	if (ret)
		return ret;
	*pcap = pcap_open_dead(layer == 3 ? DLT_RAW : DLT_EN10MB, CAPTURE_SNAPLEN);
	if (!*pcap) {
		fclose(file);
		return sl_fail(ENOMEM, "no memory for a capture");
	}
	*dump = pcap_dump_fopen(*pcap, file); /* closes the file itself when it fails */
	if (*dump)
		return 0;
	ret = sl_fail(EIO, "cannot write a capture to %s: %s", path, pcap_geterr(*pcap));
	pcap_close(*pcap);
	*pcap = NULL;
	return ret;
}
