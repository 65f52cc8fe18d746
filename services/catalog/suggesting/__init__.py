"""What a person may be about to type: suggestions while typing."""
