/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands print in one way: numbers, JSON, a status line, tables of parameters. */
#ifndef SL_CLI_PRINT_H
#define SL_CLI_PRINT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include <sluice/param.h>

/** print_scaled() - 12345678 as "12.3M". Return: @to */
const char *print_scaled(double n, char *to, size_t size);

/** print_decimal() - a number of JSON, with as many decimals as mean something */
json_object *print_decimal(double n, int decimals);

/** print_json() - an object on a line of stdout; it is put */
void print_json(json_object *o);

/** print_status() - a line that the next one overwrites when stdout is a terminal; may be cut */
void print_status(bool terminal, char *line);

/** print_params() - what --help shows of a kind and of its parameters, which stand behind @mark */
void print_params(const char *kind, char mark, const char *help, const struct sl_param *params);

#endif
