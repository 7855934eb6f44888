"""Losses of a host as real corosyncs see them; see detect.sh, which starts it inside namespaces of its own."""

import argparse
import datetime
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("--repetitions", type=int, default=5)
arguments.add_argument("--only", action="append", help="a case whose name contains this")
options = arguments.parse_args()

# What corosync.conf says of totem beside Proxmox's own lines, whether there is a QDevice, and whether deploy/corosync.sh has
# been over it.
CASES = [
    ("defaults (token 3 s)", "", False, False),
    ("token 1 s", "token: 1000", False, False),
    ("as deploy/corosync.sh sets it", "", False, True),
    ("defaults, QDevice at its defaults", "", True, False),
    ("token 1 s, QDevice at its defaults", "token: 1000", True, False),
    ("QDevice, as deploy/corosync.sh sets it", "", True, True),
]
NODES = ["pve1", "pve2"]
QNETD = ["corosync-qnetd", "-f", "-s", "off", "-m", "0", "-4"]


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, **more).stdout


def configuration(totem, device):
    nodes = "".join(
        f"  node {{\n    name: {name}\n    nodeid: {i + 1}\n    quorum_votes: 1\n    ring0_addr: 10.9.0.{i + 1}\n  }}\n"
        for i, name in enumerate(NODES))
    third = "" if not device else (
        "  device {\n    model: net\n    votes: 1\n    net {\n      tls: off\n      host: 10.9.0.3\n      algorithm: ffsplit\n    }\n  }\n")
    return (
        "totem {\n  cluster_name: lab\n  config_version: 1\n  interface {\n    linknumber: 0\n  }\n  ip_version: ipv4-6\n"
        f"  link_mode: passive\n  secauth: on\n  version: 2\n  {totem}\n}}\n"
        f"nodelist {{\n{nodes}}}\nquorum {{\n  provider: corosync_votequorum\n{third}}}\n"
        "logging {\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n  to_syslog: no\n  to_stderr: no\n"
        "  timestamp: hires\n}\n")


class Machine:
    """A machine: network, mounts and shared memory of its own, held by one sleeping process."""

    def __init__(self, name, address):
        self.name, self.folder, self.processes = name, options.folder / name, []
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ["etc", "log", "lib", "run", "shm"]:
            (self.folder / part).mkdir(parents=True)
        mounts = " && ".join(
            f"mount --bind {self.folder}/{part} {place}" for part, place in [
                ("etc", "/etc/corosync"), ("log", "/var/log/corosync"), ("lib", "/var/lib/corosync"), ("run", "/run"),
                ("shm", "/dev/shm")])
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--ipc", "sh", "-c",
             f"mkdir -p /var/log/corosync /var/lib/corosync && {mounts} && mkdir -p /run/corosync-qnetd "
             "/run/corosync-qdevice /run/corosync && ip link set lo up && echo ready && exec sleep 3600"],
            stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise SystemExit(f"error: {name} has no namespaces of its own")
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        self.inside("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")

    def words(self, words):
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", "--ipc", "--", *words]

    def inside(self, *words):
        return run(*self.words(words))

    def start(self, *words):
        self.processes.append(
            subprocess.Popen(self.words(words), stdout=subprocess.DEVNULL, stderr=open(self.folder / "errors", "ab")))

    def lose_power(self):
        """Returns when that began: nothing of it is heard any more from then on."""
        begun = time.time()
        run("ip", "link", "set", f"to-{self.name}", "down")
        self.stop()
        return begun

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []

    def end(self):
        self.stop()
        # A namespace ends some time after its last process; its cable is to be gone at once.
        run("ip", "link", "delete", f"to-{self.name}")
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()

    def log(self):
        """Its lines with their times."""
        for line in (self.folder / "log" / "corosync.log").read_text(errors="replace").splitlines():
            found = re.match(r"(\w{3} \d\d \d\d:\d\d:\d\d\.\d{3}) .*?\[\w+\s*\] (.*)$", line)
            if found:
                at = datetime.datetime.strptime(f"{datetime.date.today().year} {found[1]}", "%Y %b %d %H:%M:%S.%f")
                yield at.timestamp(), found[2]

    def first(self, text, after, seconds):
        """When a line with this text was logged after that time; waits for it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for at, line in self.log():
                # Written to the millisecond below.
                if at >= after - 0.001 and text in line:
                    return at
            time.sleep(0.02)
        raise SystemExit(f"error: {self.name} did not log {text!r} within {seconds} s; its log ends:\n" + "\n".join(
            line for _, line in list(self.log())[-20:]))


def wait_for(what, seconds, question):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if question():
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"error: waited {seconds} s in vain until {what}")


def votes(machine):
    """corosync-quorumtool ends with 2 while there is no quorum."""
    return subprocess.run(
        machine.words(["corosync-quorumtool", "-s"]), capture_output=True, text=True, timeout=60).stdout


def lose_one(totem, device, tuned):
    """One loss: seconds until corosync goes on without the lost host, and until there is quorum."""
    machines = [Machine(name, f"10.9.0.{i + 1}") for i, name in enumerate(NODES)]
    witness = Machine("witness", "10.9.0.3") if device else None
    try:
        key = os.urandom(256)
        configured = options.folder / "corosync.conf"
        configured.write_text(configuration(totem, device))
        if tuned:
            run("../../deploy/corosync.sh", "--file", str(configured), "--apply")
        if witness:
            witness.start(*QNETD)
        for machine in machines:
            shutil.copy(configured, machine.folder / "etc" / "corosync.conf")
            (machine.folder / "etc" / "authkey").write_bytes(key)
            machine.start("corosync", "-f")
        survivor, lost = machines
        present = 3 if device else 2
        for machine in machines:
            wait_for("corosync answers", 30, lambda: "Quorate" in votes(machine))
            if witness:
                machine.start("corosync-qdevice", "-f")
        wait_for("both hosts vote", 60, lambda: all(
            re.search(rf"Total votes:\s+{present}\b", votes(m)) and "Quorate:          Yes" in votes(m) for m in machines))
        begun = lost.lose_power()
        goes_on = survivor.first("Completed service synchronization", begun, 60) - begun
        if not device:
            survivor.inside("corosync-quorumtool", "-e", "1")
        wait_for("there is quorum", 60, lambda: "Quorate:          Yes" in votes(survivor))
        regained = [at for at, line in survivor.log() if at >= begun and "within the primary component" in line]
        return goes_on, (max(regained) - begun if regained else goes_on)
    finally:
        for machine in machines + ([witness] if witness else []):
            machine.end()


def main():
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "link", "set", "bridge", "up")
    print("| corosync | times | goes on without the lost host, s: median (least, most) | has quorum, s: median, most |")
    print("|---|---:|---:|---:|", flush=True)
    for name, *case in CASES:
        if options.only and not any(part in name for part in options.only):
            continue
        losses = [lose_one(*case) for _ in range(options.repetitions)]
        goes_on, quorate = ([loss[i] for loss in losses] for i in range(2))
        print(
            f"| {name} | {len(losses)} | {statistics.median(goes_on):.2f} ({min(goes_on):.2f}, {max(goes_on):.2f}) | "
            f"{statistics.median(quorate):.2f}, {max(quorate):.2f} |", flush=True)


main()
