#!/usr/bin/env bash
# A real Slurm on this one machine, as root on Debian: the smoke study through profiles/slurm, its toy tables bit for
# bit against a local run, and what is said of a job killed, one over its memory and one over its time. It takes about five minutes.
#
#     benchmarks/slurm.sh [folder]
#
# Installs slurm-wlm, slurmdbd, munge and mariadb-server, starts them on the loopback with their state in the folder,
# and ends them. /etc/slurm/slurm.conf must not exist yet: steps of a job read their settings from there alone.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
PATH=$repository/.venv/bin:/usr/sbin:$PATH
if [ -e /etc/slurm/slurm.conf ]; then
    echo "error: /etc/slurm/slurm.conf exists; this script sets up a Slurm of its own" >&2
    exit 1
fi
folder=$(realpath "${1:-$(mktemp -d)}")
state=$folder/slurm
mkdir -p "$state/ctld" "$state/d" "$state/mysql"
echo "in $folder"

stop() {
    for daemon in slurmd slurmctld slurmdbd munged mariadbd; do
        if [ -s "$state/$daemon.pid" ]; then
            kill "$(cat "$state/$daemon.pid")" 2> /dev/null || true
            timeout 20 tail --pid="$(cat "$state/$daemon.pid")" -f /dev/null || true
        fi
    done
    rm -f /etc/slurm/slurm.conf /etc/slurm/slurmdbd.conf
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

# Packages: their services are not to be started.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && own_policy=1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd munge mariadb-server > "$folder/apt.log" 2>&1
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

# Accounting, which keeps the reason why a job ended: MariaDB on a socket, and slurmdbd.
chown mysql: "$state/mysql"
mariadb-install-db --no-defaults --user=mysql --datadir="$state/mysql" --auth-root-authentication-method=normal \
    > "$folder/mysql.log" 2>&1
mariadbd --no-defaults --user=mysql --datadir="$state/mysql" --socket="$state/mysql/socket" --skip-networking \
    --pid-file="$state/mysql/pid" >> "$folder/mysql.log" 2>&1 &
echo $! > "$state/mariadbd.pid"
wait_for test -S "$state/mysql/socket"
mariadb --no-defaults --socket="$state/mysql/socket" --user=root --execute="create database slurm_acct_db"

name=$(hostname)
install -m 600 /dev/stdin /etc/slurm/slurmdbd.conf << END
DbdHost=localhost
DbdPort=16819
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
PidFile=$state/slurmdbd.pid
LogFile=$state/slurmdbd.log
END
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
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=16819
AccountingStoragePass=$state/munge/socket
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free -m | awk '/^Mem/ {print int(0.8 * $2)}')
PartitionName=all Nodes=ALL Default=YES
END
# slurmdbd finds the database by the environment of the MySQL client library.
export MYSQL_UNIX_PORT=$state/mysql/socket
slurmdbd
wait_for sacctmgr --immediate show cluster
sacctmgr --immediate --quiet add cluster one || true
sacctmgr --immediate --quiet add account study || true
sacctmgr --immediate --quiet add user "$(id -un)" account=study || true
slurmctld
slurmd
wait_for srun --time=1 --mem=100 true
sinfo

# The smoke study, locally and through Slurm.
cd "$repository"
configs="config.yaml tests/smoke.yaml"
snakemake --cores all toy --configfile $configs --directory "$folder/local" > "$folder/local.log" 2>&1
time snakemake --profile profiles/slurm --slurm-init-seconds-before-status-checks 3 --latency-wait 5 toy \
    --configfile $configs --directory "$folder/cluster" > "$folder/cluster.log" 2>&1
sacct --allocations --format=JobID,JobName%12,State,Elapsed,ReqMem
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
! snakemake --profile "$repository/profiles/slurm" --slurm-init-seconds-before-status-checks 3 > "$folder/failing.log" 2>&1
grep -oE "SLURM-job .* failed, SLURM status is: '[A-Z_]+'" "$folder/failing.log"
for rule in killed memory time; do
    echo "log of the job $rule:"
    grep -hoE "CANCELLED AT [^*]*|exceeded memory limit.*" .snakemake/slurm_logs/rule_$rule/*.log | sort --unique
done
sacct --allocations --format=JobID,State,ExitCode,Elapsed,ReqMem | tail -3
