"""What the tests of the static page do: serve it, with faults if need be, run a task, draw, and read the result."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests.browser.actions import TWO_FRAMES, expect
from training import browser


class Host(browser.Handler):
    """Notes what is asked for, and alters or cuts off what a test names."""

    requests: list[str] = []
    faults: dict[str, str] = {}

    def do_GET(self):
        self.requests.append(self.path)
        fault = next((fault for end, fault in self.faults.items() if self.path.endswith(end)), None)
        if fault is None:
            return super().do_GET()
        with open(self.translate_path(self.path), "rb") as file:
            content = bytearray(file.read())
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        content[-1] ^= fault == "altered"
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        self.close_connection = True


@contextmanager
def serving(folder, handler):
    with browser.server(folder, handler=handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def open_page(page, address: str, **settings) -> None:
    page.goto("about:blank")
    page.goto(f"{address}#{'&'.join(f'{name}={value}' for name, value in settings.items())}")
    expect(page.locator("#run")).to_be_enabled()


def run(page) -> None:
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Done")


def result(page) -> list[Image.Image]:
    """The pictures of the file that the page saves, at their own size."""
    with page.expect_download() as download:
        page.click("#save")
    sheet = Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGB")
    columns, rows = round(sheet.width / 130), round(sheet.height / 130)
    boxes = [(x * 130, y * 130, x * 130 + 128, y * 130 + 128) for y in range(rows) for x in range(columns)]
    return [sheet.crop(box).resize((32, 32), Image.Resampling.NEAREST) for box in boxes]


def draw_stroke(page) -> None:
    """Across the middle of the picture."""
    canvas = page.locator(".editor canvas").last
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y, reach = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / 4
    page.mouse.move(x - reach, y)
    page.mouse.down()
    page.mouse.move(x + reach, y, steps=4)
    page.mouse.up()
    page.evaluate(TWO_FRAMES)


def differences(image: Image.Image, other: Image.Image) -> np.ndarray:
    """(32, 32): where two pictures differ, in levels of 255."""
    return np.abs(np.asarray(image).astype(int) - np.asarray(other)).max(2)
