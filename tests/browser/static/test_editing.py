"""What stays and what comes back on the page that needs no server: results, drawings, and a model that was cut off."""

from __future__ import annotations

from tests.browser.actions import expect
from tests.browser.static.site import differences, draw_stroke, open_page, result, run


def test_results_stay_with_their_task_and_fade_when_their_settings_change(page, address):
    open_page(page, address, task="translation", steps=2)
    run(page)
    first = result(page)[0]
    page.click("#task-maximisation")
    expect(page.locator("#save")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("Press Run")
    page.click("#task-translation")
    expect(page.locator("#status")).to_contain_text("Done: 2 steps")
    assert "task=translation" in page.url and "steps=2" in page.url
    assert differences(result(page)[0], first).max() == 0
    expect(page.locator("#pictures.outdated")).to_have_count(0)
    page.click("[aria-label='Another seed']")
    expect(page.locator("#pictures.outdated")).to_have_count(1)
    page.locator("#task-translation").press("ArrowRight")
    expect(page.locator("#task-super_resolution[aria-selected=true]")).to_be_focused()


def test_what_is_drawn_comes_back(page, address):
    open_page(page, address, task="inpainting", steps=1)
    expect(page.locator(".shelf [aria-pressed=true]")).to_have_count(1)
    marked = page.locator("canvas.mask")
    painted = "one => one.getContext('2d').getImageData(0, 0, 448, 448).data.filter((v, i) => i % 4 === 3 && v).length"
    suggested = marked.evaluate(painted)
    draw_stroke(page)
    drawn = marked.evaluate(painted)
    assert drawn not in (0, suggested)
    page.click("button:text-is('Clear')")
    assert marked.evaluate(painted) == 0
    page.click("#run")
    expect(page.locator("#note")).to_contain_text("Draw over a part")
    page.click("button:text-is('Undo')")
    assert marked.evaluate(painted) == drawn
    page.locator(".shelf button").nth(1).click()
    expect(page.locator(".shelf button").nth(1)).to_have_attribute("aria-pressed", "true")
    page.click("button:text-is('Undo')")
    assert marked.evaluate(painted) == drawn
    page.click("button:text-is('Undo')")
    assert marked.evaluate(painted) == suggested


def test_a_checkpoint_that_cannot_be_read_is_tried_again(page, address, host):
    open_page(page, address)
    page.evaluate("() => caches.delete('synth')")
    host.faults["browser.json"] = "cut"
    page.reload()
    expect(page.locator("#note")).to_contain_text("was cut off")
    host.faults.clear()
    page.click("#note button")
    expect(page.locator("#run")).to_be_enabled()
    expect(page.locator("#note")).to_be_hidden()
    run(page)
