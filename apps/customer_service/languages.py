"""What the app says by itself, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apps.customer_service.faqs import Faq

LANGUAGES = ("en", "zh")

PERSON, THANKS, GREETING = "_person", "_thanks", "_greeting"
"""The ids of the entries that every list of FAQs gets."""

_ASK_FOR_PERSON = {
    "en": ("I want to talk to a person", "Connect me to a human agent", "Can I speak to somebody?"),
    "zh": ("我要转人工", "我想和真人客服说话", "请帮我接人工客服"),
}
_THANKS = {
    "en": ("Thank you", "Thanks, that helped", "Great, thanks a lot"),
    "zh": ("谢谢", "非常感谢", "好的，谢谢你"),
}
_GREETINGS = {
    "en": ("Hello", "Hi there", "Good morning"),
    "zh": ("你好", "您好", "早上好"),
}

_MESSAGES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "unsure": "I am not sure enough which answer is right, so I hand over to a person.",
        "unreadable": "I cannot read most of this question, so I hand over to a person.",
        "person": "You asked for a person.",
        "category": "A person handles questions of this kind.",
        "repeated": "I could not help twice, so I hand over to a person.",
        THANKS: "You are welcome.",
        GREETING: "Hello! What is your question?",
    },
    "zh": {
        "unsure": "我不能确定哪个答案正确，因此为您转接人工客服。",
        "unreadable": "我无法理解这个问题的大部分内容，因此为您转接人工客服。",
        "person": "您要求转接人工客服。",
        "category": "这类问题由人工客服处理。",
        "repeated": "我已经两次没能帮到您，因此为您转接人工客服。",
        THANKS: "不客气。",
        GREETING: "您好！请问您有什么问题？",
    },
}


def language_of(text: str) -> str:
    """Returns "zh" if a fifth of the letters of the text are Chinese, else "en".

    Example:
        >>> from apps.customer_service.languages import language_of
        >>> language_of("怎么激活 SIM 卡?"), language_of("What does 你好 mean in Chinese?")
        ('zh', 'en')
    """
    letters = [character for character in text if character.isalpha()]
    chinese = sum("\u3400" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and 5 * chinese >= len(letters) else "en"


def message(language: str, name: str) -> str:
    """Returns a text of the app: the reason of a hand-over, or the answer to thanks or a greeting."""
    return _MESSAGES[language][name]


def own_entries(faqs: Sequence[Faq]) -> list[Faq]:
    """Returns entries for what customers say besides questions, in the languages of the FAQs."""
    languages = sorted({language_of(faq.question) for faq in faqs})
    groups = {PERSON: _ASK_FOR_PERSON, THANKS: _THANKS, GREETING: _GREETINGS}
    return [
        Faq(name, tuple(text for language in languages for text in texts[language]), "")
        for name, texts in groups.items()
    ]
