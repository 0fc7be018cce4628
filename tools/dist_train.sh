#!/usr/bin/env bash
# Train with several processes on this machine, or on each of several.
# Without a GPU the processes talk through gloo: slow, but the same code.
#
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500 tools/dist_train.sh CONFIG 8
set -euo pipefail

if [[ $# -lt 2 || $1 == -h || $1 == --help ]]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
fi
config=$1
gpus=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

address=${MASTER_ADDR:-127.0.0.1}
port=${PORT:-29500}
if [[ ${NODE_RANK:-0} == 0 ]] && (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; then
    echo "port $port of $address is in use, perhaps by another run: set PORT to another one" >&2
    exit 1
fi

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="$address" \
    --master_port="$port" \
    --nproc_per_node="$gpus" \
    "$here/train.py" "$config" --launcher pytorch "$@"
