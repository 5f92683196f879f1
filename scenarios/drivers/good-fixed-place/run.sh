#!/bin/sh
. "${0%/*}/vm.sh"
rm -f "$BUILD_EXIT_CODE_FILE"
[ -e "$vm/up" ] || fail "$name is not up"
bash "$1" </dev/null &
trap 'kill "$!"; wait "$!"; fail "terminated"' TERM
wait "$!"
code=$?
[ "$code" -ne 0 ] || exit 0
echo "$code" >"$BUILD_EXIT_CODE_FILE"
exit "$BUILD_FAILURE_EXIT_CODE"
