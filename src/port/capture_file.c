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

void capture_file_hold(pcap_t *reading)
{
	FILE *file = pcap_file(reading);

	/* Several may read one file. Where there are no locks there is no protection. */
	if (file && is_file(fileno(file)) && flock(fileno(file), LOCK_SH | LOCK_NB))
		return;
}

/* Truncated only once it is known to be nobody else's. */
static int open_file(const char *path, FILE **file)
{
	int fd = strcmp(path, "-") ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)
				   : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return sl_fail(errno, "cannot write a capture to %s: %m", path);
	if (is_file(fd) && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		ret = sl_fail(EBUSY,
			      "cannot write a capture to %s: that file is being read or written: "
			      "choose another",
			      path);
	else if (is_file(fd) && ftruncate(fd, 0))
		ret = sl_fail(errno, "cannot write a capture to %s: %m", path);
	else if (!(*file = fdopen(fd, "w")))
		ret = sl_fail(errno, "cannot write a capture to %s: %m", path);
	if (ret)
		sl_fd_close(&fd);
	return ret;
}

int capture_file_create(const char *path, unsigned layer, pcap_t **pcap, pcap_dumper_t **dump)
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
