"""What a reader does with the report in a browser."""

from __future__ import annotations


def wait(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 90).until(lambda driver: driver.execute_script(script))


def rows(browser, column):
    """Texts of one column, of the rows that are shown; column 0 is the first after the tick."""
    script = """return [...document.querySelectorAll('#table tbody tr')].filter((row) => !row.hidden)
        .map((row) => row.cells[arguments[0] + 1].textContent)"""
    return browser.execute_script(script, column)


def click(browser, selector):
    from selenium.webdriver.common.by import By

    element = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()
    return element


def head(browser, title):
    script = "return [...document.querySelectorAll('#table thead th')].map((one) => one.textContent)"
    return browser.execute_script(script).index(title)
