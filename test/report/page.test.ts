// The report as text: complete, closed, escaped, the same bytes for the same study.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { frameOf, placeNames, spreadLabels } from "../../src/report/page/chart.js";
import { rampColor, themes } from "../../src/report/page/colors.js";
import { escapeHtml, html } from "../../src/report/page/html.js";
import { renderPage } from "../../src/report/page/page.js";
import { roundTicks } from "../../src/report/page/scale.js";
import { reportModel } from "../../src/report/report_model.js";
import { readMeasurements } from "../../src/study/study_measurements.js";
import { plainAccuracy, type RecordedOptions, recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

/** WCAG 2.2: relative luminance and contrast ratio. */
function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const value = Number.parseInt(color.slice(i, i + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light! + 0.05) / (dark! + 0.05);
}

/** A page without its style and script: what a reader sees. */
const content = (text: string) => text.replaceAll(/<(style|script)>[\s\S]*?<\/\1>/g, "");

describe("report page", () => {
  const folder = useTemporaryFolder();

  async function pageOf(options: RecordedOptions = {}, mode: "file" | "live" = "file") {
    await recordStudy(folder(), options);
    return renderPage(
      reportModel(readMeasurements(folder()), "layermix: 1\n# <script>alert(1)</script>\n"),
      mode,
    );
  }

  it("has every section, and a chart in each that is drawn", async () => {
    const { html: text } = await pageOf();
    for (const id of [
      "ranking",
      "shares",
      "pareto",
      "curves",
      "fidelity",
      "costs",
      "problems",
      "reproduce",
    ]) {
      assert.match(text, new RegExp(`<section id="${id}">`));
    }
    // By share: score, recall, copy. Curves: two tasks. Memory and trust: one each.
    assert.equal(text.match(/<svg class="chart"/g)!.length, 3 + 2 + 1 + 1);
    assert.equal(text.match(/<svg class="strip"/g)!.length, 3);
  });

  it("loads nothing and allows only its own style and script, by hash", async () => {
    const { html: text, policy } = await pageOf();
    assert.doesNotMatch(
      text.replaceAll(/<pre[\s\S]*?<\/pre>/g, ""),
      /(src|href)="(?!#)|@import|url\(|https?:/,
    );
    assert.doesNotMatch(text, / style="|<[^>]* on[a-z]+=/);
    const [, style] = /<style>([\s\S]*?)<\/style>/.exec(text)!;
    const [, script] = /<script>([\s\S]*?)<\/script>/.exec(text)!;
    const hash = (part: string) => `'sha256-${createHash("sha256").update(part).digest("base64")}'`;
    assert.equal(
      policy,
      `default-src 'none'; style-src ${hash(style!)}; script-src ${hash(script!)}; base-uri 'none'; form-action 'none'`,
    );
    assert.ok(text.includes(`content="${policy}"`));
  });

  it("gives the same bytes for the same study", async () => {
    const first = await pageOf();
    const again = renderPage(
      reportModel(readMeasurements(folder()), "layermix: 1\n# <script>alert(1)</script>\n"),
    );
    assert.equal(again.html, first.html);
  });

  it("escapes every string, whatever names, reasons and files hold", async () => {
    const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>'\u202e\u0007&amp;</style></svg>{{7*7}}`;
    const { html: text } = await pageOf({
      document: (document) => ({
        ...document,
        name: hostile,
        layermix: hostile,
        device: hostile,
        candidates: document.candidates.map((candidate, i) => ({ ...candidate, name: `${i}${hostile}` })),
        dropped: [{ name: hostile, reason: hostile }],
        tasks: document.tasks.map((task) => ({ ...task, description: [hostile] })),
      }),
      accuracy: (place) => (place.candidate === 0 ? -1 : plainAccuracy(place)),
    });
    assert.doesNotMatch(text, /<img|onerror=alert\(1\)>|<script>alert|\u202e|\u0007/);
    assert.equal(text.match(/<script/g)!.length, 1);
    assert.equal(text.match(/<\/style>/g)!.length, 1);
    assert.match(text, /&lt;img src=x onerror=alert\(1\)&gt;/);
    // What the worker's last words hold is text as well.
    assert.match(text, /&lt;b&gt;last&lt;\/b&gt; words/);
    // Every attribute value stays inside its quotes: no tag has a stray attribute.
    for (const [tag] of content(text).matchAll(/<[a-z][^>]*>/g)) {
      assert.match(tag, /^<[a-z0-9]+(\s+[a-zA-Z-]+(="[^"<]*")?)*\s*\/?>$/, tag);
    }
  });

  it("shows what diverged and what failed, and an unfinished study for what it is", async () => {
    const { html: text } = await pageOf({
      accuracy: (place) => {
        if (place.candidate === 0 && place.seed === 1) return Number.NaN;
        if (place.candidate === 1 && place.seed === 2 && place.task === 1) return -1;
        return place.candidate === 2 && place.seed === 2 ? undefined : plainAccuracy(place);
      },
    });
    assert.match(
      text,
      /attention=0%, recall, seed 1<\/strong> the loss was no longer a number after 20 steps/,
    );
    assert.match(text, /attention=25%, copy, seed 2<\/strong> LMX4007: The worker died 3 times/);
    assert.match(text, /16 of 18 trials have ended/);
    assert.match(text, /class="state-failed"/);
    assert.match(text, /<em>partial<\/em>/);
  });

  it("renders a study in which nothing has run", async () => {
    const { html: text } = await pageOf({ accuracy: () => undefined });
    assert.match(text, /Nothing has been measured yet\./);
    assert.doesNotMatch(content(text), /NaN|Infinity|undefined|<svg class="chart"/);
  });

  it("stays small and quick with sixty candidates", async () => {
    const shares = Array.from({ length: 60 }, (_, i) => `${i / 2}%`).join(", ");
    const { html: text } = await pageOf({
      edit: (source) =>
        source
          .replace("layers: 8", "layers: 480")
          .replace("layers: 4,", "layers: 240,")
          .replace("[0%, 25%, 50%]", `[${shares}]`),
      accuracy: ({ candidate, seed, share }) => share * (0.3 + 0.01 * candidate + 0.002 * seed),
    });
    assert.ok(text.length < 1_000_000, `${text.length} bytes`);
    assert.doesNotMatch(content(text), /NaN|Infinity|undefined/);
  });
});

describe("report colours", () => {
  for (const [name, theme] of Object.entries(themes)) {
    it(`are readable in the ${name} theme`, () => {
      for (const text of [theme.ink, theme.soft, theme.accent, theme.bad]) {
        assert.ok(
          contrast(text, theme.paper) >= 4.5,
          `${text} on ${theme.paper}: ${contrast(text, theme.paper)}`,
        );
      }
      assert.ok(contrast(theme.soft, theme.raised) >= 4.5);
      // Graphics need 3:1 (WCAG 1.4.11).
      for (let i = 0; i <= 20; i++) {
        const color = rampColor(theme.ramp, i / 20);
        assert.ok(contrast(color, theme.paper) >= 3, `${color}: ${contrast(color, theme.paper)}`);
      }
      for (const [kind, color] of Object.entries(theme.kinds)) {
        assert.ok(contrast(color, theme.paper) >= 3, `${kind} ${color}: ${contrast(color, theme.paper)}`);
      }
    });

    it(`order candidates by lightness in the ${name} theme`, () => {
      const steps = Array.from({ length: 11 }, (_, i) => luminance(rampColor(theme.ramp, i / 10)));
      assert.deepEqual(
        steps,
        [...steps].sort((a, b) => a - b),
      );
    });
  }
});

describe("report pieces", () => {
  it("escapes what is inserted and keeps what is markup", () => {
    assert.equal(
      html`<p title="${'a"b'}">${["<", html`<b>${1}</b>`, false, undefined]}</p>`.text,
      '<p title="a&quot;b">&lt;<b>1</b></p>',
    );
    assert.equal(escapeHtml("\u2028&'"), "\ufffd&amp;&#39;");
  });

  it("labels axes with round numbers", () => {
    assert.deepEqual(roundTicks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
    assert.deepEqual(roundTicks(2.47, 2.61, 4), [2.5, 2.55, 2.6]);
    assert.deepEqual(roundTicks(-3, 12, 3), [0, 5, 10]);
  });

  it("keeps labels apart, in order, inside the frame", () => {
    const placed = spreadLabels([50, 51, 52, 200, 10], 12, 10, 200);
    const sorted = [...placed].sort((a, b) => a - b);
    for (const [i, y] of sorted.slice(1).entries()) assert.ok(y - sorted[i]! >= 12 - 1e-9);
    assert.ok(sorted[0]! >= 10 && sorted.at(-1)! <= 200 && placed[1]! > placed[0]!);
  });

  it("writes names beside points so that they do not cover each other", () => {
    const frame = frameOf(560, 330);
    const points = [300, 330, 360, 540].map((x) => ({ x, y: 100, name: "attention=50%" }));
    const boxes = placeNames(points, frame).map(({ x, y, anchor }) => {
      const width = 6.4 * 13;
      const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
      return { left, right: left + width, y };
    });
    for (const [i, a] of boxes.entries()) {
      assert.ok(a.left >= 0 && a.right <= frame.width);
      for (const b of boxes.slice(i + 1)) {
        assert.ok(a.right <= b.left || b.right <= a.left || Math.abs(a.y - b.y) >= 12, JSON.stringify(boxes));
      }
    }
  });
});
