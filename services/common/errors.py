"""Errors by meaning. The domain raises them; the transport maps them to a status."""

from collections.abc import Mapping


class VitrinaError(Exception):
    """An error that a caller may see: its message holds no path, secret or internal.

    `reason` is UPPER_SNAKE_CASE and stable for programs. `metadata` goes with it.
    """

    default_reason = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})


class InvalidArgument(VitrinaError):
    """A field of the request is wrong; `field` is its path, `products[3].price`."""

    default_reason = "INVALID_FIELD"

    def __init__(self, field: str, problem: str, *, reason: str | None = None) -> None:
        super().__init__(f"{field}: {problem}", reason=reason)
        self.field = field
        self.problem = problem

    def within(self, parent: str) -> "InvalidArgument":
        """Return the same error with `parent.` before the field."""
        return InvalidArgument(f"{parent}.{self.field}", self.problem, reason=self.reason)


class NotFound(VitrinaError):
    """What was asked for is not there."""

    default_reason = "NOT_FOUND"


class FailedPrecondition(VitrinaError):
    """The request is right, the state is not; retrying alone does not help."""

    default_reason = "FAILED_PRECONDITION"


class Overloaded(VitrinaError):
    """Too much at once; retry with backoff."""

    default_reason = "OVERLOADED"


class Unavailable(VitrinaError):
    """Cannot answer now; retry with backoff."""

    default_reason = "UPSTREAM_UNAVAILABLE"


class DeadlineExceeded(VitrinaError):
    """The budget ran out."""

    default_reason = "DEADLINE_EXCEEDED"


class StartRefused(Exception):
    """A process cannot start as things are, and another start alone does not help.

    For the operator, never for a caller: its text names the setting or the file,
    what is wrong, and what to do. `reason` is UPPER_SNAKE_CASE, for programs.
    """

    def __init__(self, problem: str, *, reason: str) -> None:
        super().__init__(problem)
        self.reason = reason
