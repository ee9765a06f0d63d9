"""Whether a host answers, asked in bounded time; and errors in one line."""

import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request

_ROUTE_SECONDS = 8  # for the whole question whether the host answers, name look-up included
_RESERVED = "!#$%&'()*+,/:;=?@[]~"  # characters that stand for themselves in an address


def no_route(url: str, *, any_status: bool = False) -> str | None:
    """Returns why the address does not answer, or None where it does.

    With `any_status` an HTTP status is an answer, whichever it is: some hosts answer no HEAD.

    Proxies are those of the environment. TFDS itself would retry for minutes. The question is asked
    in a thread, because a name look-up has no time-out of its own; the thread is a daemon, so that
    one left behind does not keep the program from ending.
    """
    answer = [f"no answer within {_ROUTE_SECONDS} seconds"]
    known = threading.Event()

    def ask():
        request = urllib.request.Request(urllib.parse.quote(url, safe=_RESERVED), method="HEAD")
        try:
            # Not urlopen, which remembers the proxies of its first call.
            with urllib.request.build_opener().open(request, timeout=_ROUTE_SECONDS / 2):
                answer[0] = None
                known.set()  # an FTP server ends what it began only after a while
        except urllib.error.HTTPError as error:
            answer[0] = None if any_status else f"HTTP status {error.code}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            answer[0] = one_line(getattr(reason, "strerror", None) or reason)
        finally:
            known.set()

    threading.Thread(target=ask, daemon=True).start()
    known.wait(_ROUTE_SECONDS)
    return answer[0]


def one_line(error: object) -> str:
    """Returns an error's message in one line, or its kind where the message is empty."""
    return str(error).strip().split("\n")[0] or type(error).__name__
