"""A made-up transcriptome in Ensembl's form, reads from it whose origin is known, and servers' folders of both."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LETTERS = np.frombuffer(b"ACGT", np.uint8)
COMPLEMENT = np.zeros(256, np.uint8)
COMPLEMENT[LETTERS] = LETTERS[::-1]
READ = 75
N_CODING, N_NONCODING, PER_GENE = 201, 99, 3
CODING, NONCODING = "Homo_sapiens.GRCh38.cdna.all.fa.gz", "Homo_sapiens.GRCh38.ncrna.fa.gz"


@dataclass
class MadeUp:
    """Sequences of transcripts (three to a gene), and their headers."""

    sequences: list
    headers: list

    @classmethod
    def of(cls, seed=0, number=N_CODING + N_NONCODING):
        rng = np.random.default_rng(seed)
        sequences = []
        for _ in range(-(-number // PER_GENE)):  # the isoforms of a gene share exons, as they do
            exons = [LETTERS[rng.integers(0, 4, length)] for length in rng.integers(200, 600, 5)]
            sequences += [
                np.concatenate([e for at, e in enumerate(exons) if at != left_out]) for left_out in (9, 1, 3)
            ]
        sequences, headers = sequences[:number], []
        for i in range(number):
            gene = i // PER_GENE
            kind = ("cdna", "protein_coding") if i < N_CODING else ("ncrna", "lncRNA")
            symbol = f" gene_symbol:SYM{gene}" if gene % 10 else ""
            headers.append(
                f"{transcript_id(i)}.{i % 4 + 1} {kind[0]} chromosome:GRCh38:1:{i}:{i + 9}:1 gene:{gene_id(gene)}.7 "
                f"gene_biotype:{kind[1]} transcript_biotype:{kind[1]}{symbol} description:made up gene:WRONG"
            )
        return cls(sequences, headers)

    def fasta(self, which=slice(None)):
        lines = []
        for header, sequence in zip(self.headers[which], self.sequences[which], strict=True):
            text = sequence.tobytes().decode()
            lines += [f">{header}", *(text[at : at + 60] for at in range(0, len(text), 60))]
        return ("\n".join(lines) + "\n").encode()

    def reads(self, number, seed):
        """Return both mates of that many fragments, and how many fragments each transcript gave."""
        rng = np.random.default_rng(seed)
        weights = rng.exponential(size=len(self.sequences)) * [len(s) for s in self.sequences]
        origin = rng.choice(len(self.sequences), number, p=weights / weights.sum())
        lengths = np.clip(rng.normal(200, 20, number).astype(int), READ, 400)
        first, second = (np.empty((number, READ), np.uint8) for _ in range(2))
        for at, (i, length) in enumerate(zip(origin, lengths, strict=True)):
            sequence = self.sequences[i]
            start = rng.integers(0, len(sequence) - length + 1)
            first[at] = sequence[start : start + READ]
            second[at] = COMPLEMENT[sequence[start + length - READ : start + length]][::-1]
        flipped = rng.random(number) < 0.5
        first[flipped], second[flipped] = second[flipped], first[flipped]
        return first, second, np.bincount(origin, minlength=len(self.sequences))


def transcript_id(i):
    return f"ENST{i:011d}"


def gene_id(i):
    return f"ENSG{i:011d}"


def fastq(reads, *, name="READ", mate=None, ending="/{}"):
    """Return reads as FASTQ."""
    tail = ending.format(mate) if mate else ""
    quality = b"I" * reads.shape[1]
    return b"".join(
        b"@%b.%d%b\n%b\n+\n%b\n" % (name.encode(), i, tail.encode(), read.tobytes(), quality)
        for i, read in enumerate(reads, 1)
    )


def write(path, body):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(body, 1) if path.suffix == ".gz" else body)
    return path


def naive_sum(body):
    """BSD's ``sum``, as its manual tells it."""
    value = 0
    for byte in body:
        value = (value >> 1) | ((value & 1) << 15)
        value = (value + byte) % 65536
    return value


def ensembl_bodies(made_up, release=107, species="homo_sapiens"):
    """Return what Ensembl serves of a made-up transcriptome."""
    bodies = {}
    kinds = {"cdna": (CODING, slice(N_CODING)), "ncrna": (NONCODING, slice(N_CODING, None))}
    for kind, (name, which) in kinds.items():
        body = gzip.compress(made_up.fasta(which), 6)
        folder = f"release-{release}/fasta/{species}/{kind}"
        listing = f"00123     1 Homo_sapiens.GRCh38.{kind}.abinitio.fa.gz\n"
        listing += f"{naive_sum(body):05d} {-(-len(body) // 1024):5d} {name}\n00001     9 README\n"
        bodies |= {f"{folder}/{name}": body, f"{folder}/CHECKSUMS": listing.encode()}
    return bodies


def ena_report(runs, url, *, species="Homo sapiens"):
    """Return what the archive's portal answers: ``runs`` maps accessions to files by name."""
    columns = ("fastq_ftp", "run_accession", "fastq_md5", "fastq_bytes", "library_layout", "scientific_name")
    lines = ["\t".join(columns)]
    for run, files in runs.items():
        links = ";".join(f"{url}{run}/{name}" for name in files)
        digests = ";".join(hashlib.md5(body).hexdigest() for body in files.values())
        sizes = ";".join(str(len(body)) for body in files.values())
        lines.append(
            "\t".join((links, run, digests, sizes, "PAIRED" if len(files) > 1 else "SINGLE", species))
        )
    return ("\n".join(lines) + "\n").encode()
