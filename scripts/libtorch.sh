#!/bin/sh
# Puts libtorch where cargo looks for it: a per-user cache, linked as .libtorch beside Cargo.toml.
# `make` calls this. A set LIBTORCH wins and nothing is done. A second clone finds the cache and downloads nothing.
#
#   scripts/libtorch.sh            the right one for this machine: cuda where a CUDA 13 driver runs, else cpu
#   scripts/libtorch.sh cpu|cuda   that one
#   INSTDISC_LIBTORCH=cuda make …  that one too, also where this machine has no GPU but others of its cluster have
#
# Why a Python wheel: it reaches machines behind mirrors and proxies, on every platform, with pip's own settings.
set -eu

version=2.11.0
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/instdisc-lab

say() { printf '%s\n' "$*" >&2; }
need() { # command, what it is for, package names
    command -v "$1" >/dev/null 2>&1 || { say "$1 is missing ($2): install $3"; exit 2; }
}

need cargo "builds the program" "Rust from https://rustup.rs"
need "${CXX:-c++}" "torch-sys compiles C++" "a C++ compiler: apt install g++, dnf install gcc-c++, xcode-select --install"

if [ -n "${LIBTORCH:-}" ]; then
    [ -d "$LIBTORCH/lib" ] || { say "LIBTORCH=$LIBTORCH holds no lib/: unset it, or point it at a libtorch $version"; exit 2; }
    say "libtorch: $LIBTORCH (LIBTORCH is set)"
    exit 0
fi

# The wheel is built for CUDA 13, which needs driver 580 or newer; an older driver gets the CPU build.
driver() {
    if [ -r /proc/driver/nvidia/version ]; then
        sed -n 's/.*Kernel Module[^0-9]*\([0-9][0-9]*\)\..*/\1/p' /proc/driver/nvidia/version | head -n 1
    elif command -v nvidia-smi >/dev/null 2>&1; then
        nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n '1s/\..*//p'
    fi
}

flavour=${1:-${INSTDISC_LIBTORCH:-}}
if [ -z "$flavour" ]; then
    flavour=cpu
    if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        driver=$(driver)
        if [ -n "$driver" ] && [ "$driver" -ge 580 ]; then
            flavour=cuda
        elif [ -n "$driver" ]; then
            say "NVIDIA driver $driver is older than 580, which CUDA 13 needs: building for the CPU"
        fi
    fi
fi
case $flavour in
cpu | cuda) ;;
*) say "usage: scripts/libtorch.sh [cpu|cuda]"; exit 2 ;;
esac

layout=$cache/libtorch-$version-$flavour
if [ ! -f "$layout/build-version" ]; then
    need python3 "pip fetches libtorch" "Python 3: apt install python3 python3-pip, dnf install python3-pip, brew install python"
    python3 -m pip --version >/dev/null 2>&1 || {
        say "pip is missing (it fetches libtorch): install python3-pip, or run python3 -m ensurepip --user"
        exit 2
    }
    mkdir -p "$cache" || { say "cannot write to $cache: set XDG_CACHE_HOME to a folder that you own"; exit 2; }
    python3 "$root/scripts/libtorch_layout.py" "$version" "$flavour" "$layout"
fi

# A link in place is left alone: cargo would otherwise see a newer file and build everything again.
if [ "$(readlink "$root/.libtorch" 2>/dev/null)" != "$layout" ]; then
    rm -f "$root/.libtorch"
    ln -s "$layout" "$root/.libtorch"
    say "libtorch: $layout"
fi
