"""Uploads over HTTP, as anybody else's program would send them: leave from the function's URL, then a form to S3.

Nothing but the question is signed, and only where IAM guards the URL; S3 knows the form by its own signature. The file
is streamed; its length is told first, as S3 wants it.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imgpipe import cloud
from imgpipe.deploy.providers.lambda_url import Urls
from imgpipe.deploy.resources import FunctionUrl
from imgpipe.errors import CredentialsError, DeniedError, MissingError, UnreachableError, UsageError
from imgpipe.operate import images
from imgpipe.operate.provision import site_of
from imgpipe.operate.upload import plain_paths
from imgpipe.operate.upload.media_types import content_type
from imgpipe.operate.upload.send import ChangedWhileReadError, Progress, Sent, changed, identity
from imgpipe.operate.upload.sources import NotSent, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.project import Project

PIECE_BYTES = 1024 * 1024
ATTEMPTS = 3
READ_S = 120.0
OK, CREATED = 200, 201
DENIED = (401, 403)


def url(project: Project) -> str:
    """Return the address that hands out leave to upload; "" where there is none.

    The embedded cloud serves AWS's own addresses below a path of its own.
    """
    made = project.graph.of(FunctionUrl)
    try:
        found = Urls(site_of(project)).address(made[0].function) if made else ""
    except Exception as error:
        raise cloud.explain(error, "the API for uploads") from error
    if not found or not project.cloud.endpoint:
        return found
    name = (urlsplit(found).hostname or "").partition(".")[0]
    return f"{project.cloud.endpoint.rstrip('/')}/_aws/lambda-url/{name}/"


class Api:
    """The pipeline's own API for uploads. Made for many files: connections are kept.

    Raises UsageError where pipeline.yaml doesn't ask for one, MissingError where it isn't up.
    """

    def __init__(self, project: Project) -> None:
        import urllib3

        if not project.graph.of(FunctionUrl):
            raise UsageError(
                "--via-api",
                "the pipeline has no API for uploads",
                hint="add `direct: {}` under `uploads` in pipeline.yaml, then: imgpipe up",
            )
        self._project, self._prefix = project, project.graph.prefix
        self._url = url(project)
        if not self._url:
            raise MissingError("the API for uploads", "it is not there", hint="imgpipe up")
        [made] = project.graph.of(FunctionUrl)
        self._signs = made.auth == "AWS_IAM"
        retries = urllib3.Retry(ATTEMPTS, status_forcelist=(), redirect=False)
        self._http = urllib3.PoolManager(
            retries=retries, timeout=urllib3.Timeout(connect=cloud.CONNECT_S, read=READ_S)
        )

    def send(self, source: Source, progress: Progress) -> Sent | NotSent:
        """Send one file. Raises CloudError when no file could be sent, such as without permission."""
        try:
            with plain_paths.opened(source.path) as file:
                leave = self._leave(source)
                if isinstance(leave, NotSent):
                    return leave
                return self._post(source, leave, file.fileno(), progress)
        except ChangedWhileReadError:
            return changed(source)
        except OSError as error:
            return NotSent(
                source.path, source.key, "unreadable", f"it can't be read: {error.strerror}"
            )

    def _leave(self, source: Source) -> Mapping[str, Any] | NotSent:
        wanted = {
            "name": images.short(self._prefix, source.key),
            "type": content_type(source.path),
        }
        status, answered = self._ask(json.dumps(wanted).encode())
        if status in DENIED:
            raise DeniedError(
                "the API for uploads",
                "it refuses to be called",
                hint="your policy must allow lambda:InvokeFunctionUrl and lambda:InvokeFunction on it",
            )
        if status == CREATED:
            return answered
        why = str(answered.get("error") or f"the API answered with status {status}")
        return NotSent(source.path, source.key, "refused", why)

    def _ask(self, body: bytes) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/json"}
        if self._signs:
            headers = self._signed(body, headers)
        answer = self._request("POST", self._url, body, headers)
        try:
            found = json.loads(answer.data)
        except ValueError:
            found = {}
        return answer.status, found if isinstance(found, dict) else {}

    def _signed(self, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest("POST", self._url, data=body, headers=headers)
        credentials = self._project.cloud.session.get_credentials()
        if credentials is None:
            raise CredentialsError("the API for uploads", "no usable AWS credentials")
        SigV4Auth(credentials, "lambda", self._project.cloud.region).add_auth(request)
        return dict(request.headers.items())

    def _post(
        self, source: Source, leave: Mapping[str, Any], descriptor: int, progress: Progress
    ) -> Sent | NotSent:
        before = identity(descriptor)
        key, size = str(leave["key"]), before[0]
        if size > leave["bytes"]:
            why = f"the file has {size:,} bytes, and the API takes {leave['bytes']:,}"
            return NotSent(source.path, key, "too_large", why)
        boundary = secrets.token_hex(16)
        head, tail = form(leave["fields"], plain_paths.name(source.path), boundary)
        answer = self._request(
            "POST",
            str(leave["url"]),
            _pieces(head, descriptor, size, tail, progress),
            {
                "content-type": f"multipart/form-data; boundary={boundary}",
                "content-length": str(len(head) + size + len(tail)),
            },
        )
        if answer.status != CREATED:
            why = f"S3 refused it with status {answer.status}"
            return NotSent(source.path, key, "refused", why)
        if identity(descriptor) != before:
            raise ChangedWhileReadError
        version, etag = answer.headers.get("x-amz-version-id"), answer.headers.get("etag", "")
        return Sent(source.path, key, version, etag.strip('"'), size)

    def _request(self, method: str, address: str, body: Any, headers: dict[str, str]) -> Any:
        import urllib3

        repeatable = isinstance(body, bytes)
        try:
            return self._http.request(
                method,
                address,
                body=body,
                headers=headers,
                retries=None if repeatable else False,
            )
        except urllib3.exceptions.HTTPError as error:
            host = urlsplit(address).netloc
            raise UnreachableError(host, f"no answer: {type(error).__name__}") from error


def form(fields: Mapping[str, str], name: str, boundary: str) -> tuple[bytes, bytes]:
    """Return what stands before the file and after it in a multipart/form-data body: the fields first, as S3 asks."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n\r\n'
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def _pieces(
    head: bytes, descriptor: int, size: int, tail: bytes, progress: Progress
) -> Iterator[bytes]:
    yield head
    offset = 0
    while offset < size:
        piece = os.pread(descriptor, min(PIECE_BYTES, size - offset), offset)
        if not piece:
            raise ChangedWhileReadError
        yield piece
        offset += len(piece)
        progress(len(piece))
    yield tail
