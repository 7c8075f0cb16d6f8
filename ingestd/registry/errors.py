"""The errors of the registry's API: an HTTP status, a code, and a message that clients show as it is.

Codes and messages are those of the Confluent Schema Registry, which existing clients know:
https://docs.confluent.io/platform/current/schema-registry/develop/api.html#errors
"""

from typing import Final

#: What is shown at most of a schema or of a library's complaint about one.
SHOWN_CHARS: Final = 500

LEVELS: Final = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)


class SchemaError(Exception):
    """A text is no schema of its type; `str()` says why."""


class ApiError(Exception):
    """The answer to a request that cannot be granted. The status is what the code begins with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = int(str(code)[:3])


def subject_not_found(subject: str) -> ApiError:
    return ApiError(40401, f"Subject '{subject}' not found.")


def version_not_found(version: int | str) -> ApiError:
    return ApiError(40402, f"Version {version} not found.")


def schema_not_found() -> ApiError:
    return ApiError(40403, "Schema not found")


def subject_soft_deleted(subject: str) -> ApiError:
    return ApiError(40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")


def subject_not_soft_deleted(subject: str) -> ApiError:
    return ApiError(40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_soft_deleted(subject: str, version: int) -> ApiError:
    return ApiError(
        40406,
        f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently",
    )


def version_not_soft_deleted(subject: str, version: int) -> ApiError:
    return ApiError(
        40407, f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )


def level_not_configured(subject: str) -> ApiError:
    return ApiError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def incompatible(subject: str, reasons: list[str]) -> ApiError:
    return ApiError(
        409,
        "Schema being registered is incompatible with an earlier schema for subject "
        f'"{subject}", details: [{"; ".join(reasons)[:SHOWN_CHARS]}]',
    )


def invalid_schema(reason: str) -> ApiError:
    return ApiError(42201, f"Invalid schema: {reason[:SHOWN_CHARS]}")


def invalid_version(version: str) -> ApiError:
    return ApiError(
        42202,
        f"The specified version '{version[:40]}' is not a valid version id. Allowed values are between [1, 2^31-1] "
        'and the string "latest"',
    )


def invalid_level() -> ApiError:
    names = [level.lower() for level in LEVELS]
    return ApiError(
        42203, f"Invalid compatibility level. Valid values are {', '.join(names[:-1])}, and {names[-1]}"
    )


def still_referenced(subject: str, version: int) -> ApiError:
    return ApiError(
        42206, f"One or more references exist to the schema {{subject={subject},version={version}}}."
    )


def invalid_subject(subject: str) -> ApiError:
    return ApiError(
        42208, f"The specified subject '{subject[:40]}' is not a valid: 1 to 255 printable characters are"
    )
