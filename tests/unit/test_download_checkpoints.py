"""tools/download_checkpoints.sh against a server on this machine."""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIT = '/nvidia/mit-b5/resolve/main/pytorch_model.bin'
RESNET = '/pretrain/third_party/resnet50_v1c-2cccc1ad.pth'
CONTENT = b'PK\x03\x04' + bytes(range(256)) * 1000


class Host:
    """What is at each address, and what the server did."""

    def __init__(self):
        self.files: dict[str, bytes] = {MIT: CONTENT}
        self.cut_at: int | None = None  # sends so much of a file, then hangs up
        self.ranges = True
        self.asked: list[str | None] = []  # the Range of each request

    def handler(host):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                content, wanted = host.files.get(self.path), self.headers.get('Range')
                host.asked.append(wanted)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted[6:].split('-')[0]) if wanted and host.ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
                self.send_header('Content-Length', str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:host.cut_at])

            def log_message(self, *args):
                pass
        return Handler


@pytest.fixture
def host():
    host = Host()
    server = ThreadingHTTPServer(('127.0.0.1', 0), host.handler())
    host.url = f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield host
    server.shutdown()
    server.server_close()


TOOLS = ('sh', 'dirname', 'cut', 'sed', 'sha256sum', 'od', 'tr', 'grep', 'mkdir', 'mv', 'rm')


@pytest.fixture(params=['curl', 'wget'])
def call(request, host, tmp_path):
    """The script with one of the two programs alone to be found."""
    if not shutil.which(request.param):
        pytest.skip(f'{request.param} is not installed')
    binaries = tmp_path / 'bin'
    binaries.mkdir()
    for tool in (*TOOLS, request.param):
        (binaries / tool).symlink_to(shutil.which(tool))

    def run(*names, code=0, python='no_python', url=host.url):
        environment = dict(PATH=str(binaries), TO=str(tmp_path / 'to'), HF_ENDPOINT=url, OPENMMLAB_URL=url,
                           PYTHON=python, LC_ALL='C', PYTHONDONTWRITEBYTECODE='1', OMP_NUM_THREADS='1')
        done = subprocess.run(['sh', str(ROOT / 'tools/download_checkpoints.sh'), *names], env=environment,
                              capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr
    return run


def in_folder(tmp_path):
    return sorted(os.listdir(tmp_path / 'to'))


def test_a_file_is_fetched_once_and_never_replaced(call, host, tmp_path):
    call()
    target = tmp_path / 'to' / 'mit_b5.pth'
    assert target.read_bytes() == CONTENT and in_folder(tmp_path) == ['mit_b5.pth']
    target.write_bytes(b'mine')
    assert 'is there' in call('mit_b5')
    assert target.read_bytes() == b'mine' and len(host.asked) == 1


@pytest.mark.parametrize('ranges', [True, False])
def test_a_download_that_was_cut_off_goes_on(call, host, tmp_path, ranges):
    host.cut_at, host.ranges = 100_000, True
    message = call(code=1)
    assert 'cut off' in message and f'{host.url}{MIT}' in message and 'mit_b5.pth' in message
    part = tmp_path / 'to' / 'mit_b5.pth.part'
    assert part.read_bytes() == CONTENT[:100_000] and in_folder(tmp_path) == ['mit_b5.pth.part']
    host.cut_at, host.ranges = None, ranges
    host.asked.clear()
    call()
    assert (tmp_path / 'to' / 'mit_b5.pth').read_bytes() == CONTENT
    assert in_folder(tmp_path) == ['mit_b5.pth'] and 'bytes=100000-' in host.asked


def test_a_host_out_of_reach_leaves_what_was_fetched_and_says_what_to_do(call, host, tmp_path):
    (tmp_path / 'to').mkdir()
    (tmp_path / 'to' / 'mit_b5.pth.part').write_bytes(CONTENT[:10])
    message = call(code=1, url='http://127.0.0.1:9')
    assert 'cannot be reached' in message
    assert f'By hand: download http://127.0.0.1:9{MIT}' in message and 'save it as' in message
    assert (tmp_path / 'to' / 'mit_b5.pth.part').read_bytes() == CONTENT[:10]


def test_an_address_that_is_gone_does_not_stop_the_others(call, host, tmp_path):
    message = call('mit_b1', 'mit_b5', 'mit_b9', code=1)
    assert 'its host refuses this address' in message and "no checkpoint 'mit_b9'" in message
    assert in_folder(tmp_path) == ['mit_b5.pth']


def test_a_page_in_its_place_is_no_checkpoint(call, host, tmp_path):
    host.files[MIT] = b'<!DOCTYPE html><html>log in first</html>'
    assert 'what came is not the file' in call(code=1)
    assert in_folder(tmp_path) == []


def test_a_hash_in_the_name_is_that_of_the_file(call, host, tmp_path):
    host.files[RESNET] = CONTENT
    assert not hashlib.sha256(CONTENT).hexdigest().startswith('2cccc1ad')
    assert 'does not begin with 2cccc1ad' in call('resnet50_v1c', code=1)
    assert in_folder(tmp_path) == []
    (tmp_path / 'bin' / 'sha256sum').unlink()
    (tmp_path / 'bin' / 'sha256sum').write_text('#!/bin/sh\necho 2cccc1ad00 "$1"\n')
    (tmp_path / 'bin' / 'sha256sum').chmod(0o755)
    call('resnet50_v1c')
    assert in_folder(tmp_path) == ['resnet50_v1c-2cccc1ad.pth']


@pytest.mark.parametrize('call', ['curl'], indirect=True)  # however it came
def test_with_the_project_installed_the_file_is_read(call, host, tmp_path):
    import torch
    message = call(code=1, python=sys.executable)  # begins as a zip does, and is none
    assert 'is damaged or incomplete' in message and in_folder(tmp_path) == []
    torch.save({'a': torch.ones(3)}, tmp_path / 'real.pth')
    host.files[MIT] = (tmp_path / 'real.pth').read_bytes()
    call(python=sys.executable)
    assert in_folder(tmp_path) == ['mit_b5.pth']


def test_the_list_names_every_file_that_configs_start_from(call):
    listed = call('--list')
    for name in ('mit_b3.pth', 'mit_b5.pth', 'resnet50_v1c-', 'resnet101_v1c-', 'resnest200_d2-'):
        assert name in listed
    assert 'github.com/lhoyer/DAFormer' in listed
