"""What CONTAINS compares: texts without case and accents."""

import re
import unicodedata

_ACCENTS = re.compile(r"[\u0300-\u036f]+")
# Compatibility decomposition would glue these signs to the word before, as letters.
_SIGNS = str.maketrans({"™": " ", "℠": " ", "\u2010": "-", "\u2011": "-"})


def folded(text: str) -> str:
    """Return the text in lower case, accents removed: ñ becomes n, ß becomes ss."""
    return text.lower() if text.isascii() else without_marks(text.translate(_SIGNS))


def without_marks(text: str) -> str:
    """Return the same of a text whose signs are no danger to its words."""
    decomposed = unicodedata.normalize("NFKD", text)
    # Composed again, for the scripts whose marks are more than accents.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed)).casefold()
