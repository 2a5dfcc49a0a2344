/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/print.h"

const char *print_scaled(double n, char *to, size_t size)
{
	static const char units[] = " kMGTP";
	unsigned u = 0;

	for (; n >= 999.5 && u < sizeof(units) - 2; u++)
		n /= 1000;
	if (u)
		snprintf(to, size, "%.*f%c", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, units[u]);
	else
		snprintf(to, size, "%.0f", n);
	return to;
}

json_object *print_decimal(double n, int decimals)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f", decimals, n);
	return json_object_new_double_s(n, text);
}

void print_json(json_object *o)
{
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(o);
}

void print_status(bool terminal, char *line)
{
	struct winsize window = {0};

	if (terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) && window.ws_col &&
	    window.ws_col <= strlen(line))
		line[window.ws_col - 1] = '\0'; /* a wrapped line cannot be written over */
	printf(terminal ? "\r\033[K%s" : "%s\n", line);
	fflush(stdout);
}

void print_params(const char *kind, char mark, const char *help, const struct sl_param *params)
{
	printf("\n  %s%c  %s\n", kind, mark, help);
	for (const struct sl_param *p = params; p->name; p++) {
		bool first = p->flags & SL_PARAM_FIRST, flag = p->type == SL_PARAM_FLAG;
		int len = printf("    %s%s%s", first ? "" : p->name, first || flag ? "" : "=",
				 flag ? "" : p->value);

		if (len > 24) /* it reaches into the next column */
			len = printf("\n") - 1;
		printf("%*s%s\n", 25 - len, "", p->help);
	}
}
