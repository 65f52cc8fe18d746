"""Whether answers tell the truth, and whether what was acknowledged stayed."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from faults.history import History, Write
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

# An index further behind than 2 s is labelled; the rest is for busy machines.
UNLABELLED_SECONDS = 4.0
_LABELS_OF_AGE = {pb.DEGRADATION_STALE_INDEX, pb.DEGRADATION_UNVERIFIED_CACHE}

Passes = Callable[[catalog_pb2.Product], bool]


@dataclass(frozen=True)
class Answer:
    """A page that came back, and what it must be like."""

    asked: str
    via: str
    sent: float
    received: float
    min_revision: int
    results: Sequence[catalog_pb2.Product]
    info: pb.AnswerInfo
    passes: Passes
    # All products that pass must be there.
    is_whole: bool = False

    @property
    def labels(self) -> list[str]:
        """The names of its degradations."""
        return [pb.Degradation.Name(label) for label in self.info.degraded]


@dataclass
class Oracle:
    """Checks each answer as soon as the feed has told what it can have seen."""

    history: History
    checked: int = 0
    # Of products in whole answers and those shown.
    comparisons: int = 0
    _waiting: deque[Answer] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """Answers that are not checked yet."""
        return len(self._waiting)

    def take(self, answer: Answer) -> None:
        """Have an answer checked."""
        self._waiting.append(answer)
        self.check_what_can_be()

    def check_what_can_be(self) -> None:
        """Check the answers of which all is known."""
        while self._waiting:
            answer = self._waiting[0]
            bound = self.history.bound_of(answer.received)
            newest = max((p.revision for p in answer.results), default=0)
            if bound is None or self.history.head < max(bound, newest, answer.info.revision):
                return
            self._check(self._waiting.popleft(), bound)

    def _check(self, answer: Answer, bound: int) -> None:
        self.checked += 1
        claimed = answer.info.revision
        if claimed < answer.min_revision:
            self._violate(answer, "min_revision", f"{claimed} answers {answer.min_revision}")
        promised = self.history.promised_at(answer.sent)
        is_computed = answer.info.provenance == pb.PROVENANCE_COMPUTED
        if is_computed and claimed < promised:
            self._violate(answer, "found when said so", f"{claimed}, and {promised} was promised")
        ids = [product.id for product in answer.results]
        if len(set(ids)) < len(ids):
            self._violate(answer, "each product once", f"{ids}")
        for product in answer.results:
            self.comparisons += 1
            self._check_shown(answer, product)
        self._check_age(answer, bound, claimed, "no older than it claims")
        floor = self.history.acknowledged_at(answer.sent - UNLABELLED_SECONDS)
        if floor > claimed and not _LABELS_OF_AGE & set(answer.info.degraded):
            self._check_age(answer, bound, floor, "no older than its labels allow")

    def _check_shown(self, answer: Answer, product: catalog_pb2.Product) -> None:
        version = self.history.show(product, answer.asked)
        if version is not None and product.revision not in self.history.revisions_of(product.id):
            self._violate(
                answer,
                "nothing invented",
                f"{product.id} has no revision {product.revision}",
                product.id,
            )
        if not (product.active and answer.passes(product)):
            self._violate(answer, "results pass", f"{product.id}: {product}", product.id)

    def _check_age(self, answer: Answer, bound: int, revision: int, rule: str) -> None:
        """Hold an answer against the catalog at a revision, or any later one below the bound."""
        for product in answer.results:
            changed = self.history.change_after(product.id, product.revision)
            if changed is not None and changed <= revision:
                self._violate(
                    answer,
                    rule,
                    f"{product.id} is shown as of {product.revision}, but it changed at"
                    f" {changed}, and the answer is of {revision}",
                    product.id,
                )
        if not answer.is_whole:
            return
        shown = {product.id for product in answer.results}
        for product_id in self.history.product_ids:
            if product_id in shown:
                continue
            changed = self.history.change_after(product_id, revision)
            if changed is not None and changed <= bound:
                continue
            try:
                product_then = self.history.state(product_id, revision)
            except KeyError:
                continue
            self.comparisons += 1
            if product_then and product_then.active and answer.passes(product_then):
                self._violate(
                    answer,
                    rule,
                    f"{product_id} passes since before {revision}, did not change until {bound},"
                    " and is missing",
                    product_id,
                )

    def _violate(self, answer: Answer, rule: str, text: str, product_id: str = "") -> None:
        self.history.violate(
            rule,
            text,
            asked=answer.asked,
            via=answer.via,
            sent=answer.sent,
            received=answer.received,
            min_revision=answer.min_revision,
            info=str(answer.info),
            shown=[f"{p.id} at {p.revision}, version {p.stock}" for p in answer.results],
            product=self.history.told(product_id) if product_id else [],
        )


def check_writes(history: History) -> list[str]:
    """Hold the whole feed against all writes; return writes that came late, for people.

    Every change must be an acknowledged write, or one that was tried and never
    acknowledged: such a one may happen at any time, even after later ones.
    """
    late = []
    for product_id in history.product_ids:
        writes = history.writes.get(product_id, [])
        for revision in history.revisions_of(product_id):
            change = history.changes[revision - 1]
            seen = history.seen[revision - 1]
            is_delete = _is_removal(change)
            version = history.version_at(product_id, revision)
            matching = [
                write
                for write in writes
                if write.started <= seen
                and (write.version is None) == is_delete
                and (is_delete or version in (None, write.version))
            ]
            if not matching:
                history.violate(
                    "nothing invented",
                    f"{product_id}: nobody asked for what revision {revision} did",
                    product=history.told(product_id),
                )
            elif all(_is_overtaken(write, writes, revision) for write in matching):
                told = f"{product_id} at {revision}: {matching[-1]}"
                if any(write.failures for write in matching):
                    late.append(told)
                else:
                    history.violate("nothing undone", told, product=history.told(product_id))
    for product_id, writes in history.writes.items():
        for write in writes:
            if write.revision is not None:
                _check_kept(history, product_id, write, write.revision)
    return late


def _is_overtaken(write: Write, writes: Sequence[Write], revision: int) -> bool:
    """Tell whether a later write had been acknowledged before this one happened."""
    return any(
        other.started > write.started and other.revision is not None and other.revision < revision
        for other in writes
    )


def _check_kept(history: History, product_id: str, write: Write, revision: int) -> None:
    """Hold one acknowledged write against the feed."""
    if write.version is None:
        until_then = [r for r in history.revisions_of(product_id) if r <= revision]
        kept = not until_then or _is_removal(history.changes[until_then[-1] - 1])
    else:
        kept = (
            revision in history.revisions_of(product_id)
            and history.version_at(product_id, revision) == write.version
        )
    if not kept:
        history.violate(
            "no acknowledged write lost",
            f"{product_id}: {write}",
            product=history.told(product_id),
        )


def _is_removal(change: catalog_pb2.Change) -> bool:
    return change.kind == catalog_pb2.CHANGE_KIND_DELETE
