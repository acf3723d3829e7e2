#!/usr/bin/env python3
"""Opens a report in headless Chromium and looks at it as people do.

  scripts/report.py report.html                      at three widths, in light and dark
  scripts/report.py report.html --pictures FOLDER    and keeps what it saw

Fails where the page is wider than its window, prints an error to the console, asks for anything but itself, has a link to nowhere,
letters of a plot that are cut, lie over each other or are too small to read, or text that hardly differs from its paper. Needs
Chromium (Debian: apt-get install chromium) and nothing but Python; exit code 3 says that there is none.
"""
import argparse, base64, json, os, pathlib, shutil, subprocess, sys, tempfile

WIDTHS = {"desktop": (1280, 900, 1), "tablet": (700, 1000, 1), "telephone": (360, 740, 2)}

LOOK = r"""
(() => {
  const wrong = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.body.querySelectorAll('*')].filter(e => !e.closest('.scroll, svg')
      && e.getBoundingClientRect().right > root.clientWidth + 1);
    wrong.push(`${root.scrollWidth} px wide in ${root.clientWidth}: ` + wide.slice(0, 3).map(e => e.tagName + '.' + e.className));
  }
  for (const a of document.querySelectorAll('a[href]')) {
    const to = a.getAttribute('href');
    if (!to.startsWith('#') || !document.getElementById(to.slice(1))) wrong.push(`a link to ${to}, which is not there`);
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) wrong.push(`two have the id ${id}`);
  const shown = [...document.querySelectorAll('svg.plot')].filter(svg => svg.getBoundingClientRect().width > 0);
  for (const svg of shown) {
    const frame = svg.getBoundingClientRect(), name = svg.getAttribute('aria-label').slice(0, 60);
    const texts = [...svg.querySelectorAll('text')].map(e => [e.getBoundingClientRect(), e.textContent]);
    for (const [box, text] of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        wrong.push(`'${text}' is cut in: ${name}`);
      if (box.height < 9.5) wrong.push(`'${text}' is ${box.height.toFixed(1)} px high in: ${name}`);
    }
    texts.forEach(([a, one], i) => texts.slice(i + 1).forEach(([b, other]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 4) wrong.push(`'${one}' lies over '${other}' in: ${name}`);
    }));
  }
  const channels = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = light(getComputedStyle(document.body).backgroundColor), seen = new Set();
  for (const e of document.querySelectorAll('p, td, th, dd, dt, a:not(svg a), summary, h2, svg.plot text')) {
    const style = getComputedStyle(e), colour = e.closest('svg') ? style.fill : style.color;
    if (!e.textContent.trim() || seen.has(colour)) continue;
    seen.add(colour);
    const ink = light(colour), ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < (e.closest('svg') ? 3 : 4.5)) wrong.push(`'${e.textContent.slice(0, 30)}' has a contrast of ${ratio.toFixed(1)}`);
  }
  return {wrong, plots: shown.length, height: root.scrollHeight};
})()
"""


class Browser:
    """Chromium behind a pair of pipes: JSON messages that end in a zero byte."""

    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def pipes():
            # The ends that it talks through are its files 3 and 4, whatever numbers they had.
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3), os.dup2(b, 4)
            os.set_inheritable(3, True), os.set_inheritable(4, True)

        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
                   f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(to_write)
        self.count, self.rest, self.events, self.session = 0, b"", [], None

    def message(self):
        while b"\0" not in self.rest:
            part = os.read(self.back, 1 << 16)
            if not part:
                sys.exit("Chromium ended by itself")
            self.rest += part
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **params):
        self.count += 1
        call = {"id": self.count, "method": method, "params": params}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.to, json.dumps(call).encode() + b"\0")
        while True:
            got = self.message()
            if got.get("id") == self.count:
                if "error" in got:
                    sys.exit(f"{method}: {got['error']['message']}")
                return got["result"]
            self.events.append(got)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def open(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")


def look(browser, url, width, scheme, picture):
    """What is wrong with the page at a width in a scheme."""
    across, down, scale = WIDTHS[width]
    browser.ask("Emulation.setDeviceMetricsOverride", width=across, height=down, deviceScaleFactor=scale, mobile=width == "telephone")
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.ask("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")
    seen = browser.ask("Runtime.evaluate", expression=LOOK, returnByValue=True)
    if "exceptionDetails" in seen:
        sys.exit(f"the check itself failed: {seen['exceptionDetails']}")
    seen = seen["result"]["value"]
    wrong = list(seen["wrong"])
    for event in browser.events:
        about, method = event.get("params", {}), event.get("method")
        if method == "Runtime.exceptionThrown" or method == "Runtime.consoleAPICalled" or method == "Log.entryAdded":
            wrong.append(f"the console says: {json.dumps(about)[:300]}")
        if method == "Network.requestWillBeSent":
            asked = about["request"]["url"]
            if asked.split("#")[0] != url and not asked.startswith("data:"):
                wrong.append(f"it asks for {asked}")
    if picture:
        clip = {"x": 0, "y": 0, "width": across, "height": min(seen["height"], 12000), "scale": 1}
        data = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        picture.write_bytes(base64.b64decode(data))
    return seen, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        print("there is no Chromium: apt-get install chromium")
        sys.exit(3)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    url, failed = options.page.resolve(strict=True).as_uri(), False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            browser.open()
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    picture = options.pictures and options.pictures / f"{width}-{scheme}.png"
                    seen, wrong = look(browser, url, width, scheme, picture)
                    print(f"{width:<10} {scheme:<6} {seen['plots']} plots, {seen['height']} px: {'; '.join(sorted(set(wrong))) or 'ok'}")
                    failed |= bool(wrong)
        finally:
            browser.process.terminate()
            browser.process.wait()
    sys.exit(failed)


if __name__ == "__main__":
    main()
