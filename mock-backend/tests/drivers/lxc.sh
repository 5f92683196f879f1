# A driver for instances of LXD or Incus, whose client is $TOOL: launch, exec with the script on standard input, delete.
# Codes: 73 the script has failed, 74 the instance has.
set -eu
name=runner-1-job-$JOB
exists() {
    "$TOOL" info "$name" >/dev/null 2>&1
}
case $1 in
prepare)
    trap 'test $? = 0 || exit 74' EXIT
    ! exists || "$TOOL" delete -f "$name"
    "$TOOL" launch ubuntu:24.04 "$name"
    for _ in 1 2 3; do
        if "$TOOL" exec "$name" -- sh -c "systemctl isolate multi-user.target"; then
            break
        fi
    done
    ;;
run)
    "$TOOL" exec "$name" -- true || exit 74
    "$TOOL" exec "$name" -- /bin/sh <"$2" || exit 73
    ;;
cleanup)
    ! exists || "$TOOL" delete -f "$name"
    ;;
esac
