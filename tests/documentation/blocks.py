"""The pages of the documentation, the blocks of code in them, and the commands in these blocks.

All pages are found by their place, so a new page is tested without being named anywhere.
"""

import dataclasses
import re
import shlex
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_IGNORED = {"build", "node_modules", "tests"}


def _is_page(path):
    parts = path.relative_to(REPOSITORY).parts
    return not any(part in _IGNORED or part.startswith(".") for part in parts)


PAGES = [path for path in sorted(REPOSITORY.rglob("*.md")) if _is_page(path)]
"""All pages: those of the site, and those that are read in the repository alone."""
SITE = [
    path
    for path in PAGES
    if path == REPOSITORY / "README.md" or (path.is_relative_to(REPOSITORY / "docs") and path.parent.name != "zh")
]
"""The pages whose blocks are run. Those in Chinese have the same blocks as those in English; a test compares them."""
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_ENDS = ("&&", "&", ";", "|")


def name_of(path):
    """Returns the path of a page within the repository."""
    return path.relative_to(REPOSITORY).as_posix()


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code. `line` is the number of its first line of code in the page, from 1."""

    page: str
    line: int
    language: str
    code: str

    def __str__(self):
        return f"{self.page}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of a block in the language sh.

    `words` are those that the program gets, without variables before the program. `output_file` is the file into which
    standard output is directed, or None.
    """

    page: str
    line: int
    words: tuple[str, ...]
    output_file: str | None = None

    def __str__(self):
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"

    @property
    def program(self):
        """The program: `kbert`, `docker`; of a module of Python, `python -m MODULE`."""
        return " ".join(self.words[:3]) if self.words[:2] == ("python", "-m") else self.words[0]


def blocks_of(path):
    """Returns the blocks of a page in their order. An indented block has no indentation here."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(name_of(path), line, match["language"], code))
    return found


def prose_of(path):
    """Returns the text of a page without its blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def commands_of(block):
    """Returns the commands of a block in the language sh. A line that ends with a backslash goes on in the next one."""
    found = []
    start = block.line
    for whole in re.split(r"(?<!\\)\n", block.code):
        lexer = shlex.shlex(whole.replace("\\\n", " "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for words in _separated(list(lexer)):
            output_file = None
            if ">" in words:
                words, (output_file,) = words[: words.index(">")], words[words.index(">") + 1 :]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            found.append(Command(block.page, start, tuple(words), output_file))
        start += whole.count("\n") + 1
    return found


def _separated(words):
    """Splits the words of a line into those of its commands."""
    commands = [[]]
    for word in words:
        if word in _ENDS:
            commands.append([])
        else:
            commands[-1].append(word)
    return [words for words in commands if words]
