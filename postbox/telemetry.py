"""Traces, metrics and logs. The sampled flag is read first: touching OpenTelemetry costs 184 µs a hop."""

import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from postbox.message import Event

LINKS_MOST = 128


def new_traceparent(sample_ratio: float) -> str:
    """A W3C traceparent for something that begins here; sampled with the given chance (0..1)."""
    random = os.urandom(28)
    sampled = int.from_bytes(random[24:]) < sample_ratio * 2**32
    ids = random[:24].hex()
    return f"00-{ids[:32]}-{ids[32:]}-{'01' if sampled else '00'}"


def is_sampled(traceparent: str) -> bool:
    """Whether a traceparent asks to be recorded."""
    return traceparent.endswith("1") and len(traceparent) == 55


def trace_id(traceparent: str | None) -> str | None:
    """The trace id of a traceparent, 32 hex digits."""
    return traceparent[3:35] if traceparent and len(traceparent) == 55 else None


class Tracing:
    """The tracer of one service: to an OTLP endpoint where one is set, else to a local file of JSON lines."""

    def __init__(self, service: str, file: Path | None, otlp_endpoint: str | None) -> None:
        self._provider = TracerProvider(resource=Resource({"service.name": service}))
        exporter = (
            OTLPSpanExporter(endpoint=otlp_endpoint)
            if otlp_endpoint
            else FileExporter(file)
            if file
            else None
        )
        if exporter is not None:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("postbox")

    def begin(self, name: str, traceparent: str) -> Span:
        """A span below a sampled traceparent; end it yourself."""
        return self._tracer.start_span(
            name, context=set_span_in_context(NonRecordingSpan(_context(traceparent)))
        )

    def mark(self, name: str, traceparent: str) -> str:
        """Record a moment of a sampled trace; gives the traceparent for what follows from it."""
        if not is_sampled(traceparent):
            return traceparent
        span = self.begin(name, traceparent)
        span.end()
        return traceparent_of(span)

    @contextmanager
    def batch(self, topic: str, events: Sequence[Event]) -> Iterator[None]:
        """One span for a batch, and one for each sampled event, which goes on from there."""
        sampled = [event for event in events if is_sampled(event.traceparent)]
        if not sampled:
            yield
            return
        links = [Link(_context(event.traceparent)) for event in sampled[:LINKS_MOST]]
        whole = self._tracer.start_span(f"{topic} batch", links=links, attributes={"messages": len(events)})
        spans = []
        for event in sampled:
            span = self.begin(topic, event.traceparent)
            spans.append(span)
            event.traceparent = traceparent_of(span)
        try:
            yield
        finally:
            for span in (*spans, whole):
                span.end()

    def close(self) -> None:
        """Write out what is not written yet."""
        self._provider.shutdown()


class FileExporter(SpanExporter):
    """Spans as one JSON object a line: service, name, trace, parent, start and end in nanoseconds."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)

    def export(self, spans: Iterable[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._file.write(json.dumps(_span_json(span)) + "\n")
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


class Metrics:
    """What a service counts of its messages; scraped at `/metrics`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.handled = Counter("postbox_handled", "Messages handled", ["topic"], registry=self.registry)
        self.absorbed = Counter(
            "postbox_duplicates_absorbed",
            "Records recognised as done before, by guard",
            ["guard"],
            registry=self.registry,
        )
        self.parked = Counter(
            "postbox_parked", "Messages parked", ["topic", "handling"], registry=self.registry
        )
        self.published = Counter("postbox_published", "Messages published", registry=self.registry)
        self.retries = Counter("postbox_retries", "Batches tried again", ["error"], registry=self.registry)
        self.seconds = Histogram("postbox_batch_seconds", "Seconds a batch took", registry=self.registry)
        self.stopped = Gauge(
            "postbox_partition_stopped",
            "Partitions stopped for a person",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.stalled = Gauge(
            "postbox_stalled", "1 while batches fail and are tried again", registry=self.registry
        )
        self.outbox = Gauge("postbox_outbox_messages", "Messages not yet published", registry=self.registry)
        self.waiting = Gauge(
            "postbox_parked_now", "Messages parked now", ["handling"], registry=self.registry
        )

    def forget_the_database(self) -> None:
        """What the gauges that are read from it said may no longer be so: no number, no series."""
        self.outbox.set(math.nan)
        self.waiting.clear()
        self.stopped.clear()

    def is_stalled(self) -> bool:
        """Whether batches fail and are tried again just now."""
        return any(sample.value for metric in self.stalled.collect() for sample in metric.samples)


class JsonLines(logging.Formatter):
    """One JSON object a line. Callers pass ids, counts and codes; never a person's data."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _where(record)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(service: str, level: str) -> None:
    """Structured logs on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def traceparent_of(span: Span) -> str:
    """The traceparent that makes what follows a child of this span."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _context(traceparent: str) -> SpanContext:
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _span_json(span: ReadableSpan) -> dict[str, object]:
    context = span.get_span_context()
    return {
        "service": span.resource.attributes.get("service.name"),
        "name": span.name,
        "trace_id": f"{context.trace_id:032x}" if context else None,
        "span_id": f"{context.span_id:016x}" if context else None,
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "links": [f"{link.context.trace_id:032x}" for link in span.links],
    }


def _where(record: logging.LogRecord) -> str:
    # The place alone: an exception's text may quote the value it failed on.
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
