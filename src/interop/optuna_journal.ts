// Optuna's journal file: one JSON operation per line, as optuna/storages/journal/_storage.py replays them. Every trial is one
// CREATE_TRIAL with all that is known of it, the form that Optuna writes for study.add_trial(). Read by Optuna 4 and 5:
//   optuna.load_study(study_name=NAME, storage=JournalStorage(JournalFileBackend(FILE)))

export type OptunaState = "running" | "complete" | "pruned" | "fail";

export interface OptunaTrial {
  readonly state: OptunaState;
  /** The objective; null unless complete. */
  readonly value: number | null;
  readonly params: Readonly<Record<string, unknown>>;
  /** Of the objective along the way, by a whole number. */
  readonly intermediate: readonly (readonly [step: number, value: number])[];
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface OptunaStudy {
  readonly name: string;
  readonly direction: "lower" | "higher";
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly trials: readonly OptunaTrial[];
}

const operations = { createStudy: 0, setStudyAttribute: 2, createTrial: 4 } as const;
const states: Readonly<Record<OptunaState, number>> = { running: 0, complete: 1, pruned: 2, fail: 3 };
const directions = { lower: 1, higher: 2 } as const;

/** The text of the journal. */
export function optunaJournal(study: OptunaStudy): string {
  const distributions = distributionsOf(study.trials);
  const lines = [
    { op_code: operations.createStudy, study_name: study.name, directions: [directions[study.direction]] },
    ...Object.entries(study.attributes).map(([name, value]) => ({
      op_code: operations.setStudyAttribute,
      study_id: 0,
      user_attr: { [name]: value },
    })),
    ...study.trials.map((trial) => ({
      op_code: operations.createTrial,
      study_id: 0,
      state: states[trial.state],
      value: trial.value,
      values: null,
      datetime_start: new Date(trial.startedAt).toISOString(),
      ...(trial.state === "running" ? {} : { datetime_complete: new Date(trial.endedAt).toISOString() }),
      distributions: Object.fromEntries(
        Object.keys(trial.params).map((name) => [name, distributions.get(name)!.json]),
      ),
      params: Object.fromEntries(
        Object.entries(trial.params).map(([name, value]) => [name, distributions.get(name)!.internal(value)]),
      ),
      user_attrs: trial.attributes,
      system_attrs: {},
      intermediate_values: Object.fromEntries(trial.intermediate),
    })),
  ];
  return lines.map((line) => `${JSON.stringify({ ...line, worker_id: "layermix" })}\n`).join("");
}

interface Distribution {
  readonly json: string;
  readonly internal: (value: unknown) => number;
}

/** A range for parameters that are numbers, choices for all others; the same distribution in every trial. */
function distributionsOf(trials: readonly OptunaTrial[]): ReadonlyMap<string, Distribution> {
  const names = new Set(trials.flatMap(({ params }) => Object.keys(params)));
  return new Map(
    [...names].map((name): [string, Distribution] => {
      const values = trials.flatMap(({ params }) => (Object.hasOwn(params, name) ? [params[name]] : []));
      if (values.every((value): value is number => typeof value === "number")) {
        const attributes = { step: null, low: Math.min(...values), high: Math.max(...values), log: false };
        return [
          name,
          {
            json: JSON.stringify({ name: "FloatDistribution", attributes }),
            internal: (value) => value as number,
          },
        ];
      }
      const choices = [...new Set(values.map(choiceOf))];
      return [
        name,
        {
          json: JSON.stringify({ name: "CategoricalDistribution", attributes: { choices } }),
          internal: (value) => choices.indexOf(choiceOf(value)),
        },
      ];
    }),
  );
}

/** Optuna's choices are None, bool, int, float or str; anything else as its JSON. */
function choiceOf(value: unknown): string | number | boolean | null {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  return JSON.stringify(value);
}
