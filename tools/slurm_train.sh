#!/usr/bin/env bash
# Train on a Slurm cluster.
#
#   GPUS=16 GPUS_PER_NODE=8 tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
#
# CPUS_PER_TASK (default 5) and SRUN_ARGS (further words for srun) are read too.
set -euo pipefail

if [[ $# -lt 4 || $1 == -h || $1 == --help ]]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
fi
partition=$1
job_name=$2
config=$3
work_dir=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
read -r -a srun_args <<<"${SRUN_ARGS:-}"

exec srun -p "$partition" \
    --job-name="$job_name" \
    --gres=gpu:"${GPUS_PER_NODE:-8}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${srun_args[@]+"${srun_args[@]}"} \
    "${PYTHON:-python}" -u "$here/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@"
