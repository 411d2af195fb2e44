"""Every command takes paths and gs://, and refuses any other scheme before it asks anybody."""

import pytest
from apache_beam.io.filesystems import FileSystems

from pipeline.cli.main import main
from tests.support.file_systems import Counting

# X is what is refused; nothing else exists, so that any other mistake would be a later one.
COMMANDS = [
    "run --manifest=X --output=out",
    "run --manifest=m.parquet --output=X",
    "run --manifest=m.parquet --output=out --weights_dir=X",
    "run --manifest=X --output=gs://bucket/out --runner=DataflowRunner",
    "plan --manifest=X",
    "plan --manifest=m.parquet --output=X",
    "plan --manifest=m.parquet --weights_dir=X",
    "plan --manifest=m.parquet --prices=X",
    "grid X --output=m.parquet",
    "grid grid.yaml --output=X",
    "status X",
    "status X --watch",
    "clean X",
    "clean X --force --dry_run",
    "pick X --output=m.parquet",
    "pick out --output=X",
    "pick out --output=m.parquet --choices=X",
    "report X",
    "report out --output=X",
    "gallery X",
    "weights --to=X",
    "stylize X style.png --output=p.png",
    "stylize content.png X --output=p.png",
    "stylize content.png style.png X --output=p.png",
    "stylize content.png style.png --output=p.png --content_mask=X",
    "stylize content.png style.png --output=p.png --style_mask=X",
    "stylize content.png style.png --output=p.png --initial=X",
    "stylize content.png style.png --output=X",
    "stylize content.png style.png --output=p.png --weights_dir=X",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_other_schemes_are_refused_in_one_line_before_any_request(command, tmp_path, monkeypatch, capsys):
    assert type(FileSystems.get_filesystem("counting://host/object")) is Counting, "Beam would use it"
    monkeypatch.chdir(tmp_path)
    for scheme in ("counting", "s3", "hdfs", "http", "https", "file", "COUNTING"):
        Counting.calls = 0
        uri = f"{scheme}://host/object"
        assert main([word.replace("X", uri) for word in command.split()]) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert f"{uri}: no file system for {scheme.lower()}://, use a path or gs://" in line
        assert Counting.calls == 0 and captured.out == ""
    assert not list(tmp_path.iterdir())


def test_the_table_has_every_command():
    from pipeline.cli.main import COMMANDS as MODULES

    names = {module.__name__.rpartition(".")[2] for module in MODULES}
    assert names == {command.split()[0] for command in COMMANDS}
