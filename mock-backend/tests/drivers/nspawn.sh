# A driver for machines of systemd-nspawn: started by systemd-run, which runs the scripts, too; ended by machinectl.
# Codes: 73 the script has failed, 74 the machine has.
set -eu
name=run-$JOB
mkdir -p chroot
case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    systemd-run --property=KillMode=mixed --property=Type=notify --setenv=SYSTEMD_SECCOMP=0 \
        systemd-nspawn --quiet --directory="$PWD/chroot" --machine="$name" --boot --notify-ready=yes
    ;;
run)
    machinectl show "$name" >/dev/null || exit 74
    systemd-run --quiet --pipe --wait --machine="$name" /bin/sh <"$2" || exit 73
    ;;
cleanup)
    ! machinectl show "$name" >/dev/null 2>&1 || machinectl terminate "$name"
    while machinectl show "$name" >/dev/null 2>&1; do :; done
    ;;
esac
