"""The fault suite: a real stack is hurt in every way while an oracle checks each answer."""
