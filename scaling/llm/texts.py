"""Write the first documents of a data set on the Hub: `python -m scaling.llm.texts --dataset allenai/c4 ...`.

Rows are streamed, so that only the first documents are downloaded, and written to one .jsonl file.
"""

import argparse
import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from scaling.command import InputError, run
from scaling.llm.checkpoint.hub import AccessDeniedError, HubError, NoConnectionError, UnknownModelError
from scaling.llm.documents import Document, checksum, write_documents


log = logging.getLogger(__name__)

PATIENCE = 4.0  # timeout of the first answer in seconds, so that a missing network is reported at once
OTHERWISE = "connect this machine, or set HF_ENDPOINT to a mirror, or give the text as a file (path)"


def pinned_commit(dataset: str, revision: str, endpoint: str = constants.ENDPOINT) -> str:
    """The commit of a data set's branch, tag or commit; raises HubError within seconds."""
    try:
        found = HfApi(endpoint).dataset_info(dataset, revision=revision, timeout=PATIENCE)
    except OfflineModeIsEnabled:
        raise NoConnectionError(f"{dataset}: HF_HUB_OFFLINE is set; {OTHERWISE}") from None
    except httpx2.RequestError as error:
        raise NoConnectionError(
            f"{dataset}: no connection to {endpoint} ({type(error).__name__}); {OTHERWISE}"
        ) from None
    except GatedRepoError:
        raise AccessDeniedError(
            f"{dataset}: gated data set; accept its terms and log in with `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UnknownModelError(
            f"{dataset}: no such data set at {endpoint}, or a private one: `hf auth login`"
        ) from None
    except HfHubHTTPError as error:
        raise HubError(
            f"{dataset}: the Hub answers status {error.response.status_code} for revision {revision!r}"
        ) from None
    return str(found.sha)


def rows(dataset: str, subset: str | None, split: str, commit: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a data set of the Hub, or of a folder in a format that `datasets` reads, as a stream."""
    import datasets  # slow to import

    try:
        yield from datasets.load_dataset(dataset, subset, split=split, revision=commit, streaming=True)
    except (ValueError, OSError, datasets.exceptions.DatasetsError, httpx2.HTTPError) as error:
        raise InputError(f"{dataset}: cannot be read as a data set: {' '.join(str(error).split())[:300]}") from None


def texts(stream: Iterable[dict[str, Any]], column: str, join_words: int) -> Iterator[str]:
    """Texts of a stream of rows; with join_words > 0, non-blank rows are joined until they have that many words.

    Raises InputError for a stream without that column.
    """
    held: list[str] = []
    n_words = 0
    for row in stream:
        if not isinstance(row.get(column), str):
            raise InputError(f"no column {column!r} of texts; the columns are {', '.join(map(str, row))}")
        if not join_words:
            yield row[column]
        elif row[column].strip():
            held.append(row[column])
            n_words += len(row[column].split())
            if n_words >= join_words:
                yield " ".join(held)
                held, n_words = [], 0


def main() -> None:
    """Parse the command line, stream the documents, write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="id on the Hub (owner/name)")
    parser.add_argument("--subset", help="configuration of the data set, such as en")
    parser.add_argument("--split", default="train", help="split of the data set")
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    parser.add_argument("--column", default="text", help="column that contains the text")
    parser.add_argument("--documents", type=int, default=1000, help="number of documents to write, from the first")
    parser.add_argument("--join-words", type=int, default=0, help="join rows up to this many words; 0: do not join")
    parser.add_argument("--output", type=Path, required=True, help=".jsonl file to write")
    arguments = parser.parse_args()
    if arguments.documents < 1 or arguments.join_words < 0:
        raise InputError("--documents must be at least 1, --join-words at least 0")
    commit = pinned_commit(arguments.dataset, arguments.revision)
    stream = rows(arguments.dataset, arguments.subset, arguments.split, commit)
    found = itertools.islice(texts(stream, arguments.column, arguments.join_words), arguments.documents)
    documents = [Document(f"{arguments.dataset}@{commit[:12]} {i}", text) for i, text in enumerate(found)]
    if not documents:
        raise InputError(f"{arguments.dataset}: no documents in its split {arguments.split}")
    write_documents(documents, arguments.output)
    log.info(
        "%s at %s: %d documents, %d characters, sha256 %s, written to %s",
        *(arguments.dataset, commit, len(documents), sum(len(document.text) for document in documents)),
        *(checksum(documents), arguments.output),
    )


if __name__ == "__main__":
    run(main)
