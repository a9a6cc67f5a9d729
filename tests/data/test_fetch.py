"""Downloads from servers of our own, good and bad: what arrives is right, or nothing changes."""

import contextlib
import gzip
import hashlib
import importlib
import logging
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minidrop.data import fetch, load, write_idx
from minidrop.errors import ArgumentError, DataError

#: the module, not the function of the same name in its package
module = importlib.import_module("minidrop.data.fetch")
FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


class Handler(BaseHTTPRequestHandler):
    """A few mirrors in one: the first part of the path says how they behave."""

    def do_GET(self):
        _, mirror, file = self.path.split("/")
        self.server.requests.append((mirror, file))
        content = self.server.contents.get(file)
        if content is None or mirror == "absent" or (mirror == "partial" and file != FILES[0]):
            self.send_error(404)
            return
        promised = len(content)
        if mirror == "wrong":
            content = content[:-1] + bytes([content[-1] ^ 1])
        elif mirror == "cut":
            content = content[:-5]
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        if mirror == "encoding" and "gzip" in self.headers.get("Accept-Encoding", ""):
            self.send_header("Content-Encoding", "gzip")  # as some servers say of every .gz
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Four small files of a data set, by name, as bytes."""
    folder = tmp_path_factory.mktemp("contents")
    rng = np.random.default_rng(0)
    for file in FILES:
        n = 12 if "train" in file else 5
        shape = (n, 28, 28) if "images" in file else (n,)
        write_idx(folder / file, rng.integers(0, 10, shape, np.uint8))
    return {file: (folder / file).read_bytes() for file in FILES}


@pytest.fixture(autouse=True)
def known_hashes(monkeypatch, contents):
    """Our small files take the place of MNIST's; no proxy stands between us and our server."""
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    monkeypatch.setitem(module.HASHES, "mnist", hashes)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(contents):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.contents, server.requests = contents, []
    server.mirror = lambda name: f"http://127.0.0.1:{server.server_port}/{name}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def asked(server):
    return [f"{mirror} {file}" for mirror, file in server.requests]


def from_mirror(name):
    return [f"{name} {file}" for file in FILES]


def test_what_is_fetched_is_what_load_reads(server, tmp_path, contents):
    folder = fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")])
    assert folder == tmp_path / "MNIST" / "raw"
    assert held(folder) == contents  # and no leftovers beside them
    assert asked(server) == from_mirror("good")
    loaded = load("mnist", tmp_path)
    assert (len(loaded.train), len(loaded.test)) == (12, 5)


def test_the_folder_is_that_of_load(server, tmp_path, monkeypatch):
    import pooch

    monkeypatch.setenv("MINIDROP_DATA", str(tmp_path / "variable"))
    mirrors = [server.mirror("good")]
    assert fetch("mnist", progress=False, mirrors=mirrors) == tmp_path / "variable" / "MNIST" / "raw"
    monkeypatch.delenv("MINIDROP_DATA")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / f"cache-{name}")
    assert fetch("mnist", progress=False, mirrors=mirrors) == tmp_path / "cache-minidrop" / "MNIST" / "raw"
    assert len(load("mnist").train) == 12


@pytest.mark.parametrize("first", ["wrong", "cut", "absent"])
@pytest.mark.parametrize("progress", [False, True])
def test_a_bad_mirror_is_followed_by_the_next(server, tmp_path, contents, first, progress):
    mirrors = [server.mirror(first), server.mirror("good")]
    assert held(fetch("mnist", tmp_path, progress, mirrors)) == contents
    assert asked(server) == [f"{mirror} {file}" for file in FILES for mirror in (first, "good")]


def test_a_mirror_that_does_not_answer_is_followed_by_the_next(server, tmp_path, contents):
    with socket.socket() as taken:  # bound, but it does not listen: a connection is refused
        taken.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        folder = fetch("mnist", tmp_path, progress=False, mirrors=[silent, server.mirror("good")])
    assert held(folder) == contents


def test_files_from_different_mirrors_make_one_data_set(server, tmp_path, contents):
    mirrors = [server.mirror("partial"), server.mirror("good")]
    assert held(fetch("mnist", tmp_path, progress=False, mirrors=mirrors)) == contents


def test_a_server_is_not_led_to_encode_what_is_compressed(server, tmp_path, contents):
    assert held(fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("encoding")])) == contents


def test_a_mirrors_address_may_lack_its_slash(server, tmp_path, contents):
    mirrors = [server.mirror("good").rstrip("/")]
    assert held(fetch("mnist", tmp_path, progress=False, mirrors=mirrors)) == contents


def test_what_is_there_and_right_is_not_downloaded_again(server, tmp_path, contents):
    folder = fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")])
    server.requests.clear()
    assert fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")]) == folder
    assert asked(server) == []
    (folder / FILES[2]).unlink()
    fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")])
    assert asked(server) == [f"good {FILES[2]}"]
    assert held(folder) == contents


def test_a_damaged_file_is_replaced(server, tmp_path, contents):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / FILES[1]).write_bytes(contents[FILES[1]][:-1])
    fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")])
    assert held(folder) == contents


def test_a_file_is_not_replaced_by_a_worse_one(server, tmp_path, contents):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    other = gzip.compress(
        gzip.decompress(contents[FILES[0]]), compresslevel=1, mtime=1
    )  # the same, packed otherwise
    (folder / FILES[0]).write_bytes(other)
    with pytest.raises(DataError):
        fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("wrong"), server.mirror("cut")])
    assert held(folder) == {FILES[0]: other}


def test_when_every_mirror_fails_one_line_says_what_was_tried_and_what_to_do(server, tmp_path):
    mirrors = [server.mirror(name) for name in ("wrong", "absent", "cut")]
    with pytest.raises(DataError) as caught:
        fetch("mnist", tmp_path, progress=False, mirrors=mirrors)
    message = str(caught.value)
    assert f"{mirrors[0]}{FILES[0]} (wrong SHA-256), {mirrors[1]}{FILES[0]} (HTTP status 404), " in message
    assert re.search(rf"{mirrors[2]}{FILES[0]} \(\w+Error\)", message)
    assert f"copy the file to {tmp_path / 'MNIST' / 'raw'} by hand" in message
    assert "\n" not in message
    assert held(tmp_path / "MNIST" / "raw") == {}


@pytest.mark.parametrize("address", ["nonsense", "http://", "gopher://127.0.0.1/"])
def test_an_address_that_is_none_is_a_mirror_that_fails(tmp_path, address):
    with pytest.raises(DataError, match=r"could not be fetched; tried "):
        fetch("mnist", tmp_path, progress=False, mirrors=[address])


def test_without_mirrors_there_is_nothing_to_fetch_from(tmp_path):
    with pytest.raises(DataError, match=r"tried no mirror; "):
        fetch("mnist", tmp_path, progress=False, mirrors=[])


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"MNIST.raw cannot be written: .*; choose another folder"):
        fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror("good")])
    assert asked(server) == []


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_only_what_has_files_can_be_fetched(name):
    with pytest.raises(ArgumentError, match=r"one of mnist, fashion-mnist; got "):
        fetch(name)


def test_progress_goes_to_stderr_and_silence_is_silence(server, tmp_path, capfd):
    mirrors = [server.mirror("wrong"), server.mirror("good")]
    fetch("mnist", tmp_path / "silent", progress=False, mirrors=mirrors)
    assert capfd.readouterr() == ("", "")
    fetch("mnist", tmp_path / "shown", progress=True, mirrors=mirrors)
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.split()[0] for line in err.splitlines() if line.strip()] == FILES  # failures leave no bar


@pytest.mark.parametrize("mirror", ["good", "absent"])
def test_the_logger_of_pooch_is_silent_meanwhile_and_then_as_it_was(server, tmp_path, mirror):
    import pooch

    said, logger = [], pooch.get_logger()
    before, handler = logger.level, logging.Handler(logging.INFO)
    handler.emit = said.append
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with contextlib.suppress(DataError):
            fetch("mnist", tmp_path, progress=False, mirrors=[server.mirror(mirror)])
        assert logger.level == logging.INFO
        assert said == []
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_known_mirrors_are_tried_in_order(tmp_path, monkeypatch, name):
    """What would be downloaded, without a network: the addresses that pooch is asked for."""
    import pooch

    urls = []

    def retrieve(url, known_hash, **_):
        urls.append(url)
        raise ValueError

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError):
        fetch(name, tmp_path, progress=False)
    assert len(urls) >= 2
    assert urls == [f"{mirror}{FILES[0]}" for mirror in module.MIRRORS[name]]


def test_there_is_a_known_hash_for_every_file():
    hashes = module.HASHES["fashion-mnist"]
    assert list(hashes) == FILES == list(module.HASHES["mnist"])
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes.values())
    assert len(set(hashes.values())) == 4
