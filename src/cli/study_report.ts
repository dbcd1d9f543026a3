// From a study folder to its report: what `report` and `watch` share.

import { loadHardware } from "../project/load_hardware.js";
import { type ReportModel, type ReportServing, reportModel } from "../report/report_model.js";
import { readTextIfPresent } from "../study/atomic_file.js";
import { readStudy } from "../study/study_document.js";
import { studyLayout } from "../study/study_layout.js";
import { readMeasurements } from "../study/study_measurements.js";

/** The report of a folder as it is now. Throws LMX4004 when there is no study, LMX7010 for an unknown measure. */
export function studyReport(
  folder: string,
  by: string | undefined,
  serving: ReportServing | undefined,
): ReportModel {
  const source = readTextIfPresent(studyLayout.source(folder)) ?? "";
  return reportModel(readMeasurements(folder), source, { by, serving });
}

/** The hardware that the study's project section names; undefined where it has none, or none that is found from here. */
export async function studyServing(folder: string): Promise<ReportServing | undefined> {
  const { spec } = readStudy(folder);
  const asked = spec.project;
  if (asked === undefined) return undefined;
  // A study folder can be read where its hardware file is not: the report then does without.
  const hardware = await loadHardware(asked.hardware, spec.folder).catch(() => undefined);
  return hardware === undefined ? undefined : { hardware, batch: asked.batch };
}
