"""What can go wrong with a stack, said so that the reader knows what to do."""


class StackError(Exception):
    """The stack cannot start or go on.

    `message` says what happened in one sentence; `remedy` says what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
