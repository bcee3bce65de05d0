import gzip

import numpy as np
import pytest
from fastq_files import PER_GENE, MadeUp, gene_id, transcript_id, write

from intake_tcga.archs4.transcriptome import Transcript, read_transcriptome
from intake_tcga.errors import FileFormatError, MissingFileError

MADE_UP = MadeUp.of(number=30)


def test_headers_tell_genes(tmp_path):
    halves = [
        write(tmp_path / "a.fa.gz", MADE_UP.fasta(slice(15))),
        write(tmp_path / "b.fa", MADE_UP.fasta(slice(15, None))),
    ]
    found = read_transcriptome(halves)
    assert [t.id for t in found.transcripts.values()] == [transcript_id(i) for i in range(30)]
    genes = found.genes()
    assert list(genes.ids) == [gene_id(i) for i in range(10)]
    assert genes.symbols[:2] == (gene_id(0), "SYM1")  # an id stands in for a symbol
    assert set(genes.biotypes) == {"protein_coding"}
    values = np.random.default_rng(0).random(30)
    np.testing.assert_allclose(genes.sums(values), values.reshape(10, PER_GENE).sum(1))


def test_blocks_may_cut_anywhere(tmp_path, monkeypatch):
    path = write(tmp_path / "a.fa.gz", MADE_UP.fasta().replace(b"\n", b"\r\n"))
    monkeypatch.setattr("intake_tcga.archs4.transcriptome._BLOCK", 37)
    assert list(read_transcriptome([path]).transcripts) == [h.split()[0] for h in MADE_UP.headers]


GENCODE = "ENST0000045632{n}.2|ENSG00000290825.1|OTTHUMG00000002860.3|-|DDX11L2-20{n}|DDX11L2|1657|{kind}|"


def test_gencode():
    header = GENCODE.format(n=8, kind="lncRNA")
    transcript = Transcript.of(header)
    assert (transcript.id, transcript.gene) == ("ENST00000456328", "ENSG00000290825")
    assert (transcript.symbol, transcript.name) == ("DDX11L2", header)


@pytest.mark.parametrize("kind", ["retained_intron", "protein_coding", "UTR5:1-60|CDS:61-1041"])
def test_gencode_tells_no_biotype_of_a_gene(tmp_path, kind):
    headers = [GENCODE.format(n=n, kind=kind) for n, kind in enumerate([kind, "protein_coding"])]
    path = write(tmp_path / "a.fa", "".join(f">{header}\nACGT\n" for header in headers).encode())
    genes = read_transcriptome([path]).genes()
    assert (genes.symbols, genes.biotypes) == (("DDX11L2",), ("",))


def test_ids_that_versions_tell_apart_keep_them(tmp_path):
    path = write(tmp_path / "a.fa", b">ENST1.1 x gene:G\nAC\n>ENST1.2 x gene:G\nAC\n>Y74C9A.3.1 x\nAC\n")
    assert [t.id for t in read_transcriptome([path]).transcripts.values()] == [
        "ENST1.1",
        "ENST1.2",
        "Y74C9A.3.1",
    ]


def test_headers_without_genes(tmp_path):
    found = read_transcriptome([write(tmp_path / "a.fa", b">one\nACGT\n>two gene:G1\nACGT\n")])
    with pytest.raises(FileFormatError, match=r"1 of 2 transcripts.*\(one\).*return_type='transcript'"):
        found.genes()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no transcripts"),
        (b"@read\nACGT\n+\nIIII\n", "not FASTA"),
        (b">a\nAC\n>a\nAC\n", "more than once"),
        (gzip.compress(b">a\nACGT\n" * 100, mtime=0)[:-5], "damaged or cut"),
    ],
)
def test_what_is_no_transcriptome(tmp_path, body, says):
    path = tmp_path / "a.fa"
    path.write_bytes(body)
    with pytest.raises(FileFormatError, match=says):
        read_transcriptome([path])


def test_what_is_not_there(tmp_path):
    with pytest.raises(MissingFileError):
        read_transcriptome([tmp_path / "a.fa"])
    with pytest.raises(MissingFileError):
        read_transcriptome([tmp_path])
