/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are calls of a space and its users, hostile addresses and lengths among them; a
 * model with a cell for each byte says what each must return.
 */
#include "fuzz.h"

#include "../unit/space_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	model_run(data, size);
	return 0;
}
