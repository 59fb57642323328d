"""After: the same as tasks of a sqslite worker."""

import os
from dataclasses import dataclass

from sqslite import Context, Retry, Worker

worker = Worker(os.environ.get("SQSLITE_URL", "http://localhost:8080"))


@dataclass
class Mail:
    """What a task takes."""

    address: str
    text: str


@worker.task(queue="mails")
def send_mail(mail: Mail, context: Context) -> None:
    """Send a mail, trying again a second later."""
    try:
        deliver(mail, context.delivery_count - 1)
    except ConnectionError as error:
        raise Retry(str(error), after=1) from error


def deliver(mail: Mail, tries_before: int) -> None:
    """The mail server is away at the first try."""
    if tries_before == 0:
        raise ConnectionError("no mail server")
    print(f"{mail.address}: {mail.text}", flush=True)


if __name__ == "__main__":
    worker.run()
