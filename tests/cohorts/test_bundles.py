from intake_tcga.cohorts.bundles import BUNDLES, CANCER_NAMES


def test_bundles_are_the_published_ones():
    assert {name: (bundle.modality, bundle.url.rsplit("/", 2)[1:]) for name, bundle in BUNDLES.items()} == {
        "mirna": ("mirna", ["data-v1.0", "manifest.json"]),
        "rnaseq": ("rnaseq", ["data-rnaseq-v1.0", "manifest.json"]),
    }
    assert all(
        bundle.url.startswith("https://github.com/Omics-Data-Synthesis/SyNG-BTS/releases/download/")
        for bundle in BUNDLES.values()
    )


def test_every_published_code_has_its_full_name():
    assert " ".join(CANCER_NAMES) == (
        "BLCA BRCA COAD ESCA HNSC KICH KIRC KIRP LAML LIHC LUAD LUSC OV PAAD PCPG PRAD READ SARC SKCM STAD TGCT THCA "
        "THYM UCS"
    )
    assert CANCER_NAMES["HNSC"] == "Head and Neck Squamous Cell Carcinoma"
    assert all(name.strip() and name[0].isupper() for name in CANCER_NAMES.values())
