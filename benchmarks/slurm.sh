#!/usr/bin/env bash
# A real Slurm on this one machine, as root on Debian, in about five minutes: the smoke study through profiles/slurm,
# its toy tables bit for bit against a local run, and what is said of a job cancelled, over its memory, over its time.
#
#     benchmarks/slurm.sh [folder]
#
# Installs slurm-wlm and munge, starts them with their state in the folder, and ends them. /etc/slurm/slurm.conf must
# not exist yet: the steps of a job read their settings from there alone.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
PATH=$repository/.venv/bin:/usr/sbin:$PATH
if [ -e /etc/slurm/slurm.conf ]; then
    echo "error: /etc/slurm/slurm.conf exists; this script sets up a Slurm of its own" >&2
    exit 1
fi
folder=$(realpath "${1:-$(mktemp -d)}")
state=$folder/slurm
mkdir -p "$state/ctld" "$state/d"
echo "in $folder"

stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -s "$state/$daemon.pid" ]; then
            pid=$(cat "$state/$daemon.pid")
            kill "$pid" && timeout 20 tail --pid="$pid" -f /dev/null || true
        fi
    done
    rm -f /etc/slurm/slurm.conf
}
trap stop EXIT

# Tries a command for half a minute.
wait_for() {
    for _ in $(seq 60); do
        "$@" > /dev/null 2>&1 && return
        sleep 0.5
    done
    echo "error: $* did not succeed; see the logs in $state" >&2
    exit 1
}

# The jobs that Slurm still remembers.
ended() {
    squeue --states=all --sort=i --format="%.6i %.12T %.10M %.8m %k"
}

# Packages: their services are not to be started.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && own_policy=1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm munge > "$folder/apt.log" 2>&1
[ -z "${own_policy:-}" ] || rm $policy
pip install --quiet --constraint "$repository/constraints.txt" --editable "$repository[slurm]"

# Who speaks to whom: munge, with a key of its own.
install -d -o munge -g munge -m 755 "$state/munge"
head -c 1024 /dev/urandom > "$state/munge/key"
chown munge: "$state/munge/key" && chmod 400 "$state/munge/key"
chmod a+x "$folder" "$state"
su munge -s /bin/sh -c "munged --key-file=$state/munge/key --socket=$state/munge/socket --pid-file=$state/munge/pid \
    --log-file=$state/munge/log --seed-file=$state/munge/seed"
cp "$state/munge/pid" "$state/munged.pid"

name=$(hostname)
cat > /etc/slurm/slurm.conf << END
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
OverTimeLimit=0
KillWait=5
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free -m | awk '/^Mem/ {print int(0.8 * $2)}')
PartitionName=all Nodes=ALL Default=YES
END
slurmctld
slurmd
wait_for srun --time=1 --mem=100 true
sinfo

# The smoke study, locally and through Slurm.
cd "$repository"
configs="config.yaml tests/smoke.yaml"
snakemake --cores all toy --configfile $configs --directory "$folder/local" > "$folder/local.log" 2>&1
options="--slurm-no-account --slurm-init-seconds-before-status-checks 3"
time snakemake --profile profiles/slurm $options --group-components models=2 --latency-wait 5 toy \
    --configfile $configs --directory "$folder/cluster" > "$folder/cluster.log" 2>&1
ended
python - "$folder" << 'END'
import sys
from pathlib import Path

import pandas as pd

folder, differ = Path(sys.argv[1]), 0
for table in ("toy_models", "toy_curves", "toy_features"):
    local, cluster = (
        pd.read_csv(folder / run / "results/tables" / f"{table}.csv", dtype=str).drop(columns="seconds", errors="ignore")
        for run in ("local", "cluster")
    )
    differ += not local.equals(cluster)
    print(f"{table}: {len(local)} rows, {'the same' if local.equals(cluster) else 'DIFFERENT'} but for seconds")
sys.exit(differ)
END

# Three jobs that fail: cancelled, over the memory asked for, over the time asked for.
mkdir -p "$folder/failing"
cat > "$folder/failing/Snakefile" << 'END'
rule all:
    input:
        "killed",
        "memory",
        "time",

rule killed:
    output: "killed"
    resources: mem_mb=500, runtime=5
    shell: "scancel $SLURM_JOB_ID; sleep 120; touch {output}"

rule memory:
    output: "memory"
    resources: mem_mb=500, runtime=5
    shell: "python -c 'import time; x = bytearray(2 * 10**9); time.sleep(60)'; touch {output}"

rule time:
    output: "time"
    resources: mem_mb=500, runtime=1
    shell: "sleep 300; touch {output}"
END
cd "$folder/failing"
! snakemake --profile "$repository/profiles/slurm" $options > "$folder/failing.log" 2>&1
grep -oE "SLURM-job .* failed, SLURM status is: '[A-Z_]+'" "$folder/failing.log"
for rule in killed memory time; do
    echo "log of the job $rule:"
    grep -hoE "CANCELLED AT [^*]*|exceeded memory limit.*" .snakemake/slurm_logs/rule_$rule/*.log | sort --unique
done
ended | tail -3
