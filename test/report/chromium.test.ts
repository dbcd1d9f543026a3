// The report in a real Chromium: no complaint on the console, every chart drawn, the keyboard sorts, nothing is fetched.
// Skipped, with the reason, where no Chromium is found.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { renderPage } from "../../src/report/page/page.js";
import { reportModel } from "../../src/report/report_model.js";
import { readMeasurements } from "../../src/study/study_measurements.js";
import { recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { Chromium, findChromium, type Tab } from "./chromium.js";

const executable = findChromium();

describe(`report in Chromium${executable === undefined ? " (none found: apt-get install chromium, or set LAYERMIX_CHROMIUM)" : ""}`, () => {
  const folder = useTemporaryFolder();
  let browser: Chromium;
  let tab: Tab;
  before(function () {
    if (executable === undefined) this.skip();
    browser = new Chromium(executable);
  });
  after(async () => {
    await browser?.close();
  });

  async function openReport(name = "tiny"): Promise<void> {
    await recordStudy(folder(), { document: (document) => ({ ...document, name }) });
    const file = join(folder(), "report.html");
    writeFileSync(file, renderPage(reportModel(readMeasurements(folder()), "layermix: 1\n")).html);
    tab = await browser.open();
    await tab.goTo(pathToFileURL(file).href);
  }

  it("opens without a complaint, fetches nothing, and draws every chart", async () => {
    await openReport();
    const charts = await tab.evaluate<{ width: number; height: number; marks: number }[]>(
      `[...document.querySelectorAll("svg.chart")].map((svg) => {
        const { width, height } = svg.getBoundingClientRect();
        const marks = [...svg.querySelectorAll(".mark, .measure")].filter((mark) => mark.getBBox().width > 0);
        return { width, height, marks: marks.length };
      })`,
    );
    assert.equal(charts.length, 7);
    for (const { width, height, marks } of charts) assert.ok(width > 200 && height > 100 && marks > 0);
    assert.deepEqual(tab.complaints, []);
    assert.equal(tab.requests.length, 1);
  });

  it("is no wider than a phone, and has a name for everything that can be used", async () => {
    await openReport();
    await tab.call("Emulation.setDeviceMetricsOverride", {
      width: 360,
      height: 740,
      deviceScaleFactor: 1,
      mobile: true,
    });
    assert.ok((await tab.evaluate<number>("document.documentElement.scrollWidth")) <= 360);
    const { nodes } = (await tab.call("Accessibility.getFullAXTree")) as {
      nodes: { role?: { value: string }; name?: { value: string } }[];
    };
    const named = nodes.filter(({ role }) =>
      ["button", "link", "image", "table", "region"].includes(role?.value ?? ""),
    );
    assert.ok(named.length > 20);
    for (const { role, name } of named.filter(({ role }) => role?.value !== "table")) {
      assert.notEqual(name?.value ?? "", "", role!.value);
    }
  });

  it("sorts by the keyboard, both ways, and says so", async () => {
    await openReport();
    const order = () =>
      tab.evaluate<string[]>(
        `[...document.querySelectorAll(".ranking tbody th")].map((cell) => cell.textContent)`,
      );
    const before = await order();
    await tab.evaluate(`document.querySelectorAll(".ranking thead button")[1].focus()`);
    await tab.press("Enter");
    assert.deepEqual(await order(), ["attention=0%", "attention=25%", "attention=50%"]);
    await tab.press("Enter");
    assert.deepEqual(await order(), ["attention=50%", "attention=25%", "attention=0%"]);
    const sorted = `document.querySelectorAll(".ranking thead th")[1].getAttribute("aria-sort")`;
    assert.equal(await tab.evaluate(sorted), "descending");
    await tab.evaluate(`document.querySelectorAll(".ranking thead button")[0].focus()`);
    await tab.press("Enter");
    assert.deepEqual(await order(), before);
    assert.deepEqual(tab.complaints, []);
  });

  it("shows one candidate alone when its row has the focus, and lets go with Escape", async () => {
    await openReport();
    await tab.evaluate(`document.querySelector(".ranking tbody tr").focus()`);
    await tab.press("ArrowDown");
    const focused = `[...new Set([...document.querySelectorAll(".focused")].map((element) => element.dataset.c))].join()`;
    assert.equal(await tab.evaluate(focused), await tab.evaluate(`document.activeElement.dataset.c`));
    assert.ok(await tab.evaluate(`document.querySelectorAll("svg .mark.focused").length > 3`));
    await tab.press("Escape");
    assert.equal(await tab.evaluate(focused), "");
  });

  it("changes its theme, and prints in light colours whatever the theme", async () => {
    await openReport();
    const paper = `getComputedStyle(document.body).backgroundColor`;
    const light = await tab.evaluate(paper);
    await tab.evaluate(`document.getElementById("theme").click(); document.getElementById("theme").click()`);
    assert.notEqual(await tab.evaluate(paper), light);
    await tab.call("Emulation.setEmulatedMedia", { media: "print" });
    assert.equal(await tab.evaluate(paper), "rgb(255, 255, 255)");
    assert.deepEqual(tab.complaints, []);
  });

  it("runs nothing that came in with a name", async () => {
    await openReport(`<img src=x onerror="document.title='hit'"><script>document.title='hit'</script>`);
    assert.match(await tab.evaluate<string>("document.querySelector('h1').textContent"), /^<img src=x/);
    assert.doesNotMatch(await tab.evaluate<string>("document.title"), /^hit/);
    // Even injected afterwards it would be stopped: the policy, not the escaping alone, forbids it.
    await tab.evaluate(
      `document.body.insertAdjacentHTML("beforeend", "<b id=probe onclick=\\"document.title='hit'\\">x</b>"); document.getElementById("probe").click()`,
    );
    assert.doesNotMatch(await tab.evaluate<string>("document.title"), /^hit/);
  });
});
