"""exp completion [SHELL]: Tab completes commands, options, keys and run folders.

  exp completion           installs it for the shell that $SHELL names
  exp completion zsh       installs it for bash, zsh or fish
  exp completion fish print=true   shows the script in place of installing it

It works for `exp ...` and for `python -m exp.<command> ...`, and knows the options of the project that one stands in.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from exp import cli
from exp.config import candidates
from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.files import write_atomic

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="SHELL",
    most=1,
    options={
        "print": Option("true: show the script in place of installing it", arguments.switch, False),
        "line": Option("what a shell has of a command line so far: the answer is what may come next"),
    },
)
CONFIGURED = ("train", "sweep", "explain")  # their words are a config's
# A shell asks exp itself; `python` keeps what it completed before wherever the line is not exp's.
BASH = """# exp's completion for bash, written by: exp completion bash
_exp_complete() {
  local line="${COMP_LINE:0:$COMP_POINT}"
  if [[ "$1" == python* && ! "$line" =~ ^[^\\ ]+\\ +-m\\ +exp ]]; then compopt -o default; COMPREPLY=(); return; fi
  local word="${line##* }" before
  before="${word%"${word##*[=,]}"}"
  local IFS=$'\\n'
  COMPREPLY=($(PYTHON -m exp.completion line="$line" 2>/dev/null))
  [[ ${#COMPREPLY[@]} == 0 ]] && compopt -o default
  [[ "$COMP_WORDBREAKS" == *=* && "$word" == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}")
  [[ "${COMPREPLY[*]}" == *= || "${COMPREPLY[*]}" == *. ]] && compopt -o nospace
}
complete -F _exp_complete exp python python3
"""
ZSH = """# exp's completion for zsh, written by: exp completion zsh
autoload -Uz compinit && (( $+functions[compdef] )) || compinit
_exp_complete() {
  local line="${LBUFFER}"
  if [[ "$words[1]" == python* && ! "$line" =~ '^[^ ]+ +-m +exp' ]]; then _default; return; fi
  local -a found
  found=("${(@f)$(PYTHON -m exp.completion line="$line" 2>/dev/null)}")
  if (( ${#found} == 0 )) || [[ -z "$found[1]" ]]; then _files; return; fi
  compadd -Q -S '' -- ${(M)found:#*[=.]}
  compadd -Q -- ${found:#*[=.]}
}
compdef _exp_complete exp python python3
"""
FISH = """# exp's completion for fish, written by: exp completion fish
function __exp_complete
  set -l line (commandline -cp)
  if string match -qr '^python' -- "$line"; and not string match -qr '^\\S+ +-m +exp' -- "$line"
    return
  end
  PYTHON -m exp.completion line="$line" 2>/dev/null
end
complete -c exp -f -a '(__exp_complete)'
for python in python python3
  complete -c $python -a '(__exp_complete)'
  complete -c $python -s m -x -a '(__exp_complete)'
end
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def answer(line: str) -> list[str]:
    """What may come next, for a line such as `exp train optimizer=a`; nothing where a file name may."""
    words = line.split()
    if not line.endswith(" ") and words:
        *words, word = words
    else:
        word = ""
    command, rest = _command(words)
    if command is None:
        names = [f"exp.{name}" for name in cli.COMMANDS] if "-m" in words else list(cli.COMMANDS)
        return sorted(name for name in names if name.startswith(word))
    if command in CONFIGURED:
        found = candidates.of_config(rest, word)
        if command == "explain":
            found += [name.removesuffix("=") for name in found if name.endswith("=")]
        presets = candidates.of_config([], "sweep=") if command == "sweep" and not rest else []
        return found + [name[6:] for name in presets if name[6:].startswith(word)]
    keys = [f"{name}=" for name in _keys(command) if not name.endswith(".")]
    return [name for name in (*keys, *candidates.runs()) if name.startswith(word)]


def _command(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The command of the line, and the words after it; None where none stands there yet."""
    if words[1:2] == ["-m"]:
        given = [word.removeprefix("exp.") for word in words[2:]]
        given = given[1:] if given[:1] == ["exp"] else given
    else:
        given = list(words[1:])
    return (given[0], given[1:]) if given and given[0] in cli.COMMANDS else (None, [])


def _keys(command: str) -> list[str]:
    module = importlib.import_module(cli.COMMANDS[command][0])
    grammar = getattr(module, "GRAMMAR", None)
    return list(grammar.options) if grammar else []


def script(shell: str) -> str:
    """With this Python in it: the one that has exp."""
    return SCRIPTS[shell].replace("PYTHON", shlex.quote(sys.executable))


def install(shell: str) -> Path:
    """Writes the script, and for bash and zsh one line that reads it into the shell's start file."""
    home = Path.home()
    if shell == "fish":  # read at every start: what lies in completions/ is looked at for `exp` alone, not for `python`
        place = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "conf.d" / "exp.fish"
    else:
        place = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "exp" / f"completion.{shell}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, script(shell))
        if shell != "fish":
            start = (Path(os.environ.get("ZDOTDIR") or home) / ".zshrc") if shell == "zsh" else home / ".bashrc"
            line = f"source {shlex.quote(str(place))} # exp"
            held = start.read_text(encoding="utf-8") if start.is_file() else ""
            if line not in held.splitlines():
                with start.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n" if not held or held.endswith("\n") else f"\n{line}\n")
    except OSError as error:
        raise ExpError(
            f"{error.filename}: {error.strerror}; exp completion {shell} print=true shows the script"
        ) from None
    return place


def main(argv: Sequence[str] | None = None) -> int:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        if "line" in given:
            print("\n".join(answer(given["line"])))
            return 0
        shell = given.bare[0] if given.bare else Path(os.environ.get("SHELL", "")).name
        if shell not in SCRIPTS:
            raise ExpError(f"{shell or 'SHELL'}: no such shell{nearest(shell, SCRIPTS)}")
        if given["print"]:
            print(script(shell))
        else:
            print(f"wrote {install(shell)}; a new {shell} completes exp")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
