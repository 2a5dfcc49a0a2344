#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk whose server is killed with -9: nothing is lost. With split rings and with packed ones.
. "$(dirname "$0")/serve-lib.sh"
truncate -s 64M "$dir/disk.img"
model=blk,file=$dir/disk.img,queues=2

killed_twenty_times "$model"
killed_twenty_times "$model" --packed
loss_is_noticed "$model"
end
