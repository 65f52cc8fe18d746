"""Transport and vocabulary that the services share. Imports no service."""
