"""The report in a browser, where there is one (Debian's chromium and chromium-driver): every panel draws, its
controls work."""

from __future__ import annotations

import json
import shutil

import pytest
from report_runs import CLASSES, IMAGES, leave_run

from mmseg.report.page import make_page
from mmseg.report.record import read_record

pytest.importorskip('selenium')
BROWSER, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason='needs chromium and chromium-driver')
WAIT = 60  # seconds at most


@pytest.fixture(scope='module')
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in (
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--window-size=1500,1000',
    ):
        options.add_argument(word)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(WAIT)
    yield driver
    driver.quit()


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """Two methods, one of them with a run in the middle; everything that a report can have."""
    root = tmp_path_factory.mktemp('runs')
    (root / 'sample_class_stats.json').write_text(json.dumps([{'0': 900, '1': 100, 'file': 'x.png'}]))
    folders = [
        leave_run(root, 'a', 0),
        leave_run(root, 'a', 1),
        leave_run(root, 'b', 0, {40: 0.7}),
        leave_run(root, 'b', 1, {20: 0.2}, done=False, pictures=False),
    ]
    runs = [read_record(folder) for folder in folders]
    for run in runs:
        run.config['data']['train']['source']['data_root'] = str(root)
    path = root / 'report.html'
    path.write_text(make_page(runs, 'Toys'), encoding='utf-8')
    return path


@pytest.fixture
def opened(browser, page):
    return look(browser, page)


def look(browser, page, width: int = 1500):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_cdp_cmd(
        'Emulation.setDeviceMetricsOverride',
        {'width': width, 'height': 900, 'deviceScaleFactor': 1, 'mobile': False},
    )
    browser.get(page.as_uri())
    WebDriverWait(browser, WAIT).until(
        lambda driver: driver.execute_script('return document.documentElement.dataset.drawn')
    )
    return browser


def errors(browser) -> list[str]:
    return [entry['message'] for entry in browser.get_log('browser') if entry['level'] == 'SEVERE']


def texts(browser, selector: str) -> list[str]:
    return browser.execute_script(
        'return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)', selector
    )


def lines_of(browser, place: int = 0) -> int:
    """How many runs the curves have."""
    return browser.execute_script(f"return document.querySelectorAll('#curves .figure')[{place}].data.length")


def click(browser, selector: str) -> None:
    browser.execute_script('document.querySelector(arguments[0]).click()', selector)


def set_value(browser, selector: str, value: str, event: str = 'input') -> None:
    browser.execute_script(
        'const node = document.querySelector(arguments[0]); node.value = arguments[1];'
        'node.dispatchEvent(new Event(arguments[2], {bubbles: true}))',
        selector,
        value,
        event,
    )


def test_every_panel_has_its_data_and_nothing_comes_from_a_network(opened):
    assert errors(opened) == []
    assert len(texts(opened, '#table tr.method')) == 2
    assert lines_of(opened) == 4 and len(texts(opened, '#curves select option')) >= 2 * 8
    assert len(texts(opened, '#classes tbody tr')) == len(CLASSES) + 1
    assert len(texts(opened, '#images .strip button')) == IMAGES
    assert len(texts(opened, '#images figure')) == 5 and len(texts(opened, '#images .divided')) == 3
    figures = opened.execute_script(
        "return ['confusion', 'certainty', 'rare'].map((id) => "
        '[...document.querySelectorAll(`#${id} .figure`)].map((node) => node.data.length))'
    )
    assert figures == [[1, 1], [2, 1 + 3], [1]]
    assert len(texts(opened, '#certainty tbody tr')) == 3
    assert (
        len(texts(opened, '#training img')) + len(opened.find_elements('css selector', '#training img')) == 4
    )
    assert 'git checkout abc123' in ''.join(texts(opened, '#records pre')) and '<b>odd</b>' in ''.join(
        texts(opened, '#records pre')
    )
    fetched = opened.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert [name for name in fetched if not name.startswith(('data:', 'blob:'))] == []
    broken = opened.execute_script(
        'return [...document.images].filter((image) => image.complete && !image.naturalWidth).length'
    )
    assert broken == 0


def test_the_filter_and_the_switches_choose_runs_in_every_panel(opened):
    set_value(opened, '#filter', 'toy_b')
    assert len(texts(opened, '#table tr.method')) == 1 and lines_of(opened) == 2
    assert len(texts(opened, '#chips .chip')) == 1 and len(texts(opened, '#certainty tbody tr')) == 1
    set_value(opened, '#filter', '')
    click(opened, '#chips .chip:first-child .seed')
    assert lines_of(opened) == 3
    click(opened, '#chips .chip:first-child button')
    assert lines_of(opened) == 2 and len(texts(opened, '#table tr.method')) == 1
    click(opened, '#chips .chip:first-child button')
    assert lines_of(opened) == 4 and errors(opened) == []


def test_headings_sort(opened):
    def order() -> list[str]:
        return opened.execute_script(
            "return [...document.querySelectorAll('#classes tbody tr')].map((row) => row.dataset.class)"
        )[:-1]

    assert order() == list(CLASSES)  # IoU grows in this order
    click(opened, '#classes th:last-child')
    assert order() == list(CLASSES)[::-1]
    click(opened, '#classes th:last-child')
    assert order() == list(CLASSES)
    click(opened, '#table th[data-sort="mIoU"]')
    methods = texts(opened, '#table tr.method .name')
    assert methods == ['b', 'a'] and texts(opened, '#table th[aria-sort="descending"]') == ['mIoU']
    click(opened, '#table tr.method')
    assert len(texts(opened, '#table tr.run')) == 2 and errors(opened) == []


def test_sliders_and_choices(opened):
    before = opened.execute_script("return document.querySelector('#training img').src")
    assert texts(opened, '#training .step') == ['step 20, 3 of 3']
    set_value(opened, '#training input[type=range]', '0')
    assert texts(opened, '#training .step') == ['step 0, 1 of 3']
    assert opened.execute_script("return document.querySelector('#training img').src") != before
    set_value(opened, '#images input[type=range]', '25')
    cut = opened.execute_script(
        "return [...document.querySelectorAll('#images .right')].map((node) => node.style.clipPath)"
    )
    assert len(cut) == 3 and all('25%' in one for one in cut)
    set_value(opened, '#curves .pair select', 'IoU.car', 'change')
    assert (
        opened.execute_script("return document.querySelector('#curves .figure').data[0].meta.key")
        == 'IoU.car'
    )
    set_value(opened, '#classes label:nth-child(2) select', '', 'change')
    assert texts(opened, '#classes .change') == [] and errors(opened) == []


def test_both_themes(opened):
    colours = []
    for _ in range(2):
        click(opened, '#theme')
        colours.append(
            opened.execute_script(
                'return [getComputedStyle(document.body).backgroundColor, '
                "document.querySelector('#curves .figure').layout.font.color]"
            )
        )
    assert colours[0][0] != colours[1][0] and colours[0][1] != colours[1][1] and errors(opened) == []


@pytest.mark.parametrize('width', [360, 800, 1900])
def test_no_window_is_too_narrow_or_too_wide(browser, page, width):
    look(browser, page, width)
    wide = browser.execute_script('return document.documentElement.scrollWidth')
    beyond = browser.execute_script(
        "return [...document.querySelectorAll('.figure, figure, select, pre')].filter((node) => "
        'node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".strip")).length'
    )
    assert (wide <= width, beyond) == (True, 0) and errors(browser) == []


def test_an_empty_folder_says_what_is_missing(browser, tmp_path):
    folder = tmp_path / 'nothing'
    folder.mkdir()
    path = tmp_path / 'report.html'
    path.write_text(make_page([read_record(folder)], 'Nothing'), encoding='utf-8')
    look(browser, path)
    told = texts(browser, '.missing li')
    assert errors(browser) == [] and all(
        any(part in line for line in told) for part in ('no log', 'no readable config')
    )
    assert len(texts(browser, '.body .none')) >= 6
