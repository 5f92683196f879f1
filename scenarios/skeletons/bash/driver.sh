#!/usr/bin/env bash
# A driver for GitLab Runner's Custom executor: the part that the runner sees. Four calls, exit codes, signals.
# What a job runs in, its box, is in backend.sh.
#
#   driver.sh config | prepare | run SCRIPT STAGE | cleanup
#
# The calls are separate processes that share nothing, and any of them can be killed at any moment or come twice. So a box is
# named after its job, and whatever has to be known is looked up by that name.
set -Eeuo pipefail

# The same in all calls of a job, and in no other job. Ids only: names of branches and projects are chosen by others.
name=runner-${CUSTOM_ENV_CI_RUNNER_ID:-0}-project-${CUSTOM_ENV_CI_PROJECT_ID:-0}-job-${CUSTOM_ENV_CI_JOB_ID:-}

readonly PATIENCE_S=5 # with a box whose script is to be ended

# Trouble that the job's author cannot help. The runner tries prepare again, and GitLab's `retry: when` knows it apart.
# The values of both codes are the runner's to choose, so they are never written as numbers.
system_failure() {
    echo "driver: $*" >&2
    exit "$SYSTEM_FAILURE_EXIT_CODE"
}

# The script itself has failed, with this code, which GitLab compares with `allow_failure: exit_codes`.
build_failure() {
    [ -z "${BUILD_EXIT_CODE_FILE:-}" ] || printf '%s\n' "$1" >"$BUILD_EXIT_CODE_FILE"
    exit "$BUILD_FAILURE_EXIT_CODE"
}

# A command that fails unexpectedly must not end the driver with a code of its own: 1 would mean that the script has failed.
trap 'system_failure "line $LINENO: $BASH_COMMAND: code $?"' ERR
# The runner's way to say that the time is up or the job was cancelled. Exit code 0 would count as success.
trap 'system_failure "terminated"' TERM

[ -n "${CUSTOM_ENV_CI_JOB_ID:-}" ] || system_failure "there is no CUSTOM_ENV_CI_JOB_ID: only a runner can call me"

# shellcheck source=backend/none.sh
source "${BASH_SOURCE[0]%/*}/backend.sh"

# Runs in the box, which may outlive the call: $1 is a directory for notes, $2 the stage, standard input the script.
# Its process group is written down before the script begins, so that it can be ended later, and how it has ended is written
# down, since the code of the tool that leads into the box may be one of the tool's own.
# shellcheck disable=SC2016 # the variables are those of the shell in the box
readonly IN_BOX='
rm -f "$1/$2.code"
echo "$$" >"$1/$2.group" || exit
[ ! -e "$1/stop" ] || exit
cat >"$1/$2.script" || exit
code=0
bash "$1/$2.script" </dev/null || code=$?
echo "$code" >"$1/$2.code"
rm -f "$1/$2.group" "$1/$2.script"
exit "$code"'

# Runs in the box: ends the scripts that have begun. With $2 = stop, one that is about to begin does not, either.
# shellcheck disable=SC2016
readonly END_WORK='
cd "$1" || exit
rm -f ./*.code
if [ "$2" = stop ]; then : >stop; else rm -f stop; fi
for file in *.group; do
    [ ! -s "$file" ] || kill -s KILL -- "-$(cat "$file")" 2>/dev/null
    rm -f "$file"
done'

end_work() { # stop | go-on
    box_inside bash -c "$END_WORK" - "$NOTES" "$1" </dev/null >/dev/null
}

json_string() {
    local text=$1
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//[[:cntrl:]]/}"
}

# Standard output is JSON for the runner and nothing else; messages belong on standard error.
call_config() {
    printf '{"driver": {"name": "my-driver", "version": "0.1.0"}, "hostname": %s, "builds_dir": %s, "cache_dir": %s}\n' \
        "$(json_string "$name")" "$(json_string "$BUILDS_DIR")" "$(json_string "$CACHE_DIR")"
}

call_prepare() {
    # An earlier attempt, or a runner that was killed, may have left a box half-made: it is never used again.
    box_remove || system_failure "what is left of $name cannot be removed"
    box_create
    echo "$name is ready"
}

# On a signal: the script would go on in the box, so it is ended there. In a process that can be ended itself: a backend that
# does not answer must not keep a job that is over.
stop_work() {
    trap '' TERM
    set +e
    timeout --signal=KILL "$PATIENCE_S" "$0" stop
    system_failure "terminated"
}

call_stop() {
    end_work stop
}

call_run() {
    local script=$1 stage=$2 code=0
    # The stages share this file: the code of an earlier one must not be taken for this one's.
    [ -z "${BUILD_EXIT_CODE_FILE:-}" ] || rm -f "$BUILD_EXIT_CODE_FILE"
    box_exists || system_failure "there is no $name"
    # The runner may have given up on an earlier call, whose script is still there.
    end_work go-on || system_failure "$name cannot be reached"
    trap stop_work TERM
    # A session of its own makes the script and all that it starts one group. In the background, since bash
    # handles a signal only between commands, and at once in `wait`. `|| exit` keeps the code from the trap ERR.
    { box_inside setsid --wait bash -c "$IN_BOX" - "$NOTES" "$stage" || exit; } <"$script" &
    wait "$!" || code=$?
    [ "$code" -ne 0 ] || return 0
    [ "$(box_inside cat "$NOTES/$stage.code" </dev/null)" = "$code" ] ||
        system_failure "$name was lost while $stage ran: code $code"
    build_failure "$code"
}

# May come at any time: before prepare, after a crash, twice. What is not there needs no removing and is no failure.
call_cleanup() {
    box_remove || system_failure "$name cannot be removed"
    ! box_exists || system_failure "$name is still there"
}

case ${1-} in
config | prepare | run | stop | cleanup) "call_$1" "${@:2}" ;;
*) system_failure "call me with config, prepare, run SCRIPT STAGE, or cleanup" ;;
esac
