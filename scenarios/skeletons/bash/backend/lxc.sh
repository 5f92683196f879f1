# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is one of LXD's instances, made from the image that the job names; the image has to
# have bash, git and setsid. To run jobs elsewhere, replace these constants and functions.

readonly BUILDS_DIR=/builds CACHE_DIR=/cache
readonly NOTES=/run/my-driver # in the box, for the driver

# Says whether the box is there: 0 or 1. Whoever cannot tell must not guess, but call system_failure. All names are looked at, since
# LXD takes a name that it is asked for as the beginning of one: of job 12 and job 123.
box_exists() {
    local names
    names=$(lxc list --format csv --columns n) || system_failure "LXD does not say which instances there are"
    grep -Fqx -- "$name" <<<"$names"
}

box_create() {
    local image=${CUSTOM_ENV_CI_JOB_IMAGE:-ubuntu:24.04}
    # The job chooses this word: it must not be an option of LXD's.
    [[ $image =~ ^[[:alnum:]][[:alnum:]._/:@-]*$ ]] || system_failure "$image is no name of an image"
    # LXD names what it makes, which would only fill the job's log. What it reads from standard input would be taken for a
    # configuration.
    lxc launch "$image" "$name" </dev/null >/dev/null
    box_inside mkdir -p "$BUILDS_DIR" "$CACHE_DIR" "$NOTES" </dev/null
}

# Removes the box with all that runs in it; succeeds if there is none.
box_remove() {
    ! box_exists || lxc delete --force "$name"
}

# Runs a command in the box, with the standard input, output and exit code of the command.
box_inside() {
    lxc exec "$name" -- "$@"
}
