# shellcheck shell=bash disable=SC2154 # `name` is that of the job, from driver.sh
# The backend: where jobs run. Here a box is one of libvirt's virtual machines with a disk of its own over a base image, reached by
# ssh; the image has to have bash, git and setsid. To run jobs elsewhere, replace these constants and functions.

readonly BUILDS_DIR=/builds CACHE_DIR=/cache
readonly NOTES=/run/my-driver # in the box, for the driver

base_image=${BASE_IMAGE:-/var/lib/libvirt/images/base.qcow2} # the variable is one of the environment of the runner
disk=${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/my-driver/$name.qcow2
readonly TRIES_MAX=240 # half a second apart, until a machine answers

# Where the machine is reached; nothing if it has no address yet.
address() {
    virsh -q domifaddr "$name" | awk 'NF { sub("/.*", "", $4); print $4; exit }'
}

# Says whether the box is there, up or not: 0 or 1. Whoever cannot tell must not guess, but call system_failure.
box_exists() {
    local names
    names=$(virsh list --all --name) || system_failure "libvirt does not say which machines there are"
    grep -Fqx -- "$name" <<<"$names"
}

box_create() {
    local try
    mkdir -p "${disk%/*}"
    # What the machine writes goes to a file of its own: the base image stays as it is.
    qemu-img create -q -f qcow2 -b "$base_image" -F qcow2 "$disk"
    virt-install --name "$name" --os-variant debian12 --disk "$disk" --import --vcpus 2 --memory 2048 \
        --network default --graphics none --noautoconsole >/dev/null
    # Every wait has an end of its own: the runner would wait for an hour.
    for ((try = 1; try <= TRIES_MAX; try++)); do
        ! box_inside mkdir -p "$BUILDS_DIR" "$CACHE_DIR" "$NOTES" </dev/null 2>/dev/null || return 0
        sleep 0.5
    done
    system_failure "$name does not answer"
}

# Removes the box with all that runs in it, and its disk; succeeds if there is none.
box_remove() {
    if box_exists; then
        virsh destroy "$name" >/dev/null 2>&1 || : # it is off already
        virsh undefine "$name" --nvram >/dev/null || return
    fi
    rm -f "$disk"
}

# Runs a command in the box, with the standard input, output and exit code of the command. The keys of machines that live for one
# job cannot be known before. A shell on the other side puts the words apart again, so each is quoted.
box_inside() {
    local there
    there=$(address) && [ -n "$there" ] || return
    ssh -o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        "root@$there" "$(printf "'%s' " "${@//\'/\'\\\'\'}")"
}
