# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is a directory of this machine, private to a job, but no border: its scripts run as the
# user of the runner. To run jobs elsewhere, replace these constants and functions.

box=${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/my-driver/$name
readonly BUILDS_DIR=$box/builds CACHE_DIR=$box/cache
readonly NOTES=$box/notes # in the box, for the driver

# Says whether the box is there: 0 or 1. Whoever cannot tell must not guess, but call system_failure.
box_exists() {
    [ -d "$NOTES" ]
}

box_create() {
    # The last directory says that the box is whole.
    mkdir -p "$BUILDS_DIR" "$CACHE_DIR"
    mkdir "$NOTES"
}

# Removes the box with all that runs in it; succeeds if there is none.
box_remove() {
    ! box_exists || end_work stop || return
    rm -rf "$box"
}

# Runs a command in the box, with the standard input, output and exit code of the command.
box_inside() {
    "$@"
}
