import pytest

from untrimmed.data.clusters import cluster_names, clusters_file, read_clusters, read_names, rounds_of, write_clusters
from untrimmed.data.errors import InputError


def test_names_sort_as_they_count():
    assert cluster_names(3) == ("cluster_00", "cluster_01", "cluster_02")
    many = cluster_names(101)
    assert many[-1] == "cluster_100"
    assert list(many) == sorted(many)
    assert cluster_names(0) == ()


def test_rounds_are_kept_and_read_again(tmp_path):
    assert rounds_of(tmp_path) == []
    for number, cluster in enumerate(("cluster_01", "cluster_00")):
        write_clusters(clusters_file(tmp_path, number), {"a": cluster, "=b,ü": "cluster_01"})
    files = rounds_of(tmp_path)
    assert [file.parent.name for file in files] == ["00", "01"]
    assert read_clusters(files[1]) == {"a": "cluster_00", "=b,ü": "cluster_01"}


@pytest.mark.parametrize("text", ["", "video,label\na,b\n", "video,cluster\na\n"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "clusters.csv").write_text(text)
    with pytest.raises(InputError, match="video,cluster"):
        read_clusters(tmp_path / "clusters.csv")
    (tmp_path / "clusters.csv").write_text("video,cluster\n")
    with pytest.raises(InputError, match="holds no video"):
        read_clusters(tmp_path / "clusters.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_clusters(tmp_path / "nothing.csv")


def test_a_users_names(tmp_path):
    file = tmp_path / "names.csv"
    file.write_text("\ufeffCluster;Name;note\r\ncluster_00;running;clear\r\ncluster_01;;\r\ncluster_02;running;\r\n")
    assert read_names(file) == {"cluster_00": "running", "cluster_02": "running"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cluster,label\nx,y\n", "no column 'name'"),
        ("cluster,name\nx,y\nx,z\n", "line 3: 'x' is named already in line 2"),
        ("cluster,name\n,y\n", "line 2: no cluster in this row"),
        ("cluster,name\nx\n", "lack a column"),
        ("cluster,name\nx,\n", "names no cluster"),
        ("", "empty"),
    ],
)
def test_names_at_fault(tmp_path, text, words):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_names(tmp_path / "names.csv")
