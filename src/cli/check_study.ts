// Everything that can be known about a study without running it: the file itself, its tasks, its layout, the candidates of
// its sweep and their proxies. All problems of one file at once; only sizes and candidates wait for a file without any.

import { type Diagnostic, type ExitCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { planCandidates, proxyPlan } from "../estimate/candidates.js";
import { layOut } from "../plan/layout.js";
import { nativeGaps } from "../plan/native_model.js";
import { plan } from "../plan/plan.js";
import type { Plan } from "../plan/plan_types.js";
import { loadStudy } from "../spec/load_study.js";
import { locating, withPositions } from "../spec/locate_error.js";
import type { SoundParts } from "../spec/parse_study.js";
import type { Spec } from "../spec/spec.js";
import { checkTasks } from "../task/create_task.js";
import { missingFiles } from "../task/missing_files.js";

export interface CheckedStudy {
  readonly file: string;
  readonly name: string;
  /** Layers by kind of the model itself. */
  readonly counts: Readonly<Record<string, number>>;
  readonly candidates: number;
  readonly dropped: number;
  /** Trials of the sweep: candidates x tasks x seeds; 0 without a proxy. */
  readonly trials: number;
  readonly warnings: readonly Diagnostic[];
}

export type CheckOutcome =
  | { readonly ok: true; readonly study: CheckedStudy }
  | { readonly ok: false; readonly problems: readonly Diagnostic[]; readonly exitCode: ExitCode };

/** Checks one study; never throws for what is wrong with the file. */
export async function checkStudy(source: string, set: readonly string[]): Promise<CheckOutcome> {
  try {
    return { ok: true, study: await checked(source, set) };
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    return { ok: false, problems: error.diagnostics, exitCode: error.exitCode };
  }
}

async function checked(source: string, set: readonly string[]): Promise<CheckedStudy> {
  const { spec, document, warnings } = await loadStudy(source, { set, inspect: laterProblems });
  if (spec.proxy !== undefined && checkTasks(spec.proxy).length > 0) {
    const problems = laterProblems({ layout: spec.model.layout, proxy: spec.proxy });
    throw new LayermixError(withPositions(problems, document), exitCodes.invalidFile);
  }
  const files = withPositions(await absentFiles(spec), document);
  return locating(document, () => {
    const model: Plan = plan(spec);
    const { candidates, dropped } = planCandidates(spec);
    const proxies = spec.proxy === undefined ? [] : candidates.map((one) => proxyPlan(spec, one));
    const runs = spec.proxy === undefined ? 0 : spec.proxy.tasks.length * spec.proxy.seeds;
    return {
      file: spec.file,
      name: spec.name,
      counts: model.counts,
      candidates: candidates.length,
      dropped: dropped.length,
      trials: candidates.length * runs,
      warnings: [...warnings, ...files, ...withPositions(notTrainable(proxies), document)],
    };
  });
}

/** Such a file is fine to plan and to project, and says more than sweep and train can do. */
function notTrainable(proxies: readonly Plan[]): readonly Diagnostic[] {
  const gaps = [...new Set(proxies.flatMap(nativeGaps))];
  if (gaps.length === 0) return [];
  return [
    {
      code: "LMX2017",
      severity: "warning",
      message: `The native library does not run ${gaps.join(", ")}: sweep and train will refuse this study`,
      help: [
        "plan and project take it as it is; proxy.model can give the short runs another mix, pattern or norm",
      ],
      path: "proxy",
    },
  ];
}

/** Corpora are not opened here, and may be on another machine: what is not there is a warning. */
async function absentFiles({ proxy, folder }: Spec): Promise<readonly Diagnostic[]> {
  const found: Diagnostic[] = [];
  for (const [i, { task, options }] of (proxy?.tasks ?? []).entries()) {
    if (task !== "text") continue;
    for (const { place, pattern } of await missingFiles(options, folder))
      found.push({
        code: "LMX7004",
        severity: "warning",
        message: `No file is at ${pattern}: sweep and train need it`,
        help: [`relative names start from ${folder}`],
        path: `proxy.tasks[${i}].${place}`,
      });
  }
  return found;
}

/** What the rooms after spec/ have against a file, as far as its parts allow to say. */
function laterProblems({ layout, proxy }: SoundParts): readonly Diagnostic[] {
  return [
    ...(layout === undefined ? [] : problemsOf(() => layOut(layout))),
    ...(proxy === undefined ? [] : checkTasks(proxy)),
  ];
}

function problemsOf(work: () => unknown): readonly Diagnostic[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof LayermixError) return error.diagnostics;
    throw error;
  }
}
