/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into sluice where /sys is made up (devices.sh): what is written to drivers_probe and
 * unbind has the effect that it has in Linux. REFUSES names a driver that takes no device.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void probe(const char *device)
{
	char path[256], target[256], driver[64] = "";
	const char *refuses = getenv("REFUSES");
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	f = fopen(path, "re");
	if (f && !fgets(driver, sizeof(driver), f))
		driver[0] = '\0';
	if (f)
		fclose(f);
	driver[strcspn(driver, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	if (*driver && (!refuses || strcmp(refuses, driver)) && access(path, F_OK) < 0 &&
	    symlink(target, path) < 0)
		abort();
}

static void written(const char *file, const char *device)
{
	char path[256];

	if (!strcmp(file, "/sys/bus/pci/drivers_probe"))
		probe(device);
	if (strncmp(file, "/sys/bus/pci/drivers/", 21) || !strstr(file, "/unbind"))
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	unlink(path);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	ssize_t (*real)(int, const void *, size_t) =
		(ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	ssize_t done = real(fd, bytes, len), got;
	char link[64], file[PATH_MAX], text[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, file, sizeof(file) - 1);
	if (got < 0 || len >= sizeof(text))
		return done;
	file[got] = '\0';
	memcpy(text, bytes, len);
	text[len] = '\0';
	written(file, text);
	return done;
}
