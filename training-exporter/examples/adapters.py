"""Says of every file of a folder of published prompts whether it can be converted, or why not.

usage: adapters.py FOLDER
"""

import sys
from pathlib import Path

from softcall.core.errors import SoftcallError
from softcall.prompt_formats import read_prompt


def main(folder: Path) -> None:
    """A line for each file, and a count."""
    counts = {"converted": 0, "refused": 0}
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        try:
            prompt = read_prompt(file)
        except SoftcallError as error:
            verdict, why = "refused", str(error).removeprefix(f"{file}: ")
        else:
            tokens, hidden_size = prompt.vectors.shape
            verdict, why = "converted", f"{tokens} tokens of {hidden_size}, {prompt.made_as}"
        counts[verdict] += 1
        print(f"{verdict:<9}  {file.relative_to(folder)}: {why}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
