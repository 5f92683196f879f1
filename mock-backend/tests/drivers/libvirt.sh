# A driver for virtual machines in the usual shape: a disk over a base image, virt-install, ssh.
# Codes: 73 the script has failed, 74 the machine has.
set -eu
name=runner-1-job-$JOB
disk=$PWD/$name.qcow2

address() {
    virsh -q domifaddr "$name" | awk 'NF { sub("/.*", "", $4); print $4 }'
}

case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    [ -e base.qcow2 ] || qemu-img create -q -f qcow2 base.qcow2 8G
    virsh destroy "$name" 2>/dev/null || :
    virsh undefine "$name" --nvram 2>/dev/null || :
    qemu-img create -f qcow2 -b base.qcow2 "$disk" -F qcow2
    sudo virt-install --name "$name" --os-variant debian12 --disk "$disk" --import --vcpus=2 --ram=2048 \
        --network default --graphics none --noautoconsole
    for _ in 1 2 3 4 5; do
        place=$(address)
        [ -z "$place" ] || break
    done
    ssh -i key -o StrictHostKeyChecking=no "ci@$place" true
    ;;
run)
    code=0
    ssh -i key -o StrictHostKeyChecking=no "ci@$(address)" /bin/sh <"$2" || code=$?
    case $code in
    0) ;;
    255) exit 74 ;;
    *) exit 73 ;;
    esac
    ;;
cleanup)
    if virsh domstate "$name" >/dev/null 2>&1; then
        [ "$(virsh domstate "$name" | head -n 1)" != running ] || virsh destroy "$name"
        virsh undefine "$name"
    fi
    rm -f "$disk"
    ;;
esac
