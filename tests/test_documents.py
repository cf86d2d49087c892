"""What the documents promise: links lead somewhere, code runs, commands and options exist, tables are complete."""

import importlib.util
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import misure
from misure.cli.app import main
from misure.datasets import DATASETS
from misure.models.loaders import LOADERS
from misure.reliability import FEATURES

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md"] + [
    str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))
]


def _text(document):
    return (ROOT / document).read_text(encoding="utf-8")


def _snippets(language, document):
    return re.findall(rf"^```{language}\n(.*?)^```", _text(document), re.S | re.M)


def test_the_readme_and_contributing_are_short():
    assert len(_text("README.md").splitlines()) < 120
    assert len(_text("CONTRIBUTING.md").splitlines()) < 100


def test_the_changelog_names_this_version_first_after_what_is_unreleased():
    headings = re.findall(r"^## (.*)", _text("CHANGELOG.md"), re.M)
    released = headings[1:] if headings[0] == "[Unreleased]" else headings
    assert released
    for heading in released:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading), heading
    if ".dev" in misure.__version__:
        assert headings[0] == "[Unreleased]"
    else:
        assert released[0].startswith(f"[{misure.__version__}] ")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_that_exist(document):
    prose = re.sub(r"^```.*?^```", "", _text(document), flags=re.S | re.M)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:|#", link):
            assert (ROOT / document).parent.joinpath(link.partition("#")[0]).exists(), link


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/guide/first-explanation.md",
        "docs/guide/surroundings.md",
        "docs/guide/channels.md",
        "docs/guide/prompts.md",
        "docs/guide/questions.md",
        "docs/guide/own-network.md",
        "docs/guide/network-recipes.md",
        "docs/guide/whole-data-sets.md",
        "docs/guide/other-programs.md",
        "docs/guide/reliability.md",
    ],
)
def test_python_in_documents_runs_and_prints_what_it_says(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (snippet,) = _snippets("python", document)
    exec(compile(snippet, document, "exec"), {})
    printed = capsys.readouterr().out.split()
    promised = re.findall(r"# prints (.*)", snippet)
    assert promised
    assert " ".join(printed) == " ".join(" ".join(promised).split())


def test_the_snippets_for_users_of_other_libraries_run():
    """Those that this environment can run; tests/networks/test_coming_from.py runs all."""
    names = {}
    for snippet in _snippets("python", "docs/guide/coming-from.md"):
        modules = re.findall(r"^(?:from|import) (\w+)", snippet, re.M)
        if all(importlib.util.find_spec(module) for module in modules) and "xplique" not in modules:
            exec(compile(snippet, "coming-from.md", "exec"), names)
    assert names["attributions"].shape == (1, *names["image"].shape)
    assert names["monai_map"].shape == (1, 1, *names["image"].shape[1:])
    assert names["result"].layer
    assert 0 < names["area"] <= 1


def test_no_other_document_has_python_that_is_not_run():
    run = ["README.md"] + [
        f"docs/guide/{name}.md" for name in ("first-explanation", "own-network", "network-recipes")
    ]
    run += [
        f"docs/guide/{name}.md"
        for name in ("whole-data-sets", "reliability", "coming-from", "other-programs")
    ]
    run += ["docs/guide/surroundings.md", "docs/guide/channels.md", "docs/guide/questions.md"]
    run += ["docs/guide/prompts.md"]
    run += ["docs/guide/instances.md"]  # by tests/models/test_own_instances.py
    run += ["docs/reference/recipes.md"]  # by tests/networks/test_recipes.py
    for document in set(DOCUMENTS) - set(run) - {"docs/guide/adding.md"}:
        assert not _snippets("python", document), document


def _commands(document):
    """Every `misure` line of the shell snippets: the words of the command, and its options."""
    for snippet in _snippets("sh", document):
        for line in snippet.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["misure"]:
                count = 2 if words[1] in ("reliability", "prepare") else 1
                yield words[1 : 1 + count], [word for word in words if word.startswith("--")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_of_documents_exist_with_their_options(document):
    for command, options in _commands(document):
        done = CliRunner().invoke(main, [*command, "--help"], catch_exceptions=False)
        assert done.exit_code == 0, command
        for option in options:
            assert re.search(rf"{option}\b(?!-)", done.output), (command, option)


def test_the_readme_names_every_command():
    for command in main.commands:
        if command != "merge":  # for runs put together by hand; see the guide
            assert f"`misure {command}`" in _text("README.md"), command


def test_every_metric_has_a_line_in_its_document():
    for metric in misure.METRICS.values():
        arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
        assert f"| `{metric.name}`{arrow} |" in _text("docs/reference/metrics.md"), metric.name


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("methods", misure.METHODS),
        ("presets", misure.PRESETS),
        ("loaders", LOADERS),
        ("datasets", DATASETS),
    ],
)
def test_every_name_of_a_registry_is_in_its_document(document, names):
    table = re.search(
        rf"<!-- table: {document} -->\n(.*?)<!-- end -->",
        _text(f"docs/reference/{document}.md"),
        re.S,
    )[1]
    for name in names:
        assert re.search(rf"`{name}[`:]", table), name


def test_every_feature_has_a_line_in_its_document():
    text = _text("docs/guide/reliability.md")
    for feature in FEATURES.values():
        assert f"| `{feature.name}` | {feature.formula} |" in text, feature.name


def _script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_commands_say():
    assert _script("command_line").page() == _text("docs/reference/command-line.md")


def test_the_page_of_formats_is_what_the_definitions_say():
    text = _text("docs/reference/formats.md")
    assert _script("formats").page(text) == text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
@pytest.mark.parametrize("name", ["own_network", "medical_volume"])
def test_notebooks_run_and_print_what_is_stored(name, tmp_path, monkeypatch):
    import nbclient
    import nbformat

    commands = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    stored = [_printed(cell) for cell in notebook.cells]
    resources = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    assert [_printed(cell) for cell in notebook.cells] == stored


def _printed(cell):
    outputs = cell.get("outputs", [])
    return "".join(one.get("text", "") for one in outputs if one.get("name") == "stdout")
