import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbert.corpus.sentences import LANGUAGES, SentenceSettings, detect_language, document_sentences, split_sentences
from kbert.errors import UsageError

# "|" stands where a sentence ends; where there is a space in the text, it is written before it.

ENGLISH = """
The cat sat. |The dog ran! |Why? |No.
Dr. Smith met Mr. Jones. |They talked.
She met J. K. Rowling in 1998. |It rained.
He served in the U.S. Army for years. |Then he left.
He moved to the U.S. |The company followed.
It is sold by shops, e.g. Walmart and Target. |Others refuse.
Large cats, i.e. Lions and tigers, sleep. |Small ones too.
He works for Apple Inc. in California. |She does not.
He works for Apple Inc. |She works for I.B.M. |They met there.
Martin Luther King Jr. was born in Atlanta. |He died in Memphis.
It opens at 9 a.m. Monday and closes at 5 p.m. |The doors are locked then.
Prof. Dr. h.c. Miller spoke. |Nobody listened.
See figs. 3 and 4, vol. II, no. 7. |They show it.
It cost $3.50 in Jan. 2001. |It costs 4.25 now.
He came on Jan. 5. |Then he moved.
He lived in St. Louis, near Mt. Everest Rd. until May. |Then he moved.
He said "Go away." |Then he went.
"Go away!" |He left.
"Why did he go?" she asked. |Nobody knew.
"Stop!" he cried. |"I will not."
“Why?” |“Because.”
(It was late.) |He left.
He left (it was late). |She stayed.
It was found in 1990.[1] |It was lost again.[2][3] |Nobody cared.
He stopped ... and went on. |So it was.
He stopped… and went on. |So it was.
He waited... |Nothing came.
He waited… |Nothing came.
What?! |Really!!! |Yes.
It ended in 1990. |2000 was next.
iPhone sales rose. iPad sales fell.
The U.N. Security Council met. |It voted.
Visit www.example.com for more. |Call 1.800.555.
Version 2.0.1 is out. |Try it.
The temperature is approx. 5 degrees. |It is cold.
Alice et al. |The others came later.
Smith et al. (1999) found it. |Others did not.
1. Introduction
1. First do this. |2. Then do that.
Sen. Warren and Rep. Lee agreed. |Gov. Brown did not.
World War I. |It ended in 1918.
He got a Ph.D. in 1950. |She got an M.A. |They married.
Is it he, or I? |I do not know.
George W. Bush won. |Al Gore lost.
The firm (formerly Smith & Co.) closed. |It had debts.
He shouted: 'No!' |They ran.
Élan vital. |Ça va? |¿Qué? |Sí.
No end
...
"""

CHINESE = """
我来了。|你呢？|好！|他走了
他说：“走吧。”|他走了。
他说：“走吧。”，然后走了。|天黑了。
“你好！”|她说。
“你好！”|“再见。”
《红楼梦》是小说。|很长。
真的吗？！|真的！！！
我……|你说什么？
好…|他说。
他（小王）来了。|（他很高兴。）|走了。
圆周率是3.14。|约等于3。
他在U.S. Army工作。|后来退休。
你好!|我是小王。|你呢?|我是小李。
你好!|我是小王.
访问http://a.com/?b=c即可。|很快。
访问a.com。|再见。
一、开始。|二、结束。
1. 开始。|2. 结束。
第一句。 |第二句。
第一句。　|第二句。
第一句。』|第二句。
「第一句。」|「第二句。」
『第一句！』|第二句。
他问：“为什么？”|没人回答。
他问：“为什么？”、“怎么办？”。|没人回答。
句子；还是同一句。|新句子。
句子，还是同一句，没有完
价格是$5.5！|太贵。
J. K. 罗琳写了书。|很畅销。
他说｡|好
「啊……」|他倒下了。
《你好吗？》是一首歌。|好听。
"""

JAPANESE = """
これは猫です。|犬ではない。
「行こう。」と彼は言った。|私は残った。
「行こう。」|「いや。」
「なぜ？」と聞いた。|「さあ。」
「なぜ？」って聞いた。|答えはない。
『走れ！』は本だ。|読んだ。
本当？！|本当だ！！
えっ…|そうなの？
「え……」と彼女。|沈黙。
円周率は3.14です。|約3です。
値段は１０．５円です。|高い。
結果を示す．|次に述べる．
彼（太郎）は来た。|（嬉しかった。）|帰った。
「はい。」、「いいえ。」と答える。|終わり。
東京へ行った。 |大阪へ行った。
東京へ行った。　|大阪へ行った。
すごい!|本当に?|はい。
1. はじめに
1. 行く。|2. 帰る。
「もう帰る。」が口癖だ。|本当だ。
J. K. ローリングが書いた。|売れた。
アイウエオ。|カキクケコ。
ﾊﾝｶｸ｡|ｶﾅ｡
一文目。|二
終わりのない文
彼は言った。|『終わり。』|私は去った。
はい！|いいえ！
メールはa@b.comへ。|待っています。
「（笑）。」|次。
第1章。|第2章。
え？|そう？
"""

KOREAN = """
고양이가 앉았다. |개가 달렸다! |왜? |아니요.
그는 말했다.|그녀는 떠났다.
그는 갔다.|그녀는 남았다.
"가자."라고 말했다. |그는 떠났다.
"가자." |"싫어."
"왜요?" |그가 물었다.
“가자.” |그는 떠났다.
2020. 5. 3. 서울에서 열렸다. |많이 왔다.
1. 서론
1. 먼저 한다. |2. 나중에 한다.
가격은 3.5달러이다. |비싸다.
그는 U.S. Army에서 일했다. |은퇴했다.
정말?! |정말!!!
글쎄... |모르겠다.
글쎄… |모르겠다.
그는 (어제) 왔다. |(기뻤다.) |갔다.
J. K. 롤링이 썼다. |잘 팔렸다.
Dr. 김이 왔다. |갔다.
왔다。|갔다。
좋아요! |싫어요?
했습니까?|네, 했습니다.
www.example.com을 보라. |끝.
그는 갔다.[1] |그녀는 남았다.[2]
끝나지 않은 문장
서울, 부산, 대구. |그리고 인천.
‘가자!’ |그가 외쳤다.
오늘은 비가 온다. |내일은 맑다.
그렇다 . |아니다.
5.18 민주화운동이다. |기억하자.
안녕하세요? |반갑습니다.
그는 27세이다. |그녀는 25세이다.
배우, 가수 등. |모두 왔다.
"""

GENERAL = """
Es war am 3. Oktober 1990. |Danach kam der Winter.
Im 19. Jahrhundert lebte er. |Er starb früh.
Prof. Dr. Müller kam z.B. Montag. |Er ging.
Die Firma, d.h. Siemens, wuchs. |Punkt.
„Geh weg!“ |Er ging.
„Geh weg!“ sagte er. |Er ging.
Il est venu. |Elle est partie !
« Pourquoi ? » |Il ne sait pas.
M. Dupont est là. |Mme. Durand aussi.
¿Qué pasa? |¡Nada! |Bien.
El Sr. García llegó. |Se fue.
Кот сел. |Собака бежала! |Почему? |Нет.
Он родился в г. Москве. |Потом уехал.
А. С. Пушкин писал. |Его читали.
«Почему?» |Никто не знал.
यह बिल्ली है। |वह कुत्ता है।
यह बिल्ली है।|वह कुत्ता है।
राम गया॥|सीता गई।
هل هذا قط؟ |نعم
یہ بلی ہے۔ |وہ کتا ہے۔
این گربه است. |آن سگ است.
Αυτό είναι. |Τι είναι αυτό; |Ναι.
Սա կատու է։ |Նա շուն է։
ይህ ድመት ነው። |ያ ውሻ ነው።
ဒါကကြောင်။|ဒါကခွေး။
នេះជាឆ្មា។|នោះជាឆ្កែ។
Bu bir kedi. |O bir köpek.
Đây là con mèo. |Kia là con chó.
To jest kot. |To nie pies.
Er sagte "Nein." |Dann ging er.
Hij kwam ... en ging. |Zo was het.
Fine…
"""


def cases(text):
    return [line.split("|") for line in text.strip().splitlines()]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (language, sentences)
        for language, text in (("en", ENGLISH), ("zh", CHINESE), ("ja", JAPANESE), ("ko", KOREAN), ("general", GENERAL))
        for sentences in cases(text)
    ],
)
def test_splits(language, expected):
    assert split_sentences("".join(expected), language) == [sentence.strip() for sentence in expected]


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text(alphabet=st.sampled_from("aB1 .!?…。」”(\u3000다と\n")))
def test_nothing_but_white_space_is_lost(language, text):
    found = split_sentences(text, language)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "mark", [".", "!", "?!", "。?", '."', ". ", "A. ", "…", ".[1]", "． ", "。」", "。，", " »", "(."]
)
def test_time_is_linear(mark, language):
    """A line of thousands of marks is met in real text."""
    start = time.process_time()
    assert split_sentences(mark * 30_000 + "x", language)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat sat on the mat and looked at it.", "en"),
        ("He was born in Zürich – or so he said – to a family of 王 and 李.", "en"),
        ("Die Katze saß auf der Matte und sah den Hund an.", "general"),
        ("El gato se sentó en la alfombra y miró al perro.", "general"),
        ("Кот сидел на коврике.", "general"),
        ("بلی چٹائی پر بیٹھی", "general"),
        ("猫坐在垫子上。", "zh"),
        ("他在 Google 和 Apple 工作过。", "zh"),
        ("猫が座った。", "ja"),
        ("東京都庁はシンジュクにある", "ja"),
        ("고양이가 앉았다.", "ko"),
        ("대한민국(大韓民國)은 나라이다.", "ko"),
        ("12345", "general"),
        ("", "general"),
    ],
)
def test_language_is_found(text, language):
    assert detect_language([text]) == language


def test_language_is_found_once_a_document():
    """By its first lines, so that a short line is split as the others are."""
    lines = ["猫坐在垫子上，狗在跑。", "OK!走吧。"]
    assert document_sentences(lines, SentenceSettings()) == ["猫坐在垫子上，狗在跑。", "OK!", "走吧。"]
    assert split_sentences("OK!走吧。", "en") == ["OK!走吧。"]


def test_lines_can_be_sentences():
    settings = SentenceSettings(mode="lines")
    assert document_sentences(["One. Two.", " ", " Three "], settings) == ["One. Two.", "Three"]


def test_a_sentence_ends_with_its_line():
    assert document_sentences(["The cat of", "the house. It sat."], SentenceSettings()) == [
        "The cat of",
        "the house.",
        "It sat.",
    ]


@pytest.mark.parametrize(("name", "settings"), [("sentences", {"mode": "words"}), ("language", {"language": "fr"})])
def test_settings_that_cannot_be(name, settings):
    with pytest.raises(UsageError, match=f"{name} must be one of"):
        SentenceSettings(**settings)
