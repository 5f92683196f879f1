# A driver for enroot: import, create, start for each stage, remove.
# Codes: 73 the script has failed, 74 the container has.
set -eu
name=runner-1-job-$JOB
exists() {
    enroot list | grep -qx "$name"
}
case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    [ -e image.sqsh ] || enroot import --output image.sqsh -- docker://alpine:3
    ! exists || enroot remove --force -- "$name"
    enroot create --name "$name" -- image.sqsh
    enroot list --fancy
    ;;
run)
    exists || exit 74
    enroot start --root --rw -e KEY=value "$name" /bin/sh <"$2" || exit 73
    ;;
cleanup)
    ! exists || enroot remove --force -- "$name"
    ;;
esac
