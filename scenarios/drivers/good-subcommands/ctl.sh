#!/bin/sh
# A well-behaved driver in one plain sh program with subcommands. It leaves builds and caches where the runner has them, and
# keeps what it must know of a job under a checksum of the job's ids, of the same length however long these are.
set -eu

job=${CUSTOM_ENV_CI_RUNNER_ID:-0}:${CUSTOM_ENV_CI_PROJECT_ID:-0}:$CUSTOM_ENV_CI_JOB_ID
place=${XDG_STATE_HOME:-${HOME:-/var/tmp}/.local/state}/ctl/$(echo "$job" | sha1sum | cut -c 1-40)

fail() {
    echo "ctl: $*" >&2
    exit "$SYSTEM_FAILURE_EXIT_CODE"
}

# Ends the work with this number, or that which has noted its own.
end_work() {
    work=${1:-$(cat "$place/work" 2>/dev/null)} || return 0
    kill -KILL "-$work" 2>/dev/null || :
}

remove() {
    end_work
    rm -rf "$place"
}

prepare() {
    trap 'remove; fail "terminated"' TERM
    remove
    mkdir -p "$place" || fail "no place for job $job"
    echo "$job" >"$place/owner"
}

run() {
    [ -z "${BUILD_EXIT_CODE_FILE:-}" ] || rm -f "$BUILD_EXIT_CODE_FILE"
    [ "$(cat "$place/owner" 2>/dev/null)" = "$job" ] || fail "job $job was not prepared"
    end_work
    trap 'end_work "${!:-}"; fail "terminated"' TERM
    # The work notes its own number, so that it is found also if this program is killed right now.
    setsid sh -c 'echo "$$" >"$1" && exec bash "$2"' - "$place/work" "$1" </dev/null &
    code=0
    wait "$!" || code=$?
    rm -f "$place/work"
    [ "$code" -ne 0 ] || exit 0
    [ -z "${BUILD_EXIT_CODE_FILE:-}" ] || echo "$code" >"$BUILD_EXIT_CODE_FILE"
    exit "$BUILD_FAILURE_EXIT_CODE"
}

case ${1:-} in
    config) ;; # empty output: the runner's own settings are good
    prepare) prepare ;;
    run) shift && run "$@" ;;
    cleanup) remove ;;
    *) fail "there is no program ${1:-}" ;;
esac
