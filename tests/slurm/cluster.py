#!/usr/bin/env python3
"""A SLURM cluster of one node on this machine, for as long as one command runs.

    python tests/slurm/cluster.py [--accounting] COMMAND ...
    python tests/slurm/cluster.py bash              # look around: sinfo, squeue, sbatch

The node pretends to have 8 cores, 256 GB and two GPUs (plain device files); partitions `cpu` and `gpu` as in
profiles/slurm. Everything listens on 127.0.0.1 and lives in one temporary folder, but for two links in /etc/slurm:
jobs lose the variable that could name another place. Memory is policed by the second, so that a job can run out of it.
Jobs keep the niceness of who submits them, and the waiting times suit a machine that is busy with other things.
All of it is gone at the end, whatever the end is: the daemons die with this process even where it is killed.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = "slurmctld slurmd slurm-client munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "setpriv")
ACCOUNTING_PACKAGES = "slurmdbd mariadb-server"
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr")
SYSTEM = Path("/etc/slurm")
LOCK = Path("/tmp/copra_slurm.lock")
PREFIX = "copra_slurm_"
START_S = 30.0

SLURM_CONF = """\
ClusterName=copra
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=30
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill,UsePss
KillWait=5
MinJobAge=3600
MessageTimeout=90
TCPTimeout=30
BatchStartTimeout=300
PropagatePrioProcess=1
ReturnToService=0
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=256000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP OverTimeLimit=0
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP OverTimeLimit=0
"""
ACCOUNTING_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
"""
GRES_CONF = """\
AutoDetect=off
NodeName={host} Name=gpu File=/dev/null
NodeName={host} Name=gpu File=/dev/zero
"""
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""
SQL = "CREATE DATABASE slurm; CREATE USER slurm@'%' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm.* TO slurm@'%';"


class ClusterError(Exception):
    """The cluster cannot be had; the message says why and what to do."""


def hindrance(accounting: bool = False) -> str | None:
    """Why no cluster can be started here, with what to do about it; None where it can."""
    programs, packages = PROGRAMS, PACKAGES
    if accounting:
        programs, packages = programs + ACCOUNTING_PROGRAMS, f"{packages} {ACCOUNTING_PACKAGES}"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [program for program in programs if shutil.which(program, path=path) is None]
    if absent:
        return f"no {', '.join(absent)} here: apt-get install --no-install-recommends {packages}"
    if os.geteuid() != 0:
        return "SLURM's daemons run as root here, and you are not root"
    for name in ("slurm.conf", "gres.conf"):
        file = SYSTEM / name
        if (file.exists() or file.is_symlink()) and not _is_ours(file):
            return f"{file} is there already: this machine belongs to a cluster, which is left alone"
    return None


def _is_ours(file: Path) -> bool:
    return file.is_symlink() and PREFIX in os.readlink(file)


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder with all logs, and what it knows."""

    folder: Path
    host: str

    def jobs(self) -> list[dict[str, str]]:
        """Every job that was submitted, as `scontrol show job` tells it; a task of an array is a job."""
        text = slurm("scontrol", "show", "job", "--oneliner")
        lines = [line for line in text.splitlines() if line.startswith("JobId=")]
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def unfinished(self) -> list[str]:
        """The ids of jobs that wait or run."""
        return slurm("squeue", "--noheader", "--format=%i").split()

    def cancel(self, job: str) -> None:
        """scancel one job."""
        slurm("scancel", job)

    def wait_until_empty(self, limit_s: float) -> None:
        """Wait until no job waits or runs; raises ClusterError after `limit_s` seconds."""
        _wait(lambda: not self.unfinished(), "the end of all jobs", self.folder, limit_s)

    def node(self, state: str) -> None:
        """Take the node down, or `resume` it."""
        slurm("scontrol", "update", f"nodename={self.host}", f"state={state}", "reason=test")


def slurm(*words: str) -> str:
    """What a SLURM command prints; raises ClusterError with its complaint."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def started(accounting: bool = False) -> Iterator[Cluster]:
    """A cluster for the length of a with statement. One at a time on a machine: a second waits for the first."""
    reason = hindrance(accounting)
    if reason:
        raise ClusterError(reason)
    with ExitStack() as ends:
        lock = ends.enter_context(LOCK.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_links()  # what a cluster left that was killed; as the lock is ours, none is running
        for left in Path("/tmp").glob(f"{PREFIX}*/"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # munge refuses a socket that others cannot reach
        cluster = Cluster(folder, socket.gethostname().split(".")[0])
        _write_configuration(cluster, accounting)
        _start_munge(cluster, ends)
        if accounting:
            _start_accounting(cluster, ends)
        ends.callback(_remove_links)
        for name in ("slurm.conf", "gres.conf"):
            (SYSTEM / name).symlink_to(folder / name)
        _start_daemon(cluster, ends, "slurmctld", "-D", "-i")
        _wait(lambda: slurm("scontrol", "ping").count("UP") > 0, "slurmctld", folder)
        _start_daemon(cluster, ends, "slurmd", "-D", "-N", cluster.host)
        ends.callback(_cancel_jobs, cluster)
        _wait(lambda: slurm("sinfo", "--noheader", "--format=%T").startswith("idle"), "slurmd", folder)
        yield cluster


def _write_configuration(cluster: Cluster, accounting: bool) -> None:
    SYSTEM.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (cluster.folder / name).mkdir()
    ports = dict(zip(("ctld_port", "slurmd_port", "dbd_port", "sql_port"), _free_ports(4), strict=True))
    values = {"folder": cluster.folder, "host": cluster.host, **ports}
    texts = {"slurm.conf": SLURM_CONF + ACCOUNTING_CONF * accounting, "gres.conf": GRES_CONF}
    texts["slurmdbd.conf"] = SLURMDBD_CONF
    for name, text in texts.items():
        (cluster.folder / name).write_text(text.format(**values))
    (cluster.folder / "slurmdbd.conf").chmod(0o600)
    (cluster.folder / "sql_port").write_text(str(ports["sql_port"]))


def _start_munge(cluster: Cluster, ends: ExitStack) -> None:
    folder = cluster.folder
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    _start_daemon(cluster, ends, "munged", "--foreground", f"--socket={folder}/munge.socket", *files)
    _wait(lambda: (folder / "munge.socket").exists(), "munged", folder)


def _start_accounting(cluster: Cluster, ends: ExitStack) -> None:
    folder, data = cluster.folder, cluster.folder / "mariadb"
    sql_socket, sql_port = f"--socket={folder}/mariadb.socket", (folder / "sql_port").read_text()
    install = ("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
    with (folder / "mariadb.out").open("w") as out:
        subprocess.run((*install, "--auth-root-authentication-method=normal"), check=True, stdout=out, stderr=out)
    address = ("--bind-address=127.0.0.1", f"--port={sql_port}", sql_socket, f"--pid-file={folder}/mariadb.pid")
    _start_daemon(cluster, ends, "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", *address)
    client = ("mariadb", "--no-defaults", sql_socket, "--user=root")
    _wait(lambda: subprocess.run((*client, "-e", ""), capture_output=True).returncode == 0, "mariadbd", folder)
    subprocess.run((*client, "-e", SQL), check=True)
    # slurmdbd has no option for the place of its configuration but this variable
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    ends.callback(os.environ.pop, "SLURM_CONF", None)
    _start_daemon(cluster, ends, "slurmdbd", "-D")
    _wait(lambda: bool(slurm("sacctmgr", "--noheader", "list", "user")), "slurmdbd", folder)
    slurm("sacctmgr", "--immediate", "add", "cluster", "copra")
    slurm("sacctmgr", "--immediate", "add", "account", "copra", "cluster=copra")
    slurm("sacctmgr", "--immediate", "add", "user", "root", "account=copra")


def _start_daemon(cluster: Cluster, ends: ExitStack, program: str, *words: str) -> None:
    """Start a daemon in the foreground; the kernel ends it with us."""
    with (cluster.folder / f"{program}.out").open("w") as out:
        process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", program, *words),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            start_new_session=True,  # a Ctrl-C in the terminal is for the command, not for the cluster
        )
    ends.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cancel_jobs(cluster: Cluster) -> None:
    """End what still runs; without this, jobs outlive the daemons."""
    try:
        ids = cluster.unfinished()
        if ids:
            slurm("scancel", "--quiet", *ids)
        cluster.wait_until_empty(START_S)
    except (ClusterError, subprocess.TimeoutExpired) as error:
        print(f"cluster: {error}", file=sys.stderr)


def _remove_links() -> None:
    for name in ("slurm.conf", "gres.conf"):
        if _is_ours(SYSTEM / name):
            (SYSTEM / name).unlink()


def _free_ports(n: int) -> list[int]:
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _wait(ready: Callable[[], bool], what: str, folder: Path, limit_s: float = START_S) -> None:
    """Ask until it is so; raises ClusterError with the last lines of its log after `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            if ready():
                return
        except ClusterError:
            pass  # not yet
        time.sleep(0.05)
    logs = [folder / f"{what}.{kind}" for kind in ("log", "out")]
    said = "\n".join(log.read_text(errors="replace")[-1500:] for log in logs if log.is_file())
    raise ClusterError(f"{what} did not come within {limit_s:.0f} s\n{said}")


def _run(command: list[str]) -> int:
    """The exit status of a command, which is ended with us."""
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the command has had it too and knows what to do
    finally:
        _stop(process)


def main() -> int:
    """Run a command beside a cluster; its exit status is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd on MariaDB, so that sacct answers")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    words = parser.parse_args()
    if not words.command:
        parser.error("which command is to run beside the cluster?")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the with statement ends as it should
    try:
        with started(words.accounting) as cluster:
            print(f"cluster: {cluster.folder}", file=sys.stderr)
            return _run(words.command)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
