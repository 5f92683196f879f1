# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is a directory of a fixed host that all jobs share, reached by ssh. It is private to a job,
# but no border: scripts run as the user that logs in. Who that is, with which key and port, is a matter of the ssh configuration of
# the runner's user, which has to know the key of the host as well. To run jobs elsewhere, replace these constants and functions.

readonly STORE=/var/lib/my-driver # on the host; the user that logs in has to be able to write there
host=${SSH_HOST:-build-host}      # the variable is one of the environment of the runner
box=$STORE/$name
readonly BUILDS_DIR=$box/builds CACHE_DIR=$STORE/cache # the cache serves later jobs as well
readonly NOTES=$box/notes                              # in the box, for the driver

# Says whether the box is there: 0 or 1. Whoever cannot tell must not guess, but call system_failure.
box_exists() {
    local code=0
    on_host test -d "$NOTES" </dev/null || code=$?
    [ "$code" -le 1 ] || system_failure "the host $host does not say whether there is $name"
    return "$code"
}

# Runs on the host. The last directory says that the box is whole. Scripts hold secrets, so it is for its owner alone.
# shellcheck disable=SC2016 # the variables are those of the shell on the host
readonly CREATE='umask 077; mkdir -p "$1/builds" "$1/tmp" "$2" && mkdir "$1/notes"'

box_create() {
    on_host bash -c "$CREATE" - "$box" "$CACHE_DIR" </dev/null
}

# Runs on the host: ends every process of the job, also those in sessions of their own, then removes the box. It is nobody else
# who ends them: the host stays. They have the name of the box in their environment, or work in it.
# shellcheck disable=SC2016
readonly REMOVE='
for try in {1..100}; do
    found=$(grep -Flxz -e "MY_DRIVER_BOX=$2" /proc/[0-9]*/environ 2>/dev/null
        find /proc/[0-9]*/cwd -maxdepth 0 "(" -lname "$1" -o -lname "$1/*" ")" 2>/dev/null)
    [ -n "$found" ] || break
    kill -s KILL ${found//[!0-9[:space:]]/} 2>/dev/null
    sleep 0.1
done
[ -z "$found" ] || exit 1
[ ! -e "$1" ] || chmod -R u+rwX "$1"
rm -rf "$1"'

# Removes the box with all that runs in it; succeeds if there is none, and fails if the host cannot be reached.
box_remove() {
    on_host bash -c "$REMOVE" - "$box" "$name" </dev/null
}

# Runs a command in the box, with the standard input, output and exit code of the command.
box_inside() {
    on_host env "MY_DRIVER_BOX=$name" "TMPDIR=$box/tmp" "$@"
}

# Runs a command on the host. ssh never asks, and gives up on a host that is gone; its code is then 255, which may as well be that
# of the command. A shell on the other side puts the words apart again, so each is quoted.
on_host() {
    ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o LogLevel=ERROR -o ConnectTimeout=10 -o ServerAliveInterval=15 \
        -o ServerAliveCountMax=4 "$host" "$(printf "'%s' " "${@//\'/\'\\\'\'}")"
}
