/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice complete -- WORDS...: candidates for the last word, one a line. Everything
 * it knows it has from the tables of commands and of ports.
 */
#include <stdio.h>
#include <string.h>

#include <sluice/port.h>

#include "cli/cli.h"
#include "device/pci_sysfs.h"

static void offer(const char *before, size_t len, const char *word, const char *typed,
		  const char *after)
{
	if (!strncmp(word, typed, strlen(typed)))
		printf("%.*s%s%s\n", (int)len, before, word, after);
}

static void complete_command(const char *word)
{
	for (const struct sl_cmd *cmd = sl_cmds(); cmd->name; cmd++)
		if (cmd->help)
			offer("", 0, cmd->name, word, "");
	offer("", 0, "--version", word, "");
}

struct typed {
	const char *word, *value; /* all of it, and where the value begins */
};

static int offer_entry(void *ctx, const char *name)
{
	const struct typed *typed = ctx;

	offer(typed->word, (size_t)(typed->value - typed->word), name, typed->value, "");
	return 0;
}

static void complete_value(const struct sl_param *param, const char *word, size_t len,
			   const char *typed)
{
	if (param->type == SL_PARAM_BOOL) {
		offer(word, len, "on", typed, "");
		offer(word, len, "off", typed, "");
	} else if (param->type == SL_PARAM_WORD) {
		for (const char *w = param->value; *w; w += strcspn(w, "|"), w += *w == '|')
			if (!strncmp(w, typed, strlen(typed)))
				printf("%.*s%.*s\n", (int)len, word, (int)strcspn(w, "|"), w);
	} else if (param->type == SL_PARAM_RATE) {
		offer(word, len, "max", typed, "");
	} else if (param->type == SL_PARAM_FILE) {
		printf("@files\n");
	} else if (param->type == SL_PARAM_DEVICE) {
		sl_folder_each("/sys/bus/pci/devices", offer_entry, &(struct typed){word, typed});
	}
}

/* What stands behind the kind: keys, or the value of the last key. */
static void complete_params(const struct sl_param *params, const char *word)
{
	const char *comma = strrchr(word, ','), *colon = strchr(word, ':');
	const char *key = (comma ? comma : colon) + 1;
	const char *equals = strchr(key, '=');

	for (; params->name; params++) {
		size_t before = (size_t)(key - word);

		if (!equals && params->flags & SL_PARAM_FIRST && !comma)
			complete_value(params, word, before, key);
		else if (!equals && !(params->flags & SL_PARAM_FIRST))
			offer(word, before, params->name, key, "=");
		else if (equals && !strncmp(params->name, key, (size_t)(equals - key)) &&
			 !params->name[equals - key])
			complete_value(params, word, (size_t)(equals + 1 - word), equals + 1);
	}
}

static void complete_port(const char *word)
{
	size_t len = strcspn(word, ":");

	for (const struct sl_port_ops *const *kind = sl_port_kinds(); *kind; kind++) {
		if (!word[len])
			offer("", 0, (*kind)->kind, word, ":");
		else if (!strncmp((*kind)->kind, word, len) && !(*kind)->kind[len])
			complete_params((*kind)->params, word);
	}
}

static void complete_options(const struct sl_cmd *cmd, const char *word)
{
	for (const char *const *option = cmd->options; *option; option++)
		offer("", 0, *option, word, "");
}

static bool takes_number(const char *option)
{
	return !strcmp(option, "--workers") || !strcmp(option, "--duration") ||
	       !strcmp(option, "--stats");
}

/* A device, and then for bind a driver; words that are options do not count. */
static void complete_device(const struct sl_cmd *cmd, int argc, char **argv)
{
	struct typed typed = {argv[argc - 1], argv[argc - 1]};
	int before = 0;

	for (int i = 3; i < argc - 1; i++)
		before += argv[i][0] != '-';
	if (before == 0)
		sl_folder_each("/sys/bus/pci/devices", offer_entry, &typed);
	else if (before == 1 && cmd->run == sl_cmd_bind)
		sl_folder_each("/sys/bus/pci/drivers", offer_entry, &typed);
}

int sl_cmd_complete(int argc, char **argv)
{
	const struct sl_cmd *cmd = sl_cmds();
	const char *word = argv[argc - 1], *previous = argc > 2 ? argv[argc - 2] : "";

	if (argc < 3 || strcmp(argv[1], "--"))
		return EXIT_USAGE;
	if (argc == 3) {
		complete_command(word);
		return EXIT_OK;
	}
	while (cmd->name && strcmp(cmd->name, argv[2]))
		cmd++;
	if (!cmd->name)
		return EXIT_OK;
	if (cmd->run == sl_cmd_help)
		complete_command(word);
	else if (*word == '-')
		complete_options(cmd, word);
	else if (!strcmp(previous, "--pcap") || !strcmp(previous, "--out") ||
		 !strcmp(previous, "--show"))
		printf("@files\n");
	else if (!strcmp(previous, "--poll"))
		for (const char *const *p = (const char *const[]){"off", "adaptive", "on", NULL};
		     *p; p++)
			offer("", 0, *p, word, "");
	else if (cmd->run == sl_cmd_show || cmd->run == sl_cmd_bind || cmd->run == sl_cmd_unbind)
		complete_device(cmd, argc, argv);
	else if (cmd->run == sl_cmd_link && !takes_number(previous))
		complete_port(word);
	return EXIT_OK;
}
