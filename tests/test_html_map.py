"""The HTML map: the file itself, and what a headless browser shows of it without a network."""

import base64
import errno
import json
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import locenc
from locenc.coords import equal_earth
from locenc.data import land_mask
from locenc.maps.land import land_grid
from locenc.maps.packing import deviation, pack

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
FLAGS += ["disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"]
TITLE = "Before & after </script><b>"
SIDE = 2


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Here the tests may talk to the browser's driver: this machine, and nothing beyond."""
    connect = socket.socket.connect

    def within_the_machine(self, address):
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", within_the_machine)


def encoder():
    torch.manual_seed(0)
    return locenc.Sphere2Vec("sphereC", dim=64, num_scales=8, min_radius=0.05)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "map.html"
    return locenc.maps.html(encoder(), path, resolution=SIDE, title=TITLE)


def content(path):
    """The packed data of a page."""
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def numbers(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def stated(path):
    """The largest error of a cosine that the page states."""
    return float(re.search(r"off by at most (\S+?),", path.read_text(encoding="utf-8"))[1])


@pytest.mark.parametrize("land_only", [True, False])
def test_size_at_one_degree(tmp_path, land_only):
    path = locenc.maps.html(
        locenc.Wrap(dim=64), tmp_path / "map.html", num_clusters=2, components=32, land_only=land_only
    )
    data = content(path)
    cells = 64_800 if not land_only else int(np.unpackbits(numbers(data["mask"], np.uint8)).sum())
    assert len(numbers(data["components"], "<i2")) == 32 * cells
    assert cells > 14_000
    assert path.stat().st_size <= 6e6


def test_equal_bytes_on_a_second_run(tmp_path, page):
    again = locenc.maps.html(encoder(), str(tmp_path / "made" / "again.html"), resolution=SIDE, title=TITLE)
    assert again.read_bytes() == page.read_bytes()


def test_nothing_but_the_file_itself(page):
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|<link|<img|@import|url\(|src=", text.replace("default-src", ""))


def test_titles_are_text(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<title>Before &amp; after &lt;/script&gt;&lt;b&gt;</title>") == 1
    assert text.count("</script>") == 2
    assert "<b>" not in text


def test_packed_products_are_cosines_within_what_is_measured():
    grid = land_grid(5)
    rows = nn.functional.normalize(encoder()(torch.from_numpy(grid.lonlat))).detach().numpy()
    packed = pack(rows, grid.area, 8)
    values = packed.values * packed.step
    errors = rows.astype(float) @ rows.T - values @ values.T
    np.fill_diagonal(errors, 0)
    found = deviation(rows, packed, grid.area)
    assert found.largest == pytest.approx(np.abs(errors).max(), rel=1e-4)
    assert found.typical == pytest.approx(np.sqrt(grid.area @ errors**2 @ grid.area), rel=1e-4)
    assert found.rows == len(rows)
    centred = rows - grid.area @ rows
    lost = centred - (values - grid.area @ values) @ np.linalg.lstsq(values, rows, rcond=None)[0]
    total = (grid.area @ centred**2).sum()
    assert packed.kept == pytest.approx(1 - (grid.area @ lost**2).sum() / total, abs=1e-3)
    whole = deviation(rows, pack(rows, grid.area, 64), grid.area)
    assert whole.largest < 1e-3 < found.largest
    assert deviation(rows, packed, grid.area, pairs=len(rows) * 100).rows <= 100


def test_an_embedding_without_variation(tmp_path):
    class Constant(nn.Module):
        def forward(self, lonlat):
            return torch.ones(len(lonlat), 3)

    with pytest.warns(UserWarning, match="distinct clusters"):
        path = locenc.maps.html(Constant(), tmp_path / "map.html", resolution=10)
    assert "keep 100.0% of the variance" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resolution": 7}, ValueError, "must divide 180 degrees, got 7"),
        ({"resolution": 20}, ValueError, "between 0.25 and 10 degrees, got 20"),
        ({"num_clusters": 17}, ValueError, "num_clusters must be a whole number from 2 to 16, got 17"),
        ({"components": 0}, ValueError, "components must be a whole number from 1 to 1,024, got 0"),
        ({"title": 3}, TypeError, "title must be text, got 3"),
        ({"encoder": "wrap"}, TypeError, "encoder must be a torch module, got str"),
        ({"path": "."}, IsADirectoryError, "is a folder; give the name of a file"),
    ],
)
def test_errors(tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    given = {"encoder": locenc.Wrap(dim=4), "path": "map.html", **options}
    with pytest.raises(error, match=message):
        locenc.maps.html(given.pop("encoder"), given.pop("path"), **{"resolution": 10, **given})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path, file_size_limit):
    path = tmp_path / "map.html"
    path.write_text("old")
    with pytest.raises(OSError, match=r"cannot write .*map\.html") as failure, file_size_limit(10_000):
        locenc.maps.html(locenc.Wrap(dim=4), path, resolution=10)
    assert failure.value.errno == errno.EFBIG
    assert [file.name for file in tmp_path.iterdir()] == ["map.html"]
    assert path.read_text() == "old"


def test_html_loads_nothing_of_its_own():
    code = "import sys, locenc.maps\nprint([n for n in ('matplotlib', 'sklearn', 'PIL') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


# In the browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (BROWSER and DRIVER):
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for name in FLAGS:
        options.add_argument(f"--{name}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Opened:
    """The page in the browser, and where places must be on it by formulas of this file."""

    def __init__(self, driver, path, wide, tall):
        self.driver = driver
        size = {"width": wide, "height": tall, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(path.as_uri())
        self.canvas = self.find("#map")
        self.wide, self.tall = (self.canvas.rect[side] for side in ("width", "height"))
        x = equal_earth(torch.tensor([180.0, 0.0]))[0].item()
        top, bottom = (equal_earth(torch.tensor([0.0, lat]))[1].item() for lat in (90.0, -60.0))
        self.scale = min((self.wide - 24) / (2 * x), (self.tall - 24) / (top - bottom))
        self.middle = (top + bottom) / 2

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def pixel(self, lon, lat, zoom=1):
        """Where a place is, from the middle of the canvas, when the view is centred."""
        x, y = equal_earth(torch.tensor([lon, lat], dtype=torch.float64)).tolist()
        return round(x * self.scale * zoom), round((self.middle - y) * self.scale * zoom)

    def mouse(self):
        from selenium.webdriver import ActionChains

        return ActionChains(self.driver, duration=0)

    def hover(self, *place, **options):
        self.mouse().move_to_element_with_offset(self.canvas, *self.pixel(*place, **options)).perform()
        return self.readout()

    def click(self, *place):
        self.mouse().move_to_element_with_offset(self.canvas, *self.pixel(*place)).click().perform()

    def view(self, name):
        self.find(f"[data-view={name}]").click()

    def shown(self):
        return self.find("[data-view][aria-pressed=true]").get_attribute("data-view")

    def readout(self):
        """Longitude, latitude, and the words after them."""
        words = [span.text for span in self.driver.find_elements("css selector", "#readout span")]
        return (*read_degrees(words[0]), words[1:]) if words else None

    def drawing(self):
        return self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done(document.getElementById('map').toDataURL())))"
        )


def read_degrees(text):
    (lon, east), (lat, north) = re.findall(r"([\d.]+)° ([EWNS])", text)
    return float(lon) * (1 if east == "E" else -1), float(lat) * (1 if north == "N" else -1)


@pytest.fixture
def opened(browser, page):
    opened = Opened(browser, page, 1280, 800)
    yield opened
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    urls = {one["request"]["url"] for one in asked if one["documentURL"] == page.as_uri()}
    assert urls == {page.as_uri()}
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def cells(path):
    """Centres, clusters and embeddings of the cells with data, without the code under test."""
    pixels = SIDE * 20
    land = land_mask().reshape(90, pixels, 180, pixels).mean((1, 3)) >= 0.5
    land[75:] = False
    row, column = land.nonzero()
    lonlat = np.stack([(column + 0.5) * SIDE - 180, 90 - (row + 0.5) * SIDE], 1)
    rows = locenc.embed(lonlat, encoder()).astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return {tuple(place): i for i, place in enumerate(lonlat)}, numbers(content(path)["clusters"], np.uint8), rows


PLACES = [(3.0, 47.0), (-61.0, -7.0), (133.0, -25.0), (99.0, 61.0)]


def test_pointing_tells_place_and_cluster(opened, page):
    where, labels, _ = cells(page)
    for place in PLACES:
        lon, lat, words = opened.hover(*place)
        assert (lon, lat) == pytest.approx(place, abs=0.5)  # a pixel, and a digit
        assert words == [f"cluster {labels[where[place]] + 1}"]
    assert opened.hover(-30.0, 0.0)[2] == ["no land cell"]
    opened.mouse().move_to_element(opened.find("h1")).perform()
    assert opened.find("#readout").text.startswith("Point at a place")


def test_a_click_compares_with_all_cells(opened, page):
    where, _, rows = cells(page)
    before = opened.drawing()
    opened.click(*PLACES[0])
    assert opened.shown() == "similarity"
    assert opened.drawing() != before
    heading = opened.find("#legend h2").text
    assert read_degrees(heading) == PLACES[0]
    assert heading.startswith("Cosine similarity to")
    for place in PLACES:
        words = opened.hover(*place)[2]
        cosine = float(words[1].removeprefix("cosine ").replace("−", "-"))
        assert cosine == pytest.approx(rows[where[PLACES[0]]] @ rows[where[place]], abs=stated(page) + 5e-4)
    assert opened.find("#needle").is_displayed()


def test_escape_and_the_button_go_back(opened):
    opened.view("clusters")
    clusters = opened.drawing()
    opened.click(*PLACES[1])
    opened.mouse().send_keys("\ue00c").perform()
    assert opened.shown() == "clusters"
    opened.click(*PLACES[1])
    opened.find("#clear").click()
    assert opened.shown() == "clusters"
    opened.driver.execute_script("document.activeElement.blur()")
    assert opened.drawing() == clusters


def test_views_and_their_legends(opened, page):
    drawings = set()
    for name, words in [("components", "variance"), ("clusters", "12 clusters"), ("similarity", "Click or tap")]:
        opened.view(name)
        assert words in opened.find("#legend").text
        drawings.add(opened.drawing())
    assert len(drawings) == 3
    opened.view("clusters")
    shares = [float(share) for share in re.findall(r"(\d+)%", opened.find(".clusters").text)]
    assert shares == [round(100 * area) for area in content(page)["clusterAreas"]]
    opened.find(".clusters li:nth-child(2) button").click()
    assert opened.find(".clusters button[aria-pressed=true]").text.startswith("2")
    assert opened.drawing() not in drawings


def test_drag_and_zoom(opened):
    opened.find("#closer").click()
    assert opened.hover(20.0, 10.0, zoom=1.5)[:2] == pytest.approx((20, 10), abs=0.4)
    opened.mouse().click_and_hold().move_by_offset(90, 40).release().perform()
    assert opened.readout()[:2] == pytest.approx((20, 10), abs=0.4)
    assert opened.shown() == "components"  # a drag is no click
    there = opened.pixel(20.0, 10.0, zoom=1.5)
    moved = (there[0] + 90, there[1] + 40)
    opened.mouse().move_to_element_with_offset(opened.canvas, *moved).perform()
    assert opened.readout()[:2] == pytest.approx((20, 10), abs=0.4)
    opened.find("#whole").click()
    assert opened.hover(20.0, 10.0)[:2] == pytest.approx((20, 10), abs=0.5)


def test_the_wheel_keeps_what_is_under_the_pointer(opened):
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    before = opened.hover(20.0, 10.0)
    origin = ScrollOrigin.from_element(opened.canvas, *opened.pixel(20.0, 10.0))
    drawing = opened.drawing()
    opened.mouse().scroll_from_origin(origin, 0, -300).perform()
    assert opened.drawing() != drawing
    assert opened.readout()[:2] == pytest.approx(before[:2], abs=0.1)


def test_the_keyboard_does_it_all(opened, page):
    where, labels, _ = cells(page)
    opened.driver.execute_script("arguments[0].focus()", opened.canvas)
    opened.mouse().send_keys("\ue014").perform()
    lon, lat, words = opened.readout()
    cluster = [f"cluster {labels[where[lon, lat]] + 1}"] if (lon, lat) in where else ["no land cell"]
    assert words == cluster
    opened.mouse().send_keys("\ue013" * 5).perform()
    assert opened.readout()[:2] == (lon, lat + 5 * SIDE)
    opened.mouse().send_keys("\ue007").perform()
    assert opened.shown() == "similarity"
    assert read_degrees(opened.find("#legend h2").text) == (lon, lat + 5 * SIDE)
    drawing = opened.drawing()
    opened.mouse().send_keys("+").perform()
    assert opened.drawing() != drawing
    opened.mouse().send_keys("0").perform()
    assert opened.drawing() == drawing


def test_a_narrow_window(browser, page):
    opened = Opened(browser, page, 400, 800)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 400
    assert opened.wide > 340
    assert opened.hover(*PLACES[3])[:2] == pytest.approx(PLACES[3], abs=1.2)
    opened.click(*PLACES[3])
    assert opened.shown() == "similarity"
    assert browser.execute_script("return document.documentElement.scrollWidth") == 400
