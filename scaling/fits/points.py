"""Read the 245 Chinchilla points from their public repository at a pinned commit, or from a local file.

They were digitized from Fig. 4 of Hoffmann et al. 2022 by Epoch AI (github.com/epoch-research/analyzing-chinchilla)
and are not included here. Without a network, the table is empty and the rest of the study continues.
"""

import argparse
import hashlib
import http.client
import io
import logging
import urllib.request
from pathlib import Path

import pandas as pd

from scaling import command, tables
from scaling.command import InputError


COMMIT = "92258837425e1b5f2851d624287f0120583a3d0e"
URL = f"https://raw.githubusercontent.com/epoch-research/analyzing-chinchilla/{COMMIT}/data/svg_extracted_data.csv"
SHA256 = "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30"
COLUMNS = ("Model Size", "Training FLOP", "loss")
LARGEST = 1 << 20  # bytes; the file has 23 kB
HOW_TO = (
    "with a network, `snakemake --cores all --forcerun fetch_chinchilla`; without one, put the file "
    "svg_extracted_data.csv of the public repository epoch-research/analyzing-chinchilla somewhere and name it under "
    "`fits: chinchilla_points:` in config.yaml; the reason for the failure is in logs/fits/fetch_chinchilla.log"
)


def obtain(
    source: str,
    sha256: str | None = SHA256,
    consequence: str = f"the Chinchilla part is not run: {HOW_TO}",
    timeout: float = 5.0,
) -> bytes | None:
    """Return the bytes of the file at `source`, a URL or a path, checked against `sha256` if given.

    Logs a warning that ends in `consequence` and returns None if a URL does not respond or sends other bytes.
    Raises InputError if a local file is missing or has another hash.
    """
    remote = source.startswith(("https://", "http://"))
    try:
        data = download(source, timeout) if remote else Path(source).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if sha256 and found != sha256:
            raise InputError(
                f"{source}: sha256 is {found}, but the file of the pinned commit has {sha256}: "
                f"it was cut or changed, or is another file"
            )
    except (OSError, http.client.HTTPException, InputError) as error:
        if not remote:
            raise
        logging.warning("could not fetch %s: %s; %s", source, error, consequence)
        return None
    return data


def download(url: str, timeout: float) -> bytes:
    """Return the first MiB of `url`. Raises OSError or HTTPException if there is no response."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return bytes(answer.read(LARGEST))


def parse(data: bytes, source: str) -> pd.DataFrame:
    """Return table chinchilla_points: N (`Model Size`), D = FLOP / (6 N), loss; rows in the order of the file.

    Raises InputError naming `source` for a file that is not a table with these columns.
    """
    try:
        frame = pd.read_csv(io.BytesIO(data))
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{source}: not a CSV table ({error}); give svg_extracted_data.csv") from None
    if missing := [column for column in COLUMNS if column not in frame]:
        raise InputError(
            f"{source}: no column {', '.join(missing)}; the columns are {', '.join(frame.columns)}; "
            f"give svg_extracted_data.csv, which has {', '.join(COLUMNS)}"
        )
    parameters = frame["Model Size"]
    return pd.DataFrame(
        {"parameters": parameters, "tokens": frame["Training FLOP"] / (6 * parameters), "loss": frame["loss"]}
    )


def empty() -> pd.DataFrame:
    """Return the table without rows."""
    return pd.DataFrame({"parameters": [], "tokens": [], "loss": []}, dtype="float64")


def main() -> None:
    """Command line: fetch or read the points and write them as a table, which is empty without a network."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.points", description=__doc__)
    parser.add_argument("--source", default=URL, help="URL or local path of svg_extracted_data.csv")
    parser.add_argument("--output", required=True, help="table chinchilla_points to write")
    options = parser.parse_args()
    data = obtain(options.source)
    points = empty() if data is None else parse(data, options.source)
    tables.write("chinchilla_points", points, options.output)
    logging.info("%s: %d points", options.output, len(points))


if __name__ == "__main__":
    command.run(main)
