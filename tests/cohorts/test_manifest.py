import contextlib
import json
import pickle
from pathlib import Path

import pytest
from cohort_files import write_mirna, write_rnaseq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifests import as_bytes, manifest_for, mirna_entry, mirna_manifest, rnaseq_entry, rnaseq_manifest

from intake_tcga.cohorts.manifest import Manifest, parse_manifest
from intake_tcga.digest import Digest
from intake_tcga.errors import AmbiguousNameError, ManifestError, NameNotFoundError
from intake_tcga.remote import RemoteFile

URL = "https://me:secret@host/v1/manifest.json?sig=token"


def read(manifest, url=URL, **options):
    return parse_manifest(as_bytes(manifest), url, **options)


def refusal(manifest, **options):
    with pytest.raises(ManifestError) as caught:
        read(manifest, **options)
    message = str(caught.value)
    assert "https://host/v1/manifest.json" in message
    assert "secret" not in message
    assert "token" not in message
    return message


# -- what a manifest becomes -------------------------------------------------------------------------------------------


def test_a_mirna_manifest_needs_neither_modality_nor_schema_version():
    manifest = read(mirna_manifest(mirna_entry("BRCA_er_status", b"abc", note={"deep": [1]}), doi="10.1/x"))
    assert (manifest.modality, manifest.schema_version, manifest.version) == ("mirna", "1.0", "1.0")
    assert (manifest.created, manifest.syng_bts_version) == ("2026-04-30T00:00:00+00:00", "3.3.2")
    assert manifest.metadata == {"doi": "10.1/x"}
    [cohort] = manifest.cohorts
    assert (cohort.name, cohort.code, cohort.cancer_type) == ("BRCA_er_status", "BRCA", "BRCA")
    assert cohort.cancer_name == "Breast Invasive Carcinoma"
    assert cohort.clinical_variable == "er_status"
    assert cohort.group_labels == ("Negative", "Positive")
    assert (cohort.n_samples, cohort.n_features) == (100, 570)
    assert (cohort.n_raw_samples, cohort.n_raw_features) == (120, 1881)
    assert cohort.normalizations == ("raw_norm", "TC", "DESeq")
    assert cohort.models == ("CVAE1_5", "CVAE1_10", "CVAE1_20")
    assert cohort.off_augs == ()
    assert cohort.metadata == {"note": {"deep": [1]}}


def test_an_rnaseq_manifest_keeps_what_it_says_of_models_and_splits():
    manifest = read(rnaseq_manifest())
    [cohort] = manifest.cohorts
    assert (manifest.modality, cohort.modality, cohort.schema_version) == ("rnaseq", "rnaseq", "2.0")
    assert (cohort.n_samples, cohort.n_features, cohort.n_raw_samples, cohort.n_raw_features) == (
        361,
        1091,
        None,
        None,
    )
    assert cohort.normalizations == ("DESeq", "TC")
    assert cohort.off_augs == ("none", "AE_head")
    assert cohort.models == ("CVAE1-50", "CVAE1-100")
    assert cohort.metadata == {
        "source_label": "GDC STAR counts",
        "n_train": 289,
        "n_test": 72,
        "model_family": "CVAE",
        "synthetic_has_groups": True,
        "new_size": 1000,
    }


def test_a_cohorts_remote_file_lies_in_its_versions_folder():
    manifest = read(mirna_manifest(mirna_entry("BRCA_x", b"abc"), version="2026.1"))
    file = manifest.remote_file(manifest.find("BRCA"))
    assert file == RemoteFile(
        url="https://me:secret@host/v1/BRCA_x.h5?sig=token",
        name="BRCA_x.h5",
        collection=("tcga", "mirna"),
        version="2026.1",
        size=3,
        digest=Digest("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    )


def test_values_pickle_compare_and_hide_credentials():
    manifest = read(mirna_manifest(mirna_entry(x={"y": 1})))
    assert pickle.loads(pickle.dumps(manifest)) == manifest
    assert hash(manifest.cohorts[0]) == hash(read(mirna_manifest(mirna_entry(x={"y": 1}))).cohorts[0])
    for text in (repr(manifest), repr(manifest.cohorts[0]), manifest.shown_url):
        assert "secret" not in text
        assert "token" not in text
    with pytest.raises(AttributeError):
        manifest.version = "2"


def test_upper_case_digests_and_empty_lists_are_fine():
    sha256 = "AB" * 32
    [cohort] = read(mirna_manifest(mirna_entry(sha256=sha256, group_labels=[]))).cohorts
    assert cohort.sha256 == sha256.lower()
    assert read({**mirna_manifest(), "datasets": []}).keys() == []


def test_a_cancer_that_tcga_does_not_have_shows_its_code():
    assert read(mirna_manifest(mirna_entry("XYZ_a"))).cohorts[0].cancer_name == "XYZ"


@pytest.mark.parametrize(("write", "modality"), [(write_mirna, "mirna"), (write_rnaseq, "rnaseq")])
def test_the_tests_own_manifests_describe_real_files(tmp_path, write, modality):
    for name in ("BRCA_a", "OV_b"):
        write(tmp_path / f"{name}.h5")
    path = manifest_for(tmp_path, version="7")
    manifest = parse_manifest(path.read_bytes(), str(path))
    assert (manifest.version, manifest.modality, manifest.keys()) == ("7", modality, ["BRCA", "OV"])
    for cohort in manifest.cohorts:
        file = manifest.remote_file(cohort)
        assert Digest.of(Path(file.url)) == file.digest
        assert Path(file.url).stat().st_size == file.size
        assert cohort.n_samples > 0


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several():
    return read(
        mirna_manifest(
            *map(mirna_entry, ["BRCA_er", "BRCA_pr", "OV_stage", "PRAD", "KIRC_grade", "KIRP_grade"])
        )
    )


def test_keys_are_codes_where_unique_else_full_names(several):
    keys = several.keys()
    assert keys == ["BRCA_er", "BRCA_pr", "OV", "PRAD", "KIRC", "KIRP"]
    assert [several.find(key) for key in keys] == list(several.cohorts)
    assert [several.find(cohort.name) for cohort in several.cohorts] == list(several.cohorts)


def test_a_full_name_wins_over_a_short_one():
    manifest = read(mirna_manifest(mirna_entry("BRCA_er"), mirna_entry("BRCA")))
    assert manifest.find("BRCA").name == "BRCA"
    assert manifest.keys() == ["BRCA_er", "BRCA"]


def test_an_ambiguous_name_lists_the_candidates(several):
    with pytest.raises(AmbiguousNameError, match="BRCA_er, BRCA_pr"):
        several.find("BRCA")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("prad", "Did you mean PRAD?"),
        ("KIRD", "Did you mean KIRP or KIRC?"),
        ("ovarian serous cystadenocarcinoma", "Did you mean OV?"),
        ("BRCA_e", "Did you mean BRCA_er"),
        ("BRAC", "Did you mean BRCA_er or BRCA_pr?"),
        ("brca", "Did you mean BRCA_er or BRCA_pr?"),
        ("breast invasive carcinoma", "Did you mean BRCA_er or BRCA_pr?"),
        ("zzzzzz", "cohort 'zzzzzz'. There are"),
        ("", "There are"),
        (7, "cohort 7. "),
        ("\ud800" * 10_000, "There are"),
    ],
)
def test_an_unknown_name_lists_what_exists_and_the_nearest(several, name, nearest):
    with pytest.raises(NameNotFoundError) as caught:
        several.find(name)
    assert not isinstance(caught.value, AmbiguousNameError)
    assert nearest in str(caught.value)
    assert "There are: BRCA_er, BRCA_pr, OV, PRAD, KIRC, KIRP." in str(caught.value)
    assert len(str(caught.value)) < 500
    str(caught.value).encode()


def test_a_name_in_an_empty_manifest_says_so():
    with pytest.raises(NameNotFoundError, match="lists none at all"):
        read({**mirna_manifest(), "datasets": []}).find("BRCA")


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        "../evil.h5", "a/b.h5", "a\\b.h5", "a%2Fb.h5", "a%5Cb.h5", "%252e%252e%252fx",
        "..", ".", "", " ", "/etc/passwd",
        "C:x.h5", "C:\\x.h5", "https:x", "a\x00b.h5", "a\nb.h5", "a%00b.h5", "CON", "con.h5", "LPT1.txt", "x" * 201,
        "é" * 101, ".hidden", "~root", "a.h5 ", "a.", "a?b", "a\u202eb.h5", "manifest.json", "MANIFEST.JSON",
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_plain_name_is_refused(file):
    assert "- datasets[0].file: " in refusal(mirna_manifest(mirna_entry(file=file)))


@pytest.mark.parametrize("version", ["../..", "a/b", "", ".", "1%2F0", "NUL", "1\n0", "x" * 300])
def test_a_version_or_modality_becomes_a_folder_so_it_must_be_a_plain_name(version):
    assert "- version: " in refusal(mirna_manifest(version=version))
    assert "- modality: " in refusal(mirna_manifest(modality=version))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("sha256", "ab" * 31, "is not a sha256 digest, which has 64 hexadecimal digits"),
        ("sha256", "g" * 64, "is not a sha256 digest"),
        ("sha256", "sha256:" + "a" * 64, "is not a sha256 digest"),
        ("sha256", "١" * 64, "is not a sha256 digest"),
        ("sha256", "a" * 64 + "\n", "is not a sha256 digest"),
        ("sha256", None, "is null; it must be a text"),
        ("sha256", ..., "is missing"),
        ("file_size_bytes", 0, "0 is not a file's size, from 1 to 1,099,511,627,776 bytes"),
        ("file_size_bytes", -5, "is not a file's size"),
        ("file_size_bytes", 2**40 + 1, "is not a file's size"),
        ("file_size_bytes", 10**24, "is not a file's size"),
        ("file_size_bytes", "34", "is '34'; it must be a whole number"),
        ("file_size_bytes", 34.0, "is 34.0; it must be a whole number"),
        ("file_size_bytes", True, "is true; it must be a whole number"),
        ("n_filtered_samples", -1, "-1 is not a count"),
        ("n_raw_features", 10**13, "is not a count"),
        ("n_filtered_features", ..., "is missing"),
        ("dataset_name", "", "is empty"),
        ("dataset_name", "BRCA\x1b[2J", "has a control character"),
        ("dataset_name", 7, "is 7; it must be a text"),
        ("cancer_type", ..., "is missing"),
        ("clinical_variable", "x" * 1001, "has 1,001 characters"),
        ("group_labels", "Negative", "is 'Negative'; it must be a list"),
        ("group_labels", {"a": 1}, "is an object; it must be a list"),
        ("file", ["a"], "is a list; it must be a text"),
        ("models", [], None),
        ("url", 3, "is 3; it must be a text"),
        ("url", "x" * 10_001, "has 10,001 characters"),
    ],
)
def test_each_field_of_an_entry_has_its_rule(field, value, problem):
    manifest = mirna_manifest(mirna_entry(**{field: value}))
    if problem is None:
        read(manifest)
    else:
        [line] = [line for line in refusal(manifest).splitlines() if line.startswith("  - ")]
        assert line.startswith(f"  - datasets[0].{field}: ")
        assert problem in line


def test_a_wrong_item_of_a_list_is_named():
    message = refusal(
        rnaseq_manifest(rnaseq_entry(models=["VAE1-50", 3], n_train="x", synthetic_has_groups=1))
    )
    assert "datasets[0].models[1]: is 3; it must be a text" in message
    assert "datasets[0].n_train: is 'x'; it must be a whole number" in message
    assert "datasets[0].synthetic_has_groups: is 1; it must be true or false" in message


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"schema_version": "3.0"}, "schema_version: is '3.0'; this release reads 1.0 and 2.0"),
        ({"schema_version": 1.0}, "schema_version: is 1.0; it must be a text"),
        ({"schema_version": None}, "schema_version: is null"),
        ({"modality": 5}, "modality: is 5; it must be a text"),
        ({"version": ...}, "version: is missing"),
        ({"version": 1.0}, "version: is 1.0; it must be a text"),
        ({"datasets": ...}, "datasets: is missing"),
        ({"datasets": {}}, "datasets: is an object; it must be a list"),
        ({"datasets": [3]}, "datasets[0]: is 3; it must be an object"),
        ({"datasets": [None] * 10_001}, "datasets: has more than 10,000 items"),
        ({"created": 2026}, "created: is 2026; it must be a text"),
    ],
)
def test_each_field_of_the_manifest_has_its_rule(fields, problem):
    assert f"  - {problem}" in refusal(mirna_manifest(**fields))


def test_another_modality_than_asked_for_is_refused():
    message = refusal(rnaseq_manifest(), modality="mirna")
    assert "modality: is 'rnaseq', but 'mirna' was asked for" in message
    assert "modality: is 'mirna', but 'rnaseq'" in refusal(mirna_manifest(), modality="rnaseq")
    assert read(rnaseq_manifest(), modality="rnaseq").modality == "rnaseq"


def test_names_and_files_that_come_twice_are_refused():
    message = refusal(
        mirna_manifest(
            mirna_entry("A_1"),
            mirna_entry("A_1", file="other.h5"),
            mirna_entry("A_2", file="a_1.H5"),
            mirna_entry("A_3", file="e\u0301.h5"),
            mirna_entry("A_4", file="É.h5"),
        )
    )
    assert [line for line in message.splitlines() if line.startswith("  - ")] == [
        "  - datasets[1].dataset_name: 'A_1' is also that of datasets[0]",
        "  - datasets[2].file: 'a_1.H5' is also that of datasets[0]",
        "  - datasets[4].file: 'É.h5' is also that of datasets[3]",
    ]


def test_all_problems_come_in_one_error():
    bad = mirna_entry(file="../x", sha256="z", file_size_bytes=-1, n_raw_samples=..., url="https://evil/x")
    message = refusal(mirna_manifest(bad, 5, mirna_entry(), mirna_entry(), version="a/b", created=1))
    places = [line.partition(": ")[0].removeprefix("  - ") for line in message.splitlines()[1:]]
    assert set(places) == {
        "version", "created", "datasets[0].file", "datasets[0].file_size_bytes", "datasets[0].sha256",
        "datasets[0].n_raw_samples", "datasets[1]", "datasets[2].dataset_name", "datasets[3].dataset_name",
        "datasets[3].file",
    }  # fmt: skip


def test_thousands_of_problems_are_counted_not_listed():
    message = refusal({**mirna_manifest(), "datasets": [{}] * 10_000})
    assert "… and 109,900 more" in message
    assert len(message) < 10_000


def test_a_data_url_may_not_leave_the_manifests_host_unless_allowed():
    elsewhere = mirna_manifest(mirna_entry(url="https://elsewhere/A.h5?key=k"))
    message = refusal(elsewhere)
    assert "datasets[0].url: 'https://elsewhere/A.h5' leaves the manifest's own scheme and host" in message
    assert "allow_other_hosts=True" in message
    assert read(elsewhere, allow_other_hosts=True).cohorts[0].url == "https://elsewhere/A.h5?key=k"
    assert read(mirna_manifest(mirna_entry(url="other/A.h5"))).cohorts[0].url == (
        "https://me:secret@host/v1/other/A.h5?sig=token"
    )
    for never in ("http://host/x", "file:///etc/passwd", "simplecache::https://host/x", "//evil/x"):
        assert "datasets[0].url" in refusal(mirna_manifest(mirna_entry(url=never)))
    assert "points into this machine" in refusal(
        mirna_manifest(mirna_entry(url="file:///etc/passwd")), allow_other_hosts=True
    )


def test_a_login_page_is_recognised():
    with pytest.raises(ManifestError, match=r"looks like a web page.*'<!doctype html><title>Sign in"):
        parse_manifest(b"<!doctype html><title>Sign in</title>", URL)


# -- whatever comes ------------------------------------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["1.0", "2.0", "mirna", "rnaseq", "../x", "a%2fb", "\ud800", "https://evil/x", 2**70, "A.h5"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def mutated(entry):
    """An entry some of whose fields are something else."""
    return st.dictionaries(
        st.sampled_from([*entry, "url", "extra", "__class__", "model_config"]), VALUES, max_size=4
    ).map(lambda changes: {**entry, **changes})


MANIFESTS = st.builds(
    lambda entries, header, base: {**base, "datasets": entries, **header},
    st.lists(mutated(mirna_entry()) | mutated(rnaseq_entry()) | VALUES, max_size=4),
    st.dictionaries(
        st.sampled_from(["version", "modality", "schema_version", "datasets", "created", "x"]),
        VALUES,
        max_size=2,
    ),
    st.sampled_from([mirna_manifest(), rnaseq_manifest()]),
)


def is_a_manifest_or_a_manifest_error(body, **options):
    try:
        manifest = parse_manifest(body, URL, **options)
    except ManifestError as error:
        assert "secret" not in str(error).encode().decode()  # noqa: PT017 (most inputs raise, some do not)
        return
    assert isinstance(manifest, Manifest)
    for key, cohort in zip(manifest.keys(), manifest.cohorts, strict=True):
        file = manifest.remote_file(cohort)
        assert manifest.find(key) is cohort
        assert file.name == cohort.file
        assert 0 < file.size <= 2**40


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(MANIFESTS, st.booleans())
def test_any_json_is_a_manifest_or_a_manifest_error(values, allow):
    is_a_manifest_or_a_manifest_error(json.dumps(values).encode(), allow_other_hosts=allow)


@settings(deadline=None)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_manifest_or_a_manifest_error(body):
    is_a_manifest_or_a_manifest_error(body)


@settings(deadline=None)
@given(st.data())
def test_a_manifest_damaged_anywhere_is_a_manifest_or_a_manifest_error(data):
    body = bytearray(as_bytes(data.draw(st.sampled_from([mirna_manifest(), rnaseq_manifest()]))))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(body) - 1))
        body[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    is_a_manifest_or_a_manifest_error(bytes(body))


@settings(deadline=None)
@given(
    url=st.text(max_size=40)
    | st.sampled_from(["https://h/m.json", "s3://b/m", "/d/m.json", "memory://m", "a::b::c"]),
    own=st.text(max_size=30),
)
def test_no_url_of_an_entry_raises_anything_else(url, own):
    body = as_bytes(mirna_manifest(mirna_entry(url=own)))
    for allow in (False, True):
        with contextlib.suppress(ManifestError):
            parse_manifest(body, url, allow_other_hosts=allow)
