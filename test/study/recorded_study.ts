// A study folder with everything a finished study has - results, curves, timing, a divergence and a failure where asked -
// written through the real writers, with closed forms in place of training: what is read back is known exactly.
import { prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { createStudyFolder } from "../../src/study/create_study.js";
import { MetricsLog } from "../../src/study/metrics_log.js";
import { publishFailure, publishResult, writeTiming } from "../../src/study/outcome.js";
import type { StudyDocument } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import type { Metrics } from "../../src/task/task.js";
import { tinyStudyText } from "../run/tiny_study.js";

export interface RecordedOptions {
  readonly seeds?: number;
  /** Changes the text of the study file: names, sizes. */
  readonly edit?: (text: string) => string;
  /** Changes the document before it is written: hostile names. */
  readonly document?: (document: StudyDocument) => StudyDocument;
  /** Accuracy at a share of the run; undefined leaves the trial unrun, NaN makes it diverge, -1 makes it fail. */
  readonly accuracy?: (place: {
    readonly candidate: number;
    readonly task: number;
    readonly seed: number;
    readonly share: number;
  }) => number | undefined;
}

/** Recall rises with attention, copy hardly differs; early in the run the order is the other way round. */
export function plainAccuracy({
  candidate,
  task,
  seed,
  share,
}: Parameters<NonNullable<RecordedOptions["accuracy"]>>[0]) {
  if (task === 1) return 0.5 + 0.01 * ((candidate + seed) % 2) * share;
  return share < 0.4 ? 0.3 - 0.05 * candidate : share * (0.4 + 0.2 * candidate) + 0.01 * seed;
}

/** Writes the folder and returns the document in it. */
export async function recordStudy(folder: string, options: RecordedOptions = {}): Promise<StudyDocument> {
  const { edit = (text) => text, accuracy = plainAccuracy } = options;
  const text = edit(tinyStudyText({ seeds: options.seeds ?? 3 }));
  const { spec } = parseStudy(text, { file: "tiny.yaml", folder: "." });
  const study = await prepareStudy(spec, { seed: 0, device: "cpu", version: "test" });
  const document = options.document?.(study.document) ?? study.document;
  createStudyFolder(folder, { ...study, document }, text);
  for (const { id, candidate, task, seed } of document.trials) {
    const trial = studyLayout.trial(folder, id);
    const steps = 40;
    const tokens = document.tasks[task]!.tokens;
    const at = (share: number) => accuracy({ candidate, task, seed, share });
    const end = at(1);
    if (end === undefined) continue;
    if (end === -1) {
      const message = "The worker died 3 times while it ran this trial: SIGSEGV";
      publishFailure(trial, { format: 1, id, code: "LMX4007", message, stderr: ["<b>last</b> words"] });
      continue;
    }
    const log = new MetricsLog(trialLayout.metrics(trial), 0);
    const evaluations = [];
    for (let step = 1; step <= steps; step++) {
      const value = at(step / steps)!;
      if (Number.isNaN(value)) break;
      const train = { tokens: (tokens * step) / steps, gradNorm: 1, learningRate: 1e-3 };
      log.append({ step, loss: 4 * (1 - value) + 0.2, ...train });
      if (step % 4 !== 0) continue;
      const metrics: Metrics = { loss: 4 * (1 - value), accuracy: value };
      log.append({ step, eval: { ...metrics } });
      evaluations.push({ step, metrics });
    }
    log.close();
    const common = { format: 1, id, tokens, evaluations } as const;
    if (Number.isNaN(end)) publishResult(trial, { ...common, status: "diverged", steps: 20 });
    else publishResult(trial, { ...common, status: "done", steps, metrics: evaluations.at(-1)!.metrics });
    writeTiming(trial, {
      ...{
        format: 1,
        steps,
        trainSeconds: 2,
        evaluationSeconds: 0.5,
        tokensPerSecond: 4000 + 500 * candidate,
      },
      ...{ threads: 1, device: "cpu", host: "here", build: "clang 18, AVX2" },
    });
  }
  return document;
}
