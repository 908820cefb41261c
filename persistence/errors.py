"""What can be wrong with the database."""


class StoreError(Exception):
    """The database cannot be used; one line that says which, why, and what to do."""
