import pytest

from kbert.model_folder.adapters.spec import AdapterSpec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("lora", AdapterSpec("lora", 8, 16.0, ("query", "value"))),
        ("lora:r=4", AdapterSpec("lora", 4, 8.0, ("query", "value"))),
        ("lora:alpha=1.5,r=2,targets=output+key", AdapterSpec("lora", 2, 1.5, ("key", "output"))),
        ("bitfit", AdapterSpec("bitfit")),
        ("bottleneck", AdapterSpec("bottleneck", reduction=16)),
        ("bottleneck:4", AdapterSpec("bottleneck", reduction=4)),
    ],
)
def test_what_a_text_describes(text, spec):
    assert AdapterSpec.parse(text) == spec


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must begin with one of lora, bottleneck, bitfit"),
        ("dora:r=8", "must begin with one of lora, bottleneck, bitfit"),
        ("bitfit:8", "must be bitfit alone"),
        ("bottleneck:0", "must have a whole number of at least 1 after bottleneck:"),
        ("bottleneck:", "must have a whole number of at least 1 after bottleneck:"),
        ("prefix:20", "must begin with one of lora, bottleneck, bitfit, because kbert has no prefix tuning"),
        ("lora:r=0", "must have a whole number of at least 1 as r"),
        ("lora:r=2.5", "must have a whole number of at least 1 as r"),
        ("lora:alpha=0", "must have a number above 0 as alpha"),
        ("lora:alpha=nan", "must have a number above 0 as alpha"),
        ("lora:targets=dense", "must have targets from query, key, value"),
        ("lora:targets=", "must have targets from query, key, value"),
        ("lora:targets=key+key", "must have targets from query, key, value"),
        ("lora:rank=8", "must give lora the settings r, alpha and targets"),
        ("lora:r=8,r=8", "must give lora the settings r, alpha and targets"),
        ("lora:r", "must give lora the settings r, alpha and targets"),
    ],
)
def test_texts_that_are_refused(text, problem):
    with pytest.raises(ValueError, match=rf"^{problem}"):
        AdapterSpec.parse(text)


def test_the_width_of_bottleneck_adapters():
    assert AdapterSpec.parse("bottleneck").bottleneck_size(384) == 24
    assert AdapterSpec.parse("bottleneck:100").bottleneck_size(64) == 1
    assert AdapterSpec.parse("lora").bottleneck_size(384) is None
