# A driver for Slurm: each script is a batch job, whose state tells how it has ended.
# Codes: 73 the script has failed, 74 the job has.
set -eu
state_of() {
    sacct -X --jobs "$1" --noheader -P --format=State
}
case $1 in
prepare)
    sinfo -h >/dev/null || exit 74
    ;;
run)
    id=$(sbatch --parsable --job-name="ci-$JOB" --output="$PWD/log-%j" --chdir="$PWD" "$2") || exit 74
    while squeue -h -j "$id" -o %T 2>/dev/null | grep -q .; do :; done
    cat "log-$id"
    case $(state_of "$id") in
    COMPLETED) ;;
    FAILED) exit 73 ;;
    *) exit 74 ;;
    esac
    ;;
cleanup)
    scancel --name "ci-$JOB"
    ;;
esac
