"""`vitrina rules` and `vitrina synonyms`: what the shop decides about its searches."""
