# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is one of Podman's containers, made from the image that the job names; the image has to
# have bash, git and setsid. To run jobs elsewhere, replace these constants and functions.

readonly BUILDS_DIR=/builds CACHE_DIR=/cache
readonly NOTES=/run/my-driver # in the box, for the driver

# Says whether the box is there: 0 or 1. Whoever cannot tell must not guess, but call system_failure.
box_exists() {
    local code=0
    podman container exists "$name" || code=$?
    [ "$code" -le 1 ] || system_failure "Podman does not say whether there is a container $name"
    return "$code"
}

box_create() {
    local image=${CUSTOM_ENV_CI_JOB_IMAGE:-docker.io/library/buildpack-deps:stable}
    # The job chooses this word: it must not be an option of Podman's.
    [[ $image =~ ^[[:alnum:]][[:alnum:]._/:@-]*$ ]] || system_failure "$image is no name of an image"
    # `sleep` keeps the container, whatever the image would start. The id that is printed would only fill the job's log.
    podman run --detach --name "$name" --entrypoint sleep "$image" infinity >/dev/null
    podman exec "$name" mkdir -p "$BUILDS_DIR" "$CACHE_DIR" "$NOTES"
}

# Removes the box with all that runs in it; succeeds if there is none.
box_remove() {
    podman rm --force --time 0 --volumes "$name" >/dev/null
}

# Runs a command in the box, with the standard input, output and exit code of the command.
box_inside() {
    podman exec --interactive "$name" "$@"
}
