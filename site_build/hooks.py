"""What the site adds to the pages of docs/: further pages, links to files of the repository, and the rest of the nav.

MkDocs calls the functions by their names. The pages stay readable on code hosts, so nothing here changes their text
except the targets of links.
"""

from __future__ import annotations

import html
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from api_reference import api_pages
from command_reference import command_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent
REPOSITORY_FOLDER = "repository"
"""The folder of the site with documents that are outside docs/, such as CHANGELOG.md."""
_DOCUMENTS = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
_LINK = re.compile(r"(?P<before>!?\[[^\]]*\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Completes the nav: pages that it does not name, the references, and the documents of the repository."""
    nav: list[Any] = config.nav or []
    named = set(_paths(nav))
    docs = Path(config.docs_dir)
    unlisted = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    guides = next(section["Guides"] for section in nav if "Guides" in section)
    guides += [path for path in unlisted if path not in named]
    lookup = next(section["Look up"] for section in nav if "Look up" in section)
    lookup += [
        {"Commands": sorted(command_pages())},
        {"Python API": list(api_pages())},
        {"Repository": [_page_of(document) for document in _documents()]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the documents that are outside docs/."""
    for path, content in {**command_pages(), **api_pages()}.items():
        files.append(File.generated(config, path, content=content))
    for document in _documents():
        files.append(File.generated(config, _page_of(document), abs_src_path=str(REPOSITORY / document)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links that lead out of docs/ to pages of the site, or to the code host."""
    source = page.file.src_uri
    if source.startswith(f"{REPOSITORY_FOLDER}/"):
        folder = REPOSITORY / posixpath.dirname(source.removeprefix(f"{REPOSITORY_FOLDER}/"))
    elif page.file.generated_by:
        return markdown
    else:
        folder = Path(config.docs_dir) / posixpath.dirname(source)

    def moved(link: re.Match[str]) -> str:
        if ":" in link["target"]:
            return link[0]
        target = Path(os.path.normpath(folder / link["target"]))
        if not target.exists() or not target.is_relative_to(REPOSITORY):
            return link[0]  # MkDocs warns that it does not exist
        address = _address(target, config)
        if address is None:
            return link["before"][1:-2]
        if ":" not in address:
            address = posixpath.relpath(address, posixpath.dirname(source) or ".")
        return f"{link['before']}{address}{link['anchor'] or ''})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts = [part if part.startswith("```") else _with_bars(_LINK.sub(moved, part)) for part in parts]
    return _with_wide_lists("".join(parts))


def _with_bars(markdown: str) -> str:
    """Rewrites code with escaped bars in cells of tables, whose backslashes Python-Markdown would show."""

    def code(span: re.Match[str]) -> str:
        return f"<code>{html.escape(span[1]).replace(chr(92) + '|', '&#124;')}</code>"

    return re.sub(r"`([^`\n]*\\\|[^`\n]*)`", code, markdown)


def _with_wide_lists(markdown: str) -> str:
    """Indents what belongs to items of lists by four spaces, where the pages and code hosts need only two."""
    lines = []
    inside = False
    for line in markdown.split("\n"):
        if re.match(r"([-*]|\d+\.) ", line):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        elif inside:
            indent = len(line) - len(line.lstrip(" "))
            line = " " * indent + line
        lines.append(line)
    return "\n".join(lines)


def _address(target: Path, config: MkDocsConfig) -> str | None:
    """Returns the page of a file, or its address on the code host, or None if it has neither."""
    docs = Path(config.docs_dir)
    if target.is_relative_to(docs):
        return target.relative_to(docs).as_posix()
    path = target.relative_to(REPOSITORY).as_posix()
    for document in (path, f"{path}/README.md"):
        if document in _documents():
            return _page_of(document)
    return f"{config.repo_url.rstrip('/')}/blob/main/{path}" if config.repo_url else None


def _documents() -> list[str]:
    """Returns the documents outside docs/ that are pages of the site, relative to the repository."""
    apps = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "apps").glob("*/README.md"))
    return [path for path in (*_DOCUMENTS, *apps) if (REPOSITORY / path).is_file()]


def _page_of(document: str) -> str:
    return f"{REPOSITORY_FOLDER}/{document}"


def _paths(nav: Any) -> list[str]:
    """Returns the paths that a nav names, in all sections."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav
    return [path for child in children for path in _paths(child)]
