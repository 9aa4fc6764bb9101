import pytest

from kbert.model_folder.card import CardFields, describe_parameters, model_card, read_card


@pytest.mark.parametrize(
    ("card", "fields"),
    [
        ("---\nlicense: apache-2.0\nauthor: Ada L.\ntags:\n- bert\n---\n# A card\n", ("Ada L.", "apache-2.0")),
        ("---\r\nlicense: mit\r\n---\r\n", ("", "mit")),
        ("\ufeff---\nlicense: 'mit' \n---\n", ("", "mit")),
        ('---\nauthor: "A: B"\n---\n', ("A: B", "")),
        ("---\nauthor: [a, b]\nlicense: |\n  long\n---\n", ("", "")),
        ("---\nauthor:\n- a\n---\n", ("", "")),
        (f"---\nauthor: {'a' * 300}\n---\n", ("", "")),
        ("# A card\n\nlicense: mit\n", ("", "")),
        ("---\nlicense: mit\n", ("", "")),
        ("", ("", "")),
    ],
)
def test_author_and_license_are_those_of_the_front_matter(tmp_path, card, fields):
    (tmp_path / "README.md").write_bytes(card.encode("utf-8"))
    assert read_card(tmp_path) == CardFields(*fields)


def test_a_folder_without_a_card_has_no_fields(tmp_path):
    assert read_card(tmp_path) == ("", "")


def test_describe_parameters():
    assert describe_parameters(4_385_920) == "4.4M"
    assert describe_parameters(109_482_240) == "109.5M"


def test_model_card():
    assert model_card("A title", {"Task": "a task"}, "kbert predict x\n") == (
        "---\nlibrary_name: kbert\ntags:\n- bert\n- kbert\n---\n# A title\n\n| | |\n|---|---|\n| Task | a task |\n"
        "\n## Use\n\n```sh\nkbert predict x\n```\n"
    )
