"""Does the page of a report have faults that axe-core finds?

    python experiments/accessibility.py --axe=FILE --reports=FILES

FILES are the report.html of runs, with commas between them. Opens each in a headless
Chromium, with all details open: in light and dark colours, and as narrow as a window
may be. FILE is axe.min.js of axe-core (https://github.com/dequelabs/axe-core). Writes
experiments/results/accessibility.json and prints the table made from it. Exits with 1
if a fault was found.
"""

import argparse
import html
import json
import pathlib
import re
import subprocess
import tempfile

from campaign import RESULTS, write_json

RESULT = RESULTS / "accessibility.json"
COMMAND = "python experiments/accessibility.py --axe=FILE --reports=FILES"
WINDOWS = {
    "light": ("--window-size=1280,900",),
    "dark": ("--window-size=1280,900", "--blink-settings=preferredColorScheme=0"),
    "narrow": ("--window-size=400,900",),
}
LOOK = """
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const found = await axe.run(document);
  const answer = document.createElement("pre");
  answer.id = "found";
  answer.textContent = JSON.stringify({
    version: axe.version,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    width: innerWidth,
    passed: found.passes.length,
    faults: found.violations.map((one) => [one.id, one.nodes.length]),
    unknown: found.incomplete.map((one) => [one.id, one.nodes.length]),
  });
  document.body.append(answer);
});
"""


def look(report, axe, flags):
    """Returns what axe-core finds in a report.

    Args:
        report: String of HTML.
        axe: String. The script.
        flags: Flags of Chromium.
    """
    scripts = f"<script>{axe}</script><script>{LOOK}</script>"
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.html"
        page.write_text(report.replace("</head>", scripts + "</head>", 1))
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += ["--virtual-time-budget=60000", "--dump-dom", *flags, page.as_uri()]
        shown = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=600
        ).stdout
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    return json.loads(html.unescape(found))


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| report | size | window | rules passed | faults | for a person to judge |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, report in result["reports"].items():
        for window, found in report["windows"].items():
            cells = [name, f"{report['bytes'] / 1e6:.2f} MB", window]
            cells.append(str(found["passed"]))
            for kind in ("faults", "unknown"):
                rules = [f"{rule} ({count})" for rule, count in found[kind]]
                cells.append(", ".join(rules) or "none")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"By axe-core {result['axe_core']}."])


def main():
    """Looks, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--axe", type=pathlib.Path, help="axe.min.js")
    parser.add_argument("--reports", help="report.html of runs, with commas between")
    given = parser.parse_args()
    if not given.table:
        axe, result = given.axe.read_text(encoding="utf-8"), {"command": COMMAND}
        result["reports"] = reports = {}
        for file in map(pathlib.Path, given.reports.split(",")):
            text = file.read_text(encoding="utf-8")
            windows = {name: look(text, axe, flags) for name, flags in WINDOWS.items()}
            versions = {found.pop("version") for found in windows.values()}
            (result["axe_core"],) = versions
            name = file.resolve().parent.name
            reports[name] = {"bytes": file.stat().st_size, "windows": windows}
        write_json(RESULT, result)
    found = json.loads(RESULT.read_text())
    print(table(found))
    rows = [row for one in found["reports"].values() for row in one["windows"].values()]
    raise SystemExit(int(any(row["faults"] for row in rows)))


if __name__ == "__main__":
    main()
