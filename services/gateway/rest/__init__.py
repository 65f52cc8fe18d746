"""HTTP/JSON in front of the gateway, transcoded by the annotations of its services."""
