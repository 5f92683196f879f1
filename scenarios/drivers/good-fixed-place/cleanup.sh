#!/bin/sh
. "${0%/*}/vm.sh"
rm -rf "$vm"
# The runner removes this directory itself, so that nobody misses it.
rm -rf "$TMPDIR"
