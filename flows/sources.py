"""The public sources that `plumbline fetch` downloads, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.cohorts.sleep_table import sleep_edf_digests
from tasks.errors import UsageError
from tasks.listings import ChecksumList, KnownDigests, Listing, SortedChecksumList, ZenodoRecord

ODC_BY = "Open Data Commons Attribution License 1.0, https://opendatacommons.org/licenses/by/1-0/"
ODBL = "Open Data Commons Open Database License 1.0, https://opendatacommons.org/licenses/odbl/1-0/"
CC_BY_SA = "Creative Commons Attribution-ShareAlike 3.0, https://creativecommons.org/licenses/by-sa/3.0/"
CC_BY = "Creative Commons Attribution 4.0, https://creativecommons.org/licenses/by/4.0/"


@dataclass(frozen=True)
class Source:
    """One public data set: its files lie below ``url``, and ``listing`` names them with their digests.

    ``archives``: they are zip files, to be unpacked beside themselves.
    """

    name: str
    title: str
    licence: str
    url: str
    listing: Listing
    archives: bool = False


# The three-character names are the records; 102-0.atr and the folders mitdbdir/ and x_mitdb/ are not read here.
MITDB = Source(
    name="mitdb",
    title="MIT-BIH Arrhythmia Database 1.0.0, 48 records",
    licence=ODC_BY,
    url="https://physionet.org/files/mitdb/1.0.0/",
    listing=ChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        wanted=("RECORDS", "???.hea", "???.dat", "???.atr"),
        least=1 + 3 * 48,
    ),
)

# Beats and rhythms are in .atr; .qrs holds a detector's beats, .xws a viewer's settings.
LTAFDB = Source(
    name="ltafdb",
    title="Long-Term AF Database 1.0.0, 84 records of a day, 3.6 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/ltafdb/1.0.0/",
    listing=ChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        wanted=("RECORDS", "??.hea", "??.dat", "??.atr", "???.hea", "???.dat", "???.atr"),
        least=1 + 3 * 84,
    ),
)

LTDB = Source(
    name="ltdb",
    title="MIT-BIH Long-Term ECG Database 1.0.0, 7 records of a day, 0.2 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/ltdb/1.0.0/",
    listing=ChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        wanted=("RECORDS", "?????.hea", "?????.dat", "?????.atr"),
        least=1 + 3 * 7,
    ),
)

# LeCun's own server no longer gives the files to everybody; PyTorch's mirror holds the same bytes, without a list.
MNIST = Source(
    name="mnist",
    title="MNIST, 70,000 handwritten digits (LeCun, Cortes & Burges), 11 MB",
    licence=CC_BY_SA,
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    listing=KnownDigests(
        algorithm="sha256",
        digests=(
            ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
)

CHARISDB = Source(
    name="charisdb",
    title="CHARIS Database 1.0.0, 13 records of ECG, ABP and ICP, 1.8 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/charisdb/1.0.0/",
    listing=ChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        wanted=("RECORDS", "charis*.hea", "charis*.dat"),
        least=1 + 2 * 13,
    ),
)

# Peaks (.qrsc, .resp) and bradycardias (.atr) are left out: they mark no class of a study.
PICSDB = Source(
    name="picsdb",
    title="Preterm Infant Cardio-Respiratory Signals Database 1.0.0, 10 infants, 1.6 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/picsdb/1.0.0/",
    listing=ChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        wanted=("RECORDS", "infant*_ecg.hea", "infant*_ecg.dat", "infant*_resp.hea", "infant*_resp.dat"),
        least=4 * 10,
    ),
)

# The database has 67,830 record sets and 7 TB, so the segments are named one by one. Schrumpf et al. (2021, Sensors
# 21:6022) list segments that carry both ABP and PLETH; these are, of their list, the first segment of each of the
# first eight records that it names, whatever they show. ECG stands beside both almost always; where it does not,
# the reader quarantines the segment. Another choice is another list here, and a declared one.
MIMIC3WDB_SEGMENTS = (
    "3982843_0010",
    "3889764_0027",
    "3604352_0007",
    "3879205_0027",
    "3168979_0008",
    "3875690_0040",
    "3725537_0026",
    "3841055_0013",
)

# The list of digests is 640 MB, and sorted.
MIMIC3WDB = Source(
    name="mimic3wdb",
    title="MIMIC-III Waveform Database 1.0, 8 segments with ABP and PLETH",
    licence=ODBL,
    url="https://physionet.org/files/mimic3wdb/1.0/",
    listing=SortedChecksumList(
        path="SHA256SUMS.txt",
        algorithm="sha256",
        names=tuple(
            f"{segment[:2]}/{segment[:7]}/{segment}.{kind}" for segment in MIMIC3WDB_SEGMENTS for kind in ("hea", "dat")
        ),
    ),
)

SLEEP_TELEMETRY = Source(
    name="sleep-telemetry",
    title="Sleep-EDF Expanded 1.0.0, Sleep Telemetry: 44 nights of 22 subjects, placebo and temazepam, 1.1 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/sleep-edfx/1.0.0/sleep-telemetry/",
    listing=KnownDigests(algorithm="sha1", digests=sleep_edf_digests("telemetry")),
)

SLEEP_CASSETTE = Source(
    name="sleep-cassette",
    title="Sleep-EDF Expanded 1.0.0, Sleep Cassette: 153 nights of 78 subjects, 7.6 GB",
    licence=ODC_BY,
    url="https://physionet.org/files/sleep-edfx/1.0.0/sleep-cassette/",
    listing=KnownDigests(algorithm="sha1", digests=sleep_edf_digests("cassette")),
)

# One record bundles the challenges of 2015, 2016 and 2017.
ISLES2017 = Source(
    name="isles2017",
    title="ISLES 2017 (Zenodo record 17736412): maps of 43 acute strokes and the infarcts that they left",
    licence=CC_BY,
    url="https://zenodo.org/",
    listing=ZenodoRecord(record="17736412", wanted=("*2017*",)),
    archives=True,
)

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (MITDB, LTAFDB, LTDB, MNIST, CHARISDB, PICSDB, MIMIC3WDB, SLEEP_TELEMETRY, SLEEP_CASSETTE, ISLES2017)
}


def source_named(name: str) -> Source:
    """The source of that name; raises UsageError naming the known ones."""
    if name not in SOURCES:
        raise UsageError(f"source is {name!r}; expected one of {', '.join(SOURCES)}.")
    return SOURCES[name]
