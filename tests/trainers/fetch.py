"""Unpacks the packages of peers.txt side by side: python tests/trainers/fetch.py FOLDER

Each wheel goes to FOLDER/name-version. A package that cannot be had is named and left out; the checks that need it
then say "not run". Wheels are asked for as for CPython 3.11 on Linux: some carry that tag without any compiled code.
"""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

PEERS = pathlib.Path(__file__).with_name("peers.txt")
ANY_WHEEL = ["--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:"]
ANY_WHEEL += ["--platform", "manylinux_2_35_x86_64", "--platform", "manylinux1_x86_64", "--platform", "any"]


def wanted():
    """(name, version) of every line of peers.txt."""
    lines = (line.strip() for line in PEERS.read_text(encoding="utf-8").splitlines())
    return [tuple(line.split("==")) for line in lines if line and not line.startswith("#")]


def unpack(wheel, folder):
    """The files of a wheel below a megabyte, those of its data folder where an installer would put them."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            inside = entry.filename.split(".data/purelib/", 1)[-1]
            if not entry.is_dir() and entry.file_size < 2**20 and ".." not in inside:
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))


def fetch(folder):
    """Unpacks what is missing in `folder`; the names of what could not be had."""
    missing = []
    for name, version in wanted():
        target = folder / f"{name}-{version}"
        if target.is_dir():
            continue
        with tempfile.TemporaryDirectory() as temporary:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary]
            try:
                subprocess.run([*command, *ANY_WHEEL, f"{name}=={version}"], check=True, timeout=300)
                (wheel,) = pathlib.Path(temporary).glob("*.whl")
            except (subprocess.SubprocessError, ValueError):
                missing.append(f"{name}=={version}")
                continue
            partial = folder / f".{name}-{version}"
            unpack(wheel, partial)
            partial.rename(target)
    return missing


if __name__ == "__main__":
    absent = fetch(pathlib.Path(sys.argv[1]))
    print(f"could not be had: {', '.join(absent)}" if absent else "all peers are there")
