#!/bin/sh
. "${0%/*}/vm.sh"
printf '{"driver": {"name": "vm"}, "builds_dir": "%s/builds", "cache_dir": "%s/cache", "builds_dir_is_shared": true}' "$vm" "$vm"
