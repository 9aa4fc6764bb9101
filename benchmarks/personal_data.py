"""Measures how well personal data is found: on texts made with Faker, and in a file of real text.

    python benchmarks/personal_data.py --texts 3000
    python benchmarks/personal_data.py --file wikipedia.txt --megabytes 1 --show 50

The first needs the package faker. It prints the precision and the recall of each kind for each locale: a value counts
as found if the place and the kind are those of the value. The second prints how often each kind was found, and the
first finds with the text around them, for a person to judge.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from kbert.text.personal_data.catalogue import DETECTORS
from kbert.text.personal_data.masker import Masker

SENTENCES = {
    "en_US": {
        "email": ["Write to {}.", "{} is my address", "mail: {}, thanks", "<{}> wrote:"],
        "phone": ["Call me at {}.", "Phone: {}", "My number is {}, after six.", "{} (office)"],
        "card": ["I paid with {}.", "card number {}, valid until next year", "{} was charged twice."],
        "iban": ["Please transfer it to {}.", "IBAN: {}", "{} is the account."],
        "ssn": ["My SSN is {}.", "social security number {}", "{} belongs to the applicant."],
        "ip": ["Login from {} at noon.", "{} - - GET /index.html", "the server at {}, port 80"],
        "url": ["Clone {} first.", "connect to {}"],
    },
    "de_DE": {
        "email": ["Schreiben Sie an {}.", "{} ist meine Adresse", "E-Mail: {}, danke"],
        "phone": ["Rufen Sie mich unter {} an.", "Telefon: {}", "Meine Nummer ist {}, ab sechs.", "{} (Büro)"],
        "card": ["Ich habe mit {} bezahlt.", "Kartennummer {}, gültig bis Jahresende"],
        "iban": ["Bitte überweisen Sie auf {}.", "IBAN: {}", "{} ist das Konto."],
        "ip": ["Anmeldung von {} um zwölf.", "der Server {}, Port 80"],
        "url": ["Zuerst {} klonen."],
    },
    "zh_CN": {
        "email": ["请写信到{}。", "邮箱:{},谢谢", "我的邮箱是 {} 。"],
        "phone": ["请拨打{}联系我。", "电话:{}", "我的号码是{},六点以后。", "{}(办公室)"],
        "card": ["我用{}付款。", "卡号 {} ,有效期到明年"],
        "chinese-id": ["身份证号:{}。", "证件{}已登记", "本人的身份证是{},请核对"],
        "ip": ["从{}登录。", "服务器 {} ,端口80"],
        "url": ["请先克隆 {} 。"],
    },
}
"""Sentences with a place for a value, by locale and kind. Some name the kind of the value, and some do not."""


def values_of(fake: Any, rng: random.Random) -> dict[str, Callable[[], str]]:
    """Returns a function for each kind that makes a value."""

    def card() -> str:
        digits = fake.credit_card_number()
        return rng.choice([digits, " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))])

    def iban() -> str:
        value = fake.iban()
        return rng.choice([value, " ".join(value[at : at + 4] for at in range(0, len(value), 4))])

    return {
        "email": lambda: rng.choice([fake.email, fake.company_email, fake.ascii_free_email])(),
        "phone": fake.phone_number,
        "card": card,
        "iban": iban,
        "ssn": lambda: fake.ssn(),
        "chinese-id": lambda: fake.ssn(),
        "ip": lambda: rng.choice([fake.ipv4_public, fake.ipv4_private, fake.ipv6])(),
        "url": lambda: (
            f"https://{fake.user_name()}:{fake.password(special_chars=False)}@{fake.domain_name()}/{fake.uri_path()}"
        ),
    }


def others_of(fake: Any, rng: random.Random) -> list[Callable[[], str]]:
    """Returns functions that make sentences with numbers that are no personal data."""
    number = rng.randrange
    return [
        lambda: f"On {fake.date()} it cost ${number(10**4, 10**6) / 100:,.2f}.",
        lambda: f"ISBN {fake.isbn13()}, {fake.isbn10()}.",
        lambda: f"Version {number(20)}.{number(20)}.{number(20)}.{number(100)} of {fake.date('%d.%m.%Y')}.",
        lambda: f"{number(10**6, 10**9):,} inhabitants; order {number(10**8, 10**12)}.",
        lambda: f"from {fake.time()} to {fake.time()}, {fake.latitude()}, {fake.longitude()}",
        lambda: f"page {number(100, 999)}-{number(100, 999)}, {number(1800, 1899)}-{number(1900, 2024)}",
        lambda: f"{fake.sentence()} @{fake.user_name()} #{number(10**6)} std::map a::b {fake.uri()}",
        lambda: f"total {number(10**15, 10**16)} bytes, {number(10**12, 10**13)} ms, EAN {fake.ean13()}",
    ]


def texts(locale: str, count: int, seed: int) -> Iterator[tuple[str, set[tuple[int, int, str]]]]:
    """Yields texts of one to four sentences with their values, each as (start, end, kind)."""
    from faker import Faker

    fake, rng = Faker(locale), random.Random(seed)
    fake.seed_instance(seed)
    makers, others = values_of(fake, rng), others_of(fake, rng)
    for _ in range(count):
        text, values = "", set()
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.4:
                text += rng.choice(others)() + " "
                continue
            kind = rng.choice(list(SENTENCES[locale]))
            value = makers[kind]()
            before, after = rng.choice(SENTENCES[locale][kind]).split("{}")
            start = len(text) + len(before)
            values.add((start, start + len(value), kind))
            text += before + value + after + " "
        yield text, values


def measure(count: int, seed: int, shown: int) -> None:
    """Prints the precision and the recall on texts made with Faker."""
    masker = Masker()
    for locale in SENTENCES:
        right: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        told: Counter[str] = Counter()
        for text, values in texts(locale, count, seed):
            found = {(each.start, each.end, each.kind) for each in masker.found(text)}
            for counter, name, places in (
                (right, "", found & values),
                (wrong, "wrong", found - values),
                (missed, "missed", values - found),
            ):
                for start, end, kind in places:
                    counter[kind] += 1
                    if name and told[name + kind] < shown:
                        told[name + kind] += 1
                        print(f"{locale} {name} {kind}: {text[start:end]!r} in {text[max(0, start - 25) : end + 15]!r}")
        for kind in DETECTORS:
            if right[kind] + wrong[kind] + missed[kind]:
                row = {
                    "locale": locale,
                    "kind": kind,
                    "precision": round(right[kind] / max(1, right[kind] + wrong[kind]), 4),
                    "recall": round(right[kind] / max(1, right[kind] + missed[kind]), 4),
                    "values": right[kind] + missed[kind],
                }
                print(json.dumps(row))


def list_finds(path: str, megabytes: float, shown: int) -> None:
    """Prints what is found in the beginning of a file."""
    with open(path, encoding="utf-8", errors="ignore") as handle:
        text = handle.read(int(megabytes * 1e6))
    masker, counts, told = Masker(), Counter[str](), 0
    for line in text.encode("utf-8")[: int(megabytes * 1e6)].decode("utf-8", "ignore").split("\n"):
        for each in masker.found(line):
            counts[each.kind] += 1
            if told < shown:
                told += 1
                around = line[max(0, each.start - 50) : each.start], line[each.end : each.end + 25]
                print(f"{each.kind}: {around[0]}>>{line[each.start : each.end]}<<{around[1]}")
    print(json.dumps({"file": path, "megabytes": megabytes, "found": dict(counts)}))


def main() -> None:
    """Runs one of both measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=3000, help="the number of texts for each locale")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", help="a file of real text, instead of texts made with Faker")
    parser.add_argument("--megabytes", type=float, default=1.0, help="how much of the file is read")
    parser.add_argument("--show", type=int, default=0, help="the number of finds, or of errors of each kind, to print")
    arguments = parser.parse_args()
    if arguments.file:
        list_finds(arguments.file, arguments.megabytes, arguments.show)
    else:
        measure(arguments.texts, arguments.seed, arguments.show)


if __name__ == "__main__":
    main()
