/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice complete -- WORDS...: candidates for the last word, one a line. Everything
 * it knows it has from the tables of commands, ports, models and transports.
 */
#include <stdio.h>
#include <string.h>

#include <sluice/offer.h>
#include <sluice/port.h>

#include "cli/cli.h"
#include "cli/io.h"
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

/* What stands behind the kind and its mark: keys, or the value of the last key. */
static void complete_params(const struct sl_param *params, const char *word, char mark)
{
	const char *comma = strrchr(word, ','), *key = (comma ? comma : strchr(word, mark)) + 1;
	const char *equals = strchr(key, '=');
	bool first_value = mark == ':' && !comma;

	for (; params->name; params++) {
		size_t before = (size_t)(key - word);
		bool first = params->flags & SL_PARAM_FIRST;

		if (!equals && first && first_value)
			complete_value(params, word, before, key);
		else if (!equals && !first)
			offer(word, before, params->name, key,
			      params->type == SL_PARAM_FLAG ? "" : "=");
		else if (equals && !strncmp(params->name, key, (size_t)(equals - key)) &&
			 !params->name[equals - key])
			complete_value(params, word, (size_t)(equals + 1 - word), equals + 1);
	}
}

/* One of several kinds, each of which begins with its name and @mark. */
static void complete_kind(const char *kind, const struct sl_param *params, char mark,
			  const char *word)
{
	size_t len = strcspn(word, (char[]){mark, '\0'});

	if (!word[len])
		offer("", 0, kind, word, (char[]){mark, '\0'});
	else if (!strncmp(kind, word, len) && !kind[len])
		complete_params(params, word, mark);
}

static void complete_port(const char *word)
{
	for (const struct sl_port_ops *const *p = sl_port_kinds(); *p; p++)
		complete_kind((*p)->kind, (*p)->params, ':', word);
}

static void complete_model(const char *word)
{
	for (const struct sl_model_ops *const *m = sl_model_kinds(); *m; m++)
		complete_kind((*m)->kind, (*m)->params, ',', word);
}

static void complete_transport(const char *word)
{
	for (const struct sl_transport_kind *const *t = sl_offer_kinds(); *t; t++)
		complete_kind((*t)->kind, (*t)->params, ':', word);
}

static bool one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word))
		words++;
	return *words;
}

static bool takes_number(const char *option)
{
	static const char *const options[] = {
		"--workers", "--duration",   "--stats",	 "--bs",   "--qd",	  "--time",
		"--queues",  "--queue-size", "--offset", "--size", "--reconnect", "--fd",
		NULL};

	return one_of(option, options);
}

static void complete_words(const char *const *words, const char *word)
{
	for (; *words; words++)
		offer("", 0, *words, word, "");
}

/* What is to be done, and then, for destroy, a name. */
static void complete_vduse(int argc, const char *previous, const char *word)
{
	if (argc == 4)
		complete_words((const char *const[]){"list", "destroy", NULL}, word);
	else if (!strcmp(previous, "destroy"))
		sl_folder_each("/sys/class/vduse", offer_entry, &(struct typed){word, word});
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

/* The value of an option. False when @previous has none. */
static bool complete_option_value(const struct sl_cmd *cmd, const char *previous, const char *word)
{
	static const char *const files[] = {"--pcap", "--out", "--show", NULL};

	if (one_of(previous, files))
		printf("@files\n");
	else if (!strcmp(previous, "--poll") && cmd->run != sl_cmd_io)
		complete_words((const char *const[]){"off", "adaptive", "on", NULL}, word);
	else if (!strcmp(previous, "--via"))
		complete_transport(word);
	else if (!strcmp(previous, "--op"))
		complete_words(sl_io_ops, word);
	else
		return takes_number(previous);
	return true;
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
		complete_words(cmd->options, word);
	else if (complete_option_value(cmd, previous, word))
		return EXIT_OK;
	else if (cmd->run == sl_cmd_show || cmd->run == sl_cmd_bind || cmd->run == sl_cmd_unbind)
		complete_device(cmd, argc, argv);
	else if (cmd->run == sl_cmd_link)
		complete_port(word);
	else if (cmd->run == sl_cmd_serve)
		complete_model(word);
	else if (cmd->run == sl_cmd_io)
		printf("@files\n");
	else if (cmd->run == sl_cmd_vduse)
		complete_vduse(argc, previous, word);
	return EXIT_OK;
}
