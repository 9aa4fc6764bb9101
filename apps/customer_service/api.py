"""The JSON API, and the application with it and the chat page.

Its logs have no texts: neither questions nor answers, and conversations only as digests of their ids.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apps.customer_service.dialogue import ANSWER, Assistant, Reply
from apps.customer_service.faqs import Faq
from apps.customer_service.json_requests import MOST_CHARACTERS, checked_question, json_object
from apps.customer_service.page_files import SAFE_HEADERS, page_routes
from apps.customer_service.retrieval import Candidate
from apps.customer_service.store import MissingError, Store, StoreError

_LOG = logging.getLogger("customer_service")
_HEADERS = {**SAFE_HEADERS, "cache-control": "no-store"}
_MAYBE = type(None)
_DAY = 86_400
_EXAMPLES = 6

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the server.

    Args:
        contact: How to reach a person, shown at a hand-over.
        retention_days: Conversations are deleted so many days after their last question; 0 keeps them.
        computing: The number of questions that are computed at the same time. One uses all cores.
        waiting: The number of questions that may wait; others are refused with the status 503.
    """

    contact: str = ""
    retention_days: float = 90.0
    computing: int = 1
    waiting: int = 32


def make_app(assistant: Assistant, store: Store, settings: Settings = Settings()) -> Starlette:
    """Makes the application.

    Args:
        assistant: Replies to questions.
        store: Keeps the conversations.
        settings: The settings of the server.
    """
    api = _Api(assistant, store, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_forget_old, store, settings.retention_days)
            yield
            tasks.cancel_scope.cancel()

    routes = [
        Route("/health", _answering(api.health)),
        Route("/api/info", _answering(api.info)),
        Route("/api/ask", _answering(api.ask), methods=["POST"]),
        Route("/api/feedback", _answering(api.feedback), methods=["POST"]),
        Route("/api/conversations/{conversation}", _answering(api.conversation), methods=["GET", "DELETE"]),
        Route("/api/conversations/{conversation}/person", _answering(api.person), methods=["POST"]),
        *page_routes(),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error})


class _Api:
    """The endpoints of the API."""

    def __init__(self, assistant: Assistant, store: Store, settings: Settings) -> None:
        self._assistant = assistant
        self._store = store
        self._settings = settings
        self._computing = anyio.CapacityLimiter(settings.computing)
        self._asked = 0

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def info(self, request: Request) -> Response:
        faqs = list(self._assistant.faqs.values())
        examples = [faq.question for faq in faqs[:: max(1, len(faqs) // _EXAMPLES)][:_EXAMPLES]]
        return _json(
            {
                "faqs": len(faqs),
                "categories": len({faq.category for faq in faqs} - {""}),
                "search": self._assistant.search_name,
                "threshold": self._assistant.policy.threshold,
                "longest_question": MOST_CHARACTERS,
                "retention_days": self._settings.retention_days,
                "contact": self._settings.contact,
                "examples": examples,
            }
        )

    async def ask(self, request: Request) -> Response:
        values = await json_object(request, {"question": str, "conversation": (str, _MAYBE)})
        question = checked_question(values["question"])
        if self._asked >= self._settings.computing + self._settings.waiting:
            raise HTTPException(503, "the server is busy; ask again in some seconds", headers={"retry-after": "2"})
        self._asked += 1
        began = time.perf_counter()
        try:
            conversation, number, reply = await anyio.to_thread.run_sync(
                self._reply, question, values["conversation"], limiter=self._computing
            )
        finally:
            self._asked -= 1
        _LOG.info(
            "conversation %s turn %d: %s%s, confidence %.3f, FAQ %s, %.0f ms",
            _digest(conversation),
            number,
            reply.decision,
            f" ({reply.reason})" if reply.reason else "",
            reply.confidence,
            reply.faq.id if reply.faq else "none",
            1000 * (time.perf_counter() - began),
        )
        return _json(
            {
                "conversation": conversation,
                "turn": number,
                **reply_as_json(reply),
                "threshold": self._assistant.policy.threshold,
                "used_context": reply.understood not in ("", question),
                "contact": "" if reply.decision == ANSWER else self._settings.contact,
            }
        )

    def _reply(self, question: str, conversation: str | None) -> tuple[str, int, Reply]:
        past = self._store.past(conversation) if conversation is not None else []
        reply = self._assistant.reply(question, past)
        conversation = self._store.start() if conversation is None else conversation
        return conversation, self._store.add(conversation, question, reply), reply

    async def feedback(self, request: Request) -> Response:
        values = await json_object(
            request, {"conversation": str, "turn": int, "helpful": (bool, _MAYBE), "right_faq": (str, _MAYBE)}
        )
        helpful, name = values["helpful"], values["right_faq"]
        if helpful is None and name is None:
            raise HTTPException(400, "expected helpful or right_faq. Received: neither")
        faq = self._assistant.faqs.get(name) if name is not None else None
        if name is not None and faq is None:
            raise HTTPException(404, "expected right_faq: the id of an FAQ. Received: one that does not exist")
        conversation, turn = values["conversation"], values["turn"]
        if not 0 < turn < 1 << 31:
            raise HTTPException(404, "expected a turn of a conversation. Received: one that does not exist")
        await run_in_threadpool(self._store.judge, conversation, turn, helpful=helpful, right_faq=name)
        _LOG.info("conversation %s turn %d: helpful %s, right FAQ %s", _digest(conversation), turn, helpful, name)
        return _json({"faq": _faq_as_json(faq) if faq else None, "answer": faq.answer if faq else None})

    async def conversation(self, request: Request) -> Response:
        name = request.path_params["conversation"]
        if request.method == "DELETE":
            await run_in_threadpool(self._store.forget, name)
            _LOG.info("conversation %s: deleted", _digest(name))
            return Response(status_code=204, headers=_HEADERS)
        turns = await run_in_threadpool(self._store.turns, name)
        return _json({"conversation": name, "turns": [_turn_as_json(turn) for turn in turns]})

    async def person(self, request: Request) -> Response:
        name = request.path_params["conversation"]
        await run_in_threadpool(self._store.hand_over, name, "person")
        _LOG.info("conversation %s: asked for a person", _digest(name))
        return _json({"contact": self._settings.contact})


def reply_as_json(reply: Reply) -> dict[str, Any]:
    """Returns a reply as the API shows it."""
    intent = reply.intent
    return {
        "decision": reply.decision,
        "text": reply.text,
        "language": reply.language,
        "reason": reply.reason,
        "faq": _faq_as_json(reply.faq) if reply.faq else None,
        "confidence": round(reply.confidence, 4),
        "suggestions": [_suggestion_as_json(candidate) for candidate in reply.suggestions],
        "intent": intent and dataclasses.asdict(intent) | {"probability": round(intent.probability, 4)},
    }


def _faq_as_json(faq: Faq) -> dict[str, str]:
    return {"id": faq.id, "question": faq.question, "category": faq.category}


def _suggestion_as_json(candidate: Candidate) -> dict[str, Any]:
    return {**_faq_as_json(candidate.faq), "score": round(candidate.score, 4)}


def _turn_as_json(turn: Any) -> dict[str, Any]:
    values = dataclasses.asdict(turn)
    del values["conversation"]
    return values


def _answering(endpoint: Endpoint) -> Endpoint:
    """Returns an endpoint whose unexpected errors are logged without their messages, which may quote texts."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HTTPException:
            raise
        except MissingError as problem:
            raise HTTPException(404, str(problem)) from None
        except StoreError as problem:
            raise HTTPException(409, str(problem)) from None
        except Exception as problem:
            _LOG.error("%s in %s", type(problem).__name__, _place(problem))
            raise HTTPException(500, "the server failed; its log says where") from None

    return answer


def _place(problem: BaseException) -> str:
    """Returns the file and the line where an error was raised."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"


async def _http_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return JSONResponse({"error": problem.detail}, problem.status_code, headers={**_HEADERS, **(problem.headers or {})})


def _json(values: dict[str, Any]) -> Response:
    return JSONResponse(values, headers=_HEADERS)


def _digest(conversation: str) -> str:
    """Returns a short name for logs: whoever knows the id itself can read the conversation."""
    return hashlib.sha256(conversation.encode("utf-8", "replace")).hexdigest()[:8]


async def _forget_old(store: Store, days: float) -> None:
    """Deletes old conversations now, and then every hour."""
    while days:
        count = await run_in_threadpool(store.forget_before, time.time() - days * _DAY)
        if count:
            _LOG.info("deleted %d conversations that were older than %g days", count, days)
        await anyio.sleep(3600)
