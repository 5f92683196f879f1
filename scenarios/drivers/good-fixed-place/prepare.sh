#!/bin/sh
. "${0%/*}/vm.sh"
# Takes a while to tidy up when it is ended early.
trap 'trap "" TERM; sleep 0.3; rm -rf "$vm"; fail "terminated"' TERM
rm -rf "$vm"
mkdir -p "$vm" || fail "no place for $name"
sleep 0.1 &
wait "$!"
: >"$vm/up"
