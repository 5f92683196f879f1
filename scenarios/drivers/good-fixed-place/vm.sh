# What the programs of the driver share; they source it.
# A state directory that does not depend on the environment of the runner.
name=runner-${CUSTOM_ENV_CI_RUNNER_ID:-0}-project-${CUSTOM_ENV_CI_PROJECT_ID:-0}-concurrent-${CUSTOM_ENV_CI_CONCURRENT_PROJECT_ID:-0}-job-$CUSTOM_ENV_CI_JOB_ID
vm=/tmp/driver-conformance-zoo-vms/$name

fail() {
    echo "$*" >&2
    exit "$SYSTEM_FAILURE_EXIT_CODE"
}
