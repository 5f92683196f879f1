# A driver for udocker: pull, create, run for each stage, rm.
# Codes: 73 the script has failed, 74 the container has.
set -eu
name=runner-1-job-$JOB
exists() {
    udocker inspect "$1" >/dev/null 2>&1
}
case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    exists alpine:3 || udocker pull alpine:3
    ! exists "$name" || udocker rm -f "$name"
    udocker create --name="$name" alpine:3
    ;;
run)
    exists "$name" || exit 74
    udocker run --containerauth --nobanner "$name" /bin/sh <"$2" || exit 73
    ;;
cleanup)
    ! exists "$name" || udocker rm -f "$name"
    ;;
esac
