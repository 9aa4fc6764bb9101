import pytest

from apps.customer_service.dialogue import ANSWER, HAND_OVER, SMALL_TALK, PastTurn
from apps.customer_service.faqs import Faq
from apps.customer_service.models import Intent


def test_an_answer_and_what_else_it_may_be(make_assistant):
    reply = make_assistant().reply("How much is a ticket?")
    assert (reply.decision, reply.faq.id, reply.reason) == (ANSWER, "price", "")
    assert reply.text == "A ticket costs 3 euros.\nCards are accepted."
    assert reply.confidence == pytest.approx(1 + (1 - 10 / 12), abs=1e-6)
    suggested = [candidate.faq.id for candidate in reply.suggestions]
    assert suggested[0] == "child"
    assert "price" not in suggested


def test_below_the_threshold_a_person_answers(make_assistant):
    reply = make_assistant().reply("Is my bag found?")
    assert (reply.decision, reply.reason, reply.faq) == (HAND_OVER, "unsure", None)
    # Two common words of eleven, and one of nine with the next FAQ.
    assert reply.confidence == pytest.approx(4 / 11 + (4 / 11 - 2 / 9), abs=1e-6)
    assert reply.text == "I am not sure enough which answer is right, so I hand over to a person."
    assert reply.suggestions[0].faq.id == "lost"
    sure = make_assistant(threshold=reply.confidence).reply("Is my bag found?")
    assert (sure.decision, sure.faq.id) == (ANSWER, "lost")


def test_a_follow_up_is_understood_with_the_question_before(make_assistant):
    assistant = make_assistant()
    past = [PastTurn("How much is a ticket?")]
    assert assistant.reply("and the child?").reason == "unsure"
    reply = assistant.reply("and the child?", past)
    assert (reply.decision, reply.faq.id) == (ANSWER, "child")
    assert reply.understood == "How much is a ticket? and the child?"
    # A question that is clear by itself is not mixed with the one before.
    other = assistant.reply("I lost my bag on the tram", past)
    assert (other.faq.id, other.understood) == ("lost", "I lost my bag on the tram")


def test_why_a_person_is_asked(make_assistant):
    assistant = make_assistant(person_categories={"complaints"})
    assert assistant.reply("I want to talk to a person").reason == "person"
    assert assistant.reply("?!").reason == "unreadable"
    reply = assistant.reply("Can I return my ticket?")
    assert (reply.reason, reply.suggestions, reply.text) == ("category", (), "A person handles questions of this kind.")
    bad = [PastTurn("x", False), PastTurn("x", False)]
    reply = assistant.reply("How much is a ticket?", bad)
    assert (reply.reason, reply.suggestions[0].faq.id) == ("repeated", "price")
    assert assistant.reply("How much is a ticket?", [*bad, PastTurn("x", True)]).decision == ANSWER
    assert assistant.reply("How much is a ticket?", bad[:1]).decision == ANSWER


def test_small_talk_is_not_a_question(make_assistant):
    reply = make_assistant().reply("Thank you!")
    assert (reply.decision, reply.text, reply.faq) == (SMALL_TALK, "You are welcome.", None)
    assert make_assistant().reply("Hello").text == "Hello! What is your question?"


def test_chinese(make_assistant):
    listed = [Faq("sim", ("怎么激活手机卡？",), "拨打客服电话。"), Faq("pay", ("怎么付款？",), "扫码付款。")]
    assistant = make_assistant(listed)
    reply = assistant.reply("手机卡怎么激活")
    assert (reply.decision, reply.faq.id, reply.language) == (ANSWER, "sim", "zh")
    assert assistant.reply("谢谢！").text == "不客气。"
    assert assistant.reply("我要转人工").text == "您要求转接人工客服。"
    assert assistant.reply("月亮在哪里").text == "我不能确定哪个答案正确，因此为您转接人工客服。"
    # The entries of the app are in the languages of the FAQs.
    assert assistant.reply("Thank you").decision == HAND_OVER


def test_an_intent_comes_first_unless_the_classifier_abstains(make_assistant):
    asked = []

    def classifier(abstained):
        def intents(questions):
            asked.extend(questions)
            return [Intent("tickets", 0.7, abstained) for _ in questions]

        return intents

    question = "I lost my ticket on the tram"
    assert make_assistant().reply(question).faq.id == "lost"
    reply = make_assistant(intents=classifier(False), threshold=-2).reply(question)
    assert reply.faq.category == "tickets"
    assert reply.intent == Intent("tickets", 0.7, False)
    # The FAQ of the intent is far behind another one, so nobody can be sure.
    assert make_assistant(intents=classifier(False)).reply(question).reason == "unsure"
    assert make_assistant(intents=classifier(True)).reply(question).faq.id == "lost"
    assert asked == [question] * 3
    assert make_assistant(intents=classifier(False), person_categories={"tickets"}).reply(question).reason == "category"


def test_a_re_ranker_orders_and_scores(make_assistant):
    def re_ranker(question, phrasings):
        return [float("bag" in phrasing) for phrasing in phrasings]

    assistant = make_assistant(re_ranker=re_ranker)
    reply = assistant.reply("How much is a ticket?")
    assert (reply.faq.id, reply.confidence) == ("lost", 2.0)
