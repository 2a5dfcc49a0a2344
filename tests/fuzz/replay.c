/* SPDX-License-Identifier: BSD-2-Clause */
/* Replays files, and the files in folders, through a fuzz target: for builds without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned replayed;

static int fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return 1;
}

static int replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");
	int err = 0;

	if (!data || !file || fread(data, 1, size, file) != size)
		err = fail(path);
	else
		LLVMFuzzerTestOneInput(data, size);
	replayed += !err;
	if (file)
		fclose(file);
	free(data);
	return err;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char name[4096];
	int err = 0;

	if (!folder)
		return fail(path);
	while (!err && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		err = replay(name);
	}
	closedir(folder);
	return err;
}

static int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return fail(path);
	return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	for (int n = 1; n < argc; n++)
		if (replay(argv[n]))
			return 1;
	printf("%u inputs replayed\n", replayed);
	return !replayed; /* nothing replayed is nothing tested */
}
