"""What a gateway answers, read back from the bytes that it sends."""

from dataclasses import dataclass

from services.gateway.answers import Answer, Degradation, LeftOut, Provenance, Served, Timings
from services.gateway.codec import ProtobufCodec


@dataclass(frozen=True)
class Shown:
    """As `Served`, the answer decoded."""

    answer: Answer
    popular: str
    provenance: Provenance
    timings: Timings
    degraded: frozenset[Degradation]
    left_out: tuple[LeftOut, ...]


def shown(served: Served) -> Shown:
    return Shown(
        ProtobufCodec().decode(served.encoded.body),
        served.encoded.popular,
        served.provenance,
        served.timings,
        served.degraded,
        served.left_out,
    )
