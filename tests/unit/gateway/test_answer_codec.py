"""Answers put together from encoded parts: what a parser reads is what was meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.answer_codec import batch_response, recognize_response, stream_response
from ocr_gateway.model import CacheOutcome, Fallback, Recognition
from ocr_gateway.translation import page_answer
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import document_pb2, recognition_pb2

names = st.text(max_size=12)
recognitions = st.builds(
    Recognition,
    document=st.sampled_from([0, 1, 126, 127, 128, 2000, 16383, 16384, 70_000]).map(
        lambda size: document_pb2.Document(
            pages=[document_pb2.Page(blocks=[document_pb2.Block(lines=[document_pb2.Line(text="x" * size)])])]
        ).SerializeToString()
    )
    | st.just(b""),
    provider=names,
    model=names,
    cache=st.sampled_from(CacheOutcome),
    attempts=st.integers(0, 5),
    billed_units=st.floats(0, 5),
    cost=st.floats(0, 5),
    currency=st.sampled_from(["", "CNY"]),
    fallbacks=st.lists(st.builds(Fallback, names, names), max_size=2).map(tuple),
    queue_ms=st.floats(0, 1e6),
    rate_limit_ms=st.floats(0, 1e6),
    provider_ms=st.floats(0, 1e6),
    raw_response=st.binary(max_size=300),
)
plain = st.builds(Recognition, st.just(b""), names, names, st.just(CacheOutcome.MEMORY))
"""What memory gives: nothing was done for it."""
times = st.floats(0, 1e9)


def parsed_form(request_id: str, of: Recognition, total_ms: float) -> recognition_pb2.PageAnswer:
    """The answer, made from messages alone."""
    return recognition_pb2.PageAnswer(
        request_id=request_id,
        page=1,
        last_page=True,
        page_count=1,
        document=document_pb2.Document.FromString(of.document),
        provenance=recognition_pb2.Provenance(
            provider=of.provider,
            model=of.model,
            cache=recognition_pb2.CacheOutcome.Value(f"CACHE_OUTCOME_{of.cache.name}"),
            attempts=of.attempts,
            fallbacks=[recognition_pb2.Fallback(provider=each.provider, reason=each.reason) for each in of.fallbacks],
            billed_units=of.billed_units,
            cost=of.cost,
            currency=of.currency,
            timings=recognition_pb2.Timings(
                queue_ms=of.queue_ms,
                rate_limit_ms=of.rate_limit_ms,
                provider_ms=of.provider_ms,
                total_ms=total_ms,
            ),
        ),
        raw_response=of.raw_response,
    )


@given(names, recognitions | plain, times)
def test_an_answer_is_what_its_messages_would_be(request_id: str, recognition: Recognition, total_ms: float) -> None:
    """Every field is read back, alone in a unary response and in a stream's, whatever the sizes."""
    expected = parsed_form(request_id, recognition, total_ms)
    encoded = page_answer(request_id, recognition, total_ms=total_ms)
    assert recognition_pb2.PageAnswer.FromString(encoded) == expected
    unary = gateway_pb2.RecognizeResponse.FromString(recognize_response(encoded))
    assert unary == gateway_pb2.RecognizeResponse(answer=expected)
    streamed = gateway_pb2.StreamRecognizeResponse.FromString(stream_response(encoded))
    assert streamed == gateway_pb2.StreamRecognizeResponse(answer=expected)


@given(st.lists(st.tuples(names, recognitions | plain), min_size=1, max_size=4))
def test_a_batch_has_the_answers_in_order(answers: list[tuple[str, Recognition]]) -> None:
    """Answers put together are those that would have come one by one."""
    encoded = [page_answer(request_id, recognition, total_ms=2.5) for request_id, recognition in answers]
    response = gateway_pb2.StreamRecognizeResponse.FromString(batch_response([*map(stream_response, encoded)]))
    assert list(response.batch.answers) == [parsed_form(*answer, 2.5) for answer in answers]
