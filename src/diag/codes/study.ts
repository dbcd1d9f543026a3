// Codes 4xxx (see code_table.ts): study folders, sweeps and the trials in them.

import type { CodeTable } from "../code_table.js";

export const studyCodes: CodeTable = {
  LMX4001: {
    title: "Disk full",
    explanation: `A file of the study could not be written because the disk, the quota or the largest allowed file size is used up.

Nothing is damaged: files are written beside their target and renamed when they are complete, so every finished trial and the last checkpoint of each running one are still there. The command exits with 6.`,
    help: "Free some space, then run the same command again; it goes on from the last checkpoints.",
  },
  LMX4002: {
    title: "Folder cannot be written or read",
    explanation: `The operating system refused access to a file or folder of the study: a read-only file system, missing permission, a path through something that is not a folder, or a folder where a file is to be written. The command exits with 6.`,
    help: "Choose another folder or name with --out, or change the permissions.",
  },
  LMX4003: {
    title: "Disk error",
    explanation: `Reading or writing a file of the study failed for the reason in the message, which comes from the operating system: a network file system that went away, a failing disk, too many open files. The command exits with 6.

Finished trials and checkpoints that were written before are not affected.`,
    help: "Repair the cause, then run the same command again.",
  },
  LMX4004: {
    title: "Not a study folder",
    explanation: `The commands status, rank and report read a folder that layermix sweep or layermix train has written. Such a folder has a study.json.`,
    help: "Name the value of --out, or layermix-studies/NAME where NAME is the name in the study file.",
  },
  LMX4005: {
    title: "Study folder of another layermix",
    explanation: `Every document in a study folder carries a format number, and this one is higher than what this version knows, or the document lacks what this version writes. Reading it anyway could misread it, so it is refused.`,
    help: "Update layermix; run the sweep again where the folder is the older one; or start a new folder with --out.",
  },
  LMX4006: {
    title: "Damaged file in a study folder",
    explanation: `layermix writes its documents whole or not at all, so a crash cannot cut one short. This one does not parse, or does not have the checksum that was written with it: it was edited, truncated or corrupted from outside, and nothing of it is used.

Every trial's outcome is in its own folder. If study.json is damaged, run the sweep again and it is written anew; if a result.json is damaged, remove it and the trial is run again.`,
    help: "Restore the file, or remove it and run the study again.",
  },
  LMX4007: {
    title: "Worker died on a trial",
    explanation: `The process that ran this trial died three times of itself: a fault in native code, or the kernel stopped it for want of memory. The trial is marked failed and the others go on; the sweep ends with exit code 5 and ranks what is there.

failure.json in the trial's folder holds the last lines the worker wrote. A worker that is killed from outside does not count; its trial is taken up again.`,
    help: "Read failure.json; for want of memory use fewer --workers; then run the sweep with --retry-failed.",
  },
  LMX4008: {
    title: "Data changed during a study",
    explanation: `A trial is defined by the content of the files it trains on. When the worker opened them, the content was not what it had been when the sweep started, so the trial would not have been the one its name says.`,
    help: "Run layermix sweep again: trials are defined anew from the files as they are now.",
  },
  LMX4009: {
    title: "Trial stopped by an error",
    explanation: `The native library or the task refused to run this trial, for the reason in the message; the same trial would meet it again. It is marked failed and the others go on; the sweep ends with exit code 5 and ranks what is there.`,
    help: "Correct the study file, or the cause, and run the sweep with --retry-failed.",
  },
  LMX4010: {
    title: "Worker processes do not start",
    explanation: `Three workers in a row died before they had loaded the native library. That says nothing about the trials; the installation does not work on this machine (a library built for another processor, a missing shared library, no memory).`,
    help: "Run layermix doctor; it loads the native library and says what is wrong with it.",
  },
  LMX4012: {
    title: "Study without a proxy",
    explanation: `sweep and train run the short training runs that the proxy section describes: sequence, tokens, optimizer, tasks. The file has no such section, so there is nothing to train. plan and project need none.

    proxy:
      model: { layers: 8, hidden: 64 }
      tokens: 2M
      tasks:
        - { task: recall }`,
    help: "Add a proxy section; layermix preset show quickstart prints a complete study.",
  },
  LMX4013: {
    title: "Candidates with the same proxy",
    explanation: `Candidates that differ as full models can be the same model at the proxy's depth: 4% and 8% attention are one layer each of 12. Their trials are then the same trials - they run once - and the ranking can only show them as equal.

This is a warning; the sweep runs.`,
    help: "Raise proxy.model.layers until the shares round to different layer counts.",
  },
  LMX4014: {
    title: "Interrupted",
    explanation: `Ctrl-C or SIGTERM stopped the run. Every worker finished the steps at hand and saved a checkpoint; finished trials are kept. The command exits with 130 (Ctrl-C) or 143 (SIGTERM). A second Ctrl-C leaves at once, and costs at most the work since the last checkpoints.`,
    help: "Run the same command again to go on.",
  },
  LMX4015: {
    title: "Some trials failed",
    explanation: `The study is finished, but some of its trials could not be run to their end; failure.json in each one's folder says why. The ranking shows what is there, failed candidates last. The command exits with 5.

A diverged trial (its loss or gradient norm was not a finite number) is a result, not a failure: it is ranked last and does not cause this.`,
    help: "layermix status DIR names the failed trials; after correcting the cause run the sweep with --retry-failed.",
  },
  LMX4016: {
    title: "Vocabulary too small for a task",
    explanation: `proxy.model.vocab is set, and a task uses token ids beyond it. Without that setting the vocabulary of a proxy run is the one its task needs.`,
    help: "Remove proxy.model.vocab, or raise it to what the message says.",
  },
  LMX4017: {
    title: "No such device to train on",
    explanation: `The CPU is always there. A GPU (cuda:0, cuda:1, ...) is there when the CUDA addon has been built with npm run build:cuda, loads, and the driver shows that many devices; the message says what was missing. The command exits with 7.`,
    help: "Use --device cpu, or leave the flag out; layermix doctor explains what was found.",
  },
  LMX4018: {
    title: "No such task in the study",
    explanation: `layermix train runs one of the tasks under proxy.tasks: the first, or the one named with --task. The name given is not among them. layermix task list shows all tasks there are; to train on another one, add it to the study file.`,
    help: "Name one of the tasks in the message.",
  },
  LMX4019: {
    title: "Training run without a result",
    explanation: `layermix train runs one trial, and it ended without held-out figures: its loss or gradient norm became infinite or not a number (it diverged), or it could not be run at all. metrics.jsonl in the trial's folder has every step up to there. The command exits with 5.`,
    help: "When it diverged, lower proxy.optimizer.lr or raise its warmup; layermix status DIR shows a failure's reason.",
  },
  LMX4020: {
    title: "Trial out of memory",
    explanation: `The device or the host had less memory than the trial asked for, also with the smallest pieces it can be cut into; the message says how much was asked and how much was free. The trial ends as oom and the others go on; the sweep ends with exit code 5 and ranks what is there.`,
    help: "Lower proxy.batch_tokens, sequence or model.hidden, or run fewer --workers; then run the sweep with --retry-failed.",
  },
  LMX4021: {
    title: "Budget spent",
    explanation: `sweep.budget is counted over all trials of the study, however often it is resumed. Trials are run in their order while the budget lasts; the first that does not fit ends the search, and the ranking shows what is there: candidates without a finished trial are waiting, or partial.

This is a warning; the exit code is 0. Nothing is lost: with a larger budget the same command goes on from here.`,
    help: "Raise sweep.budget, or take fewer candidates, tokens or seeds.",
  },
  LMX4022: {
    title: "Nothing to replay",
    explanation: `layermix replay runs strategies over recorded curves, so it needs at least two candidates whose runs are finished on every task and seed. Candidates that a search left behind have no full curve.

Strategies can pause only where held-out data were evaluated: the more often, the finer the rungs that can be tried.`,
    help: "Run a study with strategy: grid and proxy.evaluate_every: 5%, then replay it.",
  },
  LMX4023: {
    title: "Step could not be timed",
    explanation: `With match: { step_time: 5% } proxies are given the width at which a training step takes as long as that of the declared model. A short run of each width is timed on the device, in a process of its own, and kept in step-times/ of the study folder. This one ended without a time, for the reason in the message.`,
    help: "Lower proxy.batch_tokens when memory is the reason, or match on flops.",
  },
};
