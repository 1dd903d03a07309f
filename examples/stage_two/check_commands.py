"""Do the command lines of README.md name flags that the installed trainers know?

Run: pip install trl && pip install --no-deps openrlhf verl && python check_commands.py README.md

Nothing is started. OpenRLHF's parser is read out of its source, because importing it needs CUDA packages; verl's
settings out of its YAML; TRL's own parser reads TRL's command line whole.
"""

import argparse
import ast
import importlib.util
import re
import shlex
from pathlib import Path

import yaml


def commands(page: Path) -> list[list[str]]:
    """The words of every command in the page's shell blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed")
    return Path(found.submodule_search_locations[0])


def openrlhf_flags() -> set[str]:
    """The first argument of every `add_argument`; `{prefix}` in it stands for each value of the loop around it."""
    source = (folder("openrlhf") / "cli" / "train_ppo_ray.py").read_text(encoding="utf-8")
    flags: set[str] = set()
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument" and call.args:
            name = call.args[0]
            if isinstance(name, ast.Constant):
                flags.add(name.value)
            elif isinstance(name, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "*" for part in name.values)
                flags |= {text.replace("*", prefix) for prefix in ("actor", "critic")}
    return flags


def check_openrlhf(words: list[str]) -> list[str]:
    known = openrlhf_flags()
    return [word for word in words if word.startswith("--") and word.split("=")[0] not in known]


def check_verl(words: list[str]) -> list[str]:
    """Keys that verl's configuration has; those after a `+` must be read somewhere in its code instead."""
    root = folder("verl")
    settings = yaml.safe_load((root / "trainer" / "config" / "_generated_ppo_trainer.yaml").read_text(encoding="utf-8"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (root / "trainer").rglob("*.py"))
    unknown = []
    for word in words:
        key, is_setting, _ = word.partition("=")
        if not is_setting:
            continue
        if key.startswith("+"):
            known = re.search(rf'get\(\s*"{re.escape(key.split(".")[-1])}"', code) is not None
        else:
            place, known = settings, True
            for part in key.split("."):
                known = known and isinstance(place, dict) and part in place
                place = place[part] if known else None
        if not known:
            unknown.append(key)
    return unknown


def check_trl(words: list[str]) -> list[str]:
    from trl.scripts.grpo import make_parser  # noqa: PLC0415 - slow, and only for this line

    try:
        # Without a GPU its settings refuse their own defaults.
        make_parser().parse_args_and_config(args=[*words, "--use_cpu", "--bf16", "false"], fail_with_unknown_args=True)
    except (SystemExit, ValueError) as error:
        return [f"TRL's parser refuses the line ({error})"]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, nargs="?", default=Path(__file__).with_name("README.md"))
    checked, wrong = 0, []
    for words in commands(parser.parse_args().page):
        if "openrlhf.cli.train_ppo_ray" in words:
            found = check_openrlhf(words[words.index("openrlhf.cli.train_ppo_ray") + 1 :])
        elif "verl.trainer.main_ppo" in words:
            found = check_verl(words[words.index("verl.trainer.main_ppo") + 1 :])
        elif words[1:3] == ["trl", "grpo"]:
            found = check_trl(words[3:])
        else:
            continue
        checked += 1
        wrong += found
    if wrong or checked != 4:
        raise SystemExit(
            f"{checked} of 4 command lines found; not known to the trainers: {', '.join(wrong) or 'nothing'}"
        )
    print(f"{checked} command lines: every flag is known")


if __name__ == "__main__":
    main()
