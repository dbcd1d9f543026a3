// A fair comparison: every candidate of a seed sees the same data in the same order, whatever its size and its learning
// rate, and is measured on the same held-out data; another seed sees other data.
import assert from "node:assert/strict";
import { prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import type { TrialFile } from "../../src/study/trial.js";
import { createTask } from "../../src/task/create_task.js";
import type { Task } from "../../src/task/task.js";
import { tinyStudyText } from "../run/tiny_study.js";

const taskOf = ({ definition, source }: TrialFile): Promise<Task> =>
  createTask(
    { sequence: definition.sequence },
    { task: definition.task.name, weight: 1, options: source.options },
    definition.seed,
    source.folder,
  );

describe("the data of a study", () => {
  for (const [what, change] of [
    ["as they are", (text: string) => text],
    [
      "matched in parameters",
      (text: string) => text.replace("fill: mamba2", "fill: mamba2\n  match: { params: 5% }"),
    ],
    [
      "matched in FLOPs",
      (text: string) => text.replace("fill: mamba2", "fill: mamba2\n  match: { flops: 5% }"),
    ],
  ] as const) {
    it(`are the same for every candidate of a seed, candidates ${what}`, async () => {
      const { spec } = parseStudy(change(tinyStudyText()), { file: "s.yaml", folder: "." });
      const { document, trials } = await prepareStudy(spec, { seed: 0, device: "cpu", version: "test" });
      const file = (id: string): TrialFile => trials.find((trial) => trial.id === id)!;
      for (const task of document.tasks.keys()) {
        const bySeed = document.seeds.map((seed) =>
          document.trials
            .filter((place) => place.task === task && place.seed === seed)
            .map(({ id }) => file(id)),
        );
        const first: Int32Array[] = [];
        for (const same of bySeed) {
          assert.equal(same.length, 3);
          const tasks = await Promise.all(same.map(taskOf));
          const [reference, ...others] = tasks as [Task, ...Task[]];
          const { batch, steps } = same[0]!.definition;
          for (const trial of same)
            assert.deepEqual([trial.definition.batch, trial.definition.steps], [batch, steps]);
          for (const step of [0, 1, steps - 1]) {
            const expected = reference.trainBatch(step, batch);
            for (const other of others) assert.deepEqual(other.trainBatch(step, batch), expected);
          }
          for (const other of others)
            assert.deepEqual(other.evaluationBatch(0, 4), reference.evaluationBatch(0, 4));
          first.push(reference.trainBatch(0, batch).tokens);
        }
        assert.notDeepEqual(first[0], first[1], "another seed, other data");
      }
    });
  }
});
