"""Lays out libtorch from the PyPI wheels: called by libtorch.sh, needs only pip and the standard library.

    libtorch_layout.py VERSION cpu|cuda TARGET

The wheels go to `downloads/` beside TARGET and stay there until the layout stands, so an interrupted run goes on with
what it has. Every file is checked against its wheel's RECORD. TARGET appears by one rename, complete or not at all.

TARGET/include and TARGET/lib are what tch expects of a libtorch. On Linux x86-64 the only wheel is the CUDA one: `cpu`
leaves its CUDA half out (libtorch_cpu.so still names two small CUDA libraries, which come along), `cuda` takes all of it
with the nvidia wheels that its metadata pins. Elsewhere (Linux aarch64, macOS: untested) the wheel is taken whole.
"""

import base64
import csv
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

# Any interpreter may run this: the libraries are the same in the wheels of every Python version.
PYTHON = "3.12"


def main(version, flavour, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    downloads = target.parent / "downloads"
    downloads.mkdir(exist_ok=True)
    with open(target.parent / "downloads.lock", "w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two clones at once: the second waits and finds the work done
        if (target / "build-version").exists():
            return
        need_space(target.parent, flavour)
        split = platform.system() == "Linux" and platform.machine() == "x86_64"
        torch = fetch(f"torch=={version}", downloads)
        wheels = [torch]
        if split:
            extras = {"cudart", "cupti"} if flavour == "cpu" else None
            wheels += [fetch(r, downloads) for r in nvidia_requirements(torch, extras, downloads)]
        print("libtorch: unpacking", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".libtorch-") as temporary:
            made = Path(temporary) / "layout"
            if split and flavour == "cpu":
                lay_out_cpu(wheels, made)
            else:
                lay_out_whole(wheels, made)
            (made / "build-version").write_text(version + "\n")
            os.rename(made, target)
        shutil.rmtree(downloads)


def need_space(folder, flavour):
    """Says so before 500 MB are fetched in vain."""
    need = {"cpu": 2, "cuda": 9}[flavour]
    free = shutil.disk_usage(folder).free / 2**30
    if free < need:
        sys.exit(f"{folder}: found {free:.1f} GiB free, libtorch needs {need} GiB while it is unpacked")


def fetch(requirement, downloads):
    """The wheel for a requirement; pip takes its index, proxy and certificates from the user's own settings."""
    name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0]
    stem = re.sub(r"[-_.]+", "_", name).lower()
    wanted = requirement.rpartition("==")[2].replace(".*", "")
    here = lambda: [w for w in downloads.glob("*.whl") if w.name.lower().startswith(f"{stem}-{wanted}")]
    if not here():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
        pip += ["--retries", "10", "--only-binary=:all:", "--python-version", PYTHON]
        if "--resume-retries" in subprocess.run(pip + ["--help"], capture_output=True, text=True).stdout:
            pip += ["--resume-retries", "10"]
        print(f"libtorch: fetching {requirement}", file=sys.stderr, flush=True)
        # Into a folder of its own: a wheel in downloads/ is a whole wheel, whose hash pip has checked.
        with tempfile.TemporaryDirectory(dir=downloads) as temporary:
            if subprocess.run(pip + ["--dest", temporary, requirement], stdout=sys.stderr).returncode:
                sys.exit(f"pip could not fetch {requirement}; the lines above say why. Run the command again to go on.")
            for wheel in Path(temporary).glob("*.whl"):
                os.replace(wheel, downloads / wheel.name)
    return here()[0]


def requirements(wheel):
    """(name, extras, version, marker) of each dependency that pins one version."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    pattern = r"^Requires-Dist: ([\w.-]+)(?:\[([\w,]+)\])? ?\(?==([\w.]+(?:\.\*)?)\)?(?: ?; ?(.*))?$"
    return re.findall(pattern, text, re.MULTILINE)


def nvidia_requirements(torch, extras, downloads):
    """What the wheel pins of CUDA: all of it, or what the `extras` of its cuda-toolkit stand for."""
    found = []
    for name, wanted, version, _ in requirements(torch):
        if name == "cuda-toolkit":
            toolkit = fetch(f"{name}=={version}", downloads)
            wanted = set(wanted.split(",")) & (extras or set(wanted.split(",")))
            for part, _, part_version, marker in requirements(toolkit):
                if set(re.findall(r"extra == ['\"]([\w-]+)['\"]", marker)) & wanted:
                    found.append(f"{part}=={part_version}")
        elif name.startswith("nvidia-") and extras is None:
            found.append(f"{name}=={version}")
    return sorted(set(found))


def lay_out_cpu(wheels, made):
    """Headers and the CPU half in one flat lib/, which the libraries' own search path ($ORIGIN) covers."""
    keep = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
    for wheel in wheels:
        for name, data in checked(wheel, lambda n: n.startswith("torch/include/") or n.rpartition("/")[2] in keep):
            place = name[len("torch/"):] if name.startswith("torch/include/") else "lib/" + name.rpartition("/")[2]
            write(made / place, data)
    missing = keep - set(os.listdir(made / "lib"))
    if missing:
        sys.exit(f"the wheels hold no {', '.join(sorted(missing))}: is this torch 2.11.0 for CUDA 13?")
    # tch links -ltorch, which in the wheel pulls the CUDA half in: a linker script says what it means here.
    (made / "lib/libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
    (made / "lib/libgomp.so").symlink_to("libgomp.so.1")


def lay_out_whole(wheels, made):
    """As pip would install them, because the libraries find one another by relative paths, with links on top."""
    keep = ("torch/include/", "torch/lib/", "torch.libs/", "nvidia/")
    for wheel in wheels:
        for name, data in checked(wheel, lambda n: n.startswith(keep) and not n.endswith((".py", ".a"))):
            write(made / "wheels" / name, data)
    (made / "include").symlink_to("wheels/torch/include")
    (made / "lib").symlink_to("wheels/torch/lib")


def checked(wheel, wanted):
    """(name, bytes) of the wanted members, each against the hash that the wheel's RECORD has for it."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
        rows = csv.reader(io.StringIO(archive.read(record).decode()))
        hashes = {row[0]: row[1] for row in rows if row}
        for name in archive.namelist():
            if name.endswith("/") or not wanted(name):
                continue
            data = archive.read(name)
            kind, _, expected = hashes[name].partition("=")
            found = base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).rstrip(b"=").decode()
            if found != expected:
                wheel.unlink()
                sys.exit(f"{wheel}: {name} is damaged; the file is removed, run the command again")
            yield name, data


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    except KeyboardInterrupt:
        sys.exit("interrupted; run the command again to go on")
