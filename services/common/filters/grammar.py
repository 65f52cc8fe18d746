"""The grammar of filters (https://google.aip.dev/160), and its texts in plain words.

OR binds closer than AND. Comparisons side by side are joined by AND.
"""

import re

# A name of an attribute that needs no quotes.
PLAIN_NAME = re.compile(r"\w+")
_STRING = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'"
STRING = re.compile(_STRING, re.DOTALL)
# No field is called so, in any case, and as values they are quoted.
_KEYWORD = r"(?:and|or|not)(?=[\s()]|$)"
# Typographic quotes would seem to be part of a word.
_BREAKS = r"""\s"'()=!<>:*“”„"""

GRAMMAR = rf"""
start: conjunction
conjunction: disjunction (_AND? disjunction)*
disjunction: _term (_OR _term)*
_term: negation | group | comparison
negation: (NOT | MINUS) _term
group: LPAR conjunction RPAR
comparison: FIELD OPERATOR (STRING | WORD | STAR)

_AND.2: /and(?=[\s()]|$)/i
_OR.2: /or(?=[\s()]|$)/i
NOT.2: /not(?=[\s()]|$)/i
MINUS: "-"
LPAR: "("
RPAR: ")"
STAR: "*"
OPERATOR: /!=|<=|>=|[=<>:]/
STRING: /{_STRING}/s
// Wider than the names of fields, so that a wrong one is named as a whole.
FIELD: /(?!{_KEYWORD})(?!-)[^{_BREAKS}]+(?:(?<=\.)(?:{_STRING}))?/is
WORD: /(?!{_KEYWORD})[^{_BREAKS}]+/i

%ignore /\s+/
"""

OPERATORS = "= != < <= > >= :"
FIELDS = "category, brand, price, stock, active and attributes.<name>"
