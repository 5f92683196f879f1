# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is a virtual machine of a cloud with an HTTP API, reached by ssh; the image has to have
# bash, git and setsid. The API is a model of many: change paths and fields to those of yours. To run jobs elsewhere, replace these
# constants and functions.

readonly BUILDS_DIR=/builds CACHE_DIR=/cache
readonly NOTES=/run/my-driver # in the box, for the driver
readonly POLLS_MAX=240 # half a second apart, until a machine is there, or gone

# Asks the API; sets `status` and `body`. What is no answer of the API is the status 000. The token is no argument, since those
# can be read by everybody on this machine.
api() { # METHOD PATH [BODY]
    local answer
    answer=$(curl --silent --show-error --max-time 30 --request "$1" --header 'Content-Type: application/json' \
        --config - --data "${3:-}" --write-out '\n%{http_code}' "$VM_API_URL/v1/$2" \
        <<<"header = \"Authorization: Bearer $VM_API_TOKEN\"") || answer=$'\n000'
    status=${answer##*$'\n'}
    body=${answer%$'\n'*}
}

# A field of the machine in `body`. With jq on your machines: jq -r ".$1" <<<"$body"
field() {
    [[ $body =~ \"$1\":\ *\"([^\"]*)\" ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# Says whether the box is there: 0 or 1. Whoever cannot tell must not guess, but call system_failure.
box_exists() {
    api GET "instances/$name"
    [ "$status" = 200 ] || [ "$status" = 404 ] || system_failure "the API does not say whether there is $name: status $status"
    [ "$status" = 200 ]
}

box_create() {
    local image=${CUSTOM_ENV_CI_JOB_IMAGE:-debian-13} poll
    # The job chooses this word: it must not be more than a string of JSON.
    [[ $image =~ ^[[:alnum:]][[:alnum:]._/:@-]*$ ]] || system_failure "$image is no name of an image"
    api POST instances "{\"name\": \"$name\", \"image\": \"$image\"}"
    [ "$status" = 202 ] || system_failure "$name cannot be made: status $status"
    # Every wait has an end of its own: the runner would wait for an hour.
    for ((poll = 1; poll <= POLLS_MAX; poll++)); do
        box_exists || system_failure "$name is lost"
        case $(field status) in
        active) break ;;
        off) system_failure "$name went off" ;;
        esac
        sleep 0.5
    done
    box_inside mkdir -p "$BUILDS_DIR" "$CACHE_DIR" "$NOTES" </dev/null
}

# Removes the box with all that runs in it, and waits until the API does not know it any more; succeeds if there is none.
box_remove() {
    local poll
    api DELETE "instances/$name"
    [ "$status" = 204 ] || [ "$status" = 404 ] || return
    for ((poll = 1; poll <= POLLS_MAX; poll++)); do
        box_exists || return 0
        sleep 0.5
    done
    return 1
}

# Runs a command in the box, with the standard input, output and exit code of the command. The keys of machines that live for one
# job cannot be known before. A shell on the other side puts the words apart again, so each is quoted.
box_inside() {
    box_exists && [ "$(field status)" = active ] || return
    ssh -o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        "root@$(field address)" "$(printf "'%s' " "${@//\'/\'\\\'\'}")"
}
