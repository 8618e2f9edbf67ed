#!/bin/sh
# Sees to it that Debian's Slurm is here for `make test-slurm`: installs it where that is allowed, says what is missing where
# it is not. Its services stay off: the tests start daemons of their own, as root, with their own state.
set -eu

programs='sbatch squeue scancel scontrol sinfo slurmctld slurmd munged'

missing() {
    for program in $programs; do
        command -v "$program" > /dev/null || printf '%s ' "$program"
    done
}

refuse() {
    printf 'The Slurm tests need %s: %s\n' "$1" "$2" >&2
    exit 1
}

PATH=$PATH:/usr/sbin
[ "$(id -u)" -eq 0 ] || refuse 'root' 'two nodes on one machine are daemons that change their user'
if [ -n "$(missing)" ]; then
    [ -e /etc/debian_version ] || refuse "Slurm ($(missing | sed 's/ $//'))" 'it is installed by itself on Debian alone'
    echo 'Installing slurm-wlm …' >&2
    # No service of it is started, whatever the machine is like.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    install='apt-get install --yes --quiet --no-install-recommends slurm-wlm'
    $install > /dev/null 2>&1 || { apt-get update --quiet > /dev/null && $install > /dev/null; }
    [ -z "$(missing)" ] || refuse 'Slurm' "slurm-wlm is installed, but there is no $(missing)"
fi

# A file system that looks like a network's: one case is left out without it.
if ! command -v bindfs > /dev/null && [ -e /etc/debian_version ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends bindfs fuse3 > /dev/null 2>&1 || true
fi
