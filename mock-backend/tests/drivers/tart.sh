# A driver for Tart: clone, run in the background, ssh, stop, delete.
# Codes: 73 the script has failed, 74 the machine has.
set -eu
name=runner-1-job-$JOB
case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    tart stop "$name" 2>/dev/null || :
    tart delete "$name" 2>/dev/null || :
    tart clone ghcr.io/images/macos:latest "$name"
    tart set "$name" --cpu 4 --memory 8192
    tart run "$name" --no-graphics </dev/null >/dev/null 2>&1 &
    sshpass -p admin ssh -o StrictHostKeyChecking=no "admin@$(tart ip "$name" --wait 30)" true
    ;;
run)
    place=$(tart ip "$name") || exit 74
    code=0
    sshpass -p admin ssh -o StrictHostKeyChecking=no "admin@$place" /bin/sh <"$2" || code=$?
    case $code in
    0) ;;
    255) exit 74 ;;
    *) exit 73 ;;
    esac
    ;;
cleanup)
    code=0
    tart stop "$name" || code=$?
    case $code in 0 | 2) ;; *) exit 74 ;; esac
    code=0
    tart delete "$name" || code=$?
    case $code in 0 | 2) ;; *) exit 74 ;; esac
    ;;
esac
