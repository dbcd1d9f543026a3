// Times of training steps: measured once, kept with the study, and what candidates are matched by.
import assert from "node:assert/strict";
import { measureStepSeconds } from "../../src/run/measure_step.js";
import { prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { rememberedStepSeconds } from "../../src/study/step_times.js";
import type { TrialDefinition } from "../../src/study/trial.js";
import { prepareTiny, tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "./temporary_folder.js";

describe("step times", () => {
  const folder = useTemporaryFolder();

  it("are measured once for equal work, and the first measurement stands for every process", async () => {
    const { trials } = await prepareTiny();
    const [a, b] = [trials[0]!.definition, trials[1]!.definition];
    const asked: string[] = [];
    const ask = (seconds: number, where: string | undefined) =>
      rememberedStepSeconds(where, "cpu", ({ task }) => {
        asked.push(task.name);
        return seconds;
      });
    const first = ask(1, folder());
    assert.deepEqual([first(a), first({ ...a, seed: 7 }), first(b)], [1, 1, 1]);
    assert.deepEqual(asked, ["recall", "copy"]);
    assert.equal(ask(2, folder())(a), 1, "another process reads what is there");
    assert.equal(ask(2, undefined)(a), 2, "without a folder nothing is kept");
  });

  it("size the proxies: wider where a step is cheaper, within the tolerance", async () => {
    const text = tinyStudyText()
      .replace("model: { layers: 4, hidden: 16 }", "model: { hidden: 64 }")
      .replace("fill: mamba2", "fill: mamba2\n  match: { step_time: 5% }");
    const { spec } = parseStudy(text, { file: "s.yaml", folder: "." });
    // A device that takes a nanosecond per weight: what a step takes can be said beforehand.
    const stepSeconds = ({ model }: TrialDefinition): number =>
      model.layers.reduce(
        (sum, { kind }) => sum + (kind === "attention" ? 1 : 3) * model.hidden ** 2 * 1e-9,
        0,
      );
    const options = { seed: 0, device: "cpu", version: "test" };
    const { document, trials } = await prepareStudy(spec, { ...options, stepSeconds });
    const times = document.trials.map(({ id }) =>
      stepSeconds(trials.find((trial) => trial.id === id)!.definition),
    );
    for (const time of times) assert.ok(Math.abs(time / times[0]! - 1) <= 0.06, `${times}`);
    const hidden = document.candidates.map((_, candidate) => {
      const { id } = document.trials.find((trial) => trial.candidate === candidate)!;
      return trials.find((trial) => trial.id === id)!.definition.model.hidden;
    });
    assert.ok(hidden[0]! < hidden[1]! && hidden[1]! < hidden[2]!, `${hidden}`);
    const unmatched = await prepareStudy(spec, options);
    assert.equal(new Set(unmatched.trials.map(({ definition }) => definition.model.hidden)).size, 1);
  });

  it("come from real steps in a process of their own, and what fails there is said", async () => {
    const { trials } = await prepareTiny();
    const { definition } = trials[0]!;
    assert.ok(measureStepSeconds(definition, "cpu", 1) > 0);
    assert.throws(
      () => measureStepSeconds({ ...definition, microBatch: 3 }, "cpu", 1),
      /LMX4023|Expected to time a training step of 4 layers, hidden 16, on cpu, got: /,
    );
  });
});
