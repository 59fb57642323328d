"""Logs: one JSON object a line on stderr, or a readable form where stderr is a terminal.

What structlog and the standard library's loggers say goes through one chain, and no password in a URL gets
out of it.
"""

import logging
import math
import os
import re
import sys
from collections.abc import Mapping

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.types import EventDict, Processor

from sqslite.domain.errors import InvalidValue

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FRAMES_SHOWN_MAX = 50

MASK = "***"
# The last @ ends the password, which is how far one with an unescaped @ or / in it goes; other URLs than a
# database's have an @ in their paths, so there it ends with the host.
_PASSWORDS = re.compile(
    r"""(?P<kept> postgres(?:ql)?(?:\+\w+)?://[^\s:/@]*: ) \S*(?=@)
      | (?P<kept_too> \b\w[\w+.-]*://[^\s:/@]*: ) [^\s/]*(?=@)
      | (?P<kept_key> \bpassword= ) (?: '[^']*' | [^\s&'"]+ )""",
    re.VERBOSE | re.IGNORECASE,
)


def configure_logging(level: str) -> None:
    """Send what this process logs at `level` (debug, info, warning, error) or above to stderr.

    Raises InvalidValue for another level.
    """
    threshold = LEVELS.get(level.lower())
    if threshold is None:
        raise InvalidValue("LOG_LEVEL", level, f"one of {', '.join(LEVELS)}")
    facts: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    # Of libraries that have set a lower level for themselves, too.
    handler.setLevel(threshold)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=facts,
            processors=[ProcessorFormatter.remove_processors_meta, *_rendering(sys.stderr.isatty())],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*facts, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A message below the level, as every request logs one, then costs one call that does nothing.
        cache_logger_on_first_use=True,
    )


def mask_passwords(text: str) -> str:
    """The text without the passwords of the URLs and connection strings in it."""
    return _PASSWORDS.sub(lambda found: f"{found['kept'] or found['kept_too'] or found['kept_key']}{MASK}", text)


def _rendering(terminal: bool) -> list[Processor]:
    if terminal:
        console = structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ, exception_formatter=structlog.dev.plain_traceback
        )
        return [structlog.processors.format_exc_info, _masked, console]
    # Local variables stay out: message bodies are among them.
    exceptions = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=FRAMES_SHOWN_MAX)
    return [structlog.processors.ExceptionRenderer(exceptions), _masked, structlog.processors.JSONRenderer()]


def _masked(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {key: _mask(value) for key, value in event.items()}


def _mask(value: object) -> object:
    """The value as JSON can say it, without passwords; masked before it is quoted, for quotes end no password."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str):
        return mask_passwords(value)
    if isinstance(value, Mapping):
        return {str(key): _mask(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(item) for item in value]
    return mask_passwords(repr(value))
